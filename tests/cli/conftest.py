"""A configuration in a folder of its own, a ledger with orders in every kind of state, and a Glopal to be checked."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ledger import Ledger
from ledger.events import record_page
from ledger.leases import claim_due
from ledger.migrate import migrate
from ledger.steps import NewDocument, Rules, StepEnd, begin, finish
from models.glopal import GlopalEvent
from models.ids import AccountKey
from models.lifecycle import Landing, SourceStatus, Step
from models.outcome import OutcomeKind
from models.settings import LedgerSettings

KEY = "GL.canary-secret-71c2"
CANARIES = (KEY, "canary-secret", "canary-buyer.example", "+999555")
RULES = Rules(import_on="ready", deadline=timedelta(hours=72), first_probe=timedelta(seconds=5))
ACCOUNT = AccountKey("glopal", "live", "912")
Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, with no settings from outside."""
    for name in list(os.environ):
        if name.startswith("CROSSDOCK_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSDOCK_CONFIG", str(tmp_path / "crossdock.toml"))
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run the command; a test fails when a secret or a buyer is in what it says."""
    runner = CliRunner()

    def call(*arguments: str, code: int = 0) -> Any:
        result = runner.invoke(app, list(arguments))
        said = result.stdout + result.stderr
        assert not [canary for canary in CANARIES if canary in said], said
        assert result.exit_code == code, f"{said}\n{result.exception!r}"
        assert "Traceback" not in said
        return result

    return call


def write_config(folder: Path, base_url: str = "http://127.0.0.1:9", more: str = "") -> Path:
    """A small valid configuration; ``more`` stands in the account's section."""
    path = folder / "crossdock.toml"
    path.write_text(
        f"""
[ledger]
url = "sqlite+aiosqlite:///{folder}/ledger.db"

[accounts.main]
store_id = "912"
base_url = "{base_url}"
key = {{ env = "CROSSDOCK_TEST_KEY" }}
store = "shop"
base_currency = "EUR"
{more}

[stores.shop]
kind = "embedded"
url = "sqlite+aiosqlite:///{folder}/store.db"
"""
    )
    return path


@pytest.fixture
def config(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose Glopal nobody answers for."""
    monkeypatch.setenv("CROSSDOCK_TEST_KEY", KEY)
    return write_config(folder, more="cancel_confirmed = true")


def event(number: int, order_id: str, name: str = "order.ready") -> GlopalEvent:
    """One event of the feed."""
    at = datetime(2026, 1, 10, 10, 0, number, tzinfo=UTC)
    return GlopalEvent(f"e{number}", name, order_id, at, "", json.dumps({"event_id": f"e{number}"}))


_RAW = json.dumps({"customer": {"email": "ana@canary-buyer.example", "phone": "+999555123456"}}).encode()


@dataclass
class Books:
    """Writes an order's story with the ledger's own verbs."""

    ledger: Ledger
    fences: dict[str, int] = field(default_factory=dict)

    async def tell(self, *events: GlopalEvent) -> None:
        """Record events, then hold every due order's lease."""
        await record_page(self.ledger, ACCOUNT, list(events), RULES)
        await self.claim()

    async def claim(self) -> None:
        """Hold every due order's lease."""
        for order in await claim_due(self.ledger, ACCOUNT, limit=100, import_on="ready", first_probe=RULES.first_probe):
            self.fences[order.source_order_id] = order.id

    async def step(self, order_id: str, step: Step, outcome: OutcomeKind, detail: str, **end: Any) -> None:
        """One step of one order, with its intent and its outcome."""
        [work] = await begin(self.ledger, [self.fences[order_id]], step, RULES)
        await finish(self.ledger, [StepEnd(work, outcome, detail, **end)], RULES)

    async def read(self, order_id: str) -> None:
        """Read its document, buyer and all."""
        document = NewDocument(_RAW, order_id.ljust(64, "0"), _RAW.decode(), "c" * 64)
        fields = {"document_status": "READY", "currency": "EUR", "base_currency": "EUR"}
        await self.step(
            order_id, Step.FETCH, OutcomeKind.DONE, "read", landing=Landing.FETCHED, document=document, fields=fields
        )

    async def landed(self, order_id: str, number: str) -> None:
        """Insert and accept it."""
        ids = {"store_order_id": f"id-{number}", "store_order_number": number, "store_state": "open"}
        await self.read(order_id)
        await self.step(
            order_id, Step.INSERT, OutcomeKind.DONE, f"created: {number}", landing=Landing.INSERTED, fields=ids
        )
        accepted = {"landing": Landing.ACCEPTED, "told_status": SourceStatus.ACCEPTED}
        await self.step(order_id, Step.ACCEPT, OutcomeKind.DONE, f"accepted as store order {number}", **accepted)


async def _write(path: Path) -> None:
    ledger = Ledger(LedgerSettings(url=f"sqlite+aiosqlite:///{path}"))
    await migrate(ledger)
    books = Books(ledger)
    await books.tell(
        event(1, "100-1", "order.received"),
        event(2, "100-1"),
        event(3, "100-2"),
        event(4, "100-3"),
        event(5, "100-4", "order.received"),
        event(6, "../admin"),
        event(7, "100-6"),
        event(8, "100-6", "order.something_new"),
    )
    await books.landed("100-1", "1001")
    await books.read("100-2")
    reason = "the store does not know the SKU HAT-9"
    await books.step("100-2", Step.INSERT, OutcomeKind.REFUSED, reason, park=("insert.unknown_sku", reason))
    await books.read("100-3")
    unknown = {"landing": Landing.INSERT_UNKNOWN, "due_in": 600.0}
    await books.step("100-3", Step.INSERT, OutcomeKind.UNKNOWN, "no answer within 15 s", **unknown)
    await books.read("100-6")
    await ledger.dispose()


@pytest.fixture
def books(folder: Path, config: Path) -> Path:
    """A ledger with one landed, parked, unknown, waiting, badly named and half done order each."""
    asyncio.run(_write(folder / "ledger.db"))
    return folder / "ledger.db"


class FakeGlopal(ThreadingHTTPServer):
    """Answers every GET with an empty feed, with the status and the clock that a test sets."""

    daemon_threads = True
    status = 200
    clock_off = timedelta(0)

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeGlopal

    def do_GET(self) -> None:
        """One answer."""
        body = b'{"events": [], "links": {}}'
        self.send_response_only(self.server.status)
        now = datetime.now(UTC) + self.server.clock_off
        for name, value in (
            ("Date", format_datetime(now, usegmt=True)),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def glopal() -> Iterator[FakeGlopal]:
    """A Glopal on a loopback port."""
    server = FakeGlopal(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
