"""What a person decides about one order: retry, cancel, or settle by hand. Each is written into the order's story."""

from __future__ import annotations

from typing import Literal

from sqlmodel import select

from ledger.engine import Ledger
from ledger.rows import append_effect, reschedule, unpark
from ledger.steps import Rules
from models.lifecycle import UNKNOWN, Landing, SourceStatus, Step
from models.tables import SourceOrder

Decision = Literal["retry", "cancel", "settle"]


class CannotDecide(ValueError):
    """The decision does not fit the order's state; nothing was changed. The message says why."""


class _OnlyLooking(Exception):
    """Ends a dry run's transaction without a trace."""

    def __init__(self, step: Step | None) -> None:
        super().__init__()
        self.step = step


async def decide(
    ledger: Ledger,
    order_id: int,
    decision: Decision,
    reason: str,
    rules: Rules,
    *,
    cancel_allowed: bool = True,
    dry_run: bool = False,
) -> Step | None:
    """A person's decision about one order, written into its story; returns the step that comes next.

    Args:
        ledger: where.
        order_id: the ledger's row id.
        decision: ``retry`` puts it back in line, taking back a cancel that was not sent yet; ``cancel`` cancels it at
            the provider, its store order first; ``settle`` closes it: the person has put both sides right by hand.
        reason: the person's own words.
        rules: the account's scheduling rules.
        cancel_allowed: whether the account may cancel at the provider.
        dry_run: only say what would come next.

    Raises:
        CannotDecide: the decision does not fit the order's state; nothing was changed. The message says why.
    """
    try:
        return await _decide(ledger, order_id, decision, reason, rules, cancel_allowed=cancel_allowed, dry_run=dry_run)
    except _OnlyLooking as looked:
        return looked.step


async def _decide(
    ledger: Ledger,
    order_id: int,
    decision: Decision,
    reason: str,
    rules: Rules,
    *,
    cancel_allowed: bool,
    dry_run: bool,
) -> Step | None:
    now = ledger.clock()
    async with ledger.write() as session:
        query = select(SourceOrder).where(SourceOrder.id == order_id).with_for_update()
        row = (await session.exec(query)).one_or_none()
        if row is None:
            raise CannotDecide(f"there is no order {order_id}")
        if row.settled_at is not None:
            raise CannotDecide(f"order {row.source_order_id} is settled ({row.landing}); nothing is left to decide")
        _check(row, decision, cancel_allowed=cancel_allowed)
        if decision == "cancel":
            row.cancel_wanted, row.cancel_by = reason or "a person decided to cancel", "person"
        elif decision == "settle":
            row.closed_at, row.closed_why = now, reason
        elif row.landing != Landing.STORE_CANCELLED.value:
            row.cancel_wanted = row.cancel_by = None
        if row.parked_code == "document.changed_after_import" and row.landing == Landing.ACCEPTED.value:
            # The person has looked at what changed; it is not compared with the older document any more.
            row.document_id = None
        unpark(row)
        row.attempts = 0
        if decision == "retry" and row.deadline_at is not None and row.deadline_at <= now:
            row.deadline_at, row.deadline_applied_at = now + rules.deadline, None
        text = f"a person decided: {decision}. {reason}".strip()
        kind = f"decide_{decision}"
        session.add(append_effect(row, phase="note", kind=kind, detail=text, now=now, owner=ledger.owner))
        step = reschedule(row, rules.import_on, now)
        if decision == "retry" and row.landing == Landing.STORE_CANCELLED.value and step is None:
            raise CannotDecide(
                f"order {row.source_order_id} is cancelled in the store, and Crossdock never creates it twice; decide "
                "to cancel it at the provider, too, or to settle it once both sides are right"
            )
        if dry_run:
            raise _OnlyLooking(step)
        return step


def _check(row: SourceOrder, decision: Decision, *, cancel_allowed: bool) -> None:
    name, landing = f"order {row.source_order_id}", Landing(row.landing)
    if decision == "settle" and row.parked_at is None:
        raise CannotDecide(f"{name} does not wait for a person; only a parked order can be settled")
    if row.parked_code == "bad_id" and decision != "settle":
        raise CannotDecide(f"{name}: its id is never put into a web address; act in Glopal's console, then settle it")
    if decision == "retry":
        return
    if landing in UNKNOWN:
        raise CannotDecide(
            f"{name}: the outcome of a call is unknown ({landing.value}); a {decision} now could leave a live store "
            "order behind. Wait until Crossdock has looked, then decide"
        )
    if decision == "settle":
        return
    if landing is Landing.ACCEPTED or row.source_status in (SourceStatus.ACCEPTED.value, SourceStatus.COMPLETED.value):
        raise CannotDecide(f"{name} is accepted at Glopal; Crossdock never also cancels it. Settle it when it is right")
    if not cancel_allowed and row.source_status != SourceStatus.CANCELLED.value:
        raise CannotDecide(
            f"{name}: cancelling at Glopal is switched off for this account (cancel_confirmed), so its store order is "
            "not cancelled either. Confirm the cancel endpoint with Glopal and set it, or cancel in Glopal's console"
        )
