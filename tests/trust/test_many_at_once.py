"""What an independent review broke: many orders that look wrong at once, events out of their time, broken chains."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flows.range_form import Range
from flows.reconcile import Reconciled, run_reconcile
from flows.settle import directly
from ledger.events import record_page
from models.ranges import Span
from tasks import compare
from tests.trust.conftest import Worlds
from tests.trust.deeds import row_of
from tests.trust.history import ago, at_present, done, process, proven, put, raw
from tests.trust.reconciling import reconciled, rest
from tests.trust.test_walk import line
from tests.trust.world import World

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two looks follow each other at once."""
    monkeypatch.setattr(compare, "SECOND_LOOK", 0.0)


async def _over(world: World, span: Span) -> Reconciled:
    """A reconciliation of a given range."""
    async with process(world) as runtime:
        return await run_reconcile(runtime, Range(span, ZoneInfo("UTC")), repair=True, call=directly, linger=0.0)


async def test_a_store_that_forgot_everything_parks_nothing(worlds: Worlds) -> None:
    """When the store says of most landed orders that it has none, it is the store: told, and nothing is done."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(14, seed=3, hours=30)
    await rest(world)
    for order in ids:
        world.sandbox.store("delete", reference=world.reference(order))
    found = await reconciled(world)
    assert found.state[1] == "Not all read"
    assert "14 of 14 orders are missing in store at once" in found.compared.problems[0]
    assert not found.compared.parked
    assert all([(await row_of(world, order)).parked_at is None for order in ids])


async def test_few_orders_that_are_gone_are_created_again_and_many_are_not(worlds: Worlds) -> None:
    """An unaccepted order that is gone is searched for; when four of four are gone nobody believes the store."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(4, seed=3, hours=30)
    world.sandbox.faults([{"where": "accept", "kind": "503_before"}], side="glopal")
    await world.poll()
    for order in ids:
        world.sandbox.store("delete", reference=world.reference(order))
    found = await reconciled(world)
    assert {(await row_of(world, order)).landing for order in ids} == {"inserted"}
    assert "4 of 4 orders are missing in store at once" in found.compared.problems[0]


async def test_an_event_that_came_two_days_late_is_recorded_where_it_is_met(worlds: Worlds) -> None:
    """Its own day's walk cannot meet it, so the walk that does takes it: by backfill, and by reconciliation."""
    for how in ("backfill", "reconcile"):
        feed = await line(worlds, 200, days_ago=10)
        put(feed.world, [raw(5000, feed.at(100)), *feed.events(range(200, 400))])
        start = feed.at(0).replace(hour=0, minute=0)
        span = Span(start + timedelta(days=1), start + timedelta(days=6))
        await (done if how == "backfill" else _over)(feed.world, span)
        events = {event.event_id for event in (await feed.world.evidence()).events.values()}
        assert "E005000" in events, how


@pytest.mark.parametrize("interrupted", [False, True])
async def test_no_hole_is_proven_after_a_lost_cursor(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, interrupted: bool
) -> None:
    """The time that a forgetful feed no longer shows stays unproven, also when reading it again was interrupted."""
    feed = await line(worlds, 100, days_ago=30)
    world, now = feed.world, feed.world.clock.now
    world.clock.now = feed.at(101)
    await world.poll()
    world.clock.now = now
    world.sandbox.reset()
    put(world, feed.events(range(960, 1100)))
    if interrupted:
        await _poll_that_fails_at_the_second_page(world, monkeypatch)
    await world.poll()
    spans = await proven(world)
    assert not any(span.overlap(feed.span(110, 950)) for span in spans)
    assert any(span.overlap(feed.span(1000, 1090)) for span in spans)


async def _poll_that_fails_at_the_second_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = 0

    async def failing_after_one(*given: Any, **more: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 2:
            world.sandbox.faults([{"where": "events", "kind": "503_before", "times": 1}])
        return await record_page(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr("tasks.events.record_page", failing_after_one)
        report = await world.poll()
    assert report is not None
    assert "the stored cursor was rejected" in (report.feed_problem or "")


async def test_an_event_dated_long_ago_does_not_move_the_feeds_beginning(worlds: Worlds) -> None:
    """One misdated first event proves no months that nobody read."""
    world = await at_present(worlds)
    start = world.clock.now.replace(microsecond=0) - timedelta(days=5)
    put(world, [raw(1, start.replace(year=1970)), *(raw(n, start + timedelta(hours=n)) for n in range(2, 60))])
    await world.poll()
    assert min(span.start for span in await proven(world)) == start + timedelta(hours=2)


async def test_open_findings_of_older_orders_are_not_green(worlds: Worlds) -> None:
    """A finding of an order outside of the range is in the run's name and table, and the run is not green."""
    world = await at_present(worlds)
    [order] = world.sandbox.generate(1, seed=3, hours=24 * 20)
    await rest(world)
    world.sandbox.change(order, external={"order_id": "x", "order_number": "y"})
    now = world.clock.now
    await _over(world, Span(now - timedelta(days=25), now - timedelta(hours=1)))
    later = await _over(world, Span(now - timedelta(days=2), now - timedelta(hours=1)))
    assert (later.state[1], len(later.open), later.open[0].parked) == ("Agreed but for parked orders", 2, True)


async def test_a_try_that_comes_to_nothing_is_parked_by_the_deadline(worlds: Worlds) -> None:
    """An order that was tried again by itself and cannot be written now is told about once its time is over."""
    world = await at_present(worlds, recheck_refused=60.0, deadline_hours=2.0)
    [order] = world.sandbox.generate(1, seed=3, mix={"poison_unknown_sku": 1}, hours=1)
    await world.poll()
    world.sandbox.faults([{"where": "store.create", "kind": "429_bare"}], side="store")
    for _ in range(6):
        world.clock.forward(hours=3)
        await world.poll()
    row = await row_of(world, order)
    assert (row.parked_at is not None, row.parked_code) == (True, "deadline")


async def test_an_edited_mapping_changes_no_landed_order(worlds: Worlds) -> None:
    """Amounts that other rules found are not compared with those found by the rules in force now."""
    world = await at_present(worlds)
    world.sandbox.generate(5, seed=3, hours=30)
    await rest(world)
    async with process(world) as runtime:
        runtime.account = runtime.account.model_copy(update={"base_currency": "GBP"})
        runtime.rules = replace(runtime.rules, mapping="another mapping")
        span = Span(world.clock.now - timedelta(days=3), world.clock.now - timedelta(minutes=16))
        wanted = Range(span, ZoneInfo("UTC"))
        found = await run_reconcile(runtime, wanted, repair=True, call=directly, linger=0.0)
    assert not found.compared.parked
    assert not [noted for noted in found.open if noted.mismatch == "document_changed"]


async def test_a_plan_counts_what_was_proven_before(worlds: Worlds) -> None:
    """A dry run over days that are proven says what the ledger has of them, and asks for next to nothing."""
    world = await at_present(worlds)
    world.sandbox.generate(6, seed=3, hours=48)
    span = ago(world, 4, 0.1)
    first = await done(world, span)
    again = await done(world, span, dry_run=True)
    assert first.plan is not None
    assert again.plan is not None
    assert (again.plan.total("events"), again.plan.total("orders")) == (
        first.plan.total("events"),
        first.plan.total("orders"),
    )
    assert again.plan.total("settled") == first.plan.total("to insert") > 0
