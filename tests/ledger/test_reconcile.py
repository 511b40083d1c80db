"""Reconciliation's side of the ledger: which orders, how many statements, readings, findings, and who moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, text, update
from sqlmodel import col, select

from ledger import Ledger, proof
from ledger.events import record_page
from ledger.proof import findings, proof_rows
from ledger.reconcile import Judged, Saved, ids_to_compare, load_to_compare
from models.glopal import GlopalEvent
from models.lifecycle import Landing
from models.ranges import Span
from models.sides import Mismatch, OrderSides, Repair, StoreSide
from models.tables import FindingRow, OpenIntent, Reading, SourceOrder
from tests.ledger.comparing import HERE, TOLD, Look, change, findings_now, judged, look, save, says, told
from tests.ledger.kit import ACCOUNT, RULES, Statements, an_event, bring_to, id_of, new_account, record, row_of
from tests.models.sides_of import NOT_IN_STORE
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio

DAY = Span(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC))


# ---------------------------------------------------------------------- which orders


async def test_the_orders_of_a_range(ledger: Ledger) -> None:
    """A range has what was first heard of in it and what happened in it, and with open_too what is not at rest."""
    inside, before, after = DAY.start, DAY.start - timedelta(seconds=1), DAY.end

    def event(order: str, at: datetime | None) -> GlopalEvent:
        return replace(an_event(order, "order.received"), event_at=at)

    await record(
        ledger,
        event("first", inside),
        event("old", before),
        event("touched", before),
        event("touched", inside + timedelta(hours=1)),
        event("late", after),
        event("undated", None),
    )
    other = new_account()
    await record_page(ledger, other, [event("first", inside)], RULES)
    async with ledger.write() as session:
        await session.execute(update(SourceOrder).values(settled_at=ledger.clock()))
        seen_inside = {"first_seen_at": inside}
        await session.execute(
            update(SourceOrder).where(col(SourceOrder.source_order_id) == "undated").values(**seen_inside)
        )

    async def names(*, open_too: bool) -> set[str]:
        ids = await ids_to_compare(ledger, ACCOUNT, DAY, open_too=open_too)
        assert ids == sorted(set(ids))
        return {order.source_order_id for order in await load_to_compare(ledger, ids, RULES)}

    assert await names(open_too=True) == await names(open_too=False) == {"first", "touched", "undated"}
    async with ledger.write() as session:
        await session.execute(
            update(SourceOrder).where(col(SourceOrder.source_order_id) == "old").values(settled_at=None)
        )
    assert await names(open_too=True) == {"first", "touched", "undated", "old"}
    entries = await judged(ledger, {"late": Look(None, None)})
    await save(ledger, [replace(entries[0], comparison=told("late", Mismatch.STUCK, Repair.NONE))])
    assert await names(open_too=True) == {"first", "touched", "undated", "old", "late"}
    assert await names(open_too=False) == {"first", "touched", "undated"}


# ---------------------------------------------------------------------- statements


async def _many(ledger: Ledger, number: int) -> dict[str, Look]:
    """So many landed orders: some agree, some have an open finding that is mended, some differ in three ways."""
    orders = [f"{number}-{place}" for place in range(number)]
    await bring_to(ledger, Landing.ACCEPTED, *orders)
    wrong = Look(TOLD, NOT_IN_STORE)
    await save(ledger, await judged(ledger, dict.fromkeys(orders[::3], wrong)), repair=False)
    ways = [Look(), wrong, Look(says("READY"), HERE), Look(says("CANCELLED"), HERE)]
    return {order: ways[place % 4] for place, order in enumerate(orders)}


async def test_a_chunk_takes_the_same_statements_whatever_its_size(ledger: Ledger) -> None:
    """Finding, loading, writing and certifying take as many statements for 200 orders as for 10."""
    counted = []
    for number in (10, 200):
        said = await _many(ledger, number)
        span = Span(ledger.clock() - timedelta(hours=1), ledger.clock() + timedelta(hours=1))
        with Statements(ledger) as seen:
            await ids_to_compare(ledger, ACCOUNT, span, open_too=True)
        steps = [len(seen)]
        entries = await judged(ledger, said)
        with Statements(ledger) as seen:
            await load_to_compare(ledger, [entry.order.id for entry in entries if entry.order], RULES)
        steps.append(len(seen))
        with Statements(ledger) as seen:
            saved = await save(ledger, entries)
        steps.append(len(seen))
        assert saved.opened
        assert saved.closed
        assert saved.parked
        assert len(saved.repaired) + saved.agreeing == number
        with Statements(ledger) as seen:
            rows = [row async for row in proof_rows(ledger, ACCOUNT, span)]
        assert len(rows) >= number
        steps.append(len(seen))
        counted.append(steps)
    assert counted[0] == counted[1]
    assert sum(counted[0]) < 30


# ---------------------------------------------------------------------- readings


async def test_the_last_reading_takes_the_place_of_the_one_before(ledger: Ledger) -> None:
    """An order has one reading, of what was said last; one without a row gets its row's id once it has one."""
    unknown = OrderSides("100-1", says("READY"), None, NOT_IN_STORE)
    first = Judged(None, unknown, told("100-1", Mismatch.MISSING_IN_LEDGER, Repair.RECORD), DAY.start)
    await save(ledger, [first])
    await bring_to(ledger, Landing.ACCEPTED)
    await look(ledger)
    async with ledger.read() as session:
        [reading] = list(await session.exec(select(Reading)))
    assert reading.order_id == await id_of(ledger)
    assert (reading.source_status, reading.store_state, reading.agrees) == ("ACCEPTED", "open", True)
    assert (reading.source_total, reading.store_total) == (TOLD.total, HERE.total)
    await look(ledger, Look(None, NOT_IN_STORE))
    async with ledger.read() as session:
        [reading] = list(await session.exec(select(Reading)))
    assert (reading.source_read, reading.store_read, reading.store_found, reading.agrees) == (False, True, False, False)


async def test_what_a_certificate_is_told_of_an_order(ledger: Ledger) -> None:
    """Its first event and its first READY count, each side is as it was read last, one that is lost is a reading."""
    hours = [DAY.start + timedelta(hours=number) for number in range(4)]
    events = [("order.received", hours[0]), ("order.ready", hours[2]), ("order.ready", hours[1])]
    await record(ledger, *(replace(an_event("100-1", name), event_at=at) for name, at in events))
    await record(ledger, replace(an_event("100-2"), event_at=DAY.end))
    for name, at in (("100-1", hours[0]), ("lost", hours[3]), ("lost-later", DAY.end)):
        sides = OrderSides(name, says("READY"), None, NOT_IN_STORE)
        await save(ledger, [Judged(None, sides, told(name, Mismatch.MISSING_IN_LEDGER, Repair.RECORD), at)])
    found = [row async for row in proof_rows(ledger, ACCOUNT, DAY)]
    assert [(row.order, row.first_event_at, row.ready_at) for row in found] == [
        ("100-1", hours[0], hours[1]),
        ("lost", hours[3], None),
    ]
    assert [(row.source, row.store) for row in found] == [(says("READY"), NOT_IN_STORE)] * 2
    assert found[0].ledger is not None
    assert found[1].ledger is None


async def test_orders_are_read_some_at_a_time_and_each_once(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, each order is told once, at the edges of a chunk, too."""
    monkeypatch.setattr(proof, "AT_ONCE", 3)
    for number in (1, 3, 4, 7):
        await record(ledger, *(replace(an_event(f"{number}-{place}"), event_at=DAY.start) for place in range(number)))
        names = [row.order async for row in proof_rows(ledger, ACCOUNT, DAY)]
        assert len(names) == len(set(names))
        assert {f"{number}-{place}" for place in range(number)} <= set(names)


# ---------------------------------------------------------------------- findings


async def test_a_finding_opens_stays_and_closes(ledger: Ledger, clock: VirtualClock) -> None:
    """A difference is one finding as long as it lasts; mended, it closes, and coming back it is another finding."""
    await bring_to(ledger, Landing.ACCEPTED)
    began = clock.now
    first = await look(ledger, Look(says("READY"), HERE), repair=False)
    assert first.opened == [("100-1", Mismatch.INSERTED_NOT_ACCEPTED)]
    clock.forward(hours=1)
    again = await look(ledger, Look(says("READY"), HERE), repair=False)
    assert (again.opened, again.still) == ([], [("100-1", Mismatch.INSERTED_NOT_ACCEPTED)])
    async with ledger.read() as session:
        [row] = list(await session.exec(select(FindingRow)))
    assert (row.found_at, row.seen_at, row.closed_at) == (began, clock.now, None)
    clock.forward(hours=1)
    assert (await look(ledger)).closed == 1
    [noted] = await findings(ledger, ACCOUNT, since=began)
    assert (noted.found_at, noted.closed_at, noted.action) == (began, clock.now, "found mended by a later run")
    assert (await look(ledger)).closed == 0
    await look(ledger, Look(says("READY"), HERE), repair=False)
    kind = Mismatch.INSERTED_NOT_ACCEPTED.value
    assert await findings_now(ledger) == [("100-1", kind, False), ("100-1", kind, True)]


@pytest.mark.parametrize("unread", [Look(None, HERE), Look(TOLD, None), Look(None, None)])
async def test_what_was_not_read_is_not_mended(ledger: Ledger, unread: Look) -> None:
    """A finding stays open, nothing is repaired, and the order does not count as agreeing, while a side is not read."""
    await bring_to(ledger, Landing.ACCEPTED)
    await look(ledger, Look(says("READY"), HERE), repair=False)
    saved = await look(ledger, unread)
    assert (saved.agreeing, saved.closed, saved.opened, saved.repaired) == (0, 0, [], [])
    assert [is_open for _, _, is_open in await findings_now(ledger)] == [True]
    assert (await row_of(ledger)).reconciled_at is None


async def test_two_live_orders_are_told_and_not_parked_while_the_provider_is_not_read(ledger: Ledger) -> None:
    """What one side shows by itself becomes a finding; acting on it waits until both were read."""
    await bring_to(ledger, Landing.ACCEPTED)
    saved = await look(ledger, Look(None, StoreSide(found=True, several=True)))
    assert saved.opened == [("100-1", Mismatch.DUPLICATE_IN_STORE)]
    assert (await row_of(ledger)).parked_at is None


async def test_what_is_still_to_come_is_not_mended(ledger: Ledger) -> None:
    """While the order's own next step may put the sides in line, nothing differs and nothing is called mended."""
    await bring_to(ledger, Landing.INSERTED)
    entries = await judged(ledger, {"100-1": Look(says("READY"), HERE)})
    assert entries[0].comparison.pending
    await save(ledger, [replace(entries[0], comparison=told("100-1", Mismatch.STUCK, Repair.NONE))])
    assert (await look(ledger, Look(says("READY"), HERE))).closed == 0
    await change(ledger, landing="accepted", source_status="ACCEPTED", due_at=None, settled_at=ledger.clock())
    assert (await look(ledger)).closed == 1


async def test_what_a_parked_order_no_longer_shows_is_closed(ledger: Ledger) -> None:
    """A parked order's findings are told whatever they are, so one that is missing is mended although it waits."""
    await bring_to(ledger, Landing.ACCEPTED)
    await look(ledger, Look(replace(TOLD, status="PAUSED"), HERE))
    assert (await row_of(ledger)).parked_code == "fetch.unknown_status"
    assert (await look(ledger)).closed == 1
    assert await findings_now(ledger) == [
        ("100-1", Mismatch.STATUS_DIFFERS.value, False),
        ("100-1", Mismatch.PARKED.value, True),
    ]


async def test_agreement_is_dated_and_ends_with_a_difference(ledger: Ledger, clock: VirtualClock) -> None:
    """``reconciled_at`` says when all sides agreed last, and is gone as soon as they do not."""
    await bring_to(ledger, Landing.ACCEPTED)
    assert (await look(ledger)).newly == 1
    assert (await row_of(ledger)).reconciled_at == clock.now
    clock.forward(hours=1)
    saved = await look(ledger)
    assert (saved.agreeing, saved.newly) == (1, 0)
    assert (await row_of(ledger)).reconciled_at == clock.now
    await look(ledger, Look(says("READY"), HERE), repair=False)
    assert (await row_of(ledger)).reconciled_at is None


# ---------------------------------------------------------------------- rows that moved


async def _another_effect(ledger: Ledger) -> None:
    await change(ledger, effect_seq=SourceOrder.effect_seq + 1)


async def _another_owner_before(ledger: Ledger) -> None:
    await change(ledger, fence=SourceOrder.fence + 1)


async def _touched(ledger: Ledger) -> None:
    await change(ledger, updated_at=ledger.clock() + timedelta(microseconds=1))


async def _held(ledger: Ledger) -> None:
    await change(ledger, lease_owner="another", lease_until=ledger.clock() + timedelta(seconds=1))


async def _in_an_effect(ledger: Ledger) -> None:
    async with ledger.write() as session:
        row_id = (await session.exec(select(SourceOrder.id))).one()
        session.add(OpenIntent(order_id=row_id or 0, seq=9, kind="accept", at=ledger.clock(), owner="another"))


async def _gone(ledger: Ledger) -> None:
    async with ledger.write() as session:
        await session.execute(delete(SourceOrder))


async def _its_lines_gone(ledger: Ledger) -> None:
    async with ledger.write() as session:
        for table in ("effect", "source_event"):
            await session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - ours


@pytest.mark.parametrize(
    "meanwhile",
    [_another_effect, _another_owner_before, _touched, _held, _in_an_effect, _gone],
    ids=lambda step: step.__name__.strip("_"),
)
async def test_an_order_that_moved_on_is_left_alone(ledger: Ledger, meanwhile: Any) -> None:
    """What was compared is no longer what is: no repair, no parking, no finding, no reading, no agreement."""
    await bring_to(ledger, Landing.ACCEPTED)
    if meanwhile is _gone:
        await _its_lines_gone(ledger)
        await change(ledger, effect_seq=0, effect_hash="")
    [entry] = await judged(ledger, {"100-1": Look(TOLD, NOT_IN_STORE)})
    assert entry.order is not None
    await meanwhile(ledger)
    saved = await save(ledger, [entry])
    assert saved == Saved(moved=[entry.order.id])
    assert await findings_now(ledger) == []
    async with ledger.read() as session:
        assert list(await session.exec(select(Reading))) == []
        assert [row.parked_at for row in await session.exec(select(SourceOrder))] in ([None], [])
