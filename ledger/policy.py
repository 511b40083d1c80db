"""Deadlines, warnings, the blast-radius guard, and what a person decides about a parked order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from sqlalchemy import func, or_
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from ledger.rows import account_filter, append_effect, park, reschedule, unpark
from ledger.steps import Rules
from models.ids import AccountKey
from models.lifecycle import NO_STORE_ORDER, UNKNOWN, Landing, SourceStatus
from models.money import total_of
from models.settings import Policy
from models.tables import Effect, OpenIntent, SourceOrder

AUTO_CANCEL = "auto_cancel"
Decision = Literal["retry", "cancel"]
News = Literal["crossdock.order.parked", "crossdock.order.late", "crossdock.cancel.blocked"]


@dataclass(frozen=True, slots=True)
class Told:
    """Something a person must hear about. No buyer's data in it."""

    event: News
    order_id: int
    source_order_id: str
    account: str
    code: str
    reason: str


def _tell(row: SourceOrder, event: News, code: str, reason: str) -> Told:
    assert row.id is not None  # noqa: S101 - read from the database
    return Told(event, row.id, row.source_order_id, str(row.key), code, reason)


async def apply_deadlines(
    ledger: Ledger, key: AccountKey, policy: Policy, rules: Rules, *, cancel_allowed: bool
) -> list[Told]:
    """Apply the failure policy to orders past their deadline.

    An order whose store outcome is unknown is only told about: looking goes on, and nothing is cancelled while nobody
    knows whether a store order exists.
    """
    now = ledger.clock()
    async with ledger.write() as session:
        # Two runs at once must not both count up to the blast radius.
        await ledger.serialize(session, f"crossdock deadlines {key}")
        query = (
            select(SourceOrder)
            .where(
                *account_filter(key),
                # An effect whose end nobody recorded may have happened: it is made unknown and looked into first.
                col(SourceOrder.id).not_in(select(OpenIntent.order_id)),
                col(SourceOrder.deadline_at) <= now,
                col(SourceOrder.settled_at).is_(None),
                col(SourceOrder.deadline_applied_at).is_(None),
                col(SourceOrder.source_status) != SourceStatus.CANCELLED.value,
                or_(col(SourceOrder.lease_until).is_(None), col(SourceOrder.lease_until) < now),
            )
            .order_by(col(SourceOrder.deadline_at), col(SourceOrder.id))
            .limit(500)
            .with_for_update(skip_locked=True)
        )
        return [
            await _past_deadline(session, ledger, row, policy, rules, cancel_allowed=cancel_allowed)
            for row in list(await session.exec(query))
        ]


async def _past_deadline(
    session: AsyncSession, ledger: Ledger, row: SourceOrder, policy: Policy, rules: Rules, *, cancel_allowed: bool
) -> Told:
    now = ledger.clock()
    hours = f"{policy.deadline_hours:g} hours after READY"
    row.deadline_applied_at = now
    cancelable = (
        policy.on_failure == "cancel"
        and Landing(row.landing) in NO_STORE_ORDER
        and row.source_status == SourceStatus.READY.value
    )
    if cancelable and cancel_allowed:
        blocked = await _blast_radius(session, ledger, row, policy)
        if blocked is None:
            row.cancel_wanted = f"not landed within {hours}; the account's policy is to cancel"
            unpark(row)
            line = append_effect(
                row,
                phase="note",
                kind=AUTO_CANCEL,
                detail=row.cancel_wanted,
                now=now,
                owner=ledger.owner,
                amount=row.base_total or Decimal(0),
            )
            session.add(line)
            reschedule(row, rules.import_on, now)
            return _tell(row, "crossdock.order.late", "deadline_cancel", row.cancel_wanted)
        _park(session, ledger, row, rules, "cancel_blocked", blocked)
        return _tell(row, "crossdock.cancel.blocked", "cancel_blocked", blocked)
    reason = f"not landed {hours}; a person decides: retry it or cancel it"
    if cancelable:
        reason += ". The policy is to cancel, but cancel_confirmed is not set for this account"
    if Landing(row.landing) in UNKNOWN:
        reason = f"the outcome of a call is still unknown {hours}; Crossdock keeps looking and cancels nothing"
    if row.parked_at is None:
        _park(session, ledger, row, rules, "deadline", reason)
    return _tell(row, "crossdock.order.late", "deadline", row.parked_reason or reason)


def _park(session: AsyncSession, ledger: Ledger, row: SourceOrder, rules: Rules, code: str, reason: str) -> None:
    now = ledger.clock()
    park(row, code, reason, now)
    session.add(append_effect(row, phase="note", kind="park", detail=reason, now=now, owner=ledger.owner))
    # Looking into an unknown outcome goes on, at its own pace.
    reschedule(row, rules.import_on, now)


async def _blast_radius(session: AsyncSession, ledger: Ledger, row: SourceOrder, policy: Policy) -> str | None:
    """Why one more automatic cancel must not happen now, or None. Counts the decisions of the last hour."""
    since = ledger.clock() - timedelta(hours=1)
    query = (
        select(col(Effect.amount))
        .join(SourceOrder, col(SourceOrder.id) == col(Effect.order_id))
        .where(*account_filter(row.key), Effect.kind == AUTO_CANCEL, col(Effect.at) > since)
    )
    amounts = [amount or Decimal(0) for amount in await session.exec(query)]
    if len(amounts) + 1 > policy.max_cancels_per_hour:
        return (
            f"{len(amounts)} automatic cancels in the last hour reach the limit of {policy.max_cancels_per_hour}; "
            "stopped, a person decides"
        )
    value = total_of([*amounts, row.base_total or Decimal(0)])
    if value > policy.max_cancel_value_per_hour:
        return (
            f"automatic cancels of the last hour would reach {value} {row.base_currency or ''}, above the limit of "
            f"{policy.max_cancel_value_per_hour}; stopped, a person decides"
        )
    return None


async def warn_late(ledger: Ledger, key: AccountKey, policy: Policy) -> list[Told]:
    """Orders that are READY for longer than ``warn_after_hours`` and not landed, each told once."""
    now = ledger.clock()
    async with ledger.write() as session:
        query = (
            select(SourceOrder)
            .where(
                *account_filter(key),
                col(SourceOrder.ready_at) <= now - timedelta(hours=policy.warn_after_hours),
                col(SourceOrder.settled_at).is_(None),
                col(SourceOrder.warned_at).is_(None),
                col(SourceOrder.source_status) != SourceStatus.CANCELLED.value,
            )
            .order_by(col(SourceOrder.ready_at), col(SourceOrder.id))
            .limit(500)
            .with_for_update(skip_locked=True)
        )
        told = []
        for row in list(await session.exec(query)):
            row.warned_at = now
            left = f"; the policy acts at {row.deadline_at:%Y-%m-%d %H:%M} UTC" if row.deadline_at else ""
            reason = f"READY for over {policy.warn_after_hours:g} h and not landed ({row.landing}){left}"
            told.append(_tell(row, "crossdock.order.late", "late", reason))
        return told


class CannotDecide(ValueError):
    """The decision does not fit the order's state; nothing was changed. The message says why."""


async def decide(ledger: Ledger, order_id: int, decision: Decision, reason: str, rules: Rules) -> str:
    """A person's decision about one order, written into its story.

    Args:
        ledger: where.
        order_id: the ledger's row id.
        decision: ``retry`` puts it back in line; ``cancel`` cancels it at the provider, its store order first.
        reason: the person's own words.
        rules: the account's scheduling rules.

    Raises:
        CannotDecide: unknown order, settled order, or a cancel while a call's outcome is unknown or after acceptance.
    """
    now = ledger.clock()
    async with ledger.write() as session:
        query = select(SourceOrder).where(SourceOrder.id == order_id).with_for_update()
        row = (await session.exec(query)).one_or_none()
        if row is None:
            raise CannotDecide(f"there is no order {order_id}")
        landing = Landing(row.landing)
        if row.settled_at is not None:
            raise CannotDecide(f"order {row.source_order_id} is settled ({landing.value}); nothing is left to decide")
        if decision == "cancel":
            if landing in UNKNOWN:
                raise CannotDecide(
                    f"order {row.source_order_id}: the outcome of a call is unknown ({landing.value}); a cancel now "
                    "could leave a live store order behind. Wait until Crossdock has looked, then decide"
                )
            if landing is Landing.ACCEPTED:
                raise CannotDecide(f"order {row.source_order_id} is accepted; it is never also cancelled by Crossdock")
            row.cancel_wanted = reason or "a person decided to cancel"
        if row.parked_code != "bad_id":
            unpark(row)
        row.attempts = 0
        if decision == "retry" and row.deadline_at is not None and row.deadline_at <= now:
            row.deadline_at, row.deadline_applied_at = now + rules.deadline, None
        text = f"a person decided: {decision}. {reason}".strip()
        kind = f"decide_{decision}"
        session.add(append_effect(row, phase="note", kind=kind, detail=text, now=now, owner=ledger.owner))
        step = reschedule(row, rules.import_on, now)
        if decision == "retry" and landing is Landing.STORE_CANCELLED and step is None:
            raise CannotDecide(
                f"order {row.source_order_id} is cancelled in the store, and Crossdock never creates it twice; decide "
                "to cancel it at the provider, too, or settle it by hand on both sides"
            )
        return step.value if step else "nothing to do until the provider says more"


async def wake_received(ledger: Ledger, key: AccountKey, rules: Rules) -> int:
    """Make RECEIVED orders due when the account imports them already then; returns how many were asleep."""
    now = ledger.clock()
    async with ledger.write() as session:
        query = select(SourceOrder).where(
            *account_filter(key),
            SourceOrder.source_status == SourceStatus.RECEIVED.value,
            col(SourceOrder.landing).in_([landing.value for landing in NO_STORE_ORDER]),
            col(SourceOrder.due_at).is_(None),
            col(SourceOrder.parked_at).is_(None),
        )
        query = query.with_for_update(skip_locked=True)
        rows: Sequence[SourceOrder] = list(await session.exec(query))
        for row in rows:
            reschedule(row, rules.import_on, now)
        return len(rows)


async def count_open(ledger: Ledger, key: AccountKey) -> dict[str, int]:
    """Orders of an account by where they stand, for reports: every order is in exactly one bucket."""
    async with ledger.read() as session:
        query = (
            sa_select(
                col(SourceOrder.landing),
                col(SourceOrder.source_status),
                col(SourceOrder.parked_at).is_not(None),
                col(SourceOrder.settled_at).is_not(None),
                func.count(),
            )
            .where(*account_filter(key))
            .group_by(
                col(SourceOrder.landing),
                col(SourceOrder.source_status),
                col(SourceOrder.parked_at).is_not(None),
                col(SourceOrder.settled_at).is_not(None),
            )
        )
        counts: dict[str, int] = {}
        for landing, status, parked, settled, number in await session.execute(query):
            name = bucket_of(Landing(landing), SourceStatus(status), parked=bool(parked), settled=bool(settled))
            counts[name] = counts.get(name, 0) + int(number)
        return counts


def bucket_of(landing: Landing, status: SourceStatus, *, parked: bool, settled: bool) -> str:
    """The counting rule of every report: parked first, then settled, then unknown, then waiting or under way."""
    if parked:
        return "parked"
    if settled:
        return "cancelled" if landing is Landing.CANCELLED else "landed"
    if landing in UNKNOWN:
        return "outcome unknown"
    if status in (SourceStatus.UNSEEN, SourceStatus.RECEIVED):
        return "waiting for the provider"
    return "under way"
