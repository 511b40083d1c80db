"""Begin and finish: an intent before and an outcome after each effect, and nothing written that must not be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from ledger import Ledger
from ledger.leases import release_orders
from ledger.steps import NewDocument
from models.lifecycle import IllegalMove, Landing, SourceStatus, Step
from models.outcome import OutcomeKind
from models.tables import OpenIntent, OrderRecord
from tests.ledger.kit import (
    RULES,
    STORE,
    an_event,
    bring_to,
    claim,
    done,
    effects_of,
    end,
    id_of,
    not_yet,
    open_intents,
    ready,
    record,
    refused,
    row_of,
    start,
    take,
    unknown,
)
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio


async def test_the_usual_road_is_an_intent_and_an_outcome_each(ledger: Ledger) -> None:
    """S8: a landed order's story is an intent before and an outcome after each effect, with what was promised."""
    [after] = await bring_to(ledger, Landing.ACCEPTED)
    story = [(line.phase, line.kind, line.outcome) for line in await effects_of(ledger)]
    row = await row_of(ledger)

    assert story == [
        ("intent", "insert", None),
        ("outcome", "insert", "done"),
        ("intent", "accept", None),
        ("outcome", "accept", "done"),
    ]
    details = [line.detail for line in await effects_of(ledger)]
    assert details[0] == row.reference
    assert details[2] == '{"store_order_id": "7001", "store_order_number": "000092"}'
    assert (row.landing, row.source_status, row.due_at) == ("accepted", "ACCEPTED", None)
    assert row.settled_at == row.accepted_at == row.inserted_at == ledger.clock()
    assert (after.next_step, after.due_now, after.lost) == (None, False, False)
    assert await open_intents(ledger) == []


async def test_the_intent_is_written_before_the_effect(ledger: Ledger, other_ledger: Ledger) -> None:
    """When begin returns, another process already sees the intent and its open mark."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    [intent] = await open_intents(other_ledger)
    lines = await effects_of(other_ledger)

    assert (intent.order_id, intent.kind, intent.owner, intent.seq) == (work.id, "insert", ledger.owner, 1)
    assert [(line.phase, line.fence, line.owner) for line in lines] == [("intent", work.fence, ledger.owner)]


async def test_reading_steps_write_no_intent(ledger: Ledger) -> None:
    """A step that only reads leaves no line, unless its end asks for one."""
    await ready(ledger, "100-1")
    work = await take(ledger, Step.FETCH)
    assert await open_intents(ledger) == []
    await end(ledger, done(work, Landing.FETCHED, note_kind="fetch"))

    assert [(line.phase, line.kind, line.outcome) for line in await effects_of(ledger)] == [("note", "fetch", "done")]


async def test_an_order_has_one_open_intent(ledger: Ledger) -> None:
    """The database refuses a second open effect of one order, whoever writes it."""
    await bring_to(ledger, Landing.FETCHED)
    await take(ledger, Step.INSERT)
    second = OpenIntent(order_id=await id_of(ledger), seq=2, kind="accept", at=ledger.clock(), owner="somebody else")

    async def open_second() -> None:
        async with ledger.write() as session:
            session.add(second)

    with pytest.raises(IntegrityError):
        await open_second()


@pytest.mark.parametrize("step", [Step.ACCEPT, Step.INSERT_HELD, Step.CLOSE, Step.CANCEL_STORE])
async def test_orders_at_another_step_are_left_out(ledger: Ledger, step: Step) -> None:
    """Begin takes only orders whose next step it is, and writes nothing for the others."""
    await bring_to(ledger, Landing.FETCHED)
    await claim(ledger)

    assert await start(ledger, step) == []
    assert await effects_of(ledger) == []


async def test_orders_of_others_are_left_out(ledger: Ledger, other_ledger: Ledger) -> None:
    """Begin takes only orders that this process holds, for effects and for reading steps."""
    await bring_to(ledger, Landing.FETCHED, "1-1")
    await claim(ledger)
    await ready(other_ledger, "1-2")
    await claim(other_ledger)

    assert await start(other_ledger, Step.INSERT, ["1-1"]) == []
    assert await start(ledger, Step.FETCH, ["1-2"]) == []
    assert len(await start(ledger, Step.INSERT, ["1-1", "1-2"])) == 1


async def test_own_orphans_become_unknown_before_a_retry(ledger: Ledger) -> None:
    """A retry of our own after an outcome was not recorded looks first instead of doing it again."""
    await bring_to(ledger, Landing.FETCHED)
    await take(ledger, Step.INSERT)

    assert await start(ledger, Step.INSERT) == []
    row = await row_of(ledger)
    assert (row.landing, await open_intents(ledger)) == ("insert_unknown", [])
    assert row.due_at == ledger.clock() + RULES.first_probe
    assert [line.outcome for line in await effects_of(ledger)] == [None, "unknown"]


async def test_nothing_is_closed_over_an_open_intent(ledger: Ledger) -> None:
    """A cancel while an insert's outcome is not recorded does not close the order as if nothing had been sent."""
    await bring_to(ledger, Landing.FETCHED)
    await take(ledger, Step.INSERT)
    await record(ledger, an_event("100-1", "order.cancelled"))

    assert await start(ledger, Step.CLOSE) == []
    assert await start(ledger, Step.INSERT) == []
    assert (await row_of(ledger)).landing == "insert_unknown"


async def test_illegal_moves_change_nothing(ledger: Ledger) -> None:
    """A move that the lifecycle does not allow is refused with both landings, and the whole end is undone."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    before = (await row_of(ledger)).model_dump()
    with pytest.raises(IllegalMove, match="fetched -> accept_unknown"):
        await end(ledger, done(work, Landing.ACCEPT_UNKNOWN, fields=STORE))

    assert (await row_of(ledger)).model_dump() == before
    assert len(await open_intents(ledger)) == len(await effects_of(ledger)) == 1


async def test_unknown_inserts_wait_for_their_first_probe(ledger: Ledger) -> None:
    """A create that nobody answered is due when its first search is, with the searches counted from zero."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    [after] = await end(ledger, unknown(work, Landing.INSERT_UNKNOWN, due_in=5))
    row = await row_of(ledger)

    assert (after.next_step, after.due_now, after.outcome) == (Step.PROBE_INSERT, False, OutcomeKind.UNKNOWN)
    assert (row.unknown_since, row.probes_missed, row.attempts) == (ledger.clock(), 0, 1)
    assert (row.due_at, row.lease_owner) == (ledger.clock() + timedelta(seconds=5), None)


async def _unknown_insert(ledger: Ledger) -> None:
    await bring_to(ledger, Landing.FETCHED)
    await end(ledger, unknown(await take(ledger, Step.INSERT), Landing.INSERT_UNKNOWN, due_in=5))


@pytest.mark.parametrize("status", ["order.received", "order.cancelled"])
async def test_news_do_not_bring_a_search_forward(ledger: Ledger, clock: VirtualClock, status: str) -> None:
    """Only searches at their distance prove that a create had no effect, whatever arrives in between."""
    await _unknown_insert(ledger)
    due = clock.now + timedelta(seconds=5)
    clock.forward(1)
    await record(ledger, an_event("100-1", status))

    assert (await row_of(ledger)).due_at == due


async def test_news_during_an_unknown_insert_do_not_bring_its_search_forward(ledger: Ledger) -> None:
    """A cancel that arrives while the create is under way leaves its first search where it belongs."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    await record(ledger, an_event("100-1", "order.cancelled"))
    [after] = await end(ledger, unknown(work, Landing.INSERT_UNKNOWN, due_in=5))

    assert (after.due_now, (await row_of(ledger)).due_at) == (False, ledger.clock() + timedelta(seconds=5))


async def test_settled_unknowns_are_forgotten(ledger: Ledger, clock: VirtualClock) -> None:
    """An insert that was found is inserted, its search is over, and its parking mark goes."""
    await _unknown_insert(ledger)
    clock.forward(5)
    work = await take(ledger, Step.PROBE_INSERT)
    reason = ("probe.conflict", "two orders carry our reference")
    await end(ledger, replace(not_yet(work, due_in=1, leave=True), park=reason))
    assert (await row_of(ledger)).parked_code == "probe.conflict"
    clock.forward(1)
    work = await take(ledger, Step.PROBE_INSERT)
    [after] = await end(ledger, done(work, Landing.INSERTED, fields=STORE, note_kind="found"))
    row = await row_of(ledger)

    assert (after.next_step, after.due_now) == (Step.ACCEPT, True)
    assert (row.unknown_since, row.probes_missed, row.parked_at, row.attempts) == (None, 0, None, 0)


async def test_refused_orders_are_parked_with_their_reason(ledger: Ledger) -> None:
    """A refusal parks the order, writes why into its story and tells the run that it is new."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    [after] = await end(ledger, refused(work))
    row = await row_of(ledger)

    assert (after.parked_code, after.newly_parked, after.next_step) == ("insert.unknown_sku", True, None)
    assert (row.due_at, row.lease_owner, row.settled_at) == (None, None, None)
    assert [(line.phase, line.kind) for line in await effects_of(ledger)][-1] == ("note", "park")
    assert (await effects_of(ledger))[-1].detail == row.parked_reason


@pytest.mark.parametrize("landed", [True, False])
async def test_news_during_a_step_win_over_parking(ledger: Ledger, landed: bool) -> None:
    """A cancel that arrives during the insert is acted upon at once, even when its end would park the order."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    await record(ledger, an_event("100-1", "order.cancelled"))
    parts: dict[str, Any] = {"landing": Landing.INSERTED, "fields": STORE} if landed else {"due_in": 3600.0}
    [after] = await end(ledger, refused(work, **parts))

    assert (after.parked_code, after.newly_parked, after.due_now) == (None, False, True)
    assert after.next_step is (Step.CANCEL_STORE if landed else Step.CLOSE)


async def test_a_decision_during_a_step_wins_over_parking(ledger: Ledger) -> None:
    """A person's cancel during a refused insert is not buried under the refusal's parking mark."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    async with ledger.write() as session:
        await session.execute(text("UPDATE source_order SET cancel_wanted = 'too late for us'"))
    [after] = await end(ledger, refused(work))

    assert (after.parked_code, after.next_step, after.due_now) == (None, Step.CANCEL_SOURCE, True)


async def test_not_yet_waits_and_counts(ledger: Ledger, clock: VirtualClock) -> None:
    """Each "not yet" counts and makes the order due later; a done effect starts the count anew."""
    await bring_to(ledger, Landing.FETCHED)
    for tries in (1, 2):
        work = await take(ledger, Step.INSERT)
        assert work.attempts == tries - 1
        [after] = await end(ledger, not_yet(work, due_in=60, leave=True))
        assert (after.due_now, (await row_of(ledger)).lease_owner) == (False, None)
        clock.forward(60)
    await end(ledger, done(await take(ledger, Step.INSERT), Landing.INSERTED, fields=STORE))

    assert (await row_of(ledger)).attempts == 0


async def test_retried_orders_stay_with_their_run(ledger: Ledger, other_ledger: Ledger) -> None:
    """Between Prefect's own retries of one run nobody else takes the order."""
    await bring_to(ledger, Landing.FETCHED)
    await end(ledger, not_yet(await take(ledger, Step.INSERT), due_in=0.0))

    assert await claim(other_ledger) == []
    assert len(await start(ledger, Step.INSERT)) == 1


async def test_told_statuses_are_learnt_after_the_park_is_judged(ledger: Ledger) -> None:
    """A status that the step's own read brought does not count as news that arrived during it."""
    await bring_to(ledger, Landing.INSERTED)
    work = await take(ledger, Step.ACCEPT)
    [after] = await end(ledger, refused(work, "accept.elsewhere", told_status=SourceStatus.ACCEPTED))
    row = await row_of(ledger)

    assert (row.source_status, after.parked_code) == ("ACCEPTED", "accept.elsewhere")


async def test_documents_are_kept_once_as_received(ledger: Ledger) -> None:
    """The same bytes are one document, other bytes another, and the row points at the newest."""
    await ready(ledger, "100-1")
    kept: list[int | None] = []
    for raw in (b"{}", b"[1]", b"{}"):
        work = await take(ledger, Step.FETCH) if not kept else (await start(ledger, Step.FETCH))[0]
        document = NewDocument(raw, raw.hex(), '{"total": "1.00"}', "h")
        await end(ledger, not_yet(work, due_in=0.0, document=document))
        kept.append((await row_of(ledger)).document_id)
    async with ledger.read() as session:
        rows = list(await session.exec(select(OrderRecord)))

    assert kept[0] == kept[2] != kept[1]
    assert sorted(row.raw for row in rows) == [b"[1]", b"{}"]


async def test_documents_can_be_mapped_later(ledger: Ledger) -> None:
    """Bytes that could not be mapped before a mapping was mended get their canonical order; none loses one."""
    await ready(ledger, "100-1")
    work = await take(ledger, Step.FETCH)
    for canonical, content in ((None, ""), ('{"a": 1}', "h1"), ('{"a": 2}', "h2"), (None, "")):
        await end(ledger, not_yet(work, due_in=0.0, document=NewDocument(b"{}", "s", canonical, content)))
    async with ledger.read() as session:
        [row] = list(await session.exec(select(OrderRecord)))

    assert (row.canonical, row.content_hash) == ('{"a": 2}', "h2")


async def test_ends_of_many_orders_are_apart(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """In one transaction each order's end is its own: done, parked, waiting and lost side by side."""
    orders = ["1-1", "1-2", "1-3", "1-4"]
    await bring_to(ledger, Landing.FETCHED, *orders)
    await claim(ledger)
    works = await start(ledger, Step.INSERT, orders)
    async with ledger.write() as session:
        await session.execute(text("UPDATE source_order SET lease_owner = 'x' WHERE source_order_id = '1-4'"))
    ends = [
        done(works[0], Landing.INSERTED, fields=STORE | {"total": Decimal("12.50")}),
        refused(works[1]),
        unknown(works[2], Landing.INSERT_UNKNOWN, due_in=5),
        done(works[3], Landing.INSERTED, fields=STORE),
    ]
    afters = await end(ledger, *ends)

    assert [after.lost for after in afters] == [False, False, False, True]
    assert [(await row_of(ledger, order)).landing for order in orders] == [
        "inserted",
        "fetched",
        "insert_unknown",
        "fetched",
    ]
    assert [intent.order_id for intent in await open_intents(ledger)] == [works[3].id]
    assert (await row_of(ledger, "1-1")).total == Decimal("12.5")


async def test_a_cancel_between_insert_and_accept_is_followed(ledger: Ledger) -> None:
    """An order that was inserted and then cancelled at Glopal is cancelled in the store and closed, never accepted."""
    await bring_to(ledger, Landing.INSERTED)
    await claim(ledger)
    await record(ledger, an_event("100-1", "order.cancelled"))
    assert await start(ledger, Step.ACCEPT) == []
    [work] = await start(ledger, Step.CANCEL_STORE)
    await end(ledger, done(work, Landing.STORE_CANCELLED, fields={"store_state": "cancelled"}))
    [work] = await start(ledger, Step.CLOSE)
    await end(ledger, done(work, Landing.CANCELLED, note_kind="close"))
    row = await row_of(ledger)

    assert (row.landing, row.settled_at, row.accepted_at) == ("cancelled", ledger.clock(), None)


async def test_settled_orders_wake_up_for_a_late_cancel(ledger: Ledger) -> None:
    """A cancel after the accept makes a settled order due again, to be cancelled in the store."""
    await bring_to(ledger, Landing.ACCEPTED)
    await release_orders(ledger)
    await record(ledger, an_event("100-1", "order.cancelled"))
    row = await row_of(ledger)

    assert (row.settled_at, row.reconciled_at) == (None, None)
    assert [claimed.step for claimed in await claim(ledger)] == [Step.CANCEL_STORE]
