"""``crossdock backfill`` as a process of its own, killed with SIGKILL again and again: it ends as if nobody had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ledger import Ledger
from models.ranges import Span
from models.time import parse_instant
from sandbox.running import RunningSandbox
from tests.support import Databases
from tests.trust.evidence import Evidence, gather
from tests.trust.history import picture
from tests.trust.invariants import ALWAYS, name_of
from tests.trust.tally import TALLY
from tests.trust.world import CANARIES, ENVIRONMENT, KEY_ENV, TOKEN_ENV

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]
ROOT = Path(__file__).parents[2]
ORDERS, DAYS, FIRST, LAST = 240, 90, 60, 30
PATIENCE = 90.0
LEASE = 5


@dataclass
class Place:
    """One hub: its sandbox, its ledger, its configuration, its logs."""

    sandbox: RunningSandbox
    folder: Path
    url: str
    span: Span
    runs: int = 0

    def start(self) -> subprocess.Popen[bytes]:
        """``crossdock backfill`` over the thirty days, as a person types it."""
        config = self.folder / "crossdock.toml"
        config.write_text(_configuration(self))
        self.runs += 1
        names = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
        command = [sys.executable, "-m", "cli.main", "backfill", "--json"]
        bounds = ["--from", f"{self.span.start:%Y-%m-%dT%H:%M:%SZ}", "--to", f"{self.span.end:%Y-%m-%dT%H:%M:%SZ}"]
        with (self.folder / f"out{self.runs}").open("wb") as out, (self.folder / f"err{self.runs}").open("wb") as err:
            return subprocess.Popen(
                [*command, *bounds, "--calls-per-second", "60"],
                cwd=ROOT,
                env={**names, **ENVIRONMENT, "CROSSDOCK_CONFIG": str(config), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def to_the_end(self) -> dict[str, Any]:
        """One run that nobody kills; what it says of itself."""
        code = self.start().wait(PATIENCE * 2)
        text = (self.folder / f"out{self.runs}").read_text()
        assert text, (self.folder / f"err{self.runs}").read_text()
        [found] = json.loads(text)
        assert code == int(not found["ok"])
        return dict(found)

    def until_proven(self) -> list[dict[str, Any]]:
        """Runs until one of them says that all is proven and settled."""
        said = []
        for _ in range(8):
            said.append(self.to_the_end())
            if said[-1]["ok"]:
                return said
        raise AssertionError(f"never proven: {said[-1]}")

    def calls(self, name: str) -> int:
        """Calls of a kind so far, to either side."""
        books = self.sandbox.store_books() if name.startswith("store.") else self.sandbox.books()
        return int(books["traffic"]["calls"].get(name, 0))

    def kill_when(self, happened: Callable[[], bool]) -> None:
        """Start a run and kill it like a power cut in the moment in which something has happened."""
        process = self.start()
        end = time.monotonic() + PATIENCE
        while not happened():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < end, "it never came so far"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        TALLY.kills += 1
        # Its leases run out, so that the next run has something to be killed at.
        time.sleep(LEASE + 1)

    def told(self) -> str:
        """All that the processes said and logged."""
        return "".join(path.read_text() for path in self.folder.glob("???[0-9]*"))

    async def seen(self) -> Evidence:
        """The books and the ledger."""
        ledger = Ledger(Databases.settings(self.url))
        try:
            return await gather(self.sandbox, ledger)
        finally:
            await ledger.dispose()


def _configuration(place: Place) -> str:
    limits = "{ timeout = 1.0, read_tries = 3 }"
    return f"""
[ledger]
url = "{place.url}"
lease_seconds = {LEASE}

[accounts.main]
store_id = "{place.sandbox.store_id}"
base_url = "{place.sandbox.glopal_url}"
key = {{ env = "{KEY_ENV}" }}
store = "shop"
base_currency = "EUR"
page_size = 5
limits = {limits}
policy = {{ probe_delays = [0.3, 1, 2], backoff_first = 0.3, backoff_longest = 2, task_retry_delays = [0.3, 1, 2] }}

[stores.shop]
kind = "http"
base_url = "{place.sandbox.store_url}"
token = {{ env = "{TOKEN_ENV}" }}
limits = {limits}
"""


def _span() -> Span:
    midnight = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), tzinfo=UTC)
    return Span(midnight - timedelta(days=FIRST), midnight - timedelta(days=LAST))


@pytest.fixture
def busy_sandbox() -> Iterator[RunningSandbox]:
    """Ninety days of history, and all the faults of the demo."""
    with RunningSandbox(orders=ORDERS, seed=77, mix="demo", faults="demo", hours=24 * DAYS) as running:
        running.store("settings", idempotent=False)
        yield running


@pytest_asyncio.fixture
async def place(busy_sandbox: RunningSandbox, tmp_path: Path, ledger_url: str) -> AsyncIterator[Place]:
    """A hub on each of the two databases."""
    yield Place(busy_sandbox, tmp_path, ledger_url, _span())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Span], Any]:
    """What a backfill that nobody killed leaves of the same history, without any fault."""
    made: list[dict[str, Any]] = []

    async def find(span: Span) -> dict[str, Any]:
        if not made:
            folder = tmp_path_factory.mktemp("undisturbed")
            with RunningSandbox(orders=ORDERS, seed=77, mix="demo", hours=24 * DAYS) as running:
                running.store("settings", idempotent=False)
                place = Place(running, folder, f"sqlite+aiosqlite:///{folder}/ledger.db", span)
                place.until_proven()
                made.append(picture(await place.seen())["orders"])
        return made[0]

    return find


async def test_killed_three_times_it_ends_the_same(place: Place, undisturbed: Callable[[Span], Any]) -> None:
    """Killed while it reads, while it writes into the store and while it accepts, thirty days end as without a kill."""
    place.kill_when(lambda: place.calls("events") >= 40)
    place.kill_when(lambda: place.calls("store.create") >= 8)
    first = place.calls("accept")
    place.kill_when(lambda: place.calls("accept") >= first + 12)
    said = place.until_proven()
    TALLY.saw("backfill_resumed", int(said[0]["resumed"]))
    assert said[0]["resumed"]
    assert said[-1]["state"] == "Proven"
    assert said[-1]["not_proven"] == []

    seen = await place.seen()
    for invariant in ALWAYS:
        invariant(seen)
        TALLY.invariants[name_of(invariant)] += 1
    assert picture(seen)["orders"] == await undisturbed(place.span)
    assert not place.sandbox.store_books()["duplicates"]
    assert max(book["accepts"] for book in seen.glopal.values()) == 1
    _only_the_range(place, seen)
    place.sandbox.clear_faults()
    before = place.calls("events")
    assert place.to_the_end()["plan"]["calls_made"] == 0
    assert place.calls("events") == before, "a proven range costs no page"
    text = place.told()
    assert not [canary for canary in CANARIES if canary in text], "S10"


def _only_the_range(place: Place, seen: Evidence) -> None:
    """Every order with an event in the range is there, and no other one was touched."""
    inside = {
        event["order_id"]
        for event in place.sandbox.feed()
        if event.get("event_at") and place.span.contains(parse_instant(event["event_at"]))
    }
    assert set(seen.rows) == inside
    outside = set(seen.glopal) - inside
    assert len(outside) > ORDERS / 2
    assert {(seen.glopal[order]["reads"], seen.glopal[order]["accepts"]) for order in outside} == {(0, 0)}
