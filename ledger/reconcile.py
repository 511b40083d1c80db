"""Reconciliation's side of the ledger: which orders to compare, what the ledger has of them, and what came of it.

Everything works on many orders at once: a fixed number of statements for a chunk, however many orders are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, or_, update
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.cursor import events_of
from ledger.engine import MAX_IN_LIST, Ledger
from ledger.hot import Row, load_rows, save_effects, save_rows
from ledger.notices import notice_row, save_notices
from ledger.policy import bucket_of
from ledger.readings import reading_row, write_readings
from ledger.repairs import Repaired, mended, repair_row, words_of
from ledger.rows import account_filter, orphaned_intents
from ledger.steps import Rules
from models.glopal import clean_text
from models.ids import AccountKey
from models.lifecycle import SETTLED, UNKNOWN, Landing, SourceStatus
from models.ranges import Span
from models.sides import Comparison, Finding, LedgerSide, Mismatch, OrderSides, Repair
from models.tables import FindingRow, OrderRecord, SourceEvent, SourceOrder

_FINDINGS: Table = FindingRow.__table__  # type: ignore[attr-defined]
_SEEN_AGAIN = (
    update(_FINDINGS)
    .where(_FINDINGS.c.id == bindparam("row_id"))
    .values(explanation=bindparam("new_explanation"), action=bindparam("new_action"), seen_at=bindparam("new_seen_at"))
)
_CLOSED = (
    update(_FINDINGS)
    .where(_FINDINGS.c.id == bindparam("row_id"))
    .values(action=bindparam("new_action"), closed_at=bindparam("new_closed_at"))
)


@dataclass(frozen=True, slots=True)
class ToCompare:
    """An order as the ledger has it now, and by what it is recognised as unchanged when the result is written."""

    id: int
    source_order_id: str
    reference: str
    side: LedgerSide
    first_event_at: datetime | None
    effect_seq: int
    fence: int
    updated_at: datetime


async def ids_to_compare(ledger: Ledger, key: AccountKey, span: Span, *, open_too: bool) -> list[int]:
    """The ledger's orders of a range: those first heard of in it, and those that anything happened to in it.

    Args:
        ledger: where.
        key: whose orders.
        span: the range.
        open_too: also every order that is not at rest or has an open finding, however old it is.
    """
    in_span = and_(col(SourceEvent.event_at) >= span.start, col(SourceEvent.event_at) < span.end)
    touched = sa_select(col(SourceEvent.order_id)).where(*events_of(key), in_span)
    wanted: list[ColumnElement[bool]] = [
        and_(col(SourceOrder.source_at) >= span.start, col(SourceOrder.source_at) < span.end),
        col(SourceOrder.id).in_(touched),
        and_(
            col(SourceOrder.source_at).is_(None),
            col(SourceOrder.first_seen_at) >= span.start,
            col(SourceOrder.first_seen_at) < span.end,
        ),
    ]
    if open_too:
        found = sa_select(col(FindingRow.source_order_id)).where(*_open_of(key))
        wanted += [col(SourceOrder.settled_at).is_(None), col(SourceOrder.source_order_id).in_(found)]
    async with ledger.read() as session:
        query = select(SourceOrder.id).where(*account_filter(key), or_(*wanted)).order_by(col(SourceOrder.id))
        return [row_id for row_id in await session.exec(query) if row_id is not None]


def _open_of(key: AccountKey) -> tuple[ColumnElement[bool], ...]:
    return (
        col(FindingRow.provider) == key.provider,
        col(FindingRow.environment) == key.environment,
        col(FindingRow.account) == key.account,
        col(FindingRow.closed_at).is_(None),
    )


async def load_to_compare(ledger: Ledger, ids: Sequence[int], rules: Rules) -> list[ToCompare]:
    """What the ledger has of these orders. Documents that were read by other rules have no hash to compare."""
    now = ledger.clock()
    async with ledger.read() as session:
        rows = await load_rows(session, ids, lock=False)
        intents = await orphaned_intents(session, list(rows))
        hashes: dict[int, str] = {}
        documents = [row.document_id for row in rows.values() if row.document_id is not None]
        for start in range(0, len(documents), MAX_IN_LIST):
            part = documents[start : start + MAX_IN_LIST]
            query = select(OrderRecord.id, OrderRecord.content_hash).where(
                col(OrderRecord.id).in_(part), OrderRecord.mapping == rules.mapping
            )
            hashes.update({row_id: text for row_id, text in await session.exec(query) if row_id is not None})
    return [
        ToCompare(
            id=row.id,
            source_order_id=row.source_order_id,
            reference=row.reference,
            side=_comparable(row, hashes, open_intent=row.id in intents, now=now),
            first_event_at=row.source_at,
            effect_seq=row.effect_seq,
            fence=row.fence,
            updated_at=row.updated_at,
        )
        for row in rows.values()
    ]


def _comparable(row: Row, hashes: dict[int, str], *, open_intent: bool, now: datetime) -> LedgerSide:
    """The ledger's side. Amounts that other rules found are not compared: an edited mapping changed no order."""
    found = hashes.get(row.document_id) if row.document_id is not None else ""
    side = ledger_side(row, found or "", open_intent=open_intent, now=now)
    if found is None:
        return replace(side, currency="", total=None, base_currency="", base_total=None)
    return side


def ledger_side(row: Row, content_hash: str, *, open_intent: bool, now: datetime) -> LedgerSide:
    """The ledger's side of one order."""
    landing, resting = Landing(row.landing), row.settled_at is not None or row.parked_at is not None
    leased = row.lease_until is not None and row.lease_until > now
    return LedgerSide(
        bucket=bucket_of(
            landing,
            SourceStatus(row.source_status),
            parked=row.parked_at is not None,
            settled=row.settled_at is not None,
            closed=row.closed_at is not None,
        ),
        landing=landing,
        source_status=SourceStatus(row.source_status),
        currency=row.currency or "",
        total=row.total,
        base_currency=row.base_currency or "",
        base_total=row.base_total,
        store_order_id=row.store_order_id or "",
        store_order_number=row.store_order_number or "",
        content_hash=content_hash,
        open_since=None if resting else _open_since(row, landing),
        # One that is being tried again by itself keeps its code and is not parked.
        parked_code=(row.parked_code or "") if row.parked_at is not None else "",
        parked_reason=(row.parked_reason or "") if row.parked_at is not None else "",
        closed=row.closed_at is not None,
        effect_open=open_intent or leased or landing in UNKNOWN,
        due=row.due_at is not None and not resting,
    )


def _open_since(row: Row, landing: Landing) -> datetime:
    """Since when something is to be done. An order that was settled before is open only since the news about it."""
    if landing in SETTLED and not row.attempts:
        return row.updated_at
    return row.ready_at or row.first_seen_at


@dataclass(frozen=True, slots=True)
class Judged:
    """One compared order. ``order`` is None when the ledger has no such order."""

    order: ToCompare | None
    sides: OrderSides
    comparison: Comparison
    first_event_at: datetime | None


@dataclass(slots=True)
class Saved:
    """What writing a chunk's results came to, by order id of the provider; ``newly`` agreed not before."""

    agreeing: int = 0
    newly: int = 0
    opened: list[tuple[str, Mismatch]] = field(default_factory=list)
    still: list[tuple[str, Mismatch]] = field(default_factory=list)
    closed: int = 0
    repaired: list[int] = field(default_factory=list)
    parked: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)


async def save_judged(
    ledger: Ledger, key: AccountKey, rules: Rules, judged: Sequence[Judged], *, repair: bool
) -> Saved:
    """Write the readings, open and close findings, and set repairs going; all in one transaction.

    An order that moved on since it was read is left alone: what was compared is no longer what is.
    """
    now, saved = ledger.clock(), Saved()
    async with ledger.write() as session:
        wanted = [entry.order.id for entry in judged if entry.order is not None]
        rows = await load_rows(session, wanted)
        intents = await orphaned_intents(session, wanted)
        known = await _open_findings(session, key, [entry.sides.order for entry in judged])
        work = _Writing(now, known, saved)
        touched: list[Row] = []
        lines, notices = list[dict[str, Any]](), list[dict[str, Any]]()
        for entry in judged:
            row = rows.get(entry.order.id) if entry.order is not None else None
            if entry.order is not None and (row is None or row.id in intents or _moved(row, entry.order, now)):
                saved.moved.append(entry.order.id)
                continue
            saved.newly += entry.comparison.agrees and row is not None and row.reconciled_at is None
            done = _act(ledger, row, entry, rules, now) if repair else Repaired()
            if row is not None and _settle_row(row, entry, done, now):
                touched.append(row)
            lines += done.lines
            if done.parked is not None and row is not None:
                saved.parked.append(row.id)
                notices.append(notice_row(row.id, "crossdock.order.parked", *done.parked, now))
            if done.changed and row is not None:
                saved.repaired.append(row.id)
            work.findings(key, entry, done)
            work.readings.append(
                reading_row(
                    key,
                    None if row is None else row.id,
                    entry.sides,
                    entry.first_event_at,
                    now,
                    agrees=entry.comparison.agrees,
                )
            )
            saved.agreeing += entry.comparison.agrees
        await write_readings(session, ledger, work.readings)
        await work.write(session, ledger)
        await save_effects(session, lines)
        await save_notices(session, notices)
        await save_rows(session, touched)
    return saved


def _moved(row: Row, order: ToCompare, now: datetime) -> bool:
    leased = row.lease_until is not None and row.lease_until > now
    same = (row.effect_seq, row.fence, row.updated_at) == (order.effect_seq, order.fence, order.updated_at)
    return leased or not same


def _act(ledger: Ledger, row: Row | None, entry: Judged, rules: Rules, now: datetime) -> Repaired:
    if row is None or entry.comparison.unread:
        return Repaired()
    if mended(row, entry.comparison):
        return repair_row(row, None, entry.sides, rules, now, ledger.owner)
    for finding in entry.comparison.findings:
        if finding.repair is not Repair.NONE:
            return repair_row(row, finding, entry.sides, rules, now, ledger.owner)
    return Repaired()


def _settle_row(row: Row, entry: Judged, done: Repaired, now: datetime) -> bool:
    """Note whether the sides agree; whether the row changed at all."""
    agrees = entry.comparison.agrees and not done.changed
    before = row.reconciled_at
    row.reconciled_at = now if agrees else None
    return done.changed or row.reconciled_at != before


async def _open_findings(session: AsyncSession, key: AccountKey, names: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for start in range(0, len(names), MAX_IN_LIST):
        query = select(FindingRow.source_order_id, FindingRow.mismatch, FindingRow.id).where(
            *_open_of(key), col(FindingRow.source_order_id).in_(names[start : start + MAX_IN_LIST])
        )
        for order, kind, row_id in await session.exec(query):
            found.setdefault(order, {})[kind] = row_id or 0
    return found


def _waits(entry: Judged) -> str:
    """The code of the parking that the order was in when it was read; empty when it was in none."""
    return entry.order.side.parked_code if entry.order is not None else ""


def _concluded(entry: Judged) -> bool:
    """Whether what was not found is really mended: not where a side was not read, or a step of ours is still to come.

    The findings of a parked order are told whatever they are, so there the ones that are missing are mended.
    """
    if entry.comparison.unread or (entry.order is not None and entry.order.side.effect_open):
        return False
    return not entry.comparison.pending or bool(_waits(entry))


def told_of(comparison: Comparison) -> list[Finding]:
    """The findings that are written: that an order is parked is one only where nothing else says why."""
    others = [finding for finding in comparison.findings if finding.mismatch is not Mismatch.PARKED]
    return others or list(comparison.findings)


class _Writing:
    """Collects what is to be written, so that each kind is one statement."""

    def __init__(self, now: datetime, known: dict[str, dict[str, int]], saved: Saved) -> None:
        self.now = now
        self.known = known
        self.saved = saved
        self.readings: list[dict[str, Any]] = []
        self._new: list[dict[str, Any]] = []
        self._again: list[dict[str, Any]] = []
        self._closed: list[dict[str, Any]] = []

    def findings(self, key: AccountKey, entry: Judged, done: Repaired) -> None:
        """Open what is new, note what is still there, close what is not any more."""
        order = entry.sides.order
        known, there = self.known.get(order, {}), set[str]()
        freed = done.changed and done.by is Repair.NONE
        for finding in () if freed else told_of(entry.comparison):
            kind = finding.mismatch.value
            there.add(kind)
            action = words_of(finding, done, parked=_waits(entry))
            text = clean_text(finding.explanation)
            row_id = known.get(kind)
            if row_id is not None:
                self._again.append(
                    {"row_id": row_id, "new_explanation": text, "new_action": action, "new_seen_at": self.now}
                )
                self.saved.still.append((order, finding.mismatch))
                continue
            self.saved.opened.append((order, finding.mismatch))
            self._new.append(
                {
                    "provider": key.provider,
                    "environment": key.environment,
                    "account": key.account,
                    "source_order_id": order,
                    "mismatch": kind,
                    "explanation": text,
                    "action": action,
                    "found_at": self.now,
                    "seen_at": self.now,
                    "closed_at": None,
                }
            )
        if not _concluded(entry):
            return
        for kind, row_id in known.items():
            if kind not in there:
                action = "found mended by a later run"
                self._closed.append({"row_id": row_id, "new_action": action, "new_closed_at": self.now})

    async def write(self, session: AsyncSession, ledger: Ledger) -> None:
        """Write findings."""
        self.saved.closed += len(self._closed)
        if self._new:
            await session.execute(ledger.insert_ignoring(_FINDINGS), self._new)
        if self._again:
            await session.execute(_SEEN_AGAIN, self._again)
        if self._closed:
            await session.execute(_CLOSED, self._closed)
