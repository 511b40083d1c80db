"""Parked orders that move on by themselves: which, when, one for all that wait for the same, and told only once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from ledger import Ledger
from ledger.decisions import CannotDecide, Decision, decide
from ledger.resume import LONGEST_WAIT, Kind, follow, resume_refused, resume_unreadable
from ledger.steps import After
from models.lifecycle import Landing, Step
from models.tables import Notice
from tests.ledger.kit import (
    ACCOUNT,
    RULES,
    STORE,
    an_event,
    bring_to,
    claim,
    done,
    effects_of,
    end,
    id_of,
    new_account,
    not_yet,
    record,
    refused,
    row_of,
    start,
)
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio
EDITED = replace(RULES, mapping="edited")
WAIT = 60.0


async def turn_down(ledger: Ledger, code: str = "insert.unknown_sku", *orders: str, reason: str = "") -> list[After]:
    """The store refuses fetched orders that are due."""
    await claim(ledger)
    works = await start(ledger, Step.INSERT, orders or ("100-1",))
    ends = [refused(work, code) for work in works]
    if reason:
        ends = [replace(one, park=(code, reason.format(one.work.source_order_id))) for one in ends]
    return await end(ledger, *ends)


async def parked(ledger: Ledger, *orders: str, code: str = "insert.unknown_sku", reason: str = "") -> None:
    """Orders that wait because the store refused them."""
    await bring_to(ledger, Landing.FETCHED, *(orders or ("100-1",)))
    await turn_down(ledger, code, *(orders or ("100-1",)), reason=reason)


async def unreadable(ledger: Ledger, code: str = "document.missing_field", order: str = "100-1") -> None:
    """An order whose document could not be read."""
    await record(ledger, an_event(order))
    await claim(ledger)
    [work] = await start(ledger, Step.FETCH, [order])
    await end(ledger, refused(work, code))


async def again(ledger: Ledger, wait: float = WAIT) -> list[Kind]:
    """What is tried again now."""
    return await resume_refused(ledger, ACCOUNT, RULES, wait)


async def told(ledger: Ledger) -> list[str]:
    """What people were told, by code."""
    async with ledger.read() as session:
        return list(await session.exec(select(Notice.code).order_by(col(Notice.id))))


# ---------------------------------------------------------------------------- the mapping


async def test_an_edited_mapping_puts_unreadable_orders_in_line(ledger: Ledger) -> None:
    """What could not be read with the old mapping is read again with the new one, once for each edit."""
    await unreadable(ledger)
    assert await resume_unreadable(ledger, ACCOUNT, RULES) == 0
    assert await resume_unreadable(ledger, new_account(), EDITED) == 0
    assert await resume_unreadable(ledger, ACCOUNT, EDITED) == 1
    row = await row_of(ledger)
    assert (row.parked_at, row.parked_code, row.parked_with, row.due_at) == (None, None, None, ledger.clock())
    line = (await effects_of(ledger))[-1]
    assert line.kind == "resume"
    assert "mapping was edited" in line.detail
    assert "document.missing_field" in line.detail
    [claimed] = await claim(ledger)
    assert claimed.step is Step.FETCH
    [work] = await start(ledger, Step.FETCH)
    [after] = await end(ledger, refused(work, "document.missing_field"), rules=EDITED)
    assert after.newly_parked
    assert await resume_unreadable(ledger, ACCOUNT, EDITED) == 0
    assert await resume_unreadable(ledger, ACCOUNT, RULES) == 1


async def test_a_parking_of_an_earlier_release_gets_one_try(ledger: Ledger) -> None:
    """Nobody wrote down which mapping it was; it is read again once, and then waits for an edit."""
    await unreadable(ledger)
    async with ledger.write() as session:
        await session.execute(text("UPDATE source_order SET parked_with = NULL"))
    assert await resume_unreadable(ledger, ACCOUNT, RULES) == 1
    assert await resume_unreadable(ledger, ACCOUNT, RULES) == 0


async def test_the_mapping_mends_nothing_else(ledger: Ledger) -> None:
    """Orders that wait for another reason, one that only looks alike included, wait on."""
    codes = ["document.changed_after_import", "insert.unknown_sku", "insert.total_differs", "documents", "deadline"]
    for number, code in enumerate(codes):
        await unreadable(ledger, code, f"100-{number}")
    assert await resume_unreadable(ledger, ACCOUNT, EDITED) == 0
    assert [(await row_of(ledger, f"100-{number}")).parked_code for number in range(len(codes))] == codes


# ---------------------------------------------------------------------------- the store


@pytest.mark.parametrize("code", ["insert.unknown_sku", "insert.out_of_stock"])
async def test_a_refused_order_is_tried_again(ledger: Ledger, clock: VirtualClock, code: str) -> None:
    """After the first wait an order that the store refused is due again, and lands once the store takes it."""
    await parked(ledger, code=code)
    assert await again(ledger) == []
    clock.forward(WAIT)
    [kind] = await again(ledger)
    assert (kind.code, kind.first, kind.others) == (code, await id_of(ledger), [])
    [claimed] = await claim(ledger)
    assert claimed.step is Step.INSERT
    [work] = await start(ledger, Step.INSERT)
    await end(ledger, done(work, Landing.INSERTED, fields=dict(STORE)))
    row = await row_of(ledger)
    assert (row.parked_code, row.parked_reason, row.refused_since, row.rechecked_at) == (None, None, None, None)


async def test_other_refusals_wait_for_a_person(ledger: Ledger, clock: VirtualClock) -> None:
    """Only what ends by itself is tried by itself."""
    for number, code in enumerate(["insert.invalid_order", "insert.total_differs", "accept.elsewhere", "bad_id"]):
        await parked(ledger, f"100-{number}", code=code)
    clock.forward(hours=24)
    assert await again(ledger) == []


async def test_no_wait_means_never(ledger: Ledger, clock: VirtualClock) -> None:
    """An account may switch it off."""
    await parked(ledger)
    clock.forward(hours=24)
    assert await again(ledger, 0.0) == []
    assert (await row_of(ledger)).parked_at is not None


async def test_a_second_refusal_is_no_news(ledger: Ledger, clock: VirtualClock) -> None:
    """Refused again for the same reason, it waits on: no second notice, no second line, not newly parked."""
    await parked(ledger)
    since = clock.now
    lines = [line.kind for line in await effects_of(ledger)]
    assert (await told(ledger), lines.count("park")) == (["insert.unknown_sku"], 1)
    clock.forward(WAIT)
    await again(ledger)
    [after] = await turn_down(ledger)
    assert not after.newly_parked
    row = await row_of(ledger)
    assert (row.parked_code, row.parked_at, row.refused_since) == ("insert.unknown_sku", clock.now, since)
    assert await told(ledger) == ["insert.unknown_sku"]
    assert [line.kind for line in await effects_of(ledger)].count("park") == 1


async def test_another_reason_is_news(ledger: Ledger, clock: VirtualClock) -> None:
    """Refused again for another reason, people hear of it."""
    await parked(ledger)
    clock.forward(WAIT)
    await again(ledger)
    [after] = await turn_down(ledger, "insert.out_of_stock")
    assert after.newly_parked
    assert await told(ledger) == ["insert.unknown_sku", "insert.out_of_stock"]


async def _tries(ledger: Ledger, clock: VirtualClock, wait: float, hours: float, every: int) -> list[datetime]:
    """When an order that is refused for ever is tried, with a poll every so many minutes."""
    await parked(ledger)
    times: list[datetime] = []
    for _ in range(int(60 * hours) // every):
        clock.forward(60 * every)
        if await again(ledger, wait):
            times.append(clock.now)
            await turn_down(ledger)
    return times


async def test_the_longer_it_waits_the_rarer_it_is_tried(ledger: Ledger, clock: VirtualClock) -> None:
    """Tries come at first after the first wait, then further and further apart, and never further than the longest."""
    times = await _tries(ledger, clock, WAIT, 14, every=2)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] == timedelta(minutes=2)
    assert gaps == sorted(gaps)
    assert max(gaps) == LONGEST_WAIT
    assert 14 < len(times) < 14 * 4


async def test_a_long_first_wait_is_kept(ledger: Ledger, clock: VirtualClock) -> None:
    """An account that wants an hour between tries has an hour between them, longer than our own longest or not."""
    times = await _tries(ledger, clock, 3600.0, 4, every=10)
    gaps = {later - earlier for earlier, later in pairwise(times)}
    assert gaps == {timedelta(hours=1)}


async def test_of_many_that_wait_for_the_same_one_is_tried(ledger: Ledger, clock: VirtualClock) -> None:
    """The one that waits longest is tried for all; another SKU is another kind, the order's own name is none."""
    names = ("100-1", "100-2", "100-3")
    await parked(ledger, *names, reason="order {}: the store does not know SKU X-1")
    clock.forward(1)
    await parked(ledger, "100-4", reason="order {}: the store does not know SKU X-2")
    clock.forward(WAIT)
    first, second = await again(ledger)
    ids = [await id_of(ledger, name) for name in (*names, "100-4")]
    assert (first.first, first.others) == (ids[0], ids[1:3])
    assert (second.first, second.others) == (ids[3], [])
    assert [claimed.source_order_id for claimed in await claim(ledger)] == ["100-1", "100-4"]
    # Not before the one that is under way came to rest.
    assert await follow(ledger, RULES, [first, second]) == 0
    works = await start(ledger, Step.INSERT, ["100-1", "100-4"])
    await end(ledger, done(works[0], Landing.INSERTED, fields=dict(STORE)), refused(works[1]))
    assert await follow(ledger, RULES, [first, second]) == 2
    followed = {claimed.source_order_id for claimed in await claim(ledger)}
    assert {"100-2", "100-3"} <= followed
    assert (await row_of(ledger, "100-4")).parked_at is not None


async def test_one_that_cannot_be_tried_now_proves_nothing(ledger: Ledger, clock: VirtualClock) -> None:
    """When the store cannot be reached for the one that is tried, the others wait on."""
    await parked(ledger, "100-1", "100-2")
    clock.forward(WAIT)
    kinds = await again(ledger)
    await claim(ledger)
    [work] = await start(ledger, Step.INSERT)
    await end(ledger, not_yet(work, due_in=30.0))
    assert await follow(ledger, RULES, kinds) == 0
    assert (await row_of(ledger, "100-2")).parked_at is not None


@pytest.mark.parametrize("decision", ["cancel", "settle"])
async def test_a_persons_decision_stands(ledger: Ledger, clock: VirtualClock, decision: Decision) -> None:
    """What a person cancelled or settled is not tried again, nor put back in line with the others of its kind."""
    await parked(ledger, "100-1", "100-2")
    await decide(ledger, await id_of(ledger, "100-1"), decision, "we know better", RULES)
    before = (await row_of(ledger, "100-1")).model_dump()
    clock.forward(WAIT)
    [kind] = await again(ledger)
    assert (kind.first, kind.others) == (await id_of(ledger, "100-2"), [])
    await claim(ledger)
    [work] = await start(ledger, Step.INSERT, ["100-2"])
    await end(ledger, done(work, Landing.INSERTED, fields=dict(STORE)))
    # Decided after the kinds were listed: it is still in the list that is followed.
    await follow(ledger, RULES, [with_others(kind, await id_of(ledger, "100-1"))])
    after = (await row_of(ledger, "100-1")).model_dump()
    leases = ("lease_owner", "lease_until", "fence", "updated_at")
    assert {**after, **dict.fromkeys(leases)} == {**before, **dict.fromkeys(leases)}
    assert after["parked_code"] is None


def with_others(kind: Kind, *others: int) -> Kind:
    """The same kind with other followers."""
    return Kind(kind.code, kind.reason, kind.first, list(others))


@pytest.mark.parametrize("decision", ["cancel", "settle"])
async def test_a_decision_while_it_is_tried_stands(ledger: Ledger, clock: VirtualClock, decision: Decision) -> None:
    """A person who cancels an order that is just being tried again is obeyed; one that does not wait is not settled."""
    await parked(ledger)
    clock.forward(WAIT)
    await again(ledger)
    await claim(ledger)
    [work] = await start(ledger, Step.INSERT)
    if decision == "settle":
        with pytest.raises(CannotDecide, match="does not wait for a person"):
            await decide(ledger, await id_of(ledger), decision, "we know better", RULES)
        await end(ledger, refused(work))
        assert (await row_of(ledger)).parked_code == "insert.unknown_sku"
        return
    await decide(ledger, await id_of(ledger), decision, "we know better", RULES)
    [after] = await end(ledger, refused(work))
    assert after.next_step is Step.CANCEL_SOURCE
    clock.forward(hours=1)
    assert await again(ledger) == []


async def test_a_recheck_keeps_its_deadline(ledger: Ledger, clock: VirtualClock) -> None:
    """Trying again by itself takes nothing back that the account's policy did."""
    await parked(ledger)
    before = await row_of(ledger)
    clock.forward(WAIT)
    await again(ledger)
    row = await row_of(ledger)
    assert (row.deadline_at, row.deadline_applied_at) == (before.deadline_at, before.deadline_applied_at)
