"""What every verb shares: the view of a row, its schedule, and the append-only, hash-chained effect lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import MAX_IN_LIST
from models.ids import AccountKey
from models.lifecycle import (
    EFFECTS,
    SETTLED,
    ImportOn,
    Landing,
    OrderView,
    SourceStatus,
    Step,
    at_least,
    check_move,
    merge_status,
    next_step,
)
from models.outcome import OutcomeKind
from models.tables import Effect, OpenIntent, SourceOrder
from models.time import to_text


def view_of(row: SourceOrder, import_on: ImportOn) -> OrderView:
    """The pure view of a row."""
    return OrderView(
        source_status=SourceStatus(row.source_status),
        landing=Landing(row.landing),
        document_status=SourceStatus(row.document_status) if row.document_status else None,
        parked=row.parked_at is not None,
        cancel_wanted=row.cancel_wanted is not None,
        import_on=import_on,
    )


def step_of(row: SourceOrder, import_on: ImportOn) -> Step | None:
    """What comes next for a row."""
    return next_step(view_of(row, import_on))


async def load_rows(session: AsyncSession, ids: Iterable[int]) -> dict[int, SourceOrder]:
    """Rows by id, locked for this transaction, always in the same order so that two writers cannot deadlock."""
    wanted = sorted(set(ids))
    found: dict[int, SourceOrder] = {}
    for start in range(0, len(wanted), MAX_IN_LIST):
        part = wanted[start : start + MAX_IN_LIST]
        query = select(SourceOrder).where(col(SourceOrder.id).in_(part)).order_by(col(SourceOrder.id)).with_for_update()
        found.update({row.id: row for row in await session.exec(query) if row.id is not None})
    return found


def account_filter(key: AccountKey) -> tuple[object, ...]:
    """The where-clauses that pick one account's orders."""
    return (
        col(SourceOrder.provider) == key.provider,
        col(SourceOrder.environment) == key.environment,
        col(SourceOrder.account) == key.account,
    )


def learn_status(row: SourceOrder, told: SourceStatus, now: datetime, deadline: timedelta) -> bool:
    """Merge a status into a row; start its deadline at READY. True when it moved.

    A move is new knowledge: a parked order gets another chance, except one that waits because the store refused to
    cancel, which no provider event can change.
    """
    before = SourceStatus(row.source_status)
    after = merge_status(before, told)
    if after is before:
        return False
    row.source_status = after.value
    row.reconciled_at = None
    if at_least(after, SourceStatus.READY) and row.ready_at is None and after is not SourceStatus.CANCELLED:
        row.ready_at = now
        row.deadline_at = now + deadline
    if row.parked_at is not None:
        unpark(row)
    row.attempts = 0
    return True


def unpark(row: SourceOrder) -> None:
    """Take the parking mark off."""
    row.parked_at = row.parked_code = row.parked_reason = None


def park(row: SourceOrder, code: str, reason: str, now: datetime) -> None:
    """Mark a row as waiting for a person."""
    row.parked_at, row.parked_code, row.parked_reason = now, code, reason
    row.settled_at = None


def reschedule(row: SourceOrder, import_on: ImportOn, now: datetime, due_at: datetime | None = None) -> Step | None:
    """Set when the row is due next, whether it is settled, and say what comes next."""
    step = step_of(row, import_on)
    row.updated_at = now
    if step is None:
        row.due_at = None
        settled = Landing(row.landing) in SETTLED and row.parked_at is None
        row.settled_at = (row.settled_at or now) if settled else None
    else:
        row.settled_at = None
        row.due_at = due_at or now
    return step


def move(row: SourceOrder, landing: Landing, now: datetime) -> None:
    """Move a row's landing along the table of allowed moves, noting the times that reports need."""
    row.landing = check_move(Landing(row.landing), landing).value
    if landing in (Landing.HELD, Landing.INSERTED) and row.inserted_at is None:
        row.inserted_at = now
    if landing is Landing.ACCEPTED and row.accepted_at is None:
        row.accepted_at = now


def append_effect(
    row: SourceOrder,
    *,
    phase: str,
    kind: str,
    detail: str,
    now: datetime,
    owner: str,
    outcome: OutcomeKind | None = None,
    amount: Decimal | None = None,
) -> Effect:
    """The next line of an order's story, chained to the one before. The caller adds it to the session."""
    assert row.id is not None  # noqa: S101 - rows come from the database
    line = Effect(
        order_id=row.id,
        seq=row.effect_seq + 1,
        phase=phase,
        kind=kind,
        outcome=outcome.value if outcome else None,
        detail=detail,
        amount=amount,
        at=now,
        owner=owner,
        fence=row.fence,
        prev_hash=row.effect_hash,
        hash="",
    )
    line.hash = effect_hash(line)
    row.effect_seq, row.effect_hash = line.seq, line.hash
    return line


def effect_hash(line: Effect) -> str:
    """The hash that chains a line to the one before."""
    fields = [
        line.prev_hash,
        line.order_id,
        line.seq,
        line.phase,
        line.kind,
        line.outcome,
        line.detail,
        None if line.amount is None else f"{line.amount.normalize():f}",
        to_text(line.at),
        line.owner,
        line.fence,
    ]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode()).hexdigest()


_UNKNOWN_LANDING = {
    Step.INSERT.value: Landing.INSERT_UNKNOWN,
    Step.INSERT_HELD.value: Landing.INSERT_UNKNOWN,
    Step.ACCEPT.value: Landing.ACCEPT_UNKNOWN,
    Step.CANCEL_SOURCE.value: Landing.SOURCE_CANCEL_UNKNOWN,
}


def unknown_landing(kind: str) -> Landing | None:
    """The landing for an effect whose outcome nobody knows; None for effects that may simply be repeated.

    Release and the store's cancel are idempotent by the store protocol, so repeating them is their lookup.
    """
    return _UNKNOWN_LANDING.get(kind)


async def orphaned_intents(session: AsyncSession, ids: Sequence[int]) -> dict[int, OpenIntent]:
    """Open intents of these orders. Whoever holds the lease and finds one knows that its writer is gone."""
    found: dict[int, OpenIntent] = {}
    for start in range(0, len(ids), MAX_IN_LIST):
        part = ids[start : start + MAX_IN_LIST]
        query = select(OpenIntent).where(col(OpenIntent.order_id).in_(part))
        found.update({intent.order_id: intent for intent in await session.exec(query)})
    return found


async def close_orphan(
    session: AsyncSession, row: SourceOrder, intent: OpenIntent, now: datetime, owner: str, first_probe: timedelta
) -> None:
    """Turn an intent without an outcome into an unknown outcome, which is then looked into."""
    text = "the process that began this ended before it recorded how it went; looking before anything else"
    session.add(
        append_effect(
            row, phase="outcome", kind=intent.kind, outcome=OutcomeKind.UNKNOWN, detail=text, now=now, owner=owner
        )
    )
    landing = unknown_landing(intent.kind)
    if landing is not None:
        move(row, landing, now)
        row.unknown_since, row.probes_missed = intent.at, 0
        row.due_at = max(now, intent.at + first_probe)
    await session.delete(intent)


def is_effect(step: Step) -> bool:
    """Whether a step changes something outside and therefore needs an intent."""
    return step in EFFECTS
