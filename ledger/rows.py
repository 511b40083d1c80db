"""What every verb shares: the view of a row, its schedule, and the append-only, hash-chained effect lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import MAX_IN_LIST
from ledger.hot import Row
from models.glopal import clean_text
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

AnyRow = Row | SourceOrder


def view_of(row: AnyRow, import_on: ImportOn) -> OrderView:
    """The pure view of a row."""
    return OrderView(
        source_status=SourceStatus(row.source_status),
        landing=Landing(row.landing),
        document_status=SourceStatus(row.document_status) if row.document_status else None,
        parked=row.parked_at is not None,
        cancel_wanted=row.cancel_wanted is not None,
        import_on=import_on,
        closed=row.closed_at is not None,
    )


def step_of(row: AnyRow, import_on: ImportOn) -> Step | None:
    """What comes next for a row."""
    return next_step(view_of(row, import_on))


def account_filter(key: AccountKey) -> tuple[ColumnElement[bool], ...]:
    """The where-clauses that pick one account's orders."""
    return (
        col(SourceOrder.provider) == key.provider,
        col(SourceOrder.environment) == key.environment,
        col(SourceOrder.account) == key.account,
    )


STORE_PARKS = frozenset(
    {
        "accept.elsewhere",
        "accept.ids_differ",
        "cancel.store_order_live",
        "document.changed_after_import",
        "insert.reference_conflict",
        "insert.store_cancelled",
        "insert.total_differs",
        "probe.conflict",
        "store.duplicate",
        "store.order_missing",
        "store.other_order",
    }
)


def learn_status(row: AnyRow, told: SourceStatus, now: datetime, deadline: timedelta) -> bool:
    """Merge a status into a row; start its deadline at READY. True when it moved.

    A move is new knowledge: a parked order gets another chance. One that waits because its store order is not what it
    should be does not: nothing that the provider says mends that, except that it cancelled.
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
    if row.closed_at is not None and (after is SourceStatus.CANCELLED or row.landing == Landing.SEEN.value):
        # Closed by hand or by its age, and now something new is said about it.
        row.closed_at = row.closed_why = None
    if row.parked_at is not None and (row.parked_code not in STORE_PARKS or after is SourceStatus.CANCELLED):
        unpark(row)
        # The policy looks at it once more, or it would be tried for ever after its deadline.
        row.deadline_applied_at = None
    row.attempts = 0
    return True


def unpark(row: AnyRow) -> None:
    """Take the parking mark off."""
    row.parked_at = row.parked_code = row.parked_reason = row.parked_with = None


def park(row: AnyRow, code: str, reason: str, now: datetime) -> None:
    """Mark a row as waiting for a person."""
    row.parked_at, row.parked_code, row.parked_reason = now, code, clean_text(reason)
    row.settled_at = row.reconciled_at = None


def reschedule(row: AnyRow, import_on: ImportOn, now: datetime, due_at: datetime | None = None) -> Step | None:
    """Set when the row is due next, whether it is settled, and say what comes next.

    A search for a create of unknown outcome is never brought forward: only searches at their distance prove anything.
    """
    step = step_of(row, import_on)
    row.updated_at = now
    if step is None:
        row.due_at = None
        settled = (Landing(row.landing) in SETTLED or row.closed_at is not None) and row.parked_at is None
        row.settled_at = (row.settled_at or now) if settled else None
    else:
        row.settled_at = None
        probing = step is Step.PROBE_INSERT and row.due_at is not None and row.due_at > now
        row.due_at = due_at or (row.due_at if probing else now)
    return step


def move(row: AnyRow, landing: Landing, now: datetime, *, repair: bool = False) -> None:
    """Move a row's landing along the table of allowed moves, noting the times that reports need."""
    row.landing = check_move(Landing(row.landing), landing, repair=repair).value
    row.reconciled_at = row.refused_since = row.rechecked_at = None
    if row.parked_at is None:
        # What it waited for before it was tried again by itself.
        unpark(row)
    if landing in (Landing.HELD, Landing.INSERTED) and row.inserted_at is None:
        row.inserted_at = now
    if landing is Landing.ACCEPTED and row.accepted_at is None:
        row.accepted_at = now


def effect_line(
    row: AnyRow,
    *,
    phase: str,
    kind: str,
    detail: str,
    now: datetime,
    owner: str,
    outcome: OutcomeKind | None = None,
    amount: Decimal | None = None,
) -> dict[str, Any]:
    """The next line of an order's story, chained to the one before. The caller writes it and the row."""
    line: dict[str, Any] = {
        "order_id": row.id,
        "seq": row.effect_seq + 1,
        "phase": phase,
        "kind": kind,
        "outcome": outcome.value if outcome else None,
        "detail": clean_text(detail),
        "amount": amount,
        "at": now,
        "owner": owner,
        "fence": row.fence,
        "prev_hash": row.effect_hash,
    }
    line["hash"] = effect_hash(line)
    row.effect_seq, row.effect_hash = row.effect_seq + 1, line["hash"]
    return line


def append_effect(
    row: AnyRow,
    *,
    phase: str,
    kind: str,
    detail: str,
    now: datetime,
    owner: str,
    outcome: OutcomeKind | None = None,
    amount: Decimal | None = None,
) -> Effect:
    """``effect_line`` as a mapped object, for the places that write one line at a time."""
    line = effect_line(row, phase=phase, kind=kind, detail=detail, now=now, owner=owner, outcome=outcome, amount=amount)
    return Effect(**line)


def effect_hash(line: Mapping[str, Any]) -> str:
    """The hash that chains a line to the one before."""
    amount = line["amount"]
    fields = [
        line["prev_hash"],
        line["order_id"],
        line["seq"],
        line["phase"],
        line["kind"],
        line["outcome"],
        line["detail"],
        None if amount is None else _plain(amount),
        to_text(line["at"]),
        line["owner"],
        line["fence"],
    ]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False).encode()).hexdigest()


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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


def close_orphan(row: Row, intent: OpenIntent, now: datetime, owner: str, first_probe: timedelta) -> dict[str, Any]:
    """Turn an intent without an outcome into an unknown outcome, which is then looked into.

    Returns the effect line to write; the caller deletes the open intent.
    """
    text = "the process that began this ended before it recorded how it went; looking before anything else"
    line = effect_line(
        row, phase="outcome", kind=intent.kind, outcome=OutcomeKind.UNKNOWN, detail=text, now=now, owner=owner
    )
    landing = unknown_landing(intent.kind)
    if landing is not None:
        move(row, landing, now)
        row.unknown_since, row.probes_missed = intent.at, 0
        row.due_at = max(now, intent.at + first_probe)
    return line


async def delete_intents(session: AsyncSession, ids: Sequence[int]) -> None:
    """Close the open intents of these orders."""
    for start in range(0, len(ids), MAX_IN_LIST):
        part = ids[start : start + MAX_IN_LIST]
        await session.execute(delete(OpenIntent).where(col(OpenIntent.order_id).in_(part)))


def is_effect(step: Step) -> bool:
    """Whether a step changes something outside and therefore needs an intent."""
    return step in EFFECTS
