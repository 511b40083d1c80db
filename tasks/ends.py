"""How the ends of calls become the ends of steps: shared by every step."""

from __future__ import annotations

from ledger.steps import StepEnd, Work
from models.document import OrderDocument
from models.lifecycle import Landing
from models.outcome import NotYet, OutcomeKind, RefusalCode, Refused, Unknown
from stores.protocol import StoreOrder, StoreState
from tasks.runtime import NAMES_NO_ORDER, Runtime, Side

# Longer waits than this are not slept through inside a run; the order comes back when it is due.
LONGEST_WAIT_IN_RUN = 30.0


def not_yet(runtime: Runtime, work: Work, side: Side, outcome: NotYet) -> StepEnd:
    """The effect certainly did not happen; the order is due again later, within this run where a retry may help."""
    side.not_yet(outcome.message)
    if (outcome.retry_after or 0.0) > LONGEST_WAIT_IN_RUN:
        side.asked_to_wait(outcome.retry_after or 0.0, outcome.message)
    return StepEnd(
        work,
        OutcomeKind.NOT_YET,
        outcome.message,
        due_in=runtime.wait(work.attempts, outcome.retry_after),
        leave=side.stopped is not None or (outcome.retry_after or 0.0) > LONGEST_WAIT_IN_RUN,
    )


def refused(runtime: Runtime, work: Work, side: Side, outcome: Refused, prefix: str) -> StepEnd:
    """The other side said no. Refused credentials concern the whole side; anything else parks this order."""
    side.refused(outcome)
    if outcome.code is RefusalCode.CREDENTIALS or (side.stopped is not None and outcome.code in NAMES_NO_ORDER):
        return StepEnd(work, OutcomeKind.NOT_YET, outcome.message, due_in=runtime.wait(work.attempts), leave=True)
    return StepEnd(work, OutcomeKind.REFUSED, outcome.message, park=(f"{prefix}.{outcome.code.value}", outcome.message))


def still_unknown(runtime: Runtime, work: Work, side: Side, outcome: NotYet | Unknown | Refused) -> StepEnd:
    """A look that could not be made settles nothing; the order stays unknown and is looked at again."""
    retry_after = outcome.retry_after if isinstance(outcome, NotYet) else None
    if isinstance(outcome, Refused):
        side.refused(outcome)
    else:
        side.not_yet(outcome.message)
    if (retry_after or 0.0) > LONGEST_WAIT_IN_RUN:
        side.asked_to_wait(retry_after or 0.0, outcome.message)
    delay = runtime.wait(work.attempts, retry_after)
    return StepEnd(work, OutcomeKind.NOT_YET, outcome.message, due_in=delay, leave=True)


def found_in_store(work: Work, order: StoreOrder, document: OrderDocument | None, detail: str) -> StepEnd:
    """The store has our order: take over its ids, and check its state and its total against the document."""
    fields: dict[str, object] = {
        "store_order_id": order.id,
        "store_order_number": order.number,
        "store_state": order.state.value,
    }
    if order.state is StoreState.CANCELLED:
        reason = f"store order {order.number} carries our reference and is cancelled in the store; a person decides"
        return StepEnd(
            work,
            OutcomeKind.DONE,
            detail,
            landing=Landing.STORE_CANCELLED,
            park=("insert.store_cancelled", reason),
            note_kind="found",
            fields=fields,
        )
    differs = total_difference(order, document) if document is not None else None
    return StepEnd(
        work,
        OutcomeKind.DONE,
        detail,
        landing=Landing.HELD if order.state is StoreState.HELD else Landing.INSERTED,
        park=("insert.total_differs", differs) if differs else None,
        note_kind="found",
        fields=fields,
    )


def total_difference(order: StoreOrder, document: OrderDocument) -> str | None:
    """Why the store's total is not the order's, in either of its two currencies, or None when it is, to the unit."""
    if (order.currency, order.total) == (document.currency, document.total):
        return None
    if (order.currency, order.total) == (document.base_currency, document.base.total):
        return None
    return (
        f"store order {order.number} says {order.total} {order.currency}, the paid order is {document.total} "
        f"{document.currency} ({document.base.total} {document.base_currency}); not accepted until a person looked"
    )
