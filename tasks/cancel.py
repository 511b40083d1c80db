"""Cancel on both sides: the store's order when the provider cancelled, the provider's when it cannot be landed."""

from __future__ import annotations

from prefect import task

from ledger.steps import StepEnd, Work
from models.ids import Reference, StoreOrderId
from models.lifecycle import Landing, SourceStatus, Step
from models.outcome import Done, NotYet, OutcomeKind, RefusalCode, Refused
from stores.protocol import StoreOrder
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
    side = runtime.store_side if step == Step.CANCEL_STORE.value else runtime.provider_side
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


def _live_after_all(work: Work, order: StoreOrder) -> StepEnd:
    return StepEnd(
        work,
        OutcomeKind.REFUSED,
        f"the store has a live order {order.number} with our reference; it is cancelled first",
        landing=Landing.INSERTED if work.landing is not Landing.STORE_CANCELLED else None,
        park=None if work.landing is not Landing.STORE_CANCELLED else _revived(order),
        fields={
            "store_order_id": order.id,
            "store_order_number": order.number,
            "store_state": order.state.value,
        },
    )


def _revived(order: StoreOrder) -> tuple[str, str]:
    return (
        "cancel.store_order_live",
        f"store order {order.number} was cancelled and is live again; cancel it in the store, then retry",
    )


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
    back = Landing.STORE_CANCELLED if work.store_order_id else Landing.FETCHED if work.document_id else Landing.SEEN
    return StepEnd(
        work,
        OutcomeKind.NOT_YET,
        f"Glopal says {read.value.head.status[:40]}: the cancel did not arrive and is sent again",
        landing=back,
        due_in=None if work.attempts < 3 else runtime.wait(work.attempts),
        note_kind="check_source_cancel",
    )


async def close_one(runtime: Runtime, work: Work) -> StepEnd:  # noqa: ARG001 - same shape as every step
    """Both sides are without a live order: nothing is left to do."""
    return StepEnd(
        work, OutcomeKind.DONE, "cancelled; no live store order", landing=Landing.CANCELLED, note_kind="close"
    )


STEPS: dict[Step, One] = {
    Step.CANCEL_STORE: cancel_store_one,
    Step.CANCEL_SOURCE: cancel_source_one,
    Step.CHECK_SOURCE_CANCEL: check_source_cancel_one,
    Step.CLOSE: close_one,
}
