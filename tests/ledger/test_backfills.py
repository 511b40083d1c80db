"""Backfills that were asked for: the same one is gone on with, another is another, and a refresh trusts itself only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from flows.backfill import MOST_LEGS, legs_of
from ledger import Ledger
from ledger.backfills import (
    FILL_GAPS,
    REFRESH,
    Opened,
    finish_backfill,
    ids_of_orders,
    known_orders,
    open_backfill,
    proven_for,
)
from ledger.coverage import coverage_row
from ledger.events import record_page
from ledger.leases import claim_due, count_due
from models.lifecycle import Landing
from models.ranges import Span, union, windows
from models.tables import BackfillRun
from tests.ledger.kit import ACCOUNT, RULES, an_event, bring_to, claim, id_of, new_account, ready
from tests.support import VirtualClock

START = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SPAN = Span(START, START + 10 * DAY)


async def opened(ledger: Ledger, span: Span = SPAN, mode: str = FILL_GAPS) -> Opened:
    """Ask for a backfill of the usual account."""
    return await open_backfill(ledger, ACCOUNT, span, mode, "UTC")


@pytest.mark.asyncio
async def test_the_same_backfill_is_gone_on_with(ledger: Ledger, clock: VirtualClock) -> None:
    """Asked for again before it finished, a backfill keeps its number and its beginning; afterwards it is a new one."""
    first = await opened(ledger)
    began = clock.now
    clock.forward(hours=1)
    assert await opened(ledger) == Opened(first.id, FILL_GAPS, began, resumed=True)
    await finish_backfill(ledger, first.id, "nothing was missing")
    again = await opened(ledger)
    assert (again.resumed, again.id != first.id, again.started_at) == (False, True, clock.now)
    async with ledger.read() as session:
        row = (await session.exec(select(BackfillRun).where(BackfillRun.id == first.id))).one()
    assert (row.finished_at, row.said, row.zone) == (clock.now, "nothing was missing", "UTC")


@pytest.mark.asyncio
async def test_another_range_mode_or_account_is_another_backfill(ledger: Ledger) -> None:
    """Only the same request is gone on with."""
    first = await opened(ledger)
    others = [
        await opened(ledger, Span(SPAN.start, SPAN.end - DAY)),
        await opened(ledger, Span(SPAN.start + DAY, SPAN.end)),
        await opened(ledger, mode=REFRESH),
        await open_backfill(ledger, new_account(), SPAN, FILL_GAPS, "UTC"),
    ]
    assert [run.resumed for run in [first, *others]] == [False] * 5
    assert len({run.id for run in [first, *others]}) == 5


@pytest.mark.asyncio
async def test_two_that_ask_at_once_get_one_backfill(ledger: Ledger, other_ledger: Ledger) -> None:
    """Two processes that ask for the same in the same moment get the same row."""
    both = await asyncio.gather(*(opened(one) for one in (ledger, other_ledger)))
    assert both[0].id == both[1].id
    assert sorted(run.resumed for run in both) == [False, True]


@pytest.mark.asyncio
async def test_a_backfill_that_is_not_there_cannot_be_finished(ledger: Ledger) -> None:
    """Finishing what nobody asked for changes nothing."""
    await finish_backfill(ledger, 99, "x")
    assert not (await opened(ledger)).resumed


@pytest.mark.asyncio
async def test_a_refresh_trusts_its_own_proofs_only(ledger: Ledger) -> None:
    """To fill gaps every proof counts; a refresh reads again what it did not prove itself."""
    fill, refresh = await opened(ledger), await opened(ledger, mode=REFRESH)
    rows = [
        coverage_row(
            ACCOUNT, Span(START + n * DAY, START + (n + 1) * DAY), by="backfill", how="x", now=START, events=0, pages=0
        )
        | {"run_id": run_id}
        for n, run_id in enumerate((None, fill.id, refresh.id))
    ]
    await record_page(ledger, ACCOUNT, [], RULES, coverage=rows)
    assert len(await proven_for(ledger, ACCOUNT, SPAN, fill)) == 3
    assert [proof.run_id for proof in await proven_for(ledger, ACCOUNT, SPAN, refresh)] == [refresh.id]


# ---------------------------------------------------------------------------- what is left to read


def test_what_is_proven_is_no_leg() -> None:
    """Legs are the gaps of each day, in order, half-open, and together with what is proven the whole range."""
    days = windows(SPAN, ZoneInfo("UTC"))
    proven = [Span(START + 1.5 * DAY, START + 4 * DAY), Span(START + 9 * DAY, START + 20 * DAY)]
    legs = legs_of(days, proven)
    assert [(leg.span.start - START) / DAY for leg in legs] == [0, 1, 4, 5, 6, 7, 8]
    assert legs[1].span.end == START + 1.5 * DAY
    assert union([leg.span for leg in legs] + proven) == [Span(START, START + 20 * DAY)]
    assert legs_of(days, [SPAN]) == []


def test_a_long_range_has_no_more_legs_than_task_runs_allow() -> None:
    """Years are read in a bounded number of parts, also over what is proven between; no day is left out."""
    span = Span(START, START + 1000 * DAY)
    days = windows(span, ZoneInfo("Europe/Berlin"))
    legs = legs_of(days, [Span(START + 100 * DAY, START + 101 * DAY)])
    assert len(legs) <= MOST_LEGS + 1
    assert union([leg.span for leg in legs]) == [span]
    assert len(legs_of(days, [Span(START + n * DAY, START + (n + 1) * DAY) for n in range(0, 1000, 2)])) <= MOST_LEGS
    inside = [window.day for leg in legs for window in leg.windows]
    assert sorted(set(inside)) == [day.day for day in days if day.day in set(inside)]
    assert len(set(inside)) >= len(days) - 1


# ---------------------------------------------------------------------------- orders


@pytest.mark.asyncio
async def test_known_orders_are_told_with_where_they_stand(ledger: Ledger) -> None:
    """Of the orders that are asked about the ledger's own are told, settled or not; those of others are not."""
    await bring_to(ledger, Landing.ACCEPTED, "100-1")
    await ready(ledger, "100-2")
    await record_page(ledger, new_account(), [an_event("100-3")], RULES)
    found = await known_orders(ledger, ACCOUNT, ["100-1", "100-2", "100-3", "100-4"], "ready")
    assert {name: (known.settled, known.closed, known.view.landing) for name, known in found.items()} == {
        "100-1": (True, False, Landing.ACCEPTED),
        "100-2": (False, False, Landing.SEEN),
    }
    names = ["100-2", "100-3", "100-1"]
    assert sorted(await ids_of_orders(ledger, ACCOUNT, names)) == [
        await id_of(ledger, "100-1"),
        await id_of(ledger, "100-2"),
    ]
    assert await known_orders(ledger, ACCOUNT, [], "ready") == {}


@pytest.mark.asyncio
async def test_live_orders_are_claimed_before_history(ledger: Ledger, clock: VirtualClock) -> None:
    """History that is due for long waits for live orders that are due since now; both are counted by themselves."""
    old = [an_event(f"200-{n}") for n in range(3)]
    await record_page(ledger, ACCOUNT, old, RULES, via="backfill")
    clock.forward(hours=5)
    await ready(ledger, "100-1", "100-2")
    assert await count_due(ledger, ACCOUNT) == (2, 3)
    first = await claim(ledger, limit=3)
    assert [claimed.source_order_id for claimed in first] == ["100-1", "100-2", "200-0"]
    assert await count_due(ledger, ACCOUNT) == (0, 2)


@pytest.mark.asyncio
async def test_history_can_be_left_alone(ledger: Ledger) -> None:
    """Whoever asks for live orders only gets no history, even when nothing else is due."""
    await record_page(ledger, ACCOUNT, [an_event("200-1")], RULES, via="backfill")
    claimed = await claim_due(
        ledger, ACCOUNT, limit=9, import_on="ready", first_probe=RULES.first_probe, live_only=True
    )
    assert claimed == []
    assert len(await claim(ledger)) == 1
