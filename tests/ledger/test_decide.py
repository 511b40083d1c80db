"""What a person decides about an order, and what nobody may decide."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from ledger import Ledger
from ledger.decisions import CannotDecide, Decision, decide
from ledger.policy import apply_deadlines
from models.lifecycle import Landing, Step
from models.settings import Policy
from models.tables import SourceOrder
from tests.ledger.kit import (
    ACCOUNT,
    RULES,
    an_event,
    bring_to,
    claim,
    done,
    effects_of,
    end,
    id_of,
    record,
    refused,
    row_of,
    take,
    unknown,
)
from tests.support import VirtualClock

pytestmark = pytest.mark.asyncio
BOTH = pytest.mark.parametrize("decision", ["retry", "cancel"])


async def _parked(ledger: Ledger, landing: Landing = Landing.FETCHED) -> int:
    await bring_to(ledger, landing)
    step = Step.INSERT if landing is Landing.FETCHED else Step.ACCEPT
    await end(ledger, refused(await take(ledger, step)))
    return await id_of(ledger)


async def test_retry_puts_an_order_back_in_line(ledger: Ledger) -> None:
    """A parked order that a person retries is due at once, and the person's words are in its story."""
    order_id = await _parked(ledger)
    said = await decide(ledger, order_id, "retry", "SKU was added", RULES)
    row = await row_of(ledger)

    assert (said, row.parked_at, row.due_at, row.attempts) == ("insert", None, ledger.clock(), 0)
    assert (await effects_of(ledger))[-1].detail == "a person decided: retry. SKU was added"
    assert [claimed.step for claimed in await claim(ledger)] == [Step.INSERT]


@pytest.mark.parametrize(
    ("landing", "step"), [(Landing.FETCHED, Step.CANCEL_SOURCE), (Landing.INSERTED, Step.CANCEL_STORE)]
)
async def test_cancel_takes_the_store_order_first(ledger: Ledger, landing: Landing, step: Step) -> None:
    """A person's cancel goes to a live store order first, and to the provider when there is none."""
    order_id = await _parked(ledger, landing)
    said = await decide(ledger, order_id, "cancel", "fraud", RULES)

    assert (said, (await row_of(ledger)).cancel_wanted) == (step.value, "fraud")
    assert [claimed.step for claimed in await claim(ledger)] == [step]


async def test_retry_after_the_deadline_gives_a_new_one(ledger: Ledger, clock: VirtualClock) -> None:
    """Retrying a late order starts a new deadline, or the policy would park it again at once."""
    await bring_to(ledger, Landing.FETCHED)
    clock.forward(hours=80)
    await apply_deadlines(ledger, ACCOUNT, Policy(), RULES, cancel_allowed=False)
    await decide(ledger, await id_of(ledger), "retry", "", RULES)
    row = await row_of(ledger)

    assert (row.deadline_at, row.deadline_applied_at) == (clock.now + RULES.deadline, None)
    assert await apply_deadlines(ledger, ACCOUNT, Policy(), RULES, cancel_allowed=False) == []


async def test_unknown_outcomes_cannot_be_cancelled(ledger: Ledger, clock: VirtualClock) -> None:
    """S5: a cancel while a call's outcome is unknown is refused; a retry brings no search forward."""
    await bring_to(ledger, Landing.FETCHED)
    await end(ledger, unknown(await take(ledger, Step.INSERT), Landing.INSERT_UNKNOWN, due_in=5))
    with pytest.raises(CannotDecide, match="outcome of a call is unknown"):
        await decide(ledger, await id_of(ledger), "cancel", "", RULES)
    clock.forward(1)
    for _ in range(4):
        await decide(ledger, await id_of(ledger), "retry", "", RULES)
    row = await row_of(ledger)

    assert (row.cancel_wanted, row.due_at) == (None, clock.now + timedelta(seconds=4))


@BOTH
@pytest.mark.parametrize("cancelled", [True, False])
async def test_settled_orders_have_nothing_to_decide(ledger: Ledger, decision: Decision, cancelled: bool) -> None:
    """Neither an accepted nor a cancelled order can be retried or cancelled."""
    if cancelled:
        await record(ledger, an_event("100-1", "order.cancelled"))
        await end(ledger, done(await take(ledger, Step.CLOSE), Landing.CANCELLED))
    else:
        await bring_to(ledger, Landing.ACCEPTED)
    with pytest.raises(CannotDecide, match="is settled"):
        await decide(ledger, await id_of(ledger), decision, "", RULES)


async def test_accepted_orders_are_not_also_cancelled(ledger: Ledger) -> None:
    """S3: an accepted order that is parked (its store refused a late cancel) cannot be cancelled at the provider."""
    await bring_to(ledger, Landing.ACCEPTED)
    await record(ledger, an_event("100-1", "order.cancelled"))
    await end(ledger, refused(await take(ledger, Step.CANCEL_STORE), "cancel.already_shipped"))
    with pytest.raises(CannotDecide, match="never also cancels"):
        await decide(ledger, await id_of(ledger), "cancel", "", RULES)

    assert (await row_of(ledger)).parked_code == "cancel.already_shipped"
    assert await decide(ledger, await id_of(ledger), "retry", "", RULES) == "cancel_store"


async def test_an_order_cancelled_in_the_store_is_not_created_twice(ledger: Ledger) -> None:
    """Retrying an order whose store order was cancelled by hand is refused; cancelling it at the provider is not."""
    await bring_to(ledger, Landing.FETCHED)
    work = await take(ledger, Step.INSERT)
    await end(ledger, refused(work, "insert.store_cancelled", landing=Landing.STORE_CANCELLED))
    with pytest.raises(CannotDecide, match="cancelled in the store"):
        await decide(ledger, await id_of(ledger), "retry", "", RULES)
    assert (await row_of(ledger)).parked_code == "insert.store_cancelled"

    assert await decide(ledger, await id_of(ledger), "cancel", "", RULES) == "cancel_source"


async def test_unknown_orders_cannot_be_decided(ledger: Ledger) -> None:
    """An order id that the ledger does not have is an error of its own."""
    with pytest.raises(CannotDecide, match="there is no order 7"):
        await decide(ledger, 7, "retry", "", RULES)


@BOTH
async def test_orders_with_a_bad_id_stay_parked(ledger: Ledger, decision: Decision) -> None:
    """Nothing that a person decides puts an unsafe order id into a web address."""
    await record(ledger, an_event("../x"))
    async with ledger.write() as session:
        await session.execute(update(SourceOrder).values(source_status="READY"))
    order_id = await id_of(ledger, "../x")
    with pytest.raises(CannotDecide, match="never put into a web address"):
        await decide(ledger, order_id, decision, "", RULES)

    assert ((await row_of(ledger, "../x")).parked_code, await claim(ledger)) == ("bad_id", [])


async def test_refused_decisions_change_nothing(ledger: Ledger) -> None:
    """A decision that does not fit writes no line and no column."""
    await bring_to(ledger, Landing.ACCEPTED)
    before = (await row_of(ledger)).model_dump(), len(await effects_of(ledger))
    with pytest.raises(CannotDecide):
        await decide(ledger, await id_of(ledger), "cancel", "", RULES)

    assert ((await row_of(ledger)).model_dump(), len(await effects_of(ledger))) == before


async def test_settling_closes_what_a_person_put_right(ledger: Ledger) -> None:
    """A parked order that a person put right by hand is settled, with the person's words, and left alone."""
    order_id = await _parked(ledger)
    assert await decide(ledger, order_id, "settle", "entered by hand as 4711", RULES) is None
    row = await row_of(ledger)

    assert (row.closed_why, row.settled_at, row.parked_at) == ("entered by hand as 4711", ledger.clock(), None)
    assert await claim(ledger) == []


async def test_only_parked_orders_are_settled(ledger: Ledger) -> None:
    """An order that is under way cannot be closed by hand."""
    await bring_to(ledger, Landing.FETCHED)
    with pytest.raises(CannotDecide, match="does not wait for a person"):
        await decide(ledger, await id_of(ledger), "settle", "", RULES)


async def test_a_late_cancel_opens_a_settled_order_again(ledger: Ledger) -> None:
    """When Glopal cancels an order that a person had settled, its store order is still to be cancelled."""
    order_id = await _parked(ledger, Landing.INSERTED)
    await decide(ledger, order_id, "settle", "accepted in Glopal's console", RULES)
    await record(ledger, an_event("100-1", "order.cancelled"))

    assert [claimed.step for claimed in await claim(ledger)] == [Step.CANCEL_STORE]


@pytest.mark.parametrize("decision", ["retry", "cancel", "settle"])
async def test_dry_runs_of_decisions_change_nothing(ledger: Ledger, decision: Decision) -> None:
    """Asking what a decision would do says the next step and writes nothing."""
    order_id = await _parked(ledger)
    before = (await row_of(ledger)).model_dump(), len(await effects_of(ledger))
    said = await decide(ledger, order_id, decision, "", RULES, dry_run=True)

    assert said == {"retry": Step.INSERT, "cancel": Step.CANCEL_SOURCE, "settle": None}[decision]
    assert ((await row_of(ledger)).model_dump(), len(await effects_of(ledger))) == before


async def test_cancels_wait_for_a_confirmed_endpoint(ledger: Ledger) -> None:
    """While the cancel endpoint is not confirmed, a person's cancel does not cancel the store order either."""
    order_id = await _parked(ledger, Landing.INSERTED)
    with pytest.raises(CannotDecide, match="cancel_confirmed"):
        await decide(ledger, order_id, "cancel", "", RULES, cancel_allowed=False)

    assert (await row_of(ledger)).cancel_wanted is None


async def test_retry_takes_a_cancel_back(ledger: Ledger) -> None:
    """A cancel that was decided and could not be done yet is taken back by a retry."""
    order_id = await _parked(ledger, Landing.INSERTED)
    await decide(ledger, order_id, "cancel", "a mistake", RULES)
    await end(ledger, refused(await take(ledger, Step.CANCEL_STORE), "cancel.already_shipped"))

    assert await decide(ledger, order_id, "retry", "it shipped", RULES) is Step.ACCEPT
    assert (await row_of(ledger)).cancel_wanted is None
