"""What live polling proves, what it does not, and by whose clock; and events that stand out of their time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from clients.limiter import Clock
from models.ranges import Span
from models.tables import Coverage
from models.time import parse_instant
from tasks.walk import MARGIN, Entry, walk
from tests.trust.conftest import Worlds
from tests.trust.history import at_present, done, process, put, raw
from tests.trust.world import World

pytestmark = pytest.mark.asyncio


async def live_rows(world: World) -> list[Span]:
    """Live polling's own proofs, oldest first."""
    async with world.checker.read() as session:
        query = select(Coverage).where(Coverage.by == "live").order_by(col(Coverage.id))
        return [Span(row.start_at, row.end_at) for row in await session.exec(query)]


def begins(world: World) -> datetime:
    """When the feed begins."""
    return min(parse_instant(event["event_at"]) for event in world.sandbox.feed())


async def test_polls_prolong_one_proof(worlds: Worlds) -> None:
    """The first poll proves from the feed's first event on; the next ones prolong it, also those that find nothing."""
    world = await at_present(worlds, page_size=5)
    world.sandbox.generate(8, seed=91, hours=30)
    for _ in range(3):
        before = world.clock.now
        assert await world.poll() is not None
        assert await live_rows(world) == [Span(begins(world), before - MARGIN)]
        world.clock.forward(60)


async def test_an_unread_feed_proves_nothing(worlds: Worlds) -> None:
    """A poll that did not come to the feed's end prolongs nothing, and the next one that does covers both."""
    world = await at_present(worlds, page_size=5)
    world.sandbox.generate(8, seed=92, hours=30)
    await world.poll()
    [first] = await live_rows(world)
    put(world, [raw(number, datetime.now(UTC)) for number in range(12)])
    world.clock.forward(60)
    world.fault("events", "500_before", after=1, times=1)
    report = await world.poll()
    assert report is not None
    assert report.feed_problem
    assert await live_rows(world) == [first]
    world.clock.forward(60)
    before = world.clock.now
    await world.poll()
    assert await live_rows(world) == [Span(first.start, before - MARGIN)]


async def test_a_lost_place_breaks_the_proof(worlds: Worlds) -> None:
    """A poll that lost its place, and was interrupted then, lets no later one prolong what was proven before."""
    world = await at_present(worlds, page_size=5, overlap=0)
    world.sandbox.generate(8, seed=93, hours=30)
    await world.poll()
    [first] = await live_rows(world)
    await world.lose_cursor()
    world.fault("events", "500_before", after=2, times=1)
    report = await world.poll()
    assert report is not None
    assert report.feed_problem
    world.clock.forward(300)
    before = world.clock.now
    report = await world.poll()
    assert report is not None
    assert report.pulled is not None
    assert not report.pulled.cursor_reset
    assert await live_rows(world) == [first, Span(begins(world), before - MARGIN)]


@pytest.mark.parametrize("ahead", [3600.0, -3600.0, 0.0])
async def test_the_clock_that_is_behind_counts(worlds: Worlds, ahead: float) -> None:
    """An hour's difference between our clock and the provider's proves an hour less, and never an hour too much."""
    world = await at_present(worlds)
    now = world.clock.now.replace(microsecond=0)
    world.clock.now = now + timedelta(seconds=ahead)
    put(world, [raw(number, now - timedelta(minutes=10 * (60 - number))) for number in range(60)])

    async def nothing(page: Sequence[Entry]) -> None:
        """The proof alone is of interest."""

    async with process(world) as runtime:
        # The client measures by the machine's clock, which is the ledger's.
        runtime.client._transport._clock = Clock(now=world.clock)
        found = await walk(runtime, Span(now - timedelta(hours=8), now + timedelta(hours=2)), nothing)
    assert found.proven is not None
    expected = now + timedelta(seconds=min(ahead, 0.0)) - MARGIN
    assert abs(found.proven.end - expected) < timedelta(seconds=10)


@pytest.mark.parametrize(("far", "place"), [(-60, 146), (-60, 150), *((60, place) for place in range(146, 156))])
async def test_a_misplaced_event_is_recorded_where_it_is_met(worlds: Worlds, far: int, place: int) -> None:
    """An event of one day among those of another is found by the backfill of the day where it stands, and it alone.

    Wherever it stands on its page: where pages begin and end is chance.
    """
    world = await at_present(worlds, page_size=10)
    start = world.clock.now.replace(second=0, microsecond=0) - timedelta(days=20)

    def at(number: int) -> datetime:
        return start + timedelta(hours=number)

    entries = [raw(number, at(number)) for number in range(300)]
    entries.insert(place, raw(9000, at(150 + far)))
    put(world, entries)
    # The second walk begins at what the first one found, and so passes none of the other days.
    await done(world, Span(at(140 + far), at(145 + far)))
    await done(world, Span(at(145 + far), at(156 + far)))
    assert "E009000" not in (await world.check()).events
    result = await done(world, Span(at(145), at(156)))
    assert "E009000" in (await world.check()).events
    assert result.new_events == 11 + 1


async def test_paging_backwards_that_breaks_off_takes_no_history_along(worlds: Worlds) -> None:
    """When paging backwards ends in the middle of a walk, the feed is read anew, and only the interval is taken."""
    world = await at_present(worlds, page_size=10)
    start = world.clock.now.replace(second=0, microsecond=0) - timedelta(days=20)
    put(world, [raw(number, start + timedelta(hours=number)) for number in range(300)])
    span = Span(start + timedelta(hours=250), start + timedelta(hours=290))
    taken: list[str] = []
    asked = 0

    async def take(page: Sequence[Entry]) -> None:
        taken.extend(entry.event_id for entry in page)

    async with process(world) as runtime:
        ask = runtime.client.events

        async def refused_later(after: str | None, limit: int | None = None, before: str | None = None) -> Any:
            nonlocal asked
            asked += before is not None
            return await ask(after, limit, "NO-SUCH-EVENT" if before is not None and asked > 4 else before)

        runtime.client.events = refused_later  # type: ignore[method-assign]
        found = await walk(runtime, span, take)
    assert asked > 4
    assert found.proven == span
    assert set(taken) == {f"E{number:06d}" for number in range(250, 290)}
