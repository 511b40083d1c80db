"""Real processes on real databases: kill -9 between effect and record, and two processes over the same orders."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trust.conftest import Worlds
from tests.trust.tally import TALLY
from tests.trust.world import CANARIES, ENVIRONMENT, KEY_ENV, TOKEN_ENV, World

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
_numbers = itertools.count(1)


class Nursery:
    """The process from which hub processes are forked, and what they left behind.

    Args:
        folder: where configurations, logs and results go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.trust.nursery"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def start(self, world: World, *, timeout: float = 10.0, ahead: float = 0.0) -> Child:
        """A process that makes one poll."""
        number = next(_numbers)
        config = self.folder / f"crossdock{number}.toml"
        config.write_text(_configuration(world, timeout))
        child = Child(self.folder / f"log{number}", self.folder / f"result{number}.json")
        given = {"config": str(config), "ahead": ahead, "log": str(child.log), "result": str(child.result)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        child.pid = int(self._line())
        return child

    def stop(self) -> None:
        """End it; no process that it started is left, or the test that left it has failed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Child:
    """One hub process."""

    def __init__(self, log: Path, result: Path) -> None:
        self.log = log
        self.result = result
        self.pid = 0

    def kill(self) -> None:
        """Like a power cut."""
        os.kill(self.pid, signal.SIGKILL)
        TALLY.kills += 1

    async def ended(self) -> dict[str, Any]:
        """What its run did, once it ended by itself."""
        await until(self.result.exists, "a process ended")
        found: dict[str, Any] = json.loads(self.result.read_text())
        assert "error" not in found, found
        return found

    def log_is_clean(self) -> None:
        """S10 over all that the process logged at any level."""
        text = self.log.read_text() if self.log.exists() else ""
        found = [canary for canary in CANARIES if canary in text]
        assert not found, f"S10: {found} was logged by a real process"
        TALLY.invariants["S10"] += 1


async def until(true: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    for _ in range(int(PATIENCE / 0.05)):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def _configuration(world: World, timeout: float) -> str:
    limits = f"{{ timeout = {timeout}, read_tries = 1 }}"
    return f"""
[ledger]
url = "{world.url}"
lease_seconds = {2 * timeout}

[accounts.main]
store_id = "{world.sandbox.store_id}"
base_url = "{world.sandbox.glopal_url}"
key = {{ env = "{KEY_ENV}" }}
store = "shop"
base_currency = "EUR"
cancel_confirmed = true
limits = {limits}
policy = {{ probe_delays = [0.2, 0.6, 1.2], backoff_first = 0.2, backoff_longest = 1.0, task_retry_delays = [] }}

[stores.shop]
kind = "http"
base_url = "{world.sandbox.store_url}"
token = {{ env = "{TOKEN_ENV}" }}
limits = {limits}
"""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Started once; each of its processes is a fork."""
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest) -> Worlds:
    """Worlds on each of the two databases."""
    found: Worlds = request.getfixturevalue("worlds" if request.param == "sqlite" else "postgres_worlds")
    return found


async def kill_in_the_middle(nursery: Nursery, world: World, where: str, happened: Callable[[], bool]) -> str:
    """Kill a process that hangs after an effect, and let a fresh one find out; returns the order's id."""
    [order_id] = world.sandbox.generate(1)
    world.fault(where, "timeout_after", times=1, params={"seconds": 30})
    child = nursery.start(world)
    await until(happened, f"the effect of {where}")
    child.kill()
    await world.check()
    child.log_is_clean()
    # The store's and the provider's state is what counts from here on, and the lease of the dead runs out.
    fresh = nursery.start(world, ahead=25.0)
    await fresh.ended()
    fresh.log_is_clean()
    return order_id


@pytest.mark.asyncio
async def test_killed_between_create_and_record(either: Worlds, nursery: Nursery) -> None:
    """A process killed right after its create leaves one store order, which a fresh process finds and accepts."""
    world = await either.fresh()
    order_id = await kill_in_the_middle(
        nursery, world, "store.create", lambda: bool(world.sandbox.store_books()["orders"])
    )
    TALLY.saw("killed_between_insert_and_record")
    seen = await world.check()
    assert len(seen.store[world.reference(order_id)]) == 1
    assert seen.rows[order_id].landing == "accepted"
    assert world.sandbox.store_books()["traffic"]["calls"]["store.create"] == 1


@pytest.mark.asyncio
async def test_killed_between_accept_and_record(worlds: Worlds, nursery: Nursery) -> None:
    """A process killed right after its accept leaves an order that a fresh process reads and settles."""
    world = await worlds.fresh()
    order_id = await kill_in_the_middle(
        nursery, world, "accept", lambda: any(book["accepts"] for book in world.sandbox.orders().values())
    )
    seen = await world.check()
    assert seen.rows[order_id].landing == "accepted"
    assert seen.glopal[order_id]["accept_calls"] == 1


@pytest.mark.asyncio
async def test_two_processes_share_forty_orders(either: Worlds, nursery: Nursery) -> None:
    """Two processes at the same time land forty orders with one create and one accept each."""
    world = await either.fresh()
    ids = world.sandbox.generate(40)
    for round_of_two in range(2):
        children = [nursery.start(world) for _ in range(2)]
        for child in children:
            ended = await child.ended()
            assert ended["state"] != "Parked some", f"round {round_of_two}: {ended}"
            child.log_is_clean()
    TALLY.saw("two_runs_at_once")
    seen = await world.check()
    calls = world.sandbox.store_books()["traffic"]["calls"]
    assert all(seen.rows[order_id].landing == "accepted" for order_id in ids)
    assert all(seen.glopal[order_id]["accept_calls"] == 1 for order_id in ids)
    assert calls["store.create"] == 40


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["store.create", "accept", "order", "events"])
@pytest.mark.parametrize("orders", [1, 10])
async def test_killed_at_any_moment(either: Worlds, nursery: Nursery, where: str, orders: int) -> None:
    """Processes killed again and again in the middle of a call end with every order accepted once."""
    world = await either.fresh()
    world.sandbox.generate(orders)
    for number in range(3):
        world.fault(where, "timeout_after", times=1, after=number, params={"seconds": 30})
        before = world.sandbox.books()["traffic"]["answers"]
        child = nursery.start(world, ahead=25.0 * number)
        await asyncio.sleep(0.5 + 0.2 * number)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await world.check()
        assert before is not None
    world.collect()
    world.sandbox.clear_faults()
    for number in range(5):
        ended = await nursery.start(world, ahead=100.0 + 10 * number).ended()
        assert ended["state"] != "Parked some"
    seen = await world.check()
    assert {row.landing for row in seen.rows.values()} == {"accepted"}
