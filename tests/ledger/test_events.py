"""Recording pages: any order, any number of times, each event in exactly one bucket."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import col, select

from ledger import Ledger
from ledger.cursor import overlap_anchor
from ledger.events import Recorded, keep_bad_answer, record_page
from ledger.queries import event_buckets, known_events
from models.glopal import GlopalEvent, UnreadableEvent
from models.ids import AccountKey
from models.tables import BadAnswer, SourceEvent, SourceOrder
from tests.ledger.kit import (
    ACCOUNT,
    HOLDING,
    RULES,
    Statements,
    an_event,
    new_account,
    record,
    row_of,
)

pytestmark = pytest.mark.asyncio
Page = list[GlopalEvent | UnreadableEvent]


def _shape(row: SourceOrder) -> tuple[Any, ...]:
    # Whether a cancelled order was READY before depends on what was heard first, and decides nothing any more.
    deadline = row.source_status == "CANCELLED" or row.deadline_at is None
    return (row.source_order_id, row.source_status, row.landing, row.parked_code, row.due_at is None, deadline)


async def _all(ledger: Ledger, key: AccountKey) -> list[tuple[Any, ...]]:
    """What is known of an account's orders, without what depends on the moment."""
    async with ledger.read() as session:
        query = select(SourceOrder).where(SourceOrder.account == key.account).order_by(col(SourceOrder.source_order_id))
        return [_shape(row) for row in await session.exec(query)]


async def test_an_event_makes_its_order(ledger: Ledger) -> None:
    """A READY event makes its order's row, due at once, with its deadline counted from now."""
    await record(ledger, an_event("100-1"))
    row = await row_of(ledger)

    assert (row.source_status, row.landing, row.reference) == ("READY", "seen", "glopal.live.912.100-1")
    assert (row.due_at, row.ready_at, row.deadline_at) == (
        ledger.clock(),
        ledger.clock(),
        ledger.clock() + RULES.deadline,
    )


async def test_the_same_page_twice_changes_nothing(ledger: Ledger) -> None:
    """Recording a page again finds everything known."""
    page: Page = [an_event("100-1"), an_event("100-2", "order.cancelled"), UnreadableEvent("", "not an object", '"x"')]
    first = await record_page(ledger, ACCOUNT, page, RULES)
    before = await _all(ledger, ACCOUNT)
    second = await record_page(ledger, ACCOUNT, page, RULES)

    assert (first.new, first.known, second.new, second.known) == (3, 0, 0, 3)
    assert (first.unreadable, second.unreadable) == (1, 0)
    assert (first.orders, second.orders) == (2, 0)
    assert await _all(ledger, ACCOUNT) == before


async def test_an_event_twice_in_one_page_counts_once(ledger: Ledger) -> None:
    """A page that repeats an event brings it once; new and known add up to the page."""
    one = an_event("100-1")
    brought = await record_page(ledger, ACCOUNT, [one, an_event("100-2"), one], RULES)

    assert (brought.new, brought.known, brought.orders) == (2, 1, 2)


EVENTS = [
    an_event("1-1", "order.received"),
    an_event("1-1", "order.ready"),
    an_event("1-2", "order.ready"),
    an_event("1-2", "order.cancelled"),
    an_event("1-3", "order.cancelled"),
    an_event("1-4", "return.requested"),
    an_event("1-5", "order.something_new"),
    an_event("../x", "order.ready"),
]


@settings(max_examples=15)
@given(order=st.permutations(EVENTS), cuts=st.lists(st.integers(0, 8), max_size=3), again=st.booleans())
async def test_events_in_any_order_make_the_same_rows(
    ledger: Ledger, order: list[GlopalEvent], cuts: list[int], again: bool
) -> None:
    """However the feed is ordered, cut into pages and repeated, the orders end the same."""
    expected, shuffled = new_account(), new_account()
    await record_page(ledger, expected, EVENTS, RULES)
    edges = [0, *sorted(cuts), len(order)]
    for start, stop in itertools.pairwise(edges):
        for _ in range(1 + again):
            await record_page(ledger, shuffled, order[start:stop], RULES)

    assert await _all(ledger, shuffled) == await _all(ledger, expected)
    assert await event_buckets(ledger, shuffled) == await event_buckets(ledger, expected)


async def test_a_cancel_before_its_order_is_remembered(ledger: Ledger) -> None:
    """An order first heard of by its cancel stays cancelled when its READY event comes late."""
    await record(ledger, an_event("100-1", "order.cancelled"))
    await record(ledger, an_event("100-1", "order.ready"))
    row = await row_of(ledger)

    assert (row.source_status, row.landing, row.deadline_at) == ("CANCELLED", "seen", None)
    assert row.due_at == ledger.clock()


@pytest.mark.parametrize(("rules", "due"), [(RULES, False), (HOLDING, True)])
async def test_received_orders_are_due_when_they_are_imported_early(ledger: Ledger, rules: Any, due: bool) -> None:
    """A RECEIVED order waits for READY, unless the account puts received orders on hold in the store."""
    await record(ledger, an_event("100-1", "order.received"), rules=rules)
    row = await row_of(ledger)

    assert (row.due_at is not None, row.deadline_at) == (due, None)


async def test_each_event_is_in_exactly_one_bucket(ledger: Ledger) -> None:
    """S16: applied, kept and unreadable add up to all events, and the page's counts say the same."""
    page: Page = [
        *EVENTS,
        UnreadableEvent("", "not an object", "7"),
        UnreadableEvent("", "not an object", "8"),
        UnreadableEvent("E-bad", "without order_id", "{}"),
        an_event("9" * 256),
    ]
    brought = await record_page(ledger, ACCOUNT, page, RULES)
    buckets = await event_buckets(ledger, ACCOUNT)

    assert buckets == {"applied": 6, "kept": 2, "unreadable": 4}
    assert sum(buckets.values()) == brought.new == len(page)
    assert (brought.unreadable, brought.kept, len(brought.bad)) == (4, 2, 4)
    async with ledger.read() as session:
        unreadable = select(SourceEvent).where(SourceEvent.bucket == "unreadable")
        assert all(event.note and event.order_id is None for event in await session.exec(unreadable))


async def test_unreadable_entries_are_kept_once(ledger: Ledger) -> None:
    """An entry without an id is known again by its content, on any later page."""
    for _ in range(3):
        await record(
            ledger, UnreadableEvent("", "not an object", '"x"'), UnreadableEvent("E-7", "without order_id", "{}")
        )

    assert await event_buckets(ledger, ACCOUNT) == {"unreadable": 2}


@pytest.mark.parametrize("order_id", ["../../etc/passwd", "a b", "1-1\n", "1-1?x=1", "ä-1", "a\x00b", "a\ud800b"])
async def test_unsafe_order_ids_are_parked(ledger: Ledger, order_id: str) -> None:
    """An order id that no order has makes a parked order that nothing is ever done about, once, with a reason."""
    await record(ledger, an_event(order_id))
    await record(ledger, an_event(order_id), an_event(order_id, "order.cancelled"))
    async with ledger.read() as session:
        row = (await session.exec(select(SourceOrder))).one()

    assert (row.parked_code, row.due_at, row.deadline_at) == ("bad_id", None, None)
    assert "never put into a web address" in str(row.parked_reason)
    assert row.effect_seq == 1


async def test_odd_characters_do_not_stop_a_page(ledger: Ledger) -> None:
    """NUL, half characters and very long names in any field leave the page recordable on both databases."""
    odd = "x\x00\ud800" + "y" * 300
    page: Page = [
        GlopalEvent("E\x001", odd, "1-1", None, odd, odd),
        GlopalEvent("E2", "order.ready", odd, None, "", odd),
        UnreadableEvent("E" * 300, odd, odd),
        UnreadableEvent("", odd, odd),
        an_event("1-2"),
    ]
    for _ in range(2):
        await record_page(ledger, ACCOUNT, page, RULES)

    assert sum((await event_buckets(ledger, ACCOUNT)).values()) == 5
    assert (await row_of(ledger, "1-2")).source_status == "READY"


async def test_statements_do_not_grow_with_the_page(ledger: Ledger) -> None:
    """A page of 500 events takes as many statements as a page of one, new or known."""
    counts = []
    for size in (1, 500):
        page = [an_event(f"{size}-{number}") for number in range(size)]
        for _ in range(2):
            with Statements(ledger) as seen:
                brought = await record_page(ledger, ACCOUNT, page, RULES)
            counts.append(len(seen))
            assert brought.new + brought.known == size

    assert counts[0] == counts[2]
    assert counts[1] == counts[3]
    assert max(counts) < 15


async def test_a_page_above_the_databases_limits_is_recorded(ledger: Ledger) -> None:
    """A provider that ignores the page size and sends 5,100 events at once does not stop the feed."""
    brought = await record_page(ledger, ACCOUNT, [an_event(f"1-{number}") for number in range(5100)], RULES)

    assert (brought.new, brought.orders) == (5100, 5100)


async def test_accounts_and_environments_do_not_mix(ledger: Ledger) -> None:
    """The same order and event ids in another environment, account or provider are other rows."""
    event = an_event("100-1")
    keys = [ACCOUNT, AccountKey("glopal", "test", "912"), AccountKey("glopal", "live", "913"), new_account()]
    for key in [*keys, AccountKey("globale", "live", "912")]:
        assert (await record_page(ledger, key, [event], RULES)).new == 1

    async with ledger.read() as session:
        assert len(list(await session.exec(select(SourceOrder.id)))) == 5


async def test_events_point_at_their_order(ledger: Ledger) -> None:
    """Every readable event hangs on its order's row, in the provider's order."""
    events = [an_event("1-9", event_id=name) for name in ("Z", "A", "M")]
    await record(ledger, *events)
    row = await row_of(ledger, "1-9")
    async with ledger.read() as session:
        found = list(await session.exec(select(SourceEvent).order_by(col(SourceEvent.id))))

    assert [event.event_id for event in found] == ["Z", "A", "M"]
    assert {event.order_id for event in found} == {row.id}


async def test_overlap_starts_at_the_recorded_order(ledger: Ledger) -> None:
    """The overlap counts readable events back from the last recorded one, in the order in which they came."""
    assert await overlap_anchor(ledger, ACCOUNT, 2) is None
    await record(ledger, *(an_event("1-1", event_id=name) for name in ("Z", "A", "M")))
    await record(ledger, UnreadableEvent("bad", "x", "x"), an_event("1-1", event_id="B"))

    assert [await overlap_anchor(ledger, ACCOUNT, back) for back in (0, 1, 2, 3, 4)] == ["B", "M", "A", "Z", None]
    assert await overlap_anchor(ledger, new_account(), 0) is None


async def test_known_events_are_told(ledger: Ledger) -> None:
    """Which of some events are recorded is answered for the account alone."""
    await record(ledger, an_event(event_id="A"), an_event(event_id="B"))

    assert await known_events(ledger, ACCOUNT, ["A", "B", "C"]) == {"A", "B"}
    assert await known_events(ledger, new_account(), ["A"]) == set()


async def test_unusable_answers_are_kept_once_and_cut(ledger: Ledger) -> None:
    """An answer that could not be used is kept with its reason and true size, its first 64 KiB, once."""
    for _ in range(2):
        await keep_bad_answer(
            ledger,
            ACCOUNT,
            what="order 1-1\x00",
            code="unreadable",
            reason="no\x00JSON",
            body=b"<" + bytes(100_000),
            size=50_000_000,
        )
    async with ledger.read() as session:
        kept = (await session.exec(select(BadAnswer))).one()

    assert (len(kept.body), kept.size, kept.code) == (65_536, 50_000_000, "unreadable")


async def test_event_ids_are_unique_in_the_database(ledger: Ledger) -> None:
    """The database itself holds one row for each event of an account."""
    await record(ledger, an_event(event_id="A"))
    async with ledger.read() as session:
        events = (await session.execute(text("SELECT count(*) FROM source_event"))).scalar_one()
        orders = (await session.execute(text("SELECT count(*) FROM source_order"))).scalar_one()

    assert (events, orders) == (1, 1)
    assert Recorded().new == 0
