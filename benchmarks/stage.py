"""Where a measurement runs: a sandbox, a configuration and a ledger of its own, all in one folder, all on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.calls import PAGE_SIZE
from cli.local_server import LocalServer
from sandbox.running import GLOPAL_KEY, STORE_TOKEN, RunningSandbox

ACCOUNT = "main"
_CONFIG = """\
[ledger]
url = "sqlite+aiosqlite:///{folder}/ledger.db"

[accounts.main]
store_id = "{store_id}"
base_url = "{glopal}"
key = {{ env = "CROSSDOCK_BENCH_KEY" }}
store = "shop"
base_currency = "EUR"
page_size = {page_size}

[stores.shop]
kind = "http"
base_url = "{store}"
token = {{ env = "CROSSDOCK_BENCH_TOKEN" }}
"""


@dataclass(frozen=True)
class Stage:
    """A sandbox with orders, and a folder for what a process leaves behind."""

    folder: Path
    sandbox: RunningSandbox

    def ours(self, server: LocalServer) -> dict[str, Any]:
        """One poll in a fresh process; the ledger is the stage's own and is kept from poll to poll."""
        config = self.folder / "crossdock.toml"
        box = self.sandbox
        config.write_text(
            _CONFIG.format(
                folder=self.folder,
                store_id=box.store_id,
                glopal=box.glopal_url,
                store=box.store_url,
                page_size=PAGE_SIZE,
            ),
            encoding="utf-8",
        )
        environment = {
            **_without_ours(server.environment()),
            "CROSSDOCK_CONFIG": str(config),
            "CROSSDOCK_BENCH_KEY": GLOPAL_KEY,
            "CROSSDOCK_BENCH_TOKEN": STORE_TOKEN,
        }
        return child.run("benchmarks.ours", {"account": ACCOUNT}, environment, self.folder / "ours.log")

    def bare(self) -> dict[str, Any]:
        """The bare loop in a fresh process."""
        return child.run("benchmarks.bare", self._addresses, os.environ, self.folder / "bare.log")

    def naive(self, server: LocalServer) -> dict[str, Any]:
        """The naive flow in a fresh process, with nothing set but the server's address."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "PREFECT_API_URL": server.api_url,
            "PREFECT_HOME": str(server.home),
            "DO_NOT_TRACK": "1",
        }
        return child.run("benchmarks.naive", self._addresses, environment, self.folder / "naive.log")

    def calls(self) -> dict[str, int]:
        """HTTP calls by endpoint, as the sandbox's own books have them."""
        found: dict[str, int] = {}
        for books in (self.sandbox.books(), self.sandbox.store_books()):
            found |= books["traffic"]["calls"]
        return found

    @property
    def _addresses(self) -> dict[str, str]:
        box = self.sandbox
        return {"glopal": box.glopal_url, "store": box.store_url, "store_id": box.store_id}


@contextmanager
def stage(folder: Path, orders: int) -> Iterator[Stage]:
    """A fresh sandbox with ``orders`` paid orders and no faults, and an empty folder."""
    folder.mkdir(parents=True)
    with RunningSandbox(orders=orders, mix="bench", faults="none") as sandbox:
        yield Stage(folder, sandbox)


def newcomers_server(home: Path) -> LocalServer:
    """A Prefect server as a newcomer has it: every setting that Crossdock tunes is at Prefect's default."""
    from prefect.settings import (  # noqa: PLC0415 - slow to import, and only this needs it
        PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE,
        PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE,
        PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL,
        PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE,
        PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL,
    )

    defaults = {
        setting.name: str(setting.default())
        for setting in (
            PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE,
            PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE,
            PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL,
            PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE,
            PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL,
        )
    }
    return LocalServer(home, environ={**os.environ, **defaults})


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Settings of another installation must not reach a measurement."""
    return {name: value for name, value in environment.items() if not name.startswith("CROSSDOCK_")}
