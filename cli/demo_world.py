"""The demo's world on this machine: a folder, a simulated Glopal and store, a configuration, a Prefect server."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cli.demo_books import GlopalLine, StoreLine
from sandbox.running import GLOPAL_KEY, STORE_TOKEN, RunningSandbox

_ENV_KEY = "CROSSDOCK_DEMO_GLOPAL_KEY"
_ENV_TOKEN = "CROSSDOCK_DEMO_STORE_TOKEN"  # noqa: S105 - the name of a variable
_MARK = "demo.json"
_SAVING_SECONDS = 5.0


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a person chose.

    Attributes:
        orders: how many orders Glopal has, over all accounts.
        seed: same seed, same orders.
        store: ``both``, ``embedded`` or ``http``.
        faults: ``demo`` or ``none``.
        folder: where everything is kept.
        fresh: begin anew.
        keep: keep the servers running at the end.
        as_json: print JSON.
    """

    orders: int
    seed: int
    store: str
    faults: str
    folder: Path
    fresh: bool = False
    keep: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account of the demo: its name, its id at Glopal, its kind of store, its orders and their seed."""

    name: str
    store_id: str
    kind: str
    orders: int
    seed: int


def accounts_of(options: DemoOptions) -> list[DemoAccount]:
    """Three quarters of the orders land in SQL tables and the rest over HTTP, unless one kind was chosen."""
    if options.store != "both":
        return [DemoAccount("main", "912", options.store, options.orders, options.seed)]
    over_http = options.orders // 4
    return [
        DemoAccount("main", "912", "embedded", options.orders - over_http, options.seed),
        DemoAccount("second", "913", "http", over_http, options.seed + 1),
    ]


class World:
    """The demo's folder and the simulated sides that run on it.

    Args:
        options: what a person chose.

    Raises:
        DemoError: the folder holds something else, or a demo with other choices.
    """

    def __init__(self, options: DemoOptions) -> None:
        self.options = options
        self.folder = options.folder
        self.accounts = accounts_of(options)
        self.config = self.folder / "crossdock.toml"
        self._sandbox: RunningSandbox | None = None
        self._counted: tuple[dict[str, int], dict[str, int]] | None = None
        self.mark = self._take_folder()

    def _take_folder(self) -> dict[str, Any]:
        mark_file = self.folder / _MARK
        if _held(self.folder / "prefect" / "server.lock"):
            raise DemoError(f"A demo still runs in {self.folder}, perhaps with --keep. Stop it with Ctrl-C first.")
        if self.folder.exists() and any(self.folder.iterdir()) and not mark_file.exists():
            raise DemoError(f"{self.folder} is not empty and no demo of ours. Name another one with --folder.")
        if self.options.fresh and self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = {"orders": self.options.orders, "seed": self.options.seed, "store": self.options.store}
        mark: dict[str, Any] = json.loads(mark_file.read_text()) if mark_file.exists() else {**chosen, "runs": 0}
        held = {name: mark.get(name) for name in chosen}
        if held != chosen:
            words = ", ".join(f"{name} {value}" for name, value in held.items())
            raise DemoError(f"{self.folder} holds a demo with {words}. Run it with these, or begin anew with --fresh.")
        self._write_mark(mark)
        return mark

    def _write_mark(self, mark: dict[str, Any]) -> None:
        (self.folder / _MARK).write_text(json.dumps(mark, indent=2) + "\n")

    def remember(self, **facts: Any) -> None:  # noqa: ANN401 - JSON values
        """Keep facts for the next run."""
        self.mark |= facts
        self._write_mark(self.mark)

    @property
    def sandbox(self) -> RunningSandbox:
        """The running simulated sides."""
        if self._sandbox is None:
            raise DemoError("the sandbox does not run; this is a bug of the demo")
        return self._sandbox

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the simulated sides with the books of the last run, or with new orders; stop them at the end."""
        first, *others = self.accounts
        if "sandbox_pid" in self.mark:
            _wait_for_end(int(self.mark["sandbox_pid"]))
        sandbox = RunningSandbox(
            orders=first.orders,
            seed=first.seed,
            mix="demo",
            faults=self.options.faults,
            store_ids=[account.store_id for account in self.accounts],
            state=self.folder / "sandbox.json",
        )
        try:
            sandbox.start()
        except RuntimeError as error:
            raise DemoError(f"{error}. Its message stands above; --fresh begins with new books.") from error
        self._sandbox = sandbox
        self.remember(sandbox_pid=sandbox.pid)
        try:
            for account in others:
                if account.orders and not sandbox.orders(account.store_id):
                    sandbox.generate(account.orders, seed=account.seed, mix="demo", store_id=account.store_id)
            self._configure(sandbox)
            yield
        finally:
            sandbox.stop()
            self._sandbox = None
            self.mark.pop("sandbox_pid")
            self._write_mark(self.mark)

    def _configure(self, sandbox: RunningSandbox) -> None:
        """Write crossdock.toml for this run's addresses, and put its secrets into our environment."""
        parts = [_HEAD.format(folder=self.folder)]
        for account in self.accounts:
            parts.append(_ACCOUNT.format(account=account, url=sandbox.glopal_url, key=_ENV_KEY))
            store = _EMBEDDED if account.kind == "embedded" else _HTTP
            parts.append(store.format(account=account, folder=self.folder, url=sandbox.store_url, token=_ENV_TOKEN))
        self.config.write_text("\n".join(parts), encoding="utf-8")
        os.environ |= {"CROSSDOCK_CONFIG": str(self.config), _ENV_KEY: GLOPAL_KEY, _ENV_TOKEN: STORE_TOKEN}

    def glopal_lines(self, account: DemoAccount) -> list[GlopalLine]:
        """Glopal's own books of an account."""
        return [
            GlopalLine(
                order=order,
                status=book["status"],
                accepts=book["accepts"],
                external_id=(book["external"] or {}).get("order_id"),
                external_number=(book["external"] or {}).get("order_number"),
                currency=book["currency"],
                total=None if book["total"] is None else Decimal(book["total"]),
            )
            for order, book in self.sandbox.orders(account.store_id).items()
        ]

    def store_lines(self, account: DemoAccount) -> list[StoreLine]:
        """The store's own books of an account: the simulated store's, or the SQL tables as an ERP reads them."""
        if account.kind == "http":
            books = self.sandbox.store_books()["orders"].values()
            return [
                StoreLine(b["reference"], b["id"], b["number"], b["state"], b["currency"], Decimal(b["total"]))
                for b in books
            ]
        file = self.folder / "store.db"
        if not file.exists():
            return []
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT reference, id, number, state, currency, total FROM store_orders")
            return [StoreLine(r[0], str(r[1]), r[2], r[3], r[4], Decimal(r[5])) for r in rows]

    def calm_down(self) -> None:
        """No more faults from here on; what was injected and called until now stays known."""
        self._counted = self.faults(), self.calls()
        self.sandbox.clear_faults()

    def faults(self) -> dict[str, int]:
        """How often which fault was injected in this run, by kind."""
        if self._counted is not None:
            return self._counted[0]
        found: dict[str, int] = {}
        for books in (self.sandbox.books(), self.sandbox.store_books()):
            for name, number in books["injected"].items():
                kind = name.partition(":")[2]
                found[kind] = found.get(kind, 0) + number
        return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0])))

    def calls(self) -> dict[str, int]:
        """HTTP calls that the simulated sides saw in this run, by endpoint."""
        if self._counted is not None:
            return self._counted[1]
        return {**self.sandbox.books()["traffic"]["calls"], **self.sandbox.store_books()["traffic"]["calls"]}


def _held(lock: Path) -> bool:
    """Whether the Prefect server of a running demo holds this file."""
    if not lock.exists():
        return False
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _wait_for_end(pid: int) -> None:
    """Wait for the sandbox of a demo that was killed: it writes its books once it sees that its starter is gone."""
    end = time.monotonic() + _SAVING_SECONDS
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        except PermissionError:  # somebody else's process has the number by now
            return
        time.sleep(0.1)


_HEAD = """# Written by crossdock demo on each run; crossdock.example.toml is the one to start from.
[ledger]
url = "sqlite+aiosqlite:///{folder}/ledger.db"
lease_seconds = 12
"""
# Waits are short because the simulated sides heal within a second; a real account has the defaults.
_ACCOUNT = """
[accounts.{account.name}]
store_id = "{account.store_id}"
base_url = "{url}"
key = {{ env = "{key}" }}
store = "{account.name}"
base_currency = "EUR"
cancel_confirmed = true

[accounts.{account.name}.policy]
task_retry_delays = [0.3, 1, 2]
probe_delays = [0.5, 1.5, 3]
backoff_first = 1
backoff_longest = 5

[accounts.{account.name}.limits]
timeout = 1
"""
_EMBEDDED = """
[stores.{account.name}]
kind = "embedded"
url = "sqlite+aiosqlite:///{folder}/store.db"

[stores.{account.name}.limits]
timeout = 5
"""
_HTTP = """
[stores.{account.name}]
kind = "http"
base_url = "{url}"
token = {{ env = "{token}" }}

[stores.{account.name}.limits]
timeout = 1
"""
