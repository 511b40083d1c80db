"""Where a measurement runs: a sandbox, a configuration and a ledger of its own, all in one folder, all on loopback."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.calls import PAGE_SIZE
from cli.local_server import LocalServer
from sandbox.running import GLOPAL_KEY, STORE_TOKEN, RunningSandbox

Say = Callable[[str], None]
ACCOUNT = "main"
STORE_ID = "acme"
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
{shop}
"""
_HTTP_SHOP = """\
kind = "http"
base_url = "{store}"
token = {{ env = "CROSSDOCK_BENCH_TOKEN" }}"""
_EMBEDDED_SHOP = """\
kind = "embedded"
url = "sqlite+aiosqlite:///{folder}/store.db\""""


def configured(folder: Path, server: LocalServer, glopal: str, store: str | None) -> dict[str, str]:
    """Write a folder's configuration; returns the environment in which our processes find it and the server.

    Args:
        folder: gets the configuration, the ledger and, where there is one, the embedded store.
        server: the Prefect server.
        glopal: address of the simulated Glopal.
        store: address of the simulated store; None for the embedded store.
    """
    shop = _EMBEDDED_SHOP.format(folder=folder) if store is None else _HTTP_SHOP.format(store=store)
    given = {"folder": folder, "store_id": STORE_ID, "glopal": glopal, "page_size": PAGE_SIZE, "shop": shop}
    config = folder / "crossdock.toml"
    config.write_text(_CONFIG.format(**given), encoding="utf-8")
    return {
        **_without_ours(server.environment()),
        "CROSSDOCK_CONFIG": str(config),
        "CROSSDOCK_BENCH_KEY": GLOPAL_KEY,
        "CROSSDOCK_BENCH_TOKEN": STORE_TOKEN,
    }


@dataclass(frozen=True)
class Stage:
    """A sandbox with orders, and a folder for what a process leaves behind."""

    folder: Path
    sandbox: RunningSandbox
    embedded: bool = False

    def ours(self, server: LocalServer) -> dict[str, Any]:
        """One poll in a fresh process; the ledger is the stage's own and is kept from poll to poll."""
        return self.measured("ours", server)

    def measured(self, name: str, server: LocalServer, **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Run one of our flows in a fresh process.

        Args:
            name: the module of this package that runs it.
            server: the Prefect server.
            asked: what else it is told.
        """
        store = None if self.embedded else self.sandbox.store_url
        environment = configured(self.folder, server, self.sandbox.glopal_url, store)
        return child.run(f"benchmarks.{name}", {"account": ACCOUNT, **asked}, environment, self.folder / f"{name}.log")

    def bare(self) -> dict[str, Any]:
        """The bare loop in a fresh process."""
        return child.run("benchmarks.bare", self.addresses, os.environ, self.folder / "bare.log")

    def naive(self, server: LocalServer) -> dict[str, Any]:
        """The naive flow in a fresh process, with nothing set but the server's address."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
            "PREFECT_API_URL": server.api_url,
            "PREFECT_HOME": str(server.home),
            "DO_NOT_TRACK": "1",
        }
        return child.run("benchmarks.naive", self.addresses, environment, self.folder / "naive.log")

    def calls(self) -> dict[str, int]:
        """HTTP calls by endpoint, as the sandbox's own books have them."""
        return calls_of(self.sandbox)

    @property
    def addresses(self) -> dict[str, str]:
        """Where both sides of the sandbox are, for a process that knows no configuration."""
        box = self.sandbox
        return {"glopal": box.glopal_url, "store": box.store_url, "store_id": box.store_id}


def calls_of(sandbox: RunningSandbox) -> dict[str, int]:
    """HTTP calls by endpoint, as a sandbox's own books have them."""
    found: dict[str, int] = {}
    for books in (sandbox.books(), sandbox.store_books()):
        found |= books["traffic"]["calls"]
    return found


def more_calls(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """The calls since ``before``, by endpoint."""
    return {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)}


@contextmanager
def stage(folder: Path, orders: int, hours: float = 24.0) -> Iterator[Stage]:
    """A fresh sandbox with ``orders`` paid orders of the last ``hours`` and no faults, and an empty folder."""
    folder.mkdir(parents=True)
    with RunningSandbox(orders=orders, mix="bench", faults="none", store_ids=(STORE_ID,), hours=hours) as sandbox:
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
