"""Cancel on both sides: the store's order when the provider cancelled, the provider's when it cannot be landed."""

from __future__ import annotations

from prefect import task

from ledger.steps import StepEnd, Work
from models.glopal import OrderHead
from models.ids import Reference, StoreOrderId
from models.lifecycle import Landing, SourceStatus, Step
from models.outcome import Done, NotYet, OutcomeKind, RefusalCode, Refused
from stores.protocol import StoreOrder, StoreState
from tasks.batch import TASK_OPTIONS, BatchResult, One, run_batch
from tasks.ends import not_yet, refused, still_unknown
from tasks.runtime import Runtime, current


@task(name="cancel-orders", task_run_name="{step} {label}", tags=["crossdock", "cancel"], **TASK_OPTIONS)
async def cancel_orders(order_ids: list[int], step: str, label: str) -> BatchResult:  # noqa: ARG001 - names the run
    """Cancel orders in the store or at the provider, or settle what an earlier cancel left open.

    Args:
        order_ids: the ledger's ids, one or more.
        step: cancel_store, cancel_source, check_source_cancel or close.
        label: what people read: the order's id, or how many orders.
    """
    runtime = current()
    in_store = {Step.CANCEL_STORE.value, Step.CLOSE.value}
    side = runtime.store_side if step in in_store else runtime.provider_side
    return await run_batch(runtime, order_ids, Step(step), STEPS[Step(step)], side)


async def cancel_store_one(runtime: Runtime, work: Work) -> StepEnd:
    """Cancel the store order. A store that refuses because it shipped is an outcome, not an error."""
    side = runtime.store_side
    reason = work.cancel_wanted or "cancelled by Glopal"
    outcome = await runtime.store.cancel(StoreOrderId(work.store_order_id or ""), reason)
    if isinstance(outcome, Done):
        side.well()
        how = "was cancelled in the store already" if outcome.already else "cancelled in the store"
        return StepEnd(
            work,
            OutcomeKind.DONE,
            f"store order {work.store_order_number} {how}",
            landing=Landing.STORE_CANCELLED,
            fields={"store_state": outcome.value.state.value},
        )
    if isinstance(outcome, NotYet):
        return not_yet(runtime, work, side, outcome)
    if isinstance(outcome, Refused):
        side.well()
        return refused(runtime, work, side, outcome, "cancel")
    # Idempotent by the store protocol: asking again is looking.
    side.not_yet(outcome.message)
    return StepEnd(work, OutcomeKind.UNKNOWN, outcome.message, due_in=runtime.wait(work.attempts), leave=True)


async def cancel_source_one(runtime: Runtime, work: Work) -> StepEnd:
    """Cancel at the provider, who then refunds the buyer in full; only after the store said that it has no order."""
    if not runtime.account.cancel_confirmed:
        reason = (
            "cancelling at Glopal is switched off: its endpoint is an assumption until Glopal confirmed it; set "
            f"accounts.{runtime.name}.cancel_confirmed, or cancel the order in Glopal's own console"
        )
        return StepEnd(work, OutcomeKind.REFUSED, reason, park=("cancel.not_confirmed", reason))
    found = await runtime.store.find(Reference(work.reference))
    if not isinstance(found, Done):
        if isinstance(found, NotYet):
            return not_yet(runtime, work, runtime.store_side, found)
        if isinstance(found, Refused):
            return refused(runtime, work, runtime.store_side, found, "cancel")
        return still_unknown(runtime, work, runtime.store_side, found)
    if found.value is not None and found.value.state.live:
        return _live_after_all(work, found.value)
    side = runtime.provider_side
    accepted = await _accepted_meanwhile(runtime, work)
    if accepted is not None:
        return accepted
    outcome = await runtime.client.cancel(work.source_order_id, work.cancel_wanted or "cannot be fulfilled")
    if isinstance(outcome, Done):
        side.well()
        return StepEnd(
            work,
            OutcomeKind.DONE,
            "cancelled at Glopal; the buyer is refunded in full",
            landing=Landing.CANCELLED,
            told_status=SourceStatus.CANCELLED,
        )
    if isinstance(outcome, NotYet):
        return not_yet(runtime, work, side, outcome)
    if isinstance(outcome, Refused) and outcome.code is RefusalCode.CREDENTIALS:
        return refused(runtime, work, side, outcome, "cancel")
    if isinstance(outcome, Refused):
        return await _after_refusal(runtime, work, outcome)
    return StepEnd(work, OutcomeKind.UNKNOWN, outcome.message, landing=Landing.SOURCE_CANCEL_UNKNOWN)


async def _accepted_meanwhile(runtime: Runtime, work: Work) -> StepEnd | None:
    """No event tells of an acceptance, so the order is read once more before it is cancelled for good."""
    read = await runtime.client.order(work.source_order_id)
    if isinstance(read, NotYet):
        return not_yet(runtime, work, runtime.provider_side, read)
    if isinstance(read, Refused):
        return refused(runtime, work, runtime.provider_side, read, "cancel")
    if not isinstance(read, Done):
        return still_unknown(runtime, work, runtime.provider_side, read)
    return _elsewhere(work, read.value.head)


def _elsewhere(work: Work, head: OrderHead) -> StepEnd | None:
    """An order that somebody accepted is not cancelled; None when nobody did."""
    if head.status not in (SourceStatus.ACCEPTED, SourceStatus.COMPLETED):
        return None
    theirs = head.external_order_id or "(none)"
    reason = f"Glopal has the order as accepted with store order {theirs}, so it is not cancelled; a person looks"
    back = Landing.STORE_CANCELLED if work.store_order_id else Landing.FETCHED if work.document_id else Landing.SEEN
    return StepEnd(
        work,
        OutcomeKind.REFUSED,
        reason,
        landing=back if work.landing is Landing.SOURCE_CANCEL_UNKNOWN else None,
        told_status=SourceStatus(head.status),
        park=("accept.elsewhere", reason),
        note_kind="check_source_cancel",
        fields={"cancel_wanted": None, "cancel_by": None},
    )


def _live_after_all(work: Work, order: StoreOrder) -> StepEnd:
    """The store has the order although the ledger did not know. Only a person's decision goes on against it."""
    fields: dict[str, object] = {
        "store_order_id": order.id,
        "store_order_number": order.number,
        "store_state": order.state.value,
    }
    if work.landing is Landing.STORE_CANCELLED:
        reason = f"store order {order.number} was cancelled and is live again; cancel it in the store, then retry"
        return StepEnd(work, OutcomeKind.REFUSED, reason, park=("cancel.store_order_live", reason), fields=fields)
    text = f"the store has a live order {order.number} with our reference"
    if work.cancel_by == "policy":
        text += "; the policy cancels only what is not in the store, so it is landed instead"
        fields |= {"cancel_wanted": None, "cancel_by": None}
    else:
        text += "; it is cancelled first"
    held = order.state is StoreState.HELD
    return StepEnd(work, OutcomeKind.REFUSED, text, landing=Landing.HELD if held else Landing.INSERTED, fields=fields)


async def _after_refusal(runtime: Runtime, work: Work, refusal: Refused) -> StepEnd:
    read = await runtime.client.order(work.source_order_id)
    if not isinstance(read, Done):
        return StepEnd(work, OutcomeKind.UNKNOWN, refusal.message, landing=Landing.SOURCE_CANCEL_UNKNOWN)
    if read.value.head.status == SourceStatus.CANCELLED:
        return StepEnd(
            work,
            OutcomeKind.DONE,
            "Glopal had cancelled it already",
            landing=Landing.CANCELLED,
            told_status=SourceStatus.CANCELLED,
        )
    reason = f"{refusal.message}; Glopal still says {read.value.head.status[:40]}"
    return StepEnd(work, OutcomeKind.REFUSED, reason, park=(f"cancel.{refusal.code.value}", reason))


async def check_source_cancel_one(runtime: Runtime, work: Work) -> StepEnd:
    """Nobody knows whether the cancel arrived: re-read the order and decide from its state."""
    side = runtime.provider_side
    read = await runtime.client.order(work.source_order_id)
    if not isinstance(read, Done):
        return still_unknown(runtime, work, side, read)
    side.well()
    if read.value.head.status == SourceStatus.CANCELLED:
        return StepEnd(
            work,
            OutcomeKind.DONE,
            "Glopal says it is cancelled",
            landing=Landing.CANCELLED,
            told_status=SourceStatus.CANCELLED,
            note_kind="check_source_cancel",
        )
    elsewhere = _elsewhere(work, read.value.head)
    if elsewhere is not None:
        return elsewhere
    back = Landing.STORE_CANCELLED if work.store_order_id else Landing.FETCHED if work.document_id else Landing.SEEN
    return StepEnd(
        work,
        OutcomeKind.NOT_YET,
        f"Glopal says {read.value.head.status[:40]}: the cancel did not arrive and is sent again",
        landing=back,
        due_in=None if work.attempts < 3 else runtime.wait(work.attempts),
        note_kind="check_source_cancel",
    )


async def close_one(runtime: Runtime, work: Work) -> StepEnd:
    """Nothing is left to do, once the store agrees: an order that was fetched may have got there unseen."""
    if work.landing is Landing.FETCHED:
        found = await runtime.store.find(Reference(work.reference))
        if not isinstance(found, Done):
            return still_unknown(runtime, work, runtime.store_side, found)
        runtime.store_side.well()
        if found.value is not None and found.value.state.live:
            text = f"the store has a live order {found.value.number} with our reference; it is cancelled first"
            return StepEnd(
                work,
                OutcomeKind.DONE,
                text,
                landing=Landing.INSERTED,
                note_kind="close",
                fields={
                    "store_order_id": found.value.id,
                    "store_order_number": found.value.number,
                    "store_state": found.value.state.value,
                },
            )
    return StepEnd(
        work, OutcomeKind.DONE, "cancelled; no live store order", landing=Landing.CANCELLED, note_kind="close"
    )


STEPS: dict[Step, One] = {
    Step.CANCEL_STORE: cancel_store_one,
    Step.CANCEL_SOURCE: cancel_source_one,
    Step.CHECK_SOURCE_CANCEL: check_source_cancel_one,
    Step.CLOSE: close_one,
}
