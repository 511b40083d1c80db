"""Backfills that were asked for, and what the ledger knows of the orders that one is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func
from sqlmodel import col, select

from ledger.coverage import Proof, proofs
from ledger.cursor import events_of
from ledger.engine import MAX_IN_LIST, Ledger
from ledger.rows import account_filter, view_of
from models.ids import AccountKey
from models.lifecycle import ImportOn, OrderView
from models.ranges import Span
from models.tables import BackfillRun, SourceEvent, SourceOrder

FILL_GAPS: Final = "fill gaps"
REFRESH: Final = "refresh"
GOES_ON_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Opened:
    """A backfill under way. ``resumed`` when one that was asked for earlier is gone on with."""

    id: int
    mode: str
    started_at: datetime
    resumed: bool


async def open_backfill(ledger: Ledger, key: AccountKey, span: Span, mode: str, zone: str) -> Opened:
    """Begin a backfill, or go on with the same one that was begun and never finished."""
    now = ledger.clock()
    async with ledger.write() as session:
        await ledger.serialize(session, f"crossdock backfill {key}")
        query = select(BackfillRun).where(
            BackfillRun.provider == key.provider,
            BackfillRun.environment == key.environment,
            BackfillRun.account == key.account,
            col(BackfillRun.finished_at).is_(None),
            col(BackfillRun.start_at) == span.start,
            # One that was to end now ended earlier when it was begun.
            col(BackfillRun.end_at) <= span.end,
            BackfillRun.mode == mode,
            # What a refresh read days ago is no refresh any more.
            col(BackfillRun.started_at) > now - GOES_ON_FOR,
        )
        row = (await session.exec(query.order_by(col(BackfillRun.id).desc()).limit(1))).first()
        resumed = row is not None
        if row is None:
            row = BackfillRun(
                provider=key.provider,
                environment=key.environment,
                account=key.account,
                start_at=span.start,
                end_at=span.end,
                mode=mode,
                zone=zone,
                started_at=now,
            )
            session.add(row)
            await session.flush()
        assert row.id is not None  # noqa: S101 - flushed
        return Opened(row.id, mode, row.started_at, resumed)


async def finish_backfill(ledger: Ledger, run_id: int, said: str) -> None:
    """Note that a backfill proved all that it could; asking for the same one again begins a new one."""
    async with ledger.write() as session:
        row = await session.get(BackfillRun, run_id, with_for_update=True)
        if row is not None:
            row.finished_at, row.said = ledger.clock(), said


async def proven_for(ledger: Ledger, key: AccountKey, span: Span, run: Opened) -> list[Proof]:
    """What this backfill need not read again: for a refresh only what the same backfill has proven itself."""
    known = await proofs(ledger, key, span)
    return [proof for proof in known if run.mode == FILL_GAPS or proof.run_id == run.id]


async def count_under_way(ledger: Ledger, key: AccountKey, span: Span) -> int:
    """How many orders of an interval still have a step to go: held by another process, or to be tried later."""
    async with ledger.read() as session:
        query = select(func.count(col(SourceOrder.id))).where(
            *account_filter(key),
            col(SourceOrder.source_at) >= span.start,
            col(SourceOrder.source_at) < span.end,
            col(SourceOrder.due_at).is_not(None),
            col(SourceOrder.parked_at).is_(None),
        )
        return int((await session.exec(query)).one())


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger has of an order that a plan is about."""

    view: OrderView
    settled: bool
    closed: bool


async def known_orders(ledger: Ledger, key: AccountKey, names: Iterable[str], import_on: ImportOn) -> dict[str, Known]:
    """The ledger's view of these orders, by the provider's order id; those that it lacks are left out."""
    wanted = list(names)
    found: dict[str, Known] = {}
    async with ledger.read() as session:
        for start in range(0, len(wanted), MAX_IN_LIST):
            part = wanted[start : start + MAX_IN_LIST]
            query = select(SourceOrder).where(*account_filter(key), col(SourceOrder.source_order_id).in_(part))
            for row in await session.exec(query):
                found[row.source_order_id] = Known(
                    view_of(row, import_on), row.settled_at is not None, row.closed_at is not None
                )
    return found


async def ids_of_orders(ledger: Ledger, key: AccountKey, names: Iterable[str]) -> list[int]:
    """The ledger's ids of these orders of the provider; those that it lacks are left out."""
    wanted = list(names)
    found: list[int] = []
    async with ledger.read() as session:
        for start in range(0, len(wanted), MAX_IN_LIST):
            part = wanted[start : start + MAX_IN_LIST]
            query = select(SourceOrder.id).where(*account_filter(key), col(SourceOrder.source_order_id).in_(part))
            found += [row_id for row_id in await session.exec(query) if row_id is not None]
    return found


async def event_times(ledger: Ledger, key: AccountKey, span: Span) -> list[datetime]:
    """When the recorded events of an interval happened."""
    at = col(SourceEvent.event_at)
    async with ledger.read() as session:
        query = select(SourceEvent.event_at).where(*events_of(key), at >= span.start, at < span.end)
        return [found for found in await session.exec(query) if found is not None]


async def orders_of(ledger: Ledger, key: AccountKey, span: Span) -> list[tuple[str, datetime]]:
    """The orders that the provider first spoke of in an interval, and when it did."""
    at = col(SourceOrder.source_at)
    async with ledger.read() as session:
        query = select(SourceOrder.source_order_id, SourceOrder.source_at).where(
            *account_filter(key), at >= span.start, at < span.end
        )
        return [(name, found) for name, found in await session.exec(query) if found is not None]
