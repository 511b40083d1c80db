"""Deadlines, warnings, the blast-radius guard, and what a person decides about a parked order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, or_
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from ledger.notices import News, Told, notice_row, save_notices
from ledger.rows import account_filter, append_effect, park, reschedule, unpark
from ledger.steps import Rules
from models.ids import AccountKey
from models.lifecycle import NO_STORE_ORDER, UNKNOWN, Landing, SourceStatus
from models.money import total_of
from models.settings import Policy
from models.tables import Effect, OpenIntent, SourceOrder

AUTO_CANCEL = "auto_cancel"


async def _tell(session: AsyncSession, row: SourceOrder, event: News, code: str, reason: str, now: datetime) -> Told:
    """Write a notice; it is told at the end of this run, or of the next one."""
    assert row.id is not None  # noqa: S101 - read from the database
    await save_notices(session, [notice_row(row.id, event, code, reason, now)])
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
                # What is accepted is landed; that it waits for a person for another reason is no lateness.
                col(SourceOrder.landing) != Landing.ACCEPTED.value,
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
            row.cancel_by = "policy"
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
            return await _tell(session, row, "crossdock.order.late", "deadline_cancel", row.cancel_wanted, now)
        _park(session, ledger, row, rules, "cancel_blocked", blocked)
        return await _tell(session, row, "crossdock.cancel.blocked", "cancel_blocked", blocked, now)
    reason = f"not landed {hours}; a person decides: retry it or cancel it"
    if cancelable:
        reason += ". The policy is to cancel, but cancel_confirmed is not set for this account"
    if Landing(row.landing) in UNKNOWN:
        reason = f"the outcome of a call is still unknown {hours}; Crossdock keeps looking and cancels nothing"
    if row.parked_at is None:
        _park(session, ledger, row, rules, "deadline", reason)
    return await _tell(session, row, "crossdock.order.late", "deadline", row.parked_reason or reason, now)


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
    if row.base_total is None:
        return "its value is not known, so the limit on automatic cancels by value cannot be kept; a person decides"
    value = total_of([*amounts, row.base_total])
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
                col(SourceOrder.landing) != Landing.ACCEPTED.value,
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
            told.append(await _tell(session, row, "crossdock.order.late", "late", reason, now))
        return told


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
                col(SourceOrder.closed_at).is_not(None),
                func.count(),
            )
            .where(*account_filter(key))
            .group_by(
                col(SourceOrder.landing),
                col(SourceOrder.source_status),
                col(SourceOrder.parked_at).is_not(None),
                col(SourceOrder.settled_at).is_not(None),
                col(SourceOrder.closed_at).is_not(None),
            )
        )
        counts: dict[str, int] = {}
        for landing, status, parked, settled, closed, number in await session.execute(query):
            name = bucket_of(
                Landing(landing), SourceStatus(status), parked=bool(parked), settled=bool(settled), closed=bool(closed)
            )
            counts[name] = counts.get(name, 0) + int(number)
        return counts


def bucket_of(landing: Landing, status: SourceStatus, *, parked: bool, settled: bool, closed: bool = False) -> str:
    """The counting rule of every report: parked first, then settled, then unknown, then waiting or under way."""
    if parked:
        return "parked"
    if settled:
        if landing is Landing.CANCELLED:
            return "cancelled"
        return "landed" if landing is Landing.ACCEPTED else "closed without landing" if closed else "landed"
    if landing in UNKNOWN:
        return "outcome unknown"
    if status in (SourceStatus.UNSEEN, SourceStatus.RECEIVED):
        return "waiting for the provider"
    return "under way"
