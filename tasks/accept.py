"""Tell the provider which store order it became, and re-read the order whenever the answer was not clear."""

from __future__ import annotations

from prefect import task

from ledger.steps import StepEnd, Work
from models.glopal import OrderHead
from models.lifecycle import Landing, SourceStatus, Step
from models.outcome import Done, NotYet, OutcomeKind, RefusalCode, Refused
from tasks.batch import TASK_OPTIONS, BatchResult, One, run_batch
from tasks.ends import not_yet, refused, still_unknown
from tasks.runtime import Runtime, current


@task(name="accept-orders", task_run_name="{step} {label}", tags=["crossdock", "accept"], **TASK_OPTIONS)
async def accept_orders(order_ids: list[int], step: str, label: str) -> BatchResult:  # noqa: ARG001 - names the run
    """Accept orders at the provider, or settle what an earlier accept left open.

    Args:
        order_ids: the ledger's ids, one or more.
        step: accept or check_accept.
        label: what people read: the order's id, or how many orders.
    """
    runtime = current()
    return await run_batch(runtime, order_ids, Step(step), STEPS[Step(step)], runtime.provider_side)


async def accept_one(runtime: Runtime, work: Work) -> StepEnd:
    """Accept one order with the store's id and number. Never sent without both."""
    side = runtime.provider_side
    if not work.store_order_id or not work.store_order_number:
        raise AssertionError(f"order {work.source_order_id} came to accept without a store order")
    outcome = await runtime.client.accept(work.source_order_id, work.store_order_id, work.store_order_number)
    if isinstance(outcome, Done):
        side.well()
        told = outcome.value.status or SourceStatus.ACCEPTED.value
        detail = f"accepted as store order {work.store_order_number}"
        if outcome.value.warning:
            detail += f" ({outcome.value.warning})"
        return StepEnd(work, OutcomeKind.DONE, detail, landing=Landing.ACCEPTED, told_status=SourceStatus(told))
    if isinstance(outcome, NotYet):
        return not_yet(runtime, work, side, outcome)
    if isinstance(outcome, Refused):
        if outcome.code is RefusalCode.CREDENTIALS:
            return refused(runtime, work, side, outcome, "accept")
        return await _after_refusal(runtime, work, outcome)
    return StepEnd(work, OutcomeKind.UNKNOWN, outcome.message, landing=Landing.ACCEPT_UNKNOWN)


async def _after_refusal(runtime: Runtime, work: Work, refusal: Refused) -> StepEnd:
    """A refusal is judged by the order's state: it may have been accepted before, or cancelled meanwhile."""
    read = await runtime.client.order(work.source_order_id)
    if not isinstance(read, Done):
        return StepEnd(work, OutcomeKind.UNKNOWN, refusal.message, landing=Landing.ACCEPT_UNKNOWN)
    end = _decide(work, read.value.head)
    if end is not None:
        runtime.provider_side.well()
        return end
    return refused(runtime, work, runtime.provider_side, refusal, "accept")


async def check_one(runtime: Runtime, work: Work) -> StepEnd:
    """Nobody knows whether the accept arrived: re-read the order and decide from its state."""
    side = runtime.provider_side
    read = await runtime.client.order(work.source_order_id)
    if not isinstance(read, Done):
        return still_unknown(runtime, work, side, read)
    side.well()
    end = _decide(work, read.value.head)
    if end is not None:
        return end
    return StepEnd(
        work,
        OutcomeKind.NOT_YET,
        f"Glopal says {read.value.head.status}: the accept did not arrive and is sent again",
        landing=Landing.INSERTED,
        due_in=None if work.attempts < 3 else runtime.wait(work.attempts),
        note_kind="check_accept",
    )


def _decide(work: Work, head: OrderHead) -> StepEnd | None:
    """What the order's state says about our accept; None when it says that it was not accepted."""
    if head.status in (SourceStatus.ACCEPTED, SourceStatus.COMPLETED):
        if head.external_order_id == work.store_order_id:
            return StepEnd(
                work,
                OutcomeKind.DONE,
                f"Glopal has it as accepted with our store order {work.store_order_number}",
                landing=Landing.ACCEPTED,
                told_status=SourceStatus(head.status),
                note_kind="check_accept",
            )
        reason = (
            f"Glopal has the order as accepted with store order {head.external_order_id or '(none)'}, ours is "
            f"{work.store_order_id}; compare both and cancel the one that should not be"
        )
        return StepEnd(
            work,
            OutcomeKind.REFUSED,
            reason,
            landing=Landing.INSERTED,
            told_status=SourceStatus(head.status),
            park=("accept.elsewhere", reason),
            note_kind="check_accept",
        )
    if head.status == SourceStatus.CANCELLED:
        return StepEnd(
            work,
            OutcomeKind.REFUSED,
            "Glopal says the order is cancelled; its store order is cancelled next",
            landing=Landing.INSERTED,
            told_status=SourceStatus.CANCELLED,
            note_kind="check_accept",
        )
    return None


STEPS: dict[Step, One] = {Step.ACCEPT: accept_one, Step.CHECK_ACCEPT: check_one}
