"""Bad input and bad manners: huge answers, HTML, wrong keys, ids with paths, Retry-After, and the dry run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from flows.plan import plan
from ledger.decisions import CannotDecide
from models.outcome import ConfigurationError
from tasks.runtime import open_runtime
from tests.support import VirtualClock
from tests.trust.conftest import Worlds
from tests.trust.evidence import count
from tests.trust.world import ACCOUNT, WRONG_ENV, World


class RealClock(VirtualClock):
    """The machine's own time, for what the other side measures by its own clock."""

    def __call__(self) -> datetime:
        """The time now."""
        return datetime.now(UTC)


@pytest.mark.asyncio
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "declared"])
async def test_fifty_megabytes_park_one_order_and_no_other(worlds: Worlds, chunked: bool) -> None:
    """An answer of 50 MB is never read whole: its order is parked with the limit's name, the others land."""
    world = await worlds.fresh(timeout=2.0)
    big, *others = world.sandbox.generate(3)
    world.fault("order", "huge", match=big, times=1, params={"size_mb": 50, "chunked": chunked})
    seen = await world.calm()
    assert "limits.max_body" in (seen.rows[big].parked_reason or "")
    assert all(seen.rows[order_id].landing == "accepted" for order_id in others)
    assert max(len(bad.body) for bad in seen.bad) <= 64 * 1024
    await world.decide(big, "retry")
    seen = await world.calm(faults_off=True)
    assert seen.rows[big].landing == "accepted"


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["html", "broken_json", "missing_field", "huge"])
async def test_unusable_feed_says_so_and_keeps_the_bytes(worlds: Worlds, kind: str) -> None:
    """A feed that gives HTML or half JSON is a failed run with a clear reason; the bytes are kept, nothing is lost."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    world.fault("events", kind, times=1, params={"size_mb": 4})
    report = await world.poll()
    assert report is not None
    assert report.feed_problem
    seen = await world.check()
    assert len(seen.bad) == 1
    assert seen.cursor is None
    seen = await world.calm(faults_off=True)
    assert seen.rows[order_id].landing == "accepted"


@pytest.mark.asyncio
async def test_wrong_key_stops_the_run_and_parks_nothing(worlds: Worlds) -> None:
    """A key that Glopal refuses ends the run with where the key stands, and no order pays for it."""
    world = await worlds.fresh()
    world.sandbox.generate(8)
    await world.poll(limit=1)
    creates = world.sandbox.store_books()["traffic"]["calls"].get("store.create", 0)
    report = await world.poll(options=world.with_options(glopal_key=WRONG_ENV))
    assert report is not None
    assert WRONG_ENV in (report.feed_problem or "")
    assert report.tally.parked == []
    assert world.sandbox.store_books()["traffic"]["calls"].get("store.create", 0) == creates
    seen = await world.calm()
    assert all(row.landing == "accepted" for row in seen.rows.values())


@pytest.mark.asyncio
async def test_wrong_store_token_stops_the_store_side_and_parks_nothing(worlds: Worlds) -> None:
    """A token that the store refuses stops calls to the store at once; orders wait and land with the right one."""
    world = await worlds.fresh(timeout=3.0)
    world.sandbox.generate(8)
    report = await world.poll(options=world.with_options(store_token=WRONG_ENV, concurrency=2))
    assert report is not None
    assert any(WRONG_ENV in text for text in report.stopped), report.stopped
    assert report.tally.parked == []
    assert report.tally.unfinished == 8
    seen = await world.calm()
    assert all(row.landing == "accepted" for row in seen.rows.values())


@pytest.mark.asyncio
async def test_missing_secret_names_its_place(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is not set stops everything before the first call, and its variable is named."""
    world = await worlds.fresh()
    monkeypatch.delenv(WRONG_ENV)
    with pytest.raises(ConfigurationError, match=WRONG_ENV):
        await world.poll(options=world.with_options(glopal_key=WRONG_ENV))


@pytest.mark.asyncio
async def test_id_with_a_path_never_reaches_an_address(worlds: Worlds) -> None:
    """An order id with a path, a query or a blank in it is parked, and nobody is asked about it."""
    world = await worlds.fresh()
    world.sandbox.generate(6, mix={"poison_id": 1})
    seen = await world.calm()
    assert {row.parked_code for row in seen.rows.values()} == {"bad_id"}
    assert set(world.sandbox.books()["traffic"]["calls"]) == {"events"}
    for order_id in seen.rows:
        with pytest.raises(CannotDecide, match="web address"):
            await world.decide(order_id, "retry")
        await world.decide(order_id, "settle")
    await world.calm()
    assert set(world.sandbox.books()["traffic"]["calls"]) == {"events"}


async def _land_in_real_time(world: World, ids: list[str], *, pause: float, most: int = 60) -> None:
    """Runs one after the other in the machine's time until all orders landed."""
    for _ in range(most):
        await world.poll()
        seen = await world.evidence()
        if all(seen.rows.get(order_id) and seen.rows[order_id].settled_at for order_id in ids):
            await world.check()
            return
        await asyncio.sleep(pause)
    raise AssertionError("not landed")


_WHERE = ("order", "accept", "store.create")


@pytest.mark.asyncio
async def test_retry_after_holds_the_whole_account(worlds: Worlds) -> None:
    """Within a run, no call of any order begins before the other side's Retry-After is over."""
    world = await worlds.fresh(concurrency=1, timeout=3.0, read_tries=2, backoff=(0.1, 0.5))
    world.clock = RealClock()
    ids = world.sandbox.generate(2)
    rules = [{"where": where, "kind": "429", "times": 1, "params": {"retry_after": 1}} for where in ("events", *_WHERE)]
    world.sandbox.faults(rules)
    await _land_in_real_time(world, ids, pause=1.2)
    for books in (world.sandbox.books(), world.sandbox.store_books()):
        told = books["traffic"]["retry_after"]
        assert told["answers"] > 0
        assert told["calls_inside_any"] == 0, told["early_calls"]


@pytest.mark.asyncio
async def test_retry_after_is_kept_for_its_order_by_later_runs(worlds: Worlds) -> None:
    """An order that was told to wait is not called earlier by a later run that knows nothing of the earlier one."""
    world = await worlds.fresh(timeout=2.0, retry_after_wait=0.05, backoff=(0.1, 0.5))
    world.clock = RealClock()
    ids = world.sandbox.generate(1)
    rules = [
        {"where": where, "kind": "429", "max_per_key": 1, "params": {"retry_after": 1, "http_date": number % 2 == 1}}
        for number, where in enumerate(_WHERE)
    ]
    world.sandbox.faults(rules)
    await _land_in_real_time(world, ids, pause=0.3)
    for books in (world.sandbox.books(), world.sandbox.store_books()):
        told = books["traffic"]["retry_after"]
        assert told["answers"] >= 1
        assert told["calls_inside_same_key"] == 0, told["early_calls"]


@pytest.mark.asyncio
async def test_dry_run_touches_nothing(worlds: Worlds) -> None:
    """A dry run reads the feed and the ledger, says what it would do, and changes nothing anywhere."""
    world = await worlds.fresh()
    world.sandbox.generate(4, mix={"plain": 1, "cancelled_ready": 1})
    await world.poll(limit=1)
    world.sandbox.generate(2, seed=77)
    tables = ("source_order", "source_event", "effect", "order_document", "open_intent", "feed_cursor")
    before = [await count(world.checker, table) for table in tables]
    calls = (world.sandbox.books()["traffic"]["calls"], world.sandbox.store_books()["traffic"]["calls"])
    async with open_runtime(world.settings(), ACCOUNT, clock=world.clock) as runtime:
        state = await plan(runtime, None)
    assert state.name == "Dry run"
    assert "4 new events" in (state.message or "")
    assert [await count(world.checker, table) for table in tables] == before
    after = (world.sandbox.books()["traffic"]["calls"], world.sandbox.store_books()["traffic"]["calls"])
    assert {**after[0], "events": 0} == {**calls[0], "events": 0}
    assert after[1] == calls[1]
    await world.calm()
