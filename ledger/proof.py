"""What a certificate is made of, read from the ledger some orders at a time: never all of a long range in memory."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from ledger.hot import ORDERS, fetch_rows, rows_where
from ledger.readings import sides_of
from ledger.reconcile import ledger_side
from ledger.rows import account_filter
from models.glopal import ORDER_EVENTS
from models.ids import AccountKey
from models.ranges import Span
from models.sides import LedgerSide, SourceSide, StoreSide
from models.tables import FindingRow, Reading, SourceEvent, SourceOrder

AT_ONCE = 1000
_READY = [name for name, status in ORDER_EVENTS.items() if status == "READY"]


@dataclass(frozen=True, slots=True)
class ProofOf:
    """One order's line in a certificate; see ``reports.facts.OrderFact``."""

    order: str
    first_event_at: datetime
    source: SourceSide | None
    ledger: LedgerSide | None
    store: StoreSide | None
    read_at: datetime | None
    ready_at: datetime | None
    accepted_at: datetime | None


async def proof_rows(ledger: Ledger, key: AccountKey, span: Span) -> AsyncIterator[ProofOf]:
    """Every order that was first heard of in ``span``, also those that only a reconciliation knows."""
    found = await _ids(ledger, key, span)
    for start in range(0, len(found), AT_ONCE):
        async with ledger.read() as session:
            rows = await fetch_rows(session, rows_where(ORDERS.c.id.in_(found[start : start + AT_ONCE])))
            readings = await _readings(session, key, [row.source_order_id for row in rows])
            ready = await _ready(session, [row.id for row in rows])
        now = ledger.clock()
        for row in rows:
            reading = readings.get(row.source_order_id)
            source, store = sides_of(reading) if reading is not None else (None, None)
            yield ProofOf(
                order=row.source_order_id,
                first_event_at=row.source_at or row.first_seen_at,
                source=source,
                ledger=ledger_side(row, "", open_intent=False, now=now),
                store=store,
                read_at=reading.read_at if reading is not None else None,
                ready_at=ready.get(row.id),
                accepted_at=row.accepted_at,
            )
    async for line in _only_read(ledger, key, span):
        yield line


async def _ids(ledger: Ledger, key: AccountKey, span: Span) -> array[int]:
    """Their ids, looked for once: a look for each ``AT_ONCE`` of them would walk past the whole history each time."""
    async with ledger.read() as session:
        query = select(SourceOrder.id).where(*account_filter(key), _first_in(span)).order_by(col(SourceOrder.id))
        return array("q", (row_id for row_id in await session.exec(query) if row_id is not None))


def _first_in(span: Span) -> ColumnElement[bool]:
    at, seen = ORDERS.c.source_at, ORDERS.c.first_seen_at
    return or_(and_(at >= span.start, at < span.end), and_(at.is_(None), seen >= span.start, seen < span.end))


async def _readings(session: AsyncSession, key: AccountKey, names: Sequence[str]) -> dict[str, Reading]:
    query = select(Reading).where(
        Reading.provider == key.provider,
        Reading.environment == key.environment,
        Reading.account == key.account,
        col(Reading.source_order_id).in_(names),
    )
    return {row.source_order_id: row for row in await session.exec(query)}


async def _ready(session: AsyncSession, ids: Sequence[int]) -> dict[int, datetime]:
    """When the provider said that each order is paid, by its own event.

    The orders are one account's, and so are their events. Saying so again would have SQLite walk all of the account's.
    """
    query = (
        select(SourceEvent.order_id, func.min(col(SourceEvent.event_at)))
        .where(col(SourceEvent.order_id).in_(ids), col(SourceEvent.event_name).in_(_READY))
        .group_by(col(SourceEvent.order_id))
    )
    return {order_id: at for order_id, at in await session.exec(query) if order_id is not None and at is not None}


async def _only_read(ledger: Ledger, key: AccountKey, span: Span) -> AsyncIterator[ProofOf]:
    """Orders that the provider's feed spoke of and the ledger still lacks."""
    async with ledger.read() as session:
        there = select(SourceOrder.id).where(
            *account_filter(key), col(SourceOrder.source_order_id) == col(Reading.source_order_id)
        )
        query = (
            select(Reading)
            .where(
                Reading.provider == key.provider,
                Reading.environment == key.environment,
                Reading.account == key.account,
                col(Reading.first_event_at) >= span.start,
                col(Reading.first_event_at) < span.end,
                ~there.exists(),
            )
            .order_by(col(Reading.id))
        )
        rows = list(await session.exec(query))
    for row in rows:
        source, store = sides_of(row)
        yield ProofOf(
            row.source_order_id, row.first_event_at or row.read_at, source, None, store, row.read_at, None, None
        )


@dataclass(frozen=True, slots=True)
class Noted:
    """A finding as it is kept."""

    order: str
    mismatch: str
    explanation: str
    action: str
    found_at: datetime
    closed_at: datetime | None
    parked: bool = False


async def findings(ledger: Ledger, key: AccountKey, *, since: datetime, limit: int = 20_000) -> list[Noted]:
    """Findings that are open, or that were closed after ``since``; the oldest first."""
    async with ledger.read() as session:
        query = (
            select(FindingRow)
            .where(
                FindingRow.provider == key.provider,
                FindingRow.environment == key.environment,
                FindingRow.account == key.account,
                or_(col(FindingRow.closed_at).is_(None), col(FindingRow.closed_at) >= since),
            )
            # What is open is never what is cut.
            .order_by(col(FindingRow.closed_at).is_not(None), col(FindingRow.found_at), col(FindingRow.id))
            .limit(limit)
        )
        return [
            Noted(row.source_order_id, row.mismatch, row.explanation, row.action, row.found_at, row.closed_at)
            for row in await session.exec(query)
        ]


async def open_findings(ledger: Ledger, key: AccountKey) -> list[Noted]:
    """Every open finding of an account, of whatever day its order is, and whether a person has that order already."""
    async with ledger.read() as session:
        same = and_(*account_filter(key), col(SourceOrder.source_order_id) == col(FindingRow.source_order_id))
        query = (
            select(FindingRow, SourceOrder.parked_at)
            .outerjoin(SourceOrder, same)
            .where(
                FindingRow.provider == key.provider,
                FindingRow.environment == key.environment,
                FindingRow.account == key.account,
                col(FindingRow.closed_at).is_(None),
            )
            .order_by(col(FindingRow.found_at), col(FindingRow.id))
        )
        return [
            Noted(
                row.source_order_id, row.mismatch, row.explanation, row.action, row.found_at, None, parked is not None
            )
            for row, parked in await session.exec(query)
        ]
