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

from sqlalchemy import Table, bindparam, func, insert, update
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from ledger.hot import Row, load_rows, save_effects, save_rows
from ledger.notices import notice_row, save_notices
from ledger.rows import (
    close_orphan,
    delete_intents,
    effect_line,
    is_effect,
    learn_status,
    move,
    orphaned_intents,
    park,
    reschedule,
    step_of,
    unpark,
)
from models.lifecycle import UNKNOWN, ImportOn, Landing, SourceStatus, Step
from models.outcome import OutcomeKind
from models.tables import Effect, OpenIntent, OrderRecord

# Refusals that end by themselves once somebody mends the store; such orders are tried again without being asked to.
RECHECKED = frozenset({"insert.unknown_sku", "insert.out_of_stock"})
_INTENTS: Table = OpenIntent.__table__  # type: ignore[attr-defined]
_DOCUMENTS: Table = OrderRecord.__table__  # type: ignore[attr-defined]
_MAPPED = (
    update(_DOCUMENTS)
    .where(
        _DOCUMENTS.c.order_id == bindparam("of_order"),
        _DOCUMENTS.c.sha256 == bindparam("of_sha"),
        # What was mapped by other rules is mapped again by those in force now, even where the result is the same.
        (_DOCUMENTS.c.content_hash != bindparam("hash"))
        | (func.coalesce(_DOCUMENTS.c.mapping, "") != bindparam("rules")),
    )
    .values(canonical=bindparam("text"), content_hash=bindparam("hash"), mapping=bindparam("rules"))
)


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
    cancel_by: str | None = None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to keep: the bytes as received and, when it could be mapped, the canonical order.

    One that could not be mapped is kept without becoming the order's current document.
    """

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
    landing: Landing | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the ledger needs to know of an account to schedule its orders. ``mapping`` is the mapping's hash."""

    import_on: ImportOn
    deadline: timedelta
    first_probe: timedelta
    start_at: datetime | None = None
    mapping: str = ""


async def begin(ledger: Ledger, ids: Sequence[int], step: Step, rules: Rules) -> list[Work]:
    """Start a step for those of ``ids`` that this process holds and whose next step it is.

    For an effect the intent and its open mark are written in this transaction, before anything is sent. Orders that
    moved on meanwhile, or were lost to another process, are left out.
    """
    now = ledger.clock()
    if not is_effect(step):
        async with ledger.read() as session:
            rows = await load_rows(session, ids, lock=False)
            mine = [row for row in rows.values() if _mine(row, ledger)]
            # An effect that nobody recorded the end of comes first: its next claim turns it into an unknown one.
            orphans = await orphaned_intents(session, [row.id for row in mine])
            return [_work(row, step) for row in mine if row.id not in orphans and step_of(row, rules.import_on) is step]
    works: list[Work] = []
    async with ledger.write() as session:
        found = await load_rows(session, ids)
        mine = [row for row in found.values() if _mine(row, ledger)]
        # A retry of our own after the ledger failed to take an outcome: nobody knows how that one ended.
        orphans = await orphaned_intents(session, [row.id for row in mine])
        lines = [
            close_orphan(row, orphans[row.id], now, ledger.owner, rules.first_probe)
            for row in mine
            if row.id in orphans
        ]
        await delete_intents(session, list(orphans))
        starting = [row for row in mine if step_of(row, rules.import_on) is step]
        intents = []
        for row in starting:
            row.lease_until = now + timedelta(seconds=ledger.settings.lease_seconds)
            text = _intent_text(row, step)
            line = effect_line(row, phase="intent", kind=step.value, detail=text, now=now, owner=ledger.owner)
            lines.append(line)
            intents.append(
                {"order_id": row.id, "seq": line["seq"], "kind": step.value, "at": now, "owner": ledger.owner}
            )
            works.append(_work(row, step))
        await save_effects(session, lines)
        if intents:
            await session.execute(insert(_INTENTS), intents)
        await save_rows(session, [row for row in mine if row.id in orphans or row.lease_until is not None])
    return works


def _mine(row: Row, ledger: Ledger) -> bool:
    return row.lease_owner == ledger.owner


def _intent_text(row: Row, step: Step) -> str:
    if step is Step.ACCEPT:
        return json.dumps({"store_order_id": row.store_order_id, "store_order_number": row.store_order_number})
    if step in (Step.CANCEL_STORE, Step.CANCEL_SOURCE):
        return row.cancel_wanted or "the provider cancelled the order"
    return row.reference


def _work(row: Row, step: Step) -> Work:
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
        cancel_by=row.cancel_by,
    )


async def finish(ledger: Ledger, ends: Sequence[StepEnd], rules: Rules) -> list[After]:
    """Record how steps ended, each order by itself, in one transaction.

    A row whose lease or fencing number changed is left alone and comes back as ``lost``: its new owner found the open
    intent and treats it as unknown.
    """
    now = ledger.clock()
    afters: list[After] = []
    lines: list[dict[str, Any]] = []
    notices: list[dict[str, Any]] = []
    async with ledger.write() as session:
        rows = await load_rows(session, [end.work.id for end in ends])
        ours = [end for end in ends if _still_ours(rows.get(end.work.id), end, ledger)]
        documents = await _keep_documents(session, ledger, ours, rules, now)
        for end in ends:
            row = rows.get(end.work.id)
            if row is None or not _still_ours(row, end, ledger):
                afters.append(After(end.work.id, end.work.source_order_id, None, None, False, None, lost=True))
                continue
            if end.document is not None and end.document.canonical is not None:
                row.document_id = documents[row.id, end.document.sha256]
            told, parked_anew = _apply(ledger, row, end, rules, now)
            lines += told
            after = _after(row, end, rules, now, newly_parked=parked_anew)
            afters.append(after)
            if after.newly_parked:
                notices.append(
                    notice_row(row.id, "crossdock.order.parked", row.parked_code or "", row.parked_reason or "", now)
                )
            if not after.due_now and not (end.outcome is OutcomeKind.NOT_YET and not end.leave):
                row.lease_owner = row.lease_until = None
        await save_effects(session, lines)
        await save_notices(session, notices)
        await save_rows(session, [rows[end.work.id] for end in ours])
        await delete_intents(session, [end.work.id for end in ours if is_effect(end.work.step)])
    return afters


def _still_ours(row: Row | None, end: StepEnd, ledger: Ledger) -> bool:
    return row is not None and _mine(row, ledger) and row.fence == end.work.fence


def _apply(ledger: Ledger, row: Row, end: StepEnd, rules: Rules, now: datetime) -> tuple[list[dict[str, Any]], bool]:
    """Change one row as its step's end says; returns the lines of its story, and whether it waits for a person now."""
    lines: list[dict[str, Any]] = []
    changed = (SourceStatus(row.source_status), row.cancel_wanted) != (end.work.source_status, end.work.cancel_wanted)
    effect = is_effect(end.work.step)
    if effect or end.note_kind:
        lines.append(
            effect_line(
                row,
                phase="outcome" if effect else "note",
                kind=end.work.step.value if effect else (end.note_kind or ""),
                outcome=end.outcome,
                detail=end.detail,
                now=now,
                owner=ledger.owner,
            )
        )
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
    # News make an order due at once, but a store is never searched earlier for it.
    waits = end.due_in is not None and (not changed or row.landing == Landing.INSERT_UNKNOWN.value)
    due_at = now + timedelta(seconds=end.due_in or 0.0) if waits else None
    following = reschedule(row, rules.import_on, now, due_at)
    parking = _parking(row, end, changed=changed and following is not None)
    # One that was tried again by itself and refused for the same reason waits on, and nobody is told a second time.
    again = parking is not None and (row.parked_code, row.parked_reason) == parking
    if parking is not None and (row.parked_at is None or not again):
        code, reason = parking
        if not again:
            lines.append(effect_line(row, phase="note", kind="park", detail=reason, now=now, owner=ledger.owner))
        park(row, code, reason, now)
        row.parked_with = rules.mapping
        if code in RECHECKED:
            row.refused_since = row.refused_since or now
        reschedule(row, rules.import_on, now, due_at)
    return lines, row.parked_at == now and not again


def _parking(row: Row, end: StepEnd, *, changed: bool) -> tuple[str, str] | None:
    """Why the order waits for a person now, if it does; news that have a step of their own come first."""
    if row.landing == Landing.ACCEPTED.value and row.cancel_wanted is not None:
        row.cancel_wanted = row.cancel_by = None
        return "cancel.too_late", "the order was accepted before its cancel could be sent; it is not cancelled"
    return None if changed else end.park


def _land(row: Row, end: StepEnd, now: datetime) -> None:
    assert end.landing is not None  # noqa: S101 - checked by the caller
    was = Landing(row.landing)
    move(row, end.landing, now)
    if end.landing in UNKNOWN and was is not end.landing:
        row.unknown_since, row.probes_missed = now, 0
    elif was in UNKNOWN and end.landing not in UNKNOWN:
        row.unknown_since, row.probes_missed = None, 0
        if row.parked_at is not None:
            unpark(row)
            row.deadline_applied_at = None


async def _keep_documents(
    session: AsyncSession, ledger: Ledger, ends: Sequence[StepEnd], rules: Rules, now: datetime
) -> dict[tuple[int, str], int]:
    """Keep the new documents, the same bytes of an order once; returns their ids."""
    rows = [
        {
            "order_id": end.work.id,
            "received_at": now,
            "sha256": end.document.sha256,
            "raw": end.document.raw,
            "canonical": end.document.canonical,
            "content_hash": end.document.content_hash,
            "mapping": rules.mapping,
        }
        for end in ends
        if end.document is not None
    ]
    if not rows:
        return {}
    await session.execute(ledger.insert_ignoring(_DOCUMENTS), rows)
    # The same bytes can be mapped later that could not be before: the mapping stands in the configuration.
    mapped = [
        {
            "of_order": row["order_id"],
            "of_sha": row["sha256"],
            "text": row["canonical"],
            "hash": row["content_hash"],
            "rules": rules.mapping,
        }
        for row in rows
        if row["canonical"] is not None
    ]
    if mapped:
        await session.execute(_MAPPED, mapped)
    query = sa_select(_DOCUMENTS.c.order_id, _DOCUMENTS.c.sha256, _DOCUMENTS.c.id).where(
        _DOCUMENTS.c.order_id.in_([row["order_id"] for row in rows])
    )
    return {(order_id, sha): document_id for order_id, sha, document_id in await session.execute(query)}


def _after(row: Row, end: StepEnd, rules: Rules, now: datetime, *, newly_parked: bool) -> After:
    step = step_of(row, rules.import_on)
    return After(
        id=end.work.id,
        source_order_id=end.work.source_order_id,
        outcome=end.outcome,
        next_step=step,
        due_now=step is not None and row.due_at is not None and row.due_at <= now,
        parked_code=row.parked_code,
        newly_parked=newly_parked,
        landing=Landing(row.landing),
    )


async def story(session: AsyncSession, order_id: int) -> list[Effect]:
    """An order's effect lines, oldest first."""
    query = select(Effect).where(Effect.order_id == order_id).order_by(col(Effect.seq))
    return list(await session.exec(query))
