"""Begin and finish a step of some orders: the intent is on disk before the effect, the outcome right after it.

``begin`` and ``finish`` are the only writers of ``landing``. Both check the lease owner and the fencing number of each
row, so a process that lost its lease can no longer change an order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from ledger.rows import (
    append_effect,
    close_orphan,
    is_effect,
    learn_status,
    load_rows,
    move,
    orphaned_intents,
    park,
    reschedule,
    step_of,
    unpark,
)
from models.lifecycle import UNKNOWN, ImportOn, Landing, SourceStatus, Step
from models.outcome import OutcomeKind
from models.tables import Effect, OpenIntent, OrderRecord, SourceOrder


@dataclass(frozen=True, slots=True)
class Work:
    """One order's part of a step: what the task needs to know, read in the transaction that wrote the intent."""

    id: int
    source_order_id: str
    reference: str
    step: Step
    fence: int
    source_status: SourceStatus
    landing: Landing
    document_id: int | None
    store_order_id: str | None
    store_order_number: str | None
    base_total: Decimal | None
    attempts: int
    unknown_since: datetime | None
    probes_missed: int
    cancel_wanted: str | None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to keep: the bytes as received and, when it could be mapped, the canonical order."""

    raw: bytes
    sha256: str
    canonical: str | None = None
    content_hash: str = ""


@dataclass(frozen=True, slots=True)
class StepEnd:
    """How one order's step ended.

    Attributes:
        work: what ``begin`` returned for it.
        outcome: the class of the end.
        detail: one plain sentence for the order's story; no secret, no buyer.
        landing: the new landing, or None to stay.
        told_status: a status the provider stated, merged into the row.
        due_in: seconds until the order is due again, when it is not due at once.
        park: code and plain reason, when a person is needed.
        note_kind: writes a story line for a reading step, too.
        document: a document to keep and make current.
        leave: the order leaves this run; a retry within it would be no use.
        fields: other columns to set.
    """

    work: Work
    outcome: OutcomeKind
    detail: str
    landing: Landing | None = None
    told_status: SourceStatus | None = None
    due_in: float | None = None
    park: tuple[str, str] | None = None
    note_kind: str | None = None
    document: NewDocument | None = None
    leave: bool = False
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class After:
    """Where an order stands after a step was recorded."""

    id: int
    source_order_id: str
    outcome: OutcomeKind | None
    next_step: Step | None
    due_now: bool
    parked_code: str | None
    lost: bool = False
    newly_parked: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What the ledger needs to know of an account to schedule its orders."""

    import_on: ImportOn
    deadline: timedelta
    first_probe: timedelta


async def begin(ledger: Ledger, ids: Sequence[int], step: Step, rules: Rules) -> list[Work]:
    """Start a step for those of ``ids`` that this process holds and whose next step it is.

    For an effect the intent and its open mark are written in this transaction, before anything is sent. Orders that
    moved on meanwhile, or were lost to another process, are left out.
    """
    now = ledger.clock()
    if not is_effect(step):
        async with ledger.read() as session:
            rows = await _rows_plain(session, ids)
            return [_work(row, step) for row in rows if _mine(row, ledger) and step_of(row, rules.import_on) is step]
    works: list[Work] = []
    async with ledger.write() as session:
        found = await load_rows(session, ids)
        orphans = await orphaned_intents(session, list(found))
        for order_id, row in found.items():
            if not _mine(row, ledger):
                continue
            if order_id in orphans:
                # A retry of our own after the ledger failed to take an outcome: nobody knows how that one ended.
                await close_orphan(session, row, orphans[order_id], now, ledger.owner, rules.first_probe)
                await session.flush()
            if step_of(row, rules.import_on) is not step:
                continue
            row.lease_until = now + timedelta(seconds=ledger.settings.lease_seconds)
            line = append_effect(
                row, phase="intent", kind=step.value, detail=_intent_text(row, step), now=now, owner=ledger.owner
            )
            session.add(line)
            session.add(OpenIntent(order_id=order_id, seq=line.seq, kind=step.value, at=now, owner=ledger.owner))
            works.append(_work(row, step))
    return works


async def _rows_plain(session: AsyncSession, ids: Sequence[int]) -> list[SourceOrder]:
    query = select(SourceOrder).where(col(SourceOrder.id).in_(list(ids))).order_by(col(SourceOrder.id))
    return list(await session.exec(query))


def _mine(row: SourceOrder, ledger: Ledger) -> bool:
    return row.lease_owner == ledger.owner


def _intent_text(row: SourceOrder, step: Step) -> str:
    if step is Step.ACCEPT:
        return json.dumps({"store_order_id": row.store_order_id, "store_order_number": row.store_order_number})
    if step in (Step.CANCEL_STORE, Step.CANCEL_SOURCE):
        return row.cancel_wanted or "the provider cancelled the order"
    return row.reference


def _work(row: SourceOrder, step: Step) -> Work:
    assert row.id is not None  # noqa: S101 - read from the database
    return Work(
        id=row.id,
        source_order_id=row.source_order_id,
        reference=row.reference,
        step=step,
        fence=row.fence,
        source_status=SourceStatus(row.source_status),
        landing=Landing(row.landing),
        document_id=row.document_id,
        store_order_id=row.store_order_id,
        store_order_number=row.store_order_number,
        base_total=row.base_total,
        attempts=row.attempts,
        unknown_since=row.unknown_since,
        probes_missed=row.probes_missed,
        cancel_wanted=row.cancel_wanted,
    )


async def finish(ledger: Ledger, ends: Sequence[StepEnd], rules: Rules) -> list[After]:
    """Record how steps ended, each order by itself, in one transaction.

    A row whose lease or fencing number changed is left alone and comes back as ``lost``: its new owner found the open
    intent and treats it as unknown.
    """
    now = ledger.clock()
    afters: list[After] = []
    done_intents: list[int] = []
    async with ledger.write() as session:
        rows = await load_rows(session, [end.work.id for end in ends])
        for end in ends:
            row = rows.get(end.work.id)
            if row is None or not _mine(row, ledger) or row.fence != end.work.fence:
                afters.append(After(end.work.id, end.work.source_order_id, None, None, False, None, lost=True))
                continue
            if is_effect(end.work.step):
                done_intents.append(end.work.id)
            await _apply(session, ledger, row, end, rules, now)
            afters.append(_after(row, end, rules, now))
            retried = end.outcome is OutcomeKind.NOT_YET and not end.leave
            if not afters[-1].due_now and not retried:
                row.lease_owner = row.lease_until = None
        if done_intents:
            await session.execute(delete(OpenIntent).where(col(OpenIntent.order_id).in_(done_intents)))
    return afters


async def _apply(
    session: AsyncSession, ledger: Ledger, row: SourceOrder, end: StepEnd, rules: Rules, now: datetime
) -> None:
    changed = SourceStatus(row.source_status) is not end.work.source_status
    effect = is_effect(end.work.step)
    if effect or end.note_kind:
        session.add(
            append_effect(
                row,
                phase="outcome" if effect else "note",
                kind=end.work.step.value if effect else (end.note_kind or ""),
                outcome=end.outcome,
                detail=end.detail,
                now=now,
                owner=ledger.owner,
            )
        )
    if end.document is not None:
        await _keep_document(session, ledger, row, end.document, now)
    for name, value in end.fields.items():
        setattr(row, name, value)
    if end.told_status is not None:
        learn_status(row, end.told_status, now, rules.deadline)
    if end.landing is not None:
        _land(row, end, now)
    if end.outcome in (OutcomeKind.NOT_YET, OutcomeKind.UNKNOWN):
        row.attempts += 1
    elif effect or end.landing is not None:
        row.attempts = 0
    if end.park is not None and not changed:
        park(row, end.park[0], end.park[1], now)
        session.add(
            append_effect(row, phase="note", kind="park", detail=end.park[1], now=now, owner=ledger.owner)
        )
    due_at = None if end.due_in is None or changed else now + timedelta(seconds=end.due_in)
    reschedule(row, rules.import_on, now, due_at)


def _land(row: SourceOrder, end: StepEnd, now: datetime) -> None:
    assert end.landing is not None  # noqa: S101 - checked by the caller
    was = Landing(row.landing)
    move(row, end.landing, now)
    if end.landing in UNKNOWN and was is not end.landing:
        row.unknown_since, row.probes_missed = now, 0
    elif was in UNKNOWN and end.landing not in UNKNOWN:
        row.unknown_since, row.probes_missed = None, 0
        if row.parked_at is not None:
            unpark(row)


async def _keep_document(
    session: AsyncSession, ledger: Ledger, row: SourceOrder, document: NewDocument, now: datetime
) -> None:
    values = {
        "order_id": row.id,
        "received_at": now,
        "sha256": document.sha256,
        "raw": document.raw,
        "canonical": document.canonical,
        "content_hash": document.content_hash,
    }
    statement = ledger.insert_ignoring(OrderRecord, [values])
    await session.execute(statement)
    query = select(OrderRecord.id).where(OrderRecord.order_id == row.id, OrderRecord.sha256 == document.sha256)
    row.document_id = (await session.exec(query)).one()


def _after(row: SourceOrder, end: StepEnd, rules: Rules, now: datetime) -> After:
    step = step_of(row, rules.import_on)
    return After(
        id=end.work.id,
        source_order_id=end.work.source_order_id,
        outcome=end.outcome,
        next_step=step,
        due_now=step is not None and row.due_at is not None and row.due_at <= now,
        parked_code=row.parked_code,
        newly_parked=end.park is not None and row.parked_at == now,
    )


async def story(session: AsyncSession, order_id: int) -> list[Effect]:
    """An order's effect lines, oldest first."""
    query = select(Effect).where(Effect.order_id == order_id).order_by(col(Effect.seq))
    return list(await session.exec(query))
