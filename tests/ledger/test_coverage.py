"""What is called complete: never more than is recorded, only by who holds the lease, and never over a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ledger import Ledger, LedgerUnavailable
from ledger.coverage import (
    Proof,
    broken_chain,
    coverage_row,
    extend_live,
    feed_start,
    nearest_event,
    note_feed_start,
    proofs,
    proven_from,
    time_of_event,
)
from ledger.cursor import LONGEST_TAIL, CursorMove, overlap_anchor, read_place
from ledger.events import record_page
from ledger.leases import acquire_feed
from models.glopal import GlopalEvent, UnreadableEvent
from models.ids import AccountKey
from models.outcome import LeaseLost
from models.ranges import Span
from models.tables import Coverage, SourceEvent
from tests.ledger.kit import ACCOUNT, RULES, new_account, row_of
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio
START = datetime(2026, 2, 1, tzinfo=UTC)
EVER = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def at(hours: float) -> datetime:
    """So many hours after the start."""
    return START + timedelta(hours=hours)


def event(number: int, hours: float | None = None, name: str = "order.received") -> GlopalEvent:
    """An event of an order of its own."""
    when = None if hours is None else at(hours)
    return GlopalEvent(f"T{number:04d}", name, f"300-{number}", when, "", f'{{"n": {number}}}')


def row(ledger: Ledger, first: float, last: float, key: AccountKey = ACCOUNT) -> dict[str, Any]:
    """A proof of some hours."""
    span = Span(at(first), at(last))
    return coverage_row(key, span, by="backfill", how="read", now=ledger.clock(), events=1, pages=1, run_id=7)


async def count_events(ledger: Ledger) -> int:
    """All recorded events."""
    async with ledger.read() as session:
        return len(list(await session.exec(select(SourceEvent.id))))


async def known(ledger: Ledger, key: AccountKey = ACCOUNT) -> list[Span]:
    """Every proven interval."""
    return [proof.span for proof in await proofs(ledger, key, EVER)]


async def test_a_proof_is_written_with_the_events_that_it_speaks_of(ledger: Ledger) -> None:
    """A page and its proof are seen together, with what proved it."""
    await record_page(ledger, ACCOUNT, [event(1, 1)], RULES, via="backfill", coverage=[row(ledger, 0, 2)])
    span = Span(at(0), at(2))
    assert await proofs(ledger, ACCOUNT, EVER) == [Proof(span, "backfill", ledger.clock(), "read", 7)]
    assert await known(ledger, new_account()) == []


async def test_a_page_that_cannot_be_written_proves_nothing(ledger: Ledger) -> None:
    """When the proof cannot be written its events are not recorded either, and the other way round."""
    async with ledger.write() as session:
        await session.execute(text("ALTER TABLE coverage RENAME TO gone"))
    with pytest.raises(LedgerUnavailable):
        await record_page(ledger, ACCOUNT, [event(1, 1)], RULES, via="backfill", coverage=[row(ledger, 0, 2)])
    assert await count_events(ledger) == 0
    async with ledger.write() as session:
        await session.execute(text("ALTER TABLE gone RENAME TO coverage"))
        await session.execute(text("ALTER TABLE source_event RENAME TO gone"))
    with pytest.raises(LedgerUnavailable):
        await record_page(ledger, ACCOUNT, [event(1, 1)], RULES, via="backfill", coverage=[row(ledger, 0, 2)])
    assert await known(ledger) == []


async def test_only_the_holder_of_the_lease_proves(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """A backfill whose lease passed on, or that names a wrong one, records and proves nothing."""
    old = await acquire_feed(ledger, "backfill")
    assert old is not None
    clock.forward(91)
    new = await acquire_feed(other_ledger, "backfill")
    assert new is not None
    for who, lease in ((ledger, ("backfill", old)), (other_ledger, ("backfill", new + 1)), (other_ledger, ("b", new))):
        with pytest.raises(LeaseLost):
            await record_page(
                who, ACCOUNT, [event(1, 1)], RULES, via="backfill", coverage=[row(ledger, 0, 2)], lease=lease
            )
    assert (await count_events(ledger), await known(ledger)) == (0, [])
    await record_page(
        other_ledger, ACCOUNT, [event(1, 1)], RULES, coverage=[row(ledger, 0, 2)], lease=("backfill", new)
    )
    assert (await count_events(ledger), await known(ledger)) == (1, [Span(at(0), at(2))])


async def test_proofs_are_found_by_what_they_touch(ledger: Ledger) -> None:
    """Half-open: an interval that only touches the one that is asked about is none of it."""
    rows = [row(ledger, 4, 6), row(ledger, 0, 2), row(ledger, 1, 3), row(ledger, 6, 9)]
    await record_page(ledger, ACCOUNT, [], RULES, coverage=rows)
    found = [proof.span for proof in await proofs(ledger, ACCOUNT, Span(at(2), at(6)))]
    assert found == [Span(at(1), at(3)), Span(at(4), at(6))]
    assert await proven_from(ledger, ACCOUNT) == at(0)
    assert await proven_from(ledger, new_account()) is None


# ---------------------------------------------------------------------------- live polling


async def live(ledger: Ledger, until: float, since: float | None = None, *, fence: int = 0) -> Span | None:
    """Prolong what live polling proves; with a fresh lease unless a fence is given."""
    held = fence or await acquire_feed(ledger, "feed")
    assert held is not None
    begin = None if since is None else at(since)
    return await extend_live(ledger, ACCOUNT, until=at(until), since=begin, lease="feed", fence=held)


async def test_live_polling_has_one_row_that_grows(ledger: Ledger, clock: VirtualClock) -> None:
    """Poll after poll prolongs the same proof; a poll whose end lies before it takes nothing back."""
    assert await live(ledger, 5, since=1) == Span(at(1), at(5))
    clock.forward(60)
    assert await live(ledger, 8, since=7) == Span(at(1), at(8))
    assert await live(ledger, 6) == Span(at(1), at(8))
    [proof] = await proofs(ledger, ACCOUNT, EVER)
    assert (proof.span, proof.by, proof.proved_at) == (Span(at(1), at(8)), "live", ledger.clock())


async def test_a_reset_cursor_breaks_the_proof(ledger: Ledger) -> None:
    """Where the chain of cursors broke the old row stays as it was, and a new one grows from then on."""
    await live(ledger, 5, since=1)
    anew = [broken_chain(ACCOUNT, at(9), ledger.clock())]
    await record_page(ledger, ACCOUNT, [], RULES, coverage=anew)
    assert await known(ledger) == [Span(at(1), at(5))]
    assert await live(ledger, 20, since=2) == Span(at(9), at(20))
    assert await live(ledger, 22, since=2) == Span(at(9), at(22))
    assert await known(ledger) == [Span(at(1), at(5)), Span(at(9), at(22))]


async def test_without_a_beginning_nothing_is_proven(ledger: Ledger) -> None:
    """A poll that does not know from when on it read, or only from now on, proves nothing and breaks nothing."""
    for since in (None, 5.0, 6.0):
        assert await live(ledger, 5, since=since) is None
    assert await known(ledger) == []


async def test_only_the_reader_of_the_feed_proves(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """A poll that lost the feed's lease cannot say that the feed was read to its end."""
    old = await acquire_feed(ledger, "feed")
    assert old is not None
    clock.forward(91)
    await acquire_feed(other_ledger, "feed")
    with pytest.raises(LeaseLost):
        await live(ledger, 5, since=1, fence=old)
    assert await known(ledger) == []


async def test_accounts_have_their_own_live_rows(ledger: Ledger) -> None:
    """What one account's polling proves is nothing about another's."""
    await live(ledger, 5, since=1)
    other = new_account()
    fence = await acquire_feed(ledger, "feed")
    assert fence is not None
    await extend_live(ledger, other, until=at(9), since=at(8), lease="feed", fence=fence)
    assert (await known(ledger), await known(ledger, other)) == ([Span(at(1), at(5))], [Span(at(8), at(9))])


async def test_the_feeds_beginning_is_kept_and_is_no_proof(ledger: Ledger) -> None:
    """The earliest beginning that was ever seen counts; it proves no interval."""
    assert await feed_start(ledger, ACCOUNT) is None
    for hours in (5, 7, 3, 3):
        await note_feed_start(ledger, ACCOUNT, at(hours))
    assert await feed_start(ledger, ACCOUNT) == at(3)
    assert await known(ledger) == []
    assert await proven_from(ledger, ACCOUNT) is None
    async with ledger.read() as session:
        rows = list(await session.exec(select(Coverage).order_by(col(Coverage.id))))
    assert [found.start_at for found in rows] == [at(5), at(3)]
    assert all(found.start_at == found.end_at for found in rows)


# ---------------------------------------------------------------------------- where to begin


async def test_the_nearest_event_is_found_on_both_sides(ledger: Ledger) -> None:
    """By its own time, wherever it stands in the ledger; unreadable events and those without a time are no place."""
    bad = UnreadableEvent("T0009", "without order_id", "{}")
    await record_page(ledger, ACCOUNT, [event(1, 8), event(2, 1), event(3, 4), event(4), bad], RULES)
    await record_page(ledger, new_account(), [event(5, 4.5)], RULES)
    assert await nearest_event(ledger, ACCOUNT, before=at(5)) == ("T0003", at(4))
    assert await nearest_event(ledger, ACCOUNT, before=at(4)) == ("T0003", at(4))
    assert await nearest_event(ledger, ACCOUNT, after=at(4.1)) == ("T0001", at(8))
    assert await nearest_event(ledger, ACCOUNT, after=at(8)) == ("T0001", at(8))
    assert await nearest_event(ledger, ACCOUNT, before=at(0.5)) is None
    assert await nearest_event(ledger, ACCOUNT, after=at(8.5)) is None
    assert await time_of_event(ledger, ACCOUNT, "T0003") == at(4)
    assert await time_of_event(ledger, ACCOUNT, "T0004") is None
    assert await time_of_event(ledger, ACCOUNT, "none") is None


async def passed(ledger: Ledger, *events: GlopalEvent) -> None:
    """Live polling reads a page and moves the cursor."""
    fence = await acquire_feed(ledger, "feed")
    assert fence is not None
    await record_page(ledger, ACCOUNT, events, RULES, CursorMove(events[-1].event_id, "feed", fence))


async def test_the_overlap_counts_only_what_live_polling_passed(ledger: Ledger) -> None:
    """Events that a backfill recorded meanwhile do not move the place where the next poll begins."""
    await passed(ledger, *(event(number, number) for number in range(10)))
    before = await overlap_anchor(ledger, ACCOUNT, 4)
    cursor = await read_place(ledger, ACCOUNT)
    await record_page(ledger, ACCOUNT, [event(100 + n, n / 10) for n in range(30)], RULES, via="backfill")
    assert before == "T0005"
    assert await overlap_anchor(ledger, ACCOUNT, 4) == before
    assert await read_place(ledger, ACCOUNT) == cursor


async def test_the_overlap_counts_what_a_backfill_had_found_first(ledger: Ledger) -> None:
    """Events that live polling passes count although a backfill knew them before."""
    events = [event(number, number) for number in range(10)]
    await record_page(ledger, ACCOUNT, events, RULES, via="backfill")
    assert await overlap_anchor(ledger, ACCOUNT, 4) is None
    await passed(ledger, *events)
    assert await overlap_anchor(ledger, ACCOUNT, 4) == "T0005"
    await passed(ledger, *events[6:], event(10, 10))
    assert await overlap_anchor(ledger, ACCOUNT, 4) == "T0006"
    assert await overlap_anchor(ledger, ACCOUNT, 10) == "T0000"


async def test_the_tail_is_as_long_as_the_longest_overlap(ledger: Ledger) -> None:
    """However long the feed, the cursor remembers as many events as any overlap can ask for, and no more."""
    for start in range(0, 400, 50):
        await passed(ledger, *(event(number, number) for number in range(start, start + 50)))
    place = await read_place(ledger, ACCOUNT)
    assert len(place.tail) == LONGEST_TAIL == 201
    assert place.tail[-1] == place.at == "T0399"
    assert await overlap_anchor(ledger, ACCOUNT, 200) == "T0199"


async def test_a_ledger_without_a_tail_still_overlaps(ledger: Ledger) -> None:
    """A cursor of an earlier release has no tail; until it has one, the recorded live events say where to begin."""
    await passed(ledger, *(event(number, number) for number in range(10)))
    await record_page(ledger, ACCOUNT, [event(100 + n, n / 10) for n in range(30)], RULES, via="backfill")
    async with ledger.write() as session:
        await session.execute(text("UPDATE feed_cursor SET tail = NULL"))
    assert await overlap_anchor(ledger, ACCOUNT, 4) == "T0005"


# ---------------------------------------------------------------------------- what events do to orders


async def test_an_order_belongs_to_the_day_of_its_earliest_event(ledger: Ledger) -> None:
    """Whatever order events come in, and whoever finds them, the earliest says when the order came to be."""
    twins = [GlopalEvent(f"U{n}", "order.received", "300-1", when, "", "{}") for n, when in enumerate((at(5), at(2)))]
    await record_page(ledger, ACCOUNT, twins[:1], RULES)
    assert (await row_of(ledger, "300-1")).source_at == at(5)
    await record_page(ledger, ACCOUNT, twins[1:], RULES, via="backfill")
    assert (await row_of(ledger, "300-1")).source_at == at(2)
    await record_page(ledger, ACCOUNT, [GlopalEvent("U9", "order.ready", "300-1", None, "", "{}")], RULES)
    await record_page(ledger, ACCOUNT, [GlopalEvent("U8", "order.ready", "300-1", at(7), "", "{}")], RULES)
    assert (await row_of(ledger, "300-1")).source_at == at(2)


async def test_history_waits_and_news_do_not(ledger: Ledger) -> None:
    """An order that only a backfill found is history; any other finder, or live news, makes it a live one."""
    await record_page(ledger, ACCOUNT, [event(1, 1), event(2, 2)], RULES, via="backfill")
    await record_page(ledger, ACCOUNT, [event(3, 3)], RULES, via="live")
    await record_page(ledger, ACCOUNT, [event(4, 4)], RULES, via="reconcile")
    assert [(await row_of(ledger, f"300-{n}")).priority for n in (1, 2, 3, 4)] == [1, 1, 0, 0]
    more = [GlopalEvent(f"V{n}", "order.ready", f"300-{n}", at(9), "", "{}") for n in (1, 3)]
    await record_page(ledger, ACCOUNT, more[:1], RULES, via="live")
    await record_page(ledger, ACCOUNT, more[1:], RULES, via="backfill")
    assert [(await row_of(ledger, f"300-{n}")).priority for n in (1, 2, 3)] == [0, 1, 0]


@pytest.mark.parametrize("via", ["live", "backfill"])
async def test_an_order_that_is_gone_is_made_again(ledger: Ledger, via: Any) -> None:
    """Known events whose order's row was deleted make it again, with all that they say, whoever reads them."""
    events = [event(1, 1), GlopalEvent("W1", "order.ready", "300-1", at(2), "", "{}"), event(2, 3)]
    await record_page(ledger, ACCOUNT, events, RULES)
    gone = await row_of(ledger, "300-1")
    async with ledger.write() as session:
        values = {"id": gone.id}
        await session.execute(text("UPDATE source_event SET order_id = NULL WHERE order_id = :id"), values)
        await session.execute(text("DELETE FROM source_order WHERE id = :id"), values)
    got = await record_page(ledger, ACCOUNT, events, RULES, via=via)
    made = await row_of(ledger, "300-1")
    assert (got.new, got.known) == (0, 3)
    assert (made.source_status, made.source_at, made.reference) == ("READY", at(1), gone.reference)
    assert made.due_at is not None
    async with ledger.read() as session:
        query = select(SourceEvent.order_id).where(SourceEvent.source_order_id == "300-1")
        assert set(await session.exec(query)) == {made.id}
    assert await count_events(ledger) == 3
