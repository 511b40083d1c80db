"""Who may act: two owners never hold one order, and an intent without an outcome is looked into first."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text, update

from ledger import Ledger
from ledger.leases import acquire_feed, claim_due, count_due, heartbeat, release_feed, release_orders
from ledger.queries import due_steps, next_due
from models.lifecycle import Landing, Step
from models.outcome import OutcomeKind
from models.tables import SourceOrder
from tests.ledger.kit import (
    ACCOUNT,
    HOLDING,
    RULES,
    STORE,
    Statements,
    an_event,
    bring_to,
    claim,
    done,
    effects_of,
    end,
    new_account,
    not_yet,
    open_intents,
    ready,
    record,
    row_of,
    start,
    take,
)
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio
ORDERS = [f"1-{number}" for number in range(12)]


async def test_two_owners_never_hold_the_same_order(ledger: Ledger, other_ledger: Ledger) -> None:
    """S14: whatever two processes claim at the same time, each order goes to one of them."""
    await ready(ledger, *ORDERS)
    both = await asyncio.gather(*(claim(one, limit=3) for _ in range(4) for one in (ledger, other_ledger)))
    ids = [claimed.id for part in both for claimed in part]

    assert len(ids) == len(set(ids)) == len(ORDERS)
    assert await claim(ledger) == await claim(other_ledger) == []


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_claims_skip_what_another_claims_just_now(ledger: Ledger, other_ledger: Ledger) -> None:
    """On PostgreSQL a claim neither waits for nor takes rows that another transaction is claiming."""
    await ready(ledger, *ORDERS)
    async with ledger.write() as session:
        locked = "SELECT id FROM source_order ORDER BY id LIMIT 5 FOR UPDATE"
        held = set((await session.execute(text(locked))).scalars())
        taken = await asyncio.wait_for(claim(other_ledger), 20)

    assert len(taken) == len(ORDERS) - 5
    assert not held & {claimed.id for claimed in taken}


async def test_claims_take_the_oldest_first_and_no_more_than_asked(ledger: Ledger, clock: VirtualClock) -> None:
    """The order that is due longest comes first; what is due later and what is not free stays."""
    for order in ("1-3", "1-1", "1-2"):
        await ready(ledger, order)
        clock.forward(1)
    first = await claim(ledger, limit=2)

    assert [claimed.source_order_id for claimed in first] == ["1-3", "1-1"]
    assert [(claimed.step, claimed.fence) for claimed in first] == [(Step.FETCH, 1)] * 2
    assert await count_due(ledger, ACCOUNT) == (1, 0)


async def test_claims_are_by_account(ledger: Ledger) -> None:
    """A run takes its own account's orders only."""
    await ready(ledger, "1-1")
    other = await claim_due(ledger, new_account(), limit=9, import_on="ready", first_probe=RULES.first_probe)

    assert other == []
    assert await count_due(ledger, new_account()) == (0, 0)


async def test_expired_leases_are_taken_over(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """A lease holds until its end; after it the order goes to the next one with a higher fencing number."""
    await ready(ledger, "100-1")
    [first] = await claim(ledger)
    clock.forward(90)
    assert await claim(other_ledger) == []
    clock.forward(1)
    [second] = await claim(other_ledger)

    assert (first.fence, second.fence) == (1, 2)
    assert (await row_of(ledger)).lease_owner == other_ledger.owner


async def test_an_owner_that_lost_its_lease_writes_nothing(
    ledger: Ledger, other_ledger: Ledger, clock: VirtualClock
) -> None:
    """A process that comes back after its lease ended, still alive, is told so and changes no row and no story."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    clock.forward(100)
    await claim(other_ledger)
    before = (await row_of(ledger)).model_dump(), len(await effects_of(ledger))
    [after] = await end(ledger, done(work, Landing.INSERTED, fields=STORE))

    assert (after.lost, after.due_now, after.next_step) == (True, False, None)
    assert ((await row_of(ledger)).model_dump(), len(await effects_of(ledger))) == before
    assert await start(ledger, Step.PROBE_INSERT) == []


async def test_the_same_owner_with_an_old_fence_writes_nothing(ledger: Ledger, clock: VirtualClock) -> None:
    """A process that lost an order and got it back does not take the end of its first try for its second."""
    await ready(ledger, "100-1")
    work = await take(ledger, Step.FETCH)
    clock.forward(100)
    await claim(ledger)
    [after] = await end(ledger, done(work, Landing.FETCHED))

    assert after.lost
    assert (await row_of(ledger)).landing == "seen"


async def test_heartbeats_prolong_every_lease(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """A process that beats keeps its orders and its feed for as long as it lives, and nobody else's."""
    await ready(ledger, "1-1", "1-2")
    await claim(ledger, limit=1)
    await claim(other_ledger, limit=1)
    assert await acquire_feed(ledger, "feed") == 1
    clock.forward(60)
    await heartbeat(ledger)
    clock.forward(60)

    assert await acquire_feed(other_ledger, "feed") is None
    assert [claimed.source_order_id for claimed in await claim(ledger)] == ["1-2"]
    assert await claim(other_ledger) == []
    assert ledger.lease_left() > 0


async def test_leases_are_given_back(ledger: Ledger, other_ledger: Ledger) -> None:
    """A process that ends gives back what it holds, and nothing that others hold."""
    await ready(ledger, "1-1", "1-2")
    await claim(ledger, limit=1)
    await claim(other_ledger, limit=1)
    await release_orders(ledger)

    assert [claimed.source_order_id for claimed in await claim(other_ledger)] == ["1-1"]
    assert ledger.lease_left() <= 0


LEFT_OPEN = [
    (Landing.FETCHED, Step.INSERT, Landing.INSERT_UNKNOWN, Step.PROBE_INSERT),
    (Landing.INSERTED, Step.ACCEPT, Landing.ACCEPT_UNKNOWN, Step.CHECK_ACCEPT),
]


@pytest.mark.parametrize(("reached", "step", "landing", "look"), LEFT_OPEN)
async def test_orphaned_intents_become_unknown(
    ledger: Ledger,
    other_ledger: Ledger,
    clock: VirtualClock,
    reached: Landing,
    step: Step,
    landing: Landing,
    look: Step,
) -> None:
    """After a kill between intent and outcome the next owner looks first, when the first probe is due."""
    await bring_to(ledger, reached)
    await take(ledger, step)
    intent_at = clock.now
    await release_orders(ledger)
    assert await claim(other_ledger) == []
    row = await row_of(ledger)

    assert (row.landing, row.unknown_since, row.probes_missed) == (landing.value, intent_at, 0)
    assert (row.due_at, row.lease_owner) == (intent_at + RULES.first_probe, None)
    assert await open_intents(ledger) == []
    last = (await effects_of(ledger))[-1]
    assert (last.phase, last.kind, last.outcome) == ("outcome", step.value, OutcomeKind.UNKNOWN.value)
    clock.forward(5)
    assert [claimed.step for claimed in await claim(other_ledger)] == [look]


async def test_late_orphans_are_looked_into_at_once(ledger: Ledger, clock: VirtualClock) -> None:
    """When the first probe's time is over already, the order is claimed for its look in the same run."""
    await bring_to(ledger, Landing.FETCHED)
    await take(ledger, Step.INSERT)
    clock.forward(600)

    assert [claimed.step for claimed in await claim(ledger)] == [Step.PROBE_INSERT]


@pytest.mark.parametrize(("status", "step"), [("order.ready", Step.RELEASE), ("order.cancelled", Step.CANCEL_STORE)])
async def test_orphans_of_repeatable_effects_are_repeated(ledger: Ledger, status: str, step: Step) -> None:
    """Release and the store's cancel may simply be asked again, and their open intent is closed before."""
    await record(ledger, an_event("100-1", "order.received"), rules=HOLDING)
    work = await take(ledger, Step.FETCH, rules=HOLDING)
    await end(ledger, done(work, Landing.FETCHED, fields={"document_status": "READY"}), rules=HOLDING)
    [work] = await start(ledger, Step.INSERT_HELD, rules=HOLDING)
    await end(ledger, done(work, Landing.HELD, fields=STORE), rules=HOLDING)
    await record(ledger, an_event("100-1", status), rules=HOLDING)
    await take(ledger, step, rules=HOLDING)
    await release_orders(ledger)

    assert [claimed.step for claimed in await claim(ledger, rules=HOLDING)] == [step]
    assert await open_intents(ledger) == []
    [work] = await start(ledger, step, rules=HOLDING)
    assert [intent.kind for intent in await open_intents(ledger)] == [step.value]


@pytest.mark.parametrize("backend", ["postgresql"])
async def test_rows_are_locked_in_one_order(ledger: Ledger) -> None:
    """Whoever waits for locks takes them by row id, so that two writers cannot wait for each other for ever."""
    await bring_to(ledger, Landing.FETCHED, *ORDERS)
    with Statements(ledger) as seen:
        await claim(ledger)
        works = await start(ledger, Step.INSERT, ORDERS)
        await heartbeat(ledger)
        await end(ledger, *(done(work, Landing.INSERTED, fields=STORE) for work in works))
        await record(ledger, *(an_event(order, "order.cancelled") for order in ORDERS))
        await release_orders(ledger)
    locking = [
        one
        for one in seen
        if "FROM source_order" in one
        and ("FOR UPDATE" in one or "FOR NO KEY UPDATE" in one)
        and "SKIP LOCKED" not in one
    ]

    assert len(locking) == 5
    plain = [" ".join(one.split()).replace("FOR NO KEY UPDATE", "FOR UPDATE") for one in locking]
    assert all("ORDER BY source_order.id FOR UPDATE" in one for one in plain)


async def test_feeds_have_one_reader(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """One process reads a feed at a time; each new reader has a higher fencing number, feeds are apart."""
    fences = await asyncio.gather(*(acquire_feed(one, "feed") for one in (ledger, other_ledger)))
    assert sorted(fences, key=str) == [1, None]
    holder, other = (ledger, other_ledger) if fences[0] else (other_ledger, ledger)

    assert await acquire_feed(other, "another feed") == 1
    clock.forward(91)
    assert await acquire_feed(other, "feed") == 2
    await release_feed(holder, "feed")
    assert await acquire_feed(holder, "feed") is None
    await release_feed(other, "feed")
    assert await acquire_feed(holder, "feed") == 3


async def test_orders_without_a_step_are_put_to_rest(ledger: Ledger) -> None:
    """A row that is due by mistake is not claimed, and is not due any more."""
    await record(ledger, an_event("100-1", "order.received"))
    async with ledger.write() as session:
        await session.execute(update(SourceOrder).values(due_at=ledger.clock()))

    assert await claim(ledger) == []
    assert (await row_of(ledger)).due_at is None


async def test_plans_claim_nothing(ledger: Ledger, clock: VirtualClock) -> None:
    """Asking what is due, and when next, shows free orders and takes none."""
    await bring_to(ledger, Landing.FETCHED, "1-1")
    work = await take(ledger, Step.INSERT, "1-1")
    await end(ledger, not_yet(work, due_in=30, leave=True))
    await ready(ledger, "1-2")
    await claim(ledger)

    assert await next_due(ledger, ACCOUNT, timedelta(seconds=29)) is None
    assert await next_due(ledger, ACCOUNT, timedelta(seconds=30)) == clock.now + timedelta(seconds=30)
    assert [(order, step) for order, step, _ in await due_steps(ledger, ACCOUNT, "ready", 9)] == [("1-2", Step.FETCH)]
    clock.forward(30)
    assert len(await due_steps(ledger, ACCOUNT, "ready", 9)) == 2
    assert len(await due_steps(ledger, ACCOUNT, "ready", 1)) == 1
