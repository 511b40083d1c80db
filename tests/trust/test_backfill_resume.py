"""A backfill that is killed, repeated, only planned, or not alone: nothing is done twice, live orders come first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from flows.backfill_plan import rows_of
from flows.backfill_report import Result
from flows.settle import HISTORY_SHARE, Settler
from models.ranges import Span
from models.tables import BackfillRun, Coverage, FeedLease, SourceOrder
from models.time import parse_instant
from tests.trust.conftest import Worlds
from tests.trust.edges import Edges
from tests.trust.history import (
    MIX,
    ago,
    at_present,
    backfill,
    calls_of,
    done,
    fingerprint,
    pages_read,
    picture,
    proven,
    put,
    raw,
)
from tests.trust.tally import TALLY
from tests.trust.test_kills import changes_something
from tests.trust.world import World

pytestmark = pytest.mark.asyncio
A_DAY, PAGE, PART = 24, 10, 4
"""Events of a day, of a page, and the pages that a day needs beyond its own: its anchor's, and its ragged ends."""


async def ten_days(worlds: Worlds) -> tuple[World, Span]:
    """Twenty days of a feed, and ten days in the middle of it, from midnight to midnight."""
    world = await at_present(worlds, page_size=PAGE)
    midnight = datetime.combine(world.clock.now.date(), datetime.min.time(), tzinfo=UTC)
    start = midnight - timedelta(days=20)
    put(world, [raw(number, start + timedelta(hours=number)) for number in range(20 * A_DAY)])
    return world, Span(start + timedelta(days=5), start + timedelta(days=15))


async def crossings(world: World, span: Span) -> list[str]:
    """All edges that an undisturbed backfill crosses, in order."""
    edges = Edges()
    assert await backfill(world, span, edges) is not None
    return edges.crossings


async def proven_days(world: World, span: Span) -> int:
    """How many days of a range are proven."""
    parts = [part.overlap(span) for part in await proven(world)]
    return sum((part.length for part in parts if part is not None), timedelta(0)).days


async def test_a_killed_backfill_reads_only_what_is_not_proven(worlds: Worlds) -> None:
    """Killed between two days, the next run says that it goes on, reads the unproven days alone, and ends the same."""
    world, span = await ten_days(worlds)
    before = calls_of(world)
    edges = await crossings(world, span)
    whole_pages, whole = pages_read(world, before), picture(await world.check())
    recorded = [number for number, name in enumerate(edges, 1) if name == "after ledger.record_page"]

    world, span = await ten_days(worlds)
    assert await backfill(world, span, Edges(at=recorded[len(recorded) * 7 // 10])) is None
    world.lease_over()
    days = await proven_days(world, span)
    assert 4 <= days <= 9
    before = calls_of(world)
    result = await done(world, span)
    assert result.resumed
    TALLY.saw("backfill_resumed")
    assert result.plan is not None
    assert sum(day.proven for day in result.plan.days.values()) == days
    assert pages_read(world, before) <= (10 - days) * (A_DAY // PAGE + PART)
    assert pages_read(world, before) < whole_pages / 2
    assert picture(await world.check()) == whole
    assert await proven(world) == [span]


async def test_a_proven_range_costs_no_page(worlds: Worlds) -> None:
    """Filling the gaps of a range without gaps asks for nothing at all, and is a backfill of its own."""
    world, span = await ten_days(worlds)
    first = await done(world, span)
    before = calls_of(world)
    again = await done(world, span)
    part = await done(world, Span(span.start + timedelta(hours=5), span.end - timedelta(days=2)))
    assert calls_of(world) == before
    assert [first.resumed, again.resumed, part.resumed] == [False, False, False]
    assert [first.state[1], again.state[1], part.state[1]] == ["Proven"] * 3
    async with world.checker.read() as session:
        runs = list(await session.exec(select(BackfillRun).order_by(col(BackfillRun.id))))
    assert all(run.finished_at is not None and run.said for run in runs)
    assert len(runs) == 3


async def test_days_before_the_feed_are_not_asked_for_again(worlds: Worlds) -> None:
    """A range that begins long before the feed costs no call for each day that nobody can see, nor a second time."""
    world = await at_present(worlds)
    world.sandbox.generate(6, seed=33, hours=30)
    span = ago(world, 40, 0.05)
    before = calls_of(world)
    first = await done(world, span)
    assert pages_read(world, before) <= 2 * PART + 2
    assert first.state[1] == "Proven in part"
    for mode, most in (("fill gaps", 3), ("refresh", 2 * PART + 2)):
        before = calls_of(world)
        again = await done(world, span, mode=mode)
        assert pages_read(world, before) <= most
        assert again.not_proven == first.not_proven
        assert any("the feed begins at" in text for text in again.why_not)


async def test_a_gap_between_two_ranges_is_all_that_is_read(worlds: Worlds) -> None:
    """A range that reaches over two proven ones reads the day between them."""
    world, span = await ten_days(worlds)
    day = timedelta(days=1)
    await done(world, Span(span.start, span.start + 4 * day))
    await done(world, Span(span.start + 5 * day, span.end))
    before = calls_of(world)
    result = await done(world, span)
    assert result.new_events == A_DAY
    assert pages_read(world, before) <= A_DAY // PAGE + PART
    assert await proven(world) == [span]


async def test_refresh_reads_everything_again(worlds: Worlds) -> None:
    """A refresh reads each page of a proven range again, and each order on its other sides, and does nothing twice."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(6, seed=31, hours=48)
    span = ago(world, 4, 0.01)
    await done(world, span)
    seen, before = picture(await world.check()), calls_of(world)
    result = await done(world, span, mode="refresh")
    after = calls_of(world)
    assert pages_read(world, before) >= 1
    assert after["order"] - before["order"] == len(ids)
    assert (after["store.create"], after["accept"]) == (before["store.create"], before["accept"])
    assert result.compared is not None
    assert picture(await world.check()) == seen


async def test_a_killed_refresh_goes_on_where_it_was(worlds: Worlds) -> None:
    """A refresh trusts no older proof, but what the same one proved before it was killed is not read a third time."""
    world = await at_present(worlds, page_size=3)
    world.sandbox.generate(12, seed=32, hours=240)
    span = ago(world, 10, 0.1)
    await done(world, span)
    edges = Edges()
    before = calls_of(world)
    assert await backfill(world, span, edges, mode="refresh") is not None
    whole_pages = pages_read(world, before)
    assert whole_pages >= 24 // 3
    recorded = [number for number, name in enumerate(edges.crossings, 1) if name == "after ledger.record_page"]
    assert await backfill(world, span, Edges(at=recorded[len(recorded) * 7 // 10]), mode="refresh") is None
    world.lease_over()
    before = calls_of(world)
    result = await done(world, span, mode="refresh")
    assert result.resumed
    assert 0 < pages_read(world, before) < whole_pages / 2


async def test_too_many_events_to_keep_are_read_twice(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range with more events than are kept between plan and run ends in the same ledger and the same proof."""
    monkeypatch.setattr("tasks.backfill.MOST_HELD", 3 * A_DAY)
    world, span = await ten_days(worlds)
    result = await done(world, span)
    assert result.plan is not None
    assert any("too many events" in text for text in result.plan.impossible)
    seen = await world.check()
    inside = {e["event_id"] for e in world.sandbox.feed() if span.contains(parse_instant(e["event_at"]))}
    assert set(seen.events) == inside
    assert await proven(world) == [span]


async def _killed_once(worlds: Worlds, where: str | None = None, at: int | None = None, runs: int = 1) -> Edges:
    world = await at_present(worlds)
    world.sandbox.generate(3, seed=41, mix={"plain": 2, "cancelled_early": 1}, hours=40)
    span, edges = ago(world, 3), Edges(at, where=where)
    kill = at is not None or where is not None
    assert (await backfill(world, span, edges) is None) == kill
    for _ in range(runs if kill else 0):
        await world.check()
        world.lease_over()
        # A create of unknown outcome is looked for several times before it is made again.
        world.clock.forward(60.0 if runs > 1 else 0.0)
        await done(world, span)
    seen = await world.check()
    assert sorted(row.landing for row in seen.rows.values()) == ["accepted", "accepted", "cancelled"], edges.broken
    [part] = await proven(world)
    assert part.start == min(parse_instant(event["event_at"]) for event in world.sandbox.feed()), (
        "where the feed begins"
    )
    assert part.end > span.end - timedelta(minutes=16)
    return edges


async def test_killed_after_every_change_it_ends_the_same(worlds: Worlds) -> None:
    """Killed after any call or commit that is a backfill's own, the next one ends it: landed once, and proven."""
    names = (await _killed_once(worlds)).crossings
    ours = ("open_backfill", "record_page", "finish_backfill", "release_feed", "acquire_feed", "note_feed_start")
    chosen = {name for name in names if changes_something(name) and name.endswith(ours)}
    assert len(chosen) >= 5
    for name in sorted(chosen):
        assert (await _killed_once(worlds, name)).broken == name


@pytest.mark.nightly
async def test_killed_at_every_edge_it_ends_the_same(worlds: Worlds) -> None:
    """Killed at any crossing whatsoever, the next backfill ends it: landed once, and proven."""
    names = (await _killed_once(worlds)).crossings
    for at in range(1, len(names) + 1):
        await _killed_once(worlds, at=at, runs=4)


# ---------------------------------------------------------------------------- planning only


async def test_a_dry_run_writes_nothing_and_says_what_follows(worlds: Worlds) -> None:
    """A dry run changes no row of any table and calls nothing that has an effect; the run does what the plan said."""
    world = await at_present(worlds)
    world.sandbox.generate(14, seed=11, mix=MIX, hours=72)
    await done(world, ago(world, 4, 1.5))
    span = ago(world, 4, 0.01)
    before, calls = await fingerprint(world), calls_of(world)
    again = await done(world, span, mode="refresh", dry_run=True)
    dry = await done(world, span, dry_run=True)
    assert await fingerprint(world) == before
    assert {**calls_of(world), "events": 0} == {**calls, "events": 0}
    assert [again.state[1], dry.state[1]] == ["Dry run"] * 2
    result = await done(world, span)
    assert result.plan is not None
    assert dry.plan is not None
    assert again.plan is not None
    assert again.plan.total("events") == len(world.sandbox.feed())
    assert rows_of(dry.plan) == rows_of(result.plan)
    assert dry.plan.total("new events") == result.new_events > 0
    assert dry.plan.total("to insert") == result.tally.done["insert"] + len(set(result.tally.parked)) > 0


async def test_a_dry_run_without_a_ledger_makes_none(worlds: Worlds) -> None:
    """Planning needs no backfill row, no proof and no lease afterwards."""
    world, span = await ten_days(worlds)
    result = await done(world, span, dry_run=True)
    assert result.plan is not None
    assert result.plan.total("new events") == 10 * A_DAY
    async with world.checker.read() as session:
        assert list(await session.exec(select(BackfillRun))) == []
        assert list(await session.exec(select(Coverage))) == []


# ---------------------------------------------------------------------------- beside others


async def _history_due(world: World, orders: int) -> list[str]:
    """So many orders of history that are due: a backfill was killed before it landed any of them."""
    ids = world.sandbox.generate(orders, seed=51, hours=48)
    assert await backfill(world, ago(world, 3), Edges(where="before ledger.claim_due")) is None
    world.lease_over()
    return ids


async def test_live_orders_come_before_history(worlds: Worlds) -> None:
    """With history due for long and one live order that came just now, the live one is taken first."""
    world = await at_present(worlds)
    history = await _history_due(world, 4)
    [live] = world.sandbox.generate(1, seed=52, hours=0.1)
    report = await world.poll(limit=1)
    assert report is not None
    seen = await world.check()
    assert seen.rows[live].landing == "accepted"
    assert {seen.rows[order].landing for order in history} == {"seen"}
    assert {seen.rows[order].priority for order in history} == {1}
    assert seen.rows[live].priority == 0


async def test_a_poll_takes_a_share_of_history(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much history is due, a poll takes all live orders and no more than its share of the rest."""
    defaults = Settler.__init__.__kwdefaults__ or {}
    assert defaults["history"] == HISTORY_SHARE
    monkeypatch.setitem(defaults, "history", 2)
    world = await at_present(worlds)
    history = await _history_due(world, 5)
    live = world.sandbox.generate(3, seed=53, hours=0.1)
    report = await world.poll(linger=0.2)
    assert report is not None
    assert report.tally.claimed == 3 + 2
    seen = await world.check()
    assert {seen.rows[order].landing for order in live} == {"accepted"}
    assert sorted(seen.rows[order].landing for order in history) == ["accepted"] * 2 + ["seen"] * 3
    await world.calm()


async def test_news_make_history_live(worlds: Worlds) -> None:
    """An order of history that the live feed says something new about is a live order from then on."""
    world = await at_present(worlds)
    history = await _history_due(world, 3)
    await world.poll(limit=1)
    world.sandbox.advance(history[2], "CANCELLED")
    await world.poll(limit=1)
    seen = await world.check()
    assert (seen.rows[history[2]].priority, seen.rows[history[2]].landing) == (0, "cancelled")


async def test_orders_that_a_dead_process_holds_are_not_called_done(worlds: Worlds) -> None:
    """All is proven, and orders are still held by a process that was killed: the end says so, and is not green."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(5, seed=62, hours=30)
    world.sandbox.generate(1, seed=63, mix={"received": 1}, hours=20)
    span = ago(world, 2, 0.05)
    assert await backfill(world, span, Edges(where="after store.create")) is None
    async with world.checker.write() as session:
        await session.execute(update(FeedLease).values(owner=None, until=None))
    early = await done(world, span)
    assert (early.state[1], early.unfinished) == ("Unfinished", 5)
    assert "5 unfinished" in str(early)
    world.lease_over()
    results = []
    for _ in range(4):
        results.append(await done(world, span))
        world.clock.forward(130)
    seen = await world.check()
    assert {seen.rows[order].landing for order in ids} == {"accepted"}
    assert results[-1].unfinished == 0
    assert calls_of(world)["store.create"] == 5


async def test_of_two_backfills_one_is_told(worlds: Worlds) -> None:
    """A second backfill of the account is told that one is running; the first is not disturbed, and nothing doubled."""
    world = await at_present(worlds, timeout=2.0)
    ids = world.sandbox.generate(4, seed=61, hours=48)
    told: list[Result] = []

    async def another() -> None:
        second = asyncio.ensure_future(backfill(world, ago(world, 3)))
        while not second.done():
            await asyncio.sleep(0.1)
            world.clock.forward(0.1)
        found = second.result()
        assert found is not None
        told.append(found)

    edges = Edges(where="after ledger.open_backfill", mode="meanwhile", meanwhile=another)
    first = await backfill(world, ago(world, 3), edges)
    TALLY.saw("two_runs_at_once")
    assert first is not None
    assert first.problems == []
    assert told[0].state == (told[0].state[0], "Stopped")
    assert "another backfill of this account is running" in told[0].problems[0]
    seen = await world.check()
    assert {seen.rows[order].landing for order in ids} == {"accepted"}
    assert calls_of(world)["store.create"] == calls_of(world)["accept"] == len(ids)


async def test_a_backfill_that_lost_its_lease_writes_no_more(worlds: Worlds) -> None:
    """When its lease passed to another while it was held up, a backfill records and proves nothing any more."""
    world, span = await ten_days(worlds)

    async def another() -> None:
        world.lease_over()
        await done(world, Span(span.start, span.start + timedelta(days=1)))

    edges = Edges(where="after glopal.events", mode="meanwhile", meanwhile=another)
    result = await backfill(world, span, edges)
    assert result is not None
    assert "passed to another run" in result.problems[0]
    assert await proven(world) == [Span(span.start, span.start + timedelta(days=1))]
    async with world.checker.read() as session:
        orders = list(await session.exec(select(SourceOrder.id)))
    assert len(orders) == A_DAY
    after = await done(world, span)
    assert after.resumed
    assert await proven(world) == [span]
