"""Deadlines, warnings and the blast radius: never a cancel while a store order is possible, never too many at once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from ledger import Ledger
from ledger.leases import release_orders
from ledger.notices import Told
from ledger.policy import apply_deadlines, count_open, wake_received, warn_late
from ledger.queries import parked_orders
from models.lifecycle import Landing, Step
from models.settings import Policy
from models.tables import SourceOrder
from tests.ledger.kit import (
    ACCOUNT,
    HOLDING,
    RULES,
    an_event,
    bring_to,
    claim,
    done,
    effects_of,
    end,
    new_account,
    not_yet,
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


async def _apply(ledger: Ledger, *, allowed: bool = True, **policy: Any) -> list[Told]:
    return await apply_deadlines(ledger, ACCOUNT, Policy(**policy), RULES, cancel_allowed=allowed)


async def _late(ledger: Ledger, clock: VirtualClock, *orders: str, landing: Landing = Landing.FETCHED) -> None:
    """Orders that were worth 100.00 and are past their deadline."""
    await bring_to(ledger, landing, *orders)
    async with ledger.write() as session:
        await session.execute(update(SourceOrder).values(base_total=Decimal(100), base_currency="EUR"))
    clock.forward(hours=72)


async def test_nothing_happens_before_the_deadline(ledger: Ledger, clock: VirtualClock) -> None:
    """An order is left alone until its deadline, half-open: at that instant it is over."""
    await bring_to(ledger, Landing.FETCHED)
    clock.forward(-1, hours=72)
    assert await _apply(ledger, on_failure="cancel") == []
    clock.forward(1)

    assert len(await _apply(ledger, on_failure="cancel")) == 1


async def test_notify_parks_with_a_reason_and_tells_once(ledger: Ledger, clock: VirtualClock) -> None:
    """By default an order past its deadline waits for a person, who is told once."""
    await _late(ledger, clock)
    [told] = await _apply(ledger)
    row = await row_of(ledger)

    assert (told.event, told.code, told.source_order_id) == ("crossdock.order.late", "deadline", "100-1")
    assert (row.parked_code, row.due_at) == ("deadline", None)
    assert "72 hours after READY" in str(row.parked_reason)
    assert (await effects_of(ledger))[-1].kind == "park"
    assert await _apply(ledger) == []


async def test_cancel_wants_the_source_cancelled(ledger: Ledger, clock: VirtualClock) -> None:
    """With the cancel policy an order that never reached the store is cancelled next, and its value is on record."""
    await _late(ledger, clock)
    [told] = await _apply(ledger, on_failure="cancel")
    [line] = await effects_of(ledger)
    [claimed] = await claim(ledger)

    assert (told.event, told.code) == ("crossdock.order.late", "deadline_cancel")
    assert (claimed.step, line.kind, line.amount) == (Step.CANCEL_SOURCE, "auto_cancel", Decimal(100))
    assert (await row_of(ledger)).parked_at is None


async def test_parked_orders_are_cancelled_by_the_policy(ledger: Ledger, clock: VirtualClock) -> None:
    """An order that waited for a person until its deadline is cancelled all the same."""
    await bring_to(ledger, Landing.FETCHED)
    await end(ledger, refused(await take(ledger, Step.INSERT)))
    clock.forward(hours=72)
    await _apply(ledger, on_failure="cancel")

    assert [claimed.step for claimed in await claim(ledger)] == [Step.CANCEL_SOURCE]


async def test_cancel_stays_off_until_it_is_confirmed(ledger: Ledger, clock: VirtualClock) -> None:
    """While the account's cancel endpoint is not confirmed the policy only parks, and says why."""
    await _late(ledger, clock)
    [told] = await _apply(ledger, allowed=False, on_failure="cancel")

    assert (told.code, (await row_of(ledger)).cancel_wanted) == ("deadline", None)
    assert "cancel_confirmed" in told.reason


async def test_orders_in_the_store_are_never_cancelled_by_the_policy(ledger: Ledger, clock: VirtualClock) -> None:
    """S5: an order that has a store order is parked, whatever the policy."""
    await _late(ledger, clock, landing=Landing.INSERTED)
    [told] = await _apply(ledger, on_failure="cancel")

    assert (told.code, (await row_of(ledger)).cancel_wanted) == ("deadline", None)


async def _unknown_at_the_deadline(ledger: Ledger, clock: VirtualClock) -> None:
    await bring_to(ledger, Landing.FETCHED)
    clock.forward(-2, hours=72)
    await end(ledger, unknown(await take(ledger, Step.INSERT), Landing.INSERT_UNKNOWN, due_in=5))
    clock.forward(2)


async def test_unknown_inserts_are_never_cancelled(ledger: Ledger, clock: VirtualClock) -> None:
    """S5: while nobody knows whether a store order exists, people are told and the search goes on at its own pace."""
    await _unknown_at_the_deadline(ledger, clock)
    due = (await row_of(ledger)).due_at
    [told] = await _apply(ledger, on_failure="cancel")
    row = await row_of(ledger)

    assert "still unknown" in told.reason
    assert (row.parked_code, row.cancel_wanted, row.due_at) == ("deadline", None, due)


async def test_policy_comes_back_after_an_unknown_is_settled(ledger: Ledger, clock: VirtualClock) -> None:
    """An order whose search ends after its deadline is judged by the policy again, instead of being tried for ever."""
    await _unknown_at_the_deadline(ledger, clock)
    await _apply(ledger, on_failure="cancel")
    clock.forward(10)
    await end(ledger, done(await take(ledger, Step.PROBE_INSERT), Landing.FETCHED, note_kind="probe"))
    await release_orders(ledger)
    [told] = await _apply(ledger, on_failure="cancel")

    assert told.code == "deadline_cancel"


async def test_open_intents_are_looked_into_before_the_policy(ledger: Ledger, clock: VirtualClock) -> None:
    """S5: a process killed in the middle of an insert leaves an order that is not cancelled, but looked for."""
    await bring_to(ledger, Landing.FETCHED)
    await take(ledger, Step.INSERT)
    clock.forward(hours=72)
    assert await _apply(ledger, on_failure="cancel") == []

    assert [claimed.step for claimed in await claim(ledger)] == [Step.PROBE_INSERT]
    assert (await row_of(ledger)).cancel_wanted is None


async def test_orders_under_way_are_left_to_their_owner(ledger: Ledger, clock: VirtualClock) -> None:
    """An order that a live process holds just now is judged later."""
    await bring_to(ledger, Landing.FETCHED)
    clock.forward(hours=72)
    await claim(ledger)

    assert await _apply(ledger) == []


@pytest.mark.parametrize("status", ["CANCELLED", "ACCEPTED"])
async def test_other_statuses_are_not_cancelled(ledger: Ledger, clock: VirtualClock, status: str) -> None:
    """An order that Glopal cancelled is not late, and one that it says is accepted is never cancelled by the policy."""
    await _late(ledger, clock)
    async with ledger.write() as session:
        await session.execute(update(SourceOrder).values(source_status=status))
    told = await _apply(ledger, on_failure="cancel")

    assert [one.code for one in told] == ([] if status == "CANCELLED" else ["deadline"])
    assert (await row_of(ledger)).cancel_wanted is None


@pytest.mark.parametrize(
    ("limits", "cancelled"),
    [
        ({"max_cancels_per_hour": 3}, 3),
        ({"max_cancels_per_hour": 0}, 0),
        ({"max_cancel_value_per_hour": 250}, 2),
        ({"max_cancel_value_per_hour": 200}, 2),
        ({"max_cancel_value_per_hour": "199.99"}, 1),
    ],
)
async def test_blast_radius_stops_automatic_cancels(
    ledger: Ledger, clock: VirtualClock, limits: dict[str, Any], cancelled: int
) -> None:
    """Above the limit by count or by value of the last hour, nothing more is cancelled and people are asked."""
    await _late(ledger, clock, "1-1", "1-2", "1-3", "1-4", "1-5")
    told = await _apply(ledger, on_failure="cancel", **limits)

    assert [one.code for one in told] == ["deadline_cancel"] * cancelled + ["cancel_blocked"] * (5 - cancelled)
    assert {one.event for one in told[cancelled:]} == {"crossdock.cancel.blocked"}
    assert [parked.code for parked in await parked_orders(ledger, ACCOUNT)] == ["cancel_blocked"] * (5 - cancelled)


async def test_blast_radius_forgets_after_an_hour(ledger: Ledger, clock: VirtualClock) -> None:
    """Cancels of more than an hour ago, and those of other accounts, do not count."""
    await _late(ledger, clock, "1-1")
    assert [one.code for one in await _apply(ledger, on_failure="cancel", max_cancels_per_hour=1)] == [
        "deadline_cancel"
    ]
    await bring_to(ledger, Landing.FETCHED, "1-2")
    clock.forward(hours=72)

    assert [one.code for one in await _apply(ledger, on_failure="cancel", max_cancels_per_hour=1)] == [
        "deadline_cancel"
    ]


async def test_two_runs_share_one_blast_radius(ledger: Ledger, other_ledger: Ledger, clock: VirtualClock) -> None:
    """S14: two processes that apply the policy at once do not cancel more than the limit between them."""
    await _late(ledger, clock, *(f"1-{number}" for number in range(8)))
    both = await asyncio.gather(
        *(_apply(one, on_failure="cancel", max_cancels_per_hour=3) for one in (ledger, other_ledger) * 2)
    )

    codes = [one.code for told in both for one in told]
    assert sorted(codes) == ["cancel_blocked"] * 5 + ["deadline_cancel"] * 3


async def test_news_after_the_deadline_get_one_more_judgement(ledger: Ledger, clock: VirtualClock) -> None:
    """An order parked at its deadline and woken by a new status is parked again when it fails again."""
    await _late(ledger, clock)
    await _apply(ledger)
    await claim(ledger)
    async with ledger.write() as session:
        await session.execute(update(SourceOrder).values(source_status="RECEIVED"))
    await record(ledger, an_event("100-1"))
    assert (await row_of(ledger)).parked_at is None

    assert [one.code for one in await _apply(ledger)] == ["deadline"]


async def test_late_orders_are_warned_of_once(ledger: Ledger, clock: VirtualClock) -> None:
    """READY for longer than the account allows is told once, with when the policy acts; landed orders are not late."""
    await bring_to(ledger, Landing.FETCHED, "1-1")
    await bring_to(ledger, Landing.ACCEPTED, "1-2")
    await record(ledger, an_event("1-3", "order.received"), an_event("1-4"), an_event("1-4", "order.cancelled"))
    clock.forward(-1, hours=24)
    assert await warn_late(ledger, ACCOUNT, Policy()) == []
    clock.forward(1)
    [told] = await warn_late(ledger, ACCOUNT, Policy())

    assert (told.source_order_id, told.code) == ("1-1", "late")
    assert "the policy acts at 2026-03-04 12:00 UTC" in told.reason
    assert await warn_late(ledger, ACCOUNT, Policy()) == []
    assert await warn_late(ledger, new_account(), Policy()) == []


async def test_received_orders_are_woken_when_the_account_wants_them(ledger: Ledger) -> None:
    """Switching to early import makes the orders due that wait for READY, and no others."""
    await record(ledger, an_event("1-1", "order.received"), an_event("1-2", "order.received"), an_event("1-3"))
    assert await wake_received(ledger, ACCOUNT, HOLDING) == 2

    assert (await row_of(ledger, "1-1")).due_at == ledger.clock()
    assert await wake_received(ledger, ACCOUNT, HOLDING) == 0


async def test_every_order_is_counted_in_one_bucket(ledger: Ledger, clock: VirtualClock) -> None:
    """S16: the report's buckets add up to all orders of the account."""
    await bring_to(ledger, Landing.ACCEPTED, "1-1", "1-2")
    await bring_to(ledger, Landing.FETCHED, "1-3", "1-4", "1-5")
    await claim(ledger)
    [parked, lost] = await start(ledger, Step.INSERT, ["1-3", "1-4"])
    await end(ledger, refused(parked), unknown(lost, Landing.INSERT_UNKNOWN, due_in=5))
    await record(ledger, an_event("1-6", "order.received"), an_event("1-7", "return.requested"))
    await record(ledger, an_event("1-8", "order.cancelled"))
    await claim(ledger)
    await end(ledger, done((await start(ledger, Step.CLOSE, ["1-8"]))[0], Landing.CANCELLED))
    counts = await count_open(ledger, ACCOUNT)

    assert counts == {
        "landed": 2,
        "parked": 1,
        "outcome unknown": 1,
        "under way": 1,
        "waiting for the provider": 2,
        "cancelled": 1,
    }
    assert await count_open(ledger, new_account()) == {}


async def test_landed_orders_have_no_deadline_any_more(ledger: Ledger, clock: VirtualClock) -> None:
    """An order that was accepted in time is never judged."""
    await bring_to(ledger, Landing.ACCEPTED)
    clock.forward(hours=200)

    assert await _apply(ledger, on_failure="cancel") == await warn_late(ledger, ACCOUNT, Policy()) == []


async def test_the_deadline_counts_and_not_the_tries(ledger: Ledger, clock: VirtualClock) -> None:
    """However many tries fail, an order is tried until its deadline and judged then."""
    await ready(ledger, "100-1")
    for _ in range(12):
        work = await take(ledger, Step.FETCH)
        await end(ledger, not_yet(work, due_in=3600, leave=True))
        assert await _apply(ledger) == []
        clock.forward(hours=6)

    assert (await row_of(ledger)).attempts == 12
    assert [one.code for one in await _apply(ledger)] == ["deadline"]
