"""What is proven complete: intervals of an account's feed of which every event is in the ledger.

A backfill and a reconciliation write a row for each window; live polling has one row that grows. A row is written in
the transaction that records the last of its events, so that it can never say more than the ledger has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select

from ledger.cursor import events_of
from ledger.engine import Ledger
from ledger.leases import check_feed
from models.ids import AccountKey
from models.ranges import Span
from models.tables import Coverage, SourceEvent

By = Literal["live", "backfill", "reconcile"]
FEED_START = "feed_start"
CHAIN_BROKEN = "live_break"
# Rows that are moments and prove nothing.
_MOMENTS = (FEED_START, CHAIN_BROKEN)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proven interval.

    Attributes:
        span: from when to when.
        by: what proved it.
        proved_at: when.
        how: one plain sentence.
        run_id: the backfill that proved it, if one did.
    """

    span: Span
    by: str
    proved_at: datetime
    how: str
    run_id: int | None = None


def coverage_row(
    key: AccountKey, span: Span, *, by: By, how: str, now: datetime, events: int, pages: int, run_id: int | None = None
) -> dict[str, Any]:
    """The row that says that ``span`` is complete, for ``record_page`` to write beside the events."""
    return {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "start_at": span.start,
        "end_at": span.end,
        "by": by,
        "run_id": run_id,
        "events": events,
        "pages": pages,
        "how": how,
        "proved_at": now,
    }


def _of(key: AccountKey) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Coverage.provider) == key.provider,
        col(Coverage.environment) == key.environment,
        col(Coverage.account) == key.account,
    )


async def proofs(ledger: Ledger, key: AccountKey, span: Span) -> list[Proof]:
    """Every proven interval that touches ``span``, the earliest first."""
    async with ledger.read() as session:
        query = (
            select(Coverage)
            .where(
                *_of(key),
                col(Coverage.by).not_in(_MOMENTS),
                col(Coverage.start_at) < span.end,
                col(Coverage.end_at) > span.start,
            )
            .order_by(col(Coverage.start_at), col(Coverage.id))
        )
        return [
            Proof(Span(row.start_at, row.end_at), row.by, row.proved_at, row.how, row.run_id)
            for row in await session.exec(query)
        ]


async def feed_start(ledger: Ledger, key: AccountKey) -> datetime | None:
    """When the provider's feed began, as far as it was ever read from its beginning; the earliest that was seen."""
    async with ledger.read() as session:
        query = select(Coverage.start_at).where(*_of(key), Coverage.by == FEED_START)
        return min(await session.exec(query), default=None)


async def note_feed_start(ledger: Ledger, key: AccountKey, at: datetime) -> None:
    """Keep that the feed, read from its beginning, began at ``at``. A later beginning than known is no news."""
    known = await feed_start(ledger, key)
    if known is not None and known <= at:
        return
    now = ledger.clock()
    row = _moment(key, FEED_START, at, "the feed begins with an event of this moment", now)
    async with ledger.write() as session:
        session.add(Coverage(**row))


def _moment(key: AccountKey, by: str, at: datetime, how: str, now: datetime) -> dict[str, Any]:
    """A row that is no interval but a moment."""
    return {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "start_at": at,
        "end_at": at,
        "by": by,
        "how": how,
        "proved_at": now,
    }


def broken_chain(key: AccountKey, at: datetime, now: datetime) -> dict[str, Any]:
    """The row that says that live polling lost its place and begins anew with an event of ``at``.

    It is written with the first page that is read again, so that a poll that is interrupted then cannot let the one
    after it call the time between proven.
    """
    how = "live polling lost its place here: the provider forgot its cursor, and the feed was read from its beginning"
    return {**_moment(key, CHAIN_BROKEN, at, how, now), "run_id": None, "events": 0, "pages": 0}


async def extend_live(
    ledger: Ledger, key: AccountKey, *, until: datetime, since: datetime | None, lease: str, fence: int
) -> Span | None:
    """Live polling read the feed to its end: everything up to ``until`` is complete.

    Args:
        ledger: where.
        key: whose feed.
        until: up to which moment nothing can be missing any more; already without the safety margin.
        since: from when on, where no row is there yet. Where the chain of cursors broke, it is from there on, and the
            row of before never grows over the gap.
        lease: the feed lease's name; only its holder may say this.
        fence: its fencing number.

    Returns:
        What live polling proves now in one piece; None while it proves nothing.
    """
    now = ledger.clock()
    async with ledger.write() as session:
        await check_feed(session, ledger, lease, fence)
        chain = col(Coverage.by).in_(("live", CHAIN_BROKEN))
        query = select(Coverage).where(*_of(key), chain).order_by(col(Coverage.id).desc()).limit(1)
        row = (await session.exec(query.with_for_update())).first()
        if row is not None and row.by == CHAIN_BROKEN:
            since, row = row.start_at, None
        if row is None:
            if since is None or since >= until:
                return None
            how = "read without a gap by live polling, each poll from the place where the one before had ended"
            span = Span(since, until)
            session.add(Coverage(**coverage_row(key, span, by="live", how=how, now=now, events=0, pages=0)))
            return span
        if until > row.end_at:
            row.end_at, row.proved_at = until, now
        return Span(row.start_at, row.end_at)


async def nearest_event(
    ledger: Ledger, key: AccountKey, *, before: datetime | None = None, after: datetime | None = None
) -> tuple[str, datetime] | None:
    """The recorded event that stands nearest before (or after) a moment by its own time: its id and time."""
    at = col(SourceEvent.event_at)
    readable = col(SourceEvent.bucket) != "unreadable"
    async with ledger.read() as session:
        query = select(SourceEvent.event_id, SourceEvent.event_at).where(*events_of(key), readable)
        if before is not None:
            query = query.where(at <= before).order_by(at.desc(), col(SourceEvent.id).desc())
        else:
            query = query.where(at >= after).order_by(at, col(SourceEvent.id))
        found = (await session.exec(query.limit(1))).first()
    return None if found is None or found[1] is None else (found[0], found[1])


async def time_of_event(ledger: Ledger, key: AccountKey, event_id: str) -> datetime | None:
    """The own time of a recorded event."""
    async with ledger.read() as session:
        query = select(SourceEvent.event_at).where(*events_of(key), SourceEvent.event_id == event_id)
        return (await session.exec(query)).first()


async def proven_from(ledger: Ledger, key: AccountKey) -> datetime | None:
    """The earliest moment of which anything is proven; None while nothing is."""
    async with ledger.read() as session:
        query = select(func.min(col(Coverage.start_at))).where(*_of(key), col(Coverage.by).not_in(_MOMENTS))
        return (await session.exec(query)).one()
