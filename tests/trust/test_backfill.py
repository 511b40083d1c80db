"""S12, S13: a backfill beside, before, after and in the middle of live polling, in one piece or many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ranges import Span
from models.time import parse_instant
from tests.trust.conftest import Worlds
from tests.trust.edges import Edges
from tests.trust.evidence import Evidence
from tests.trust.history import (
    MIX,
    ago,
    at_present,
    backfill,
    cursor_of,
    done,
    picture,
    proven,
    put,
    raw,
)
from tests.trust.tally import TALLY
from tests.trust.world import World

pytestmark = pytest.mark.asyncio
DAYS = 3
Act = Callable[[World], Awaitable[None]]


async def _poll(world: World) -> None:
    assert await world.poll() is not None


async def _whole(world: World) -> None:
    await _leaves_the_cursor(world, ago(world, DAYS + 1))


async def _refresh(world: World) -> None:
    await _leaves_the_cursor(world, ago(world, DAYS + 1), mode="refresh")


async def _first_half(world: World) -> None:
    await _leaves_the_cursor(world, ago(world, DAYS + 1, 1.5))


async def _second_half(world: World) -> None:
    await _leaves_the_cursor(world, ago(world, 1.5))


async def _more_orders(world: World) -> None:
    world.sandbox.generate(3, seed=12, hours=0.1)


async def _leaves_the_cursor(world: World, span: Span, **asked: Any) -> None:
    before = await cursor_of(world)
    await done(world, span, **asked)
    assert await cursor_of(world) == before, "S12: a backfill touched the live cursor"


async def _story(worlds: Worlds, *acts: Act) -> Evidence:
    """The same history in a fresh world, some acts, and then live polling until all is calm."""
    world = await at_present(worlds, page_size=5)
    world.sandbox.generate(14, seed=11, mix=MIX, hours=24 * DAYS)
    if _more_orders not in acts:
        acts = (*acts, _more_orders)
    for act in acts:
        await act(world)
    return await world.calm()


def _same(seen: Evidence, expected: dict[str, Any]) -> None:
    found = picture(seen)
    assert found["orders"] == expected["orders"]
    assert found["events"] == expected["events"]
    assert all(row.source_at is not None for row in seen.rows.values())
    TALLY.invariants["S12"] += 1


_ALONE: dict[str, dict[str, Any]] = {}


async def live_alone(worlds: Worlds) -> dict[str, Any]:
    """What polls alone leave of the story."""
    if "live" not in _ALONE:
        _ALONE["live"] = picture(await _story(worlds))
    return _ALONE["live"]


@pytest.mark.parametrize(
    "acts",
    [
        (_whole, _poll, _whole, _more_orders, _whole),
        (_second_half, _first_half, _poll, _whole),
        (_first_half, _more_orders, _poll, _refresh, _second_half),
    ],
    ids=lambda acts: " ".join(act.__name__.strip("_") for act in acts),
)
async def test_backfill_plus_live_is_live_alone(worlds: Worlds, acts: tuple[Act, ...]) -> None:
    """S12: backfills in any order, any number of times, before and after polls leave what polls alone leave."""
    _same(await _story(worlds, *acts), await live_alone(worlds))


async def test_backfill_plus_live_is_live_alone_on_postgresql(postgres_worlds: Worlds) -> None:
    """S12 on PostgreSQL."""
    expected = await live_alone(postgres_worlds)
    _same(await _story(postgres_worlds, _second_half, _poll, _more_orders, _refresh), expected)


@pytest.mark.parametrize("where", ["after glopal.events", "after store.create"])
async def test_a_poll_in_the_middle_of_a_backfill(worlds: Worlds, where: str) -> None:
    """S12: a whole poll while a backfill reads, records or lands leaves what polls alone leave, and nothing twice."""

    async def both(world: World) -> None:
        edges = Edges(where=where, mode="meanwhile", meanwhile=world.poll)
        assert await backfill(world, ago(world, DAYS + 1), edges) is not None
        assert edges.broken == where
        TALLY.saw("two_runs_at_once")

    _same(await _story(worlds, both), await live_alone(worlds))


@pytest.mark.parametrize("where", ["after ledger.record_page", "after ledger.claim_due"])
async def test_a_backfill_in_the_middle_of_a_poll(worlds: Worlds, where: str) -> None:
    """S12: a whole backfill while a poll records or lands leaves what polls alone leave, and nothing twice."""

    async def both(world: World) -> None:
        edges = Edges(where=where, mode="meanwhile", meanwhile=lambda: backfill(world, ago(world, DAYS + 1)))
        assert await world.poll(edges) is not None
        assert edges.broken == where
        TALLY.saw("two_runs_at_once")

    _same(await _story(worlds, both), await live_alone(worlds))


# ---------------------------------------------------------------------------- S13


CUTS = st.lists(st.integers(0, 300), min_size=3, max_size=4, unique=True).map(sorted)
SIZES = st.sampled_from([3, 20])


@given(cuts=CUTS, size=SIZES, backwards=st.booleans())
@settings(max_examples=6)
async def test_a_range_split_anywhere_is_the_whole_range(
    worlds: Worlds, cuts: list[int], size: int, backwards: bool
) -> None:
    """S13: ranges that touch, in either order, leave the same ledger and proof as the one that they make up."""
    await split_and_whole(worlds, cuts, size, backwards=backwards)


@pytest.mark.nightly
@given(cuts=CUTS, size=SIZES, backwards=st.booleans())
@settings(max_examples=200)
async def test_many_ranges_split_anywhere(worlds: Worlds, cuts: list[int], size: int, backwards: bool) -> None:
    """S13, with many more ranges."""
    await split_and_whole(worlds, cuts, size, backwards=backwards)


async def split_and_whole(worlds: Worlds, cuts: list[int], size: int, *, backwards: bool) -> None:
    """The same range in one piece and in parts, each in a world of its own."""
    pictures = []
    for bounds in ([cuts[0], cuts[-1]], cuts):
        world = await at_present(worlds, page_size=size)
        start = world.clock.now.replace(second=0, microsecond=0) - timedelta(days=3)
        put(world, _mixed(start))
        parts = [Span(start + timedelta(minutes=a), start + timedelta(minutes=b)) for a, b in pairwise(bounds)]
        for span in reversed(parts) if backwards else parts:
            await done(world, span)
        found = picture(await world.check())
        offsets = [(part.start - start, part.end - start) for part in await proven(world)]
        pictures.append((found, offsets))
    assert pictures[0] == pictures[1]
    assert pictures[0][1] == [(timedelta(minutes=cuts[0]), timedelta(minutes=cuts[-1]))]
    TALLY.invariants["S13"] += 1


def _mixed(start: datetime) -> list[dict[str, Any]]:
    """Five hours of a feed: several events of one moment, some a little late, some orders cancelled later."""
    entries = []
    for number in range(0, 330, 3):
        late = 7 if number % 21 == 0 else 0
        at = start + timedelta(minutes=number // 6 * 6 - late - 6)
        entries.append(raw(number, at, f"100-{number % 60}", "order.cancelled" if number > 280 else "order.received"))
    return entries


async def test_exactly_the_range_is_recorded(worlds: Worlds) -> None:
    """What stands on the pages around a range, its very end included, is no part of it: no order lands unasked."""
    world = await at_present(worlds)
    start = world.clock.now.replace(second=0, microsecond=0) - timedelta(days=3)
    put(world, _mixed(start))
    span = Span(start + timedelta(minutes=30), start + timedelta(minutes=90))
    result = await done(world, span)
    times = {event["event_id"]: parse_instant(event["event_at"]) for event in world.sandbox.feed()}
    assert {span.start, span.end} <= set(times.values()), "events stand on both ends"
    inside = {event_id for event_id, at in times.items() if span.start <= at < span.end}
    seen = await world.check()
    assert set(seen.events) == inside
    assert result.plan is not None
    assert result.plan.total("new events") == result.new_events == len(inside)
