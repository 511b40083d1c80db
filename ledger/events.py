"""Record a page of the feed: events, the orders they speak of and the cursor, in one transaction.

Any event makes its order's row, so a cancel that arrives before its order is remembered. Recording the same page again
changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import MAX_IN_LIST, Ledger
from ledger.hot import ORDERS, Row, load_rows, save_effects, save_rows
from ledger.leases import check_feed
from ledger.notices import notice_row, save_notices
from ledger.rows import account_filter, effect_line, learn_status, park, reschedule
from ledger.steps import Rules
from models.glopal import GlopalEvent, UnreadableEvent, clean_text
from models.ids import MAX_SOURCE_ID, AccountKey, is_safe_source_id
from models.lifecycle import Landing, SourceStatus
from models.tables import BadAnswer, FeedCursor, SourceEvent, SourceOrder

MAX_KEPT_BODY = 64 * 1024
EVENTS: Table = SourceEvent.__table__  # type: ignore[attr-defined]


@dataclass(slots=True)
class Recorded:
    """What one page brought."""

    new: int = 0
    known: int = 0
    unreadable: int = 0
    kept: int = 0
    orders: int = 0
    cursor_moved: bool = False
    bad: list[str] = field(default_factory=list)
    parked: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CursorMove:
    """Move the live cursor to ``to``, checked by the feed lease's name and fence.

    ``full_page`` is the length of the page before this one, which was full because this one follows it; 0 for a first.
    """

    to: str
    lease: str
    fence: int
    full_page: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the live feed was read to, and what is known of its pages.

    Attributes:
        at: the last event's id.
        full_page: the length of the shortest page that another one followed; 0 while none did.
        end_seen_at: when an empty page last said that there is nothing more.
    """

    at: str | None = None
    full_page: int = 0
    end_seen_at: datetime | None = None


async def read_cursor(ledger: Ledger, key: AccountKey) -> str | None:
    """The live cursor of an account's feed, or None before the first page."""
    return (await read_place(ledger, key)).at


async def read_place(ledger: Ledger, key: AccountKey) -> Cursor:
    """Where the live feed was read to, and what is known of its pages."""
    async with ledger.read() as session:
        row = await session.get(FeedCursor, (key.provider, key.environment, key.account))
        return Cursor(row.cursor, row.full_page, row.end_seen_at) if row else Cursor()


async def confirm_end(ledger: Ledger, key: AccountKey) -> None:
    """Note that the feed said itself, with an empty page, that there is nothing after the cursor."""
    async with ledger.write() as session:
        row = await session.get(FeedCursor, (key.provider, key.environment, key.account), with_for_update=True)
        if row is not None:
            row.end_seen_at = ledger.clock()


async def overlap_anchor(ledger: Ledger, key: AccountKey, overlap: int) -> str | None:
    """Where to start reading so that the last ``overlap`` recorded events are read once more.

    Ids are given out in one order and committed in another, so a late event can appear behind the cursor.
    """
    async with ledger.read() as session:
        query = (
            select(SourceEvent.event_id)
            .where(*_events_of(key), col(SourceEvent.bucket) != "unreadable")
            .order_by(col(SourceEvent.id).desc())
            .offset(overlap)
            .limit(1)
        )
        return (await session.exec(query)).first()


def _events_of(key: AccountKey) -> tuple[ColumnElement[bool], ...]:
    return (
        col(SourceEvent.provider) == key.provider,
        col(SourceEvent.environment) == key.environment,
        col(SourceEvent.account) == key.account,
    )


async def record_page(
    ledger: Ledger,
    key: AccountKey,
    events: Sequence[GlopalEvent | UnreadableEvent],
    rules: Rules,
    move: CursorMove | None = None,
) -> Recorded:
    """Record one page and move the cursor with it.

    Args:
        ledger: where to.
        key: whose feed.
        events: in the provider's order.
        rules: the account's scheduling rules.
        move: the cursor's new place, for the live feed only.

    Raises:
        LeaseLost: another run reads this feed now; nothing of this page was recorded by us.
    """
    now = ledger.clock()
    seen = Recorded()
    async with ledger.write() as session:
        if move is not None:
            await check_feed(session, ledger, move.lease, move.fence)
            if move.to not in {entry.event_id for entry in events}:
                raise AssertionError("the cursor may only move to an event of the page that is recorded with it")
        ids = await _order_ids(session, ledger, key, events, now)
        fresh = await _insert_events(session, ledger, key, events, ids, now, seen)
        seen.orders = await _apply(session, ledger, fresh, ids, rules, now, seen.parked)
        if move is not None:
            seen.cursor_moved = await _move_cursor(session, ledger, key, move, now)
    return seen


async def _insert_events(
    session: AsyncSession,
    ledger: Ledger,
    key: AccountKey,
    events: Sequence[GlopalEvent | UnreadableEvent],
    ids: dict[str, int],
    now: datetime,
    seen: Recorded,
) -> list[GlopalEvent]:
    """Insert what is new; returns the new events that speak of an order, in the provider's order."""
    rows: dict[str, dict[str, Any]] = {}
    for entry in events:
        row = _event_row(key, entry, now)
        row["order_id"] = ids.get(row["source_order_id"])
        rows.setdefault(row["event_id"], row)
    if not rows:
        return []
    known: set[str] = set()
    for part in _parts(list(rows)):
        query = select(SourceEvent.event_id).where(*_events_of(key), col(SourceEvent.event_id).in_(part))
        known.update(await session.exec(query))
    # In the provider's order: the overlap of the next poll is counted in recorded events.
    inserted = [event_id for event_id in rows if event_id not in known]
    if inserted:
        # Another reader on PostgreSQL may record one of these meanwhile; then both apply it, which changes nothing.
        await session.execute(ledger.insert_ignoring(EVENTS), [rows[event_id] for event_id in inserted])
    seen.new = len(inserted)
    seen.known = len(events) - len(inserted)
    for event_id in inserted:
        bucket = rows[event_id]["bucket"]
        seen.kept += bucket == "kept"
        if bucket == "unreadable":
            seen.unreadable += 1
            seen.bad.append(f"event {event_id}: {rows[event_id]['note']}")
    readable = {_stored(e.event_id): e for e in reversed(events) if isinstance(e, GlopalEvent)}
    fresh = [readable[event_id] for event_id in inserted if event_id in readable]
    return [event for event in fresh if _order_name(event) in ids]


def _order_name(event: GlopalEvent) -> str:
    return _stored(event.order_id)


def _stored(name: str) -> str:
    """A provider's name for something as its column takes it; PostgreSQL's text knows no NUL."""
    return clean_text(name)[:MAX_SOURCE_ID]


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices below the databases' limit on bound variables."""
    for start in range(0, len(names), MAX_IN_LIST):
        yield names[start : start + MAX_IN_LIST]


def _event_row(key: AccountKey, entry: GlopalEvent | UnreadableEvent, now: datetime) -> dict[str, Any]:
    base = {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "recorded_at": now,
        "raw": clean_text(entry.raw),
    }
    if isinstance(entry, UnreadableEvent):
        # Without an id of its own the content is its identity, so reading it again stays one row.
        identity = _stored(entry.event_id) or f"unreadable:{digest(clean_text(entry.raw).encode())[:40]}"
        return {
            **base,
            "event_id": identity,
            "event_name": "",
            "source_order_id": "",
            "entity_id": "",
            "event_at": None,
            "bucket": "unreadable",
            "note": clean_text(entry.reason),
        }
    too_long = len(entry.order_id) > MAX_SOURCE_ID
    return {
        **base,
        "event_id": _stored(entry.event_id),
        "event_name": _stored(entry.event_name),
        "source_order_id": _order_name(entry),
        "entity_id": _stored(entry.entity_id),
        "event_at": entry.event_at,
        "bucket": "unreadable" if too_long else "applied" if entry.claims else "kept",
        "note": "order_id longer than 255 characters" if too_long else "",
    }


def digest(raw: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(raw).hexdigest()


async def _order_ids(
    session: AsyncSession,
    ledger: Ledger,
    key: AccountKey,
    events: Sequence[GlopalEvent | UnreadableEvent],
    now: datetime,
) -> dict[str, int]:
    """Make a row for every order that the page speaks of; returns the rows' ids by order id."""
    usable = (e for e in events if isinstance(e, GlopalEvent) and len(e.order_id) <= MAX_SOURCE_ID)
    names = sorted({_order_name(event) for event in usable})
    if not names:
        return {}
    blank = {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "source_status": SourceStatus.UNSEEN.value,
        "landing": Landing.SEEN.value,
        "attempts": 0,
        "probes_missed": 0,
        "fence": 0,
        "effect_seq": 0,
        "effect_hash": "",
        "first_seen_at": now,
        "updated_at": now,
    }
    rows = [{**blank, "source_order_id": name, "reference": key.reference(name)} for name in names]
    await session.execute(ledger.insert_ignoring(ORDERS), rows)
    found: dict[str, int] = {}
    for part in _parts(names):
        query = select(SourceOrder.source_order_id, SourceOrder.id).where(
            *account_filter(key), col(SourceOrder.source_order_id).in_(part)
        )
        found.update({name: row_id for name, row_id in await session.exec(query) if row_id is not None})
    return found


async def _apply(
    session: AsyncSession,
    ledger: Ledger,
    events: Sequence[GlopalEvent],
    ids: dict[str, int],
    rules: Rules,
    now: datetime,
    parked: list[int],
) -> int:
    """Let new events move their orders; returns how many orders they speak of."""
    rows = await load_rows(session, {ids[_order_name(event)] for event in events})
    lines, notices = [], []
    for event in events:
        row = rows[ids[_order_name(event)]]
        if not is_safe_source_id(row.source_order_id):
            if row.parked_at is None:
                reason = "the order id has characters that no order id has; it is never put into a web address"
                park(row, "bad_id", reason, now)
                parked.append(row.id)
                notices.append(notice_row(row.id, "crossdock.order.parked", "bad_id", reason, now))
                lines.append(effect_line(row, phase="note", kind="park", detail=reason, now=now, owner=ledger.owner))
        elif event.claims is not None and learn_status(row, SourceStatus(event.claims), now, rules.deadline):
            if _before_start(event, row, rules):
                row.closed_at, row.closed_why = now, "older than the account's start_at; another system landed it"
            reschedule(row, rules.import_on, now)
    await save_effects(session, lines)
    await save_notices(session, notices)
    await save_rows(session, list(rows.values()))
    return len(rows)


def _before_start(event: GlopalEvent, row: Row, rules: Rules) -> bool:
    """Whether this is history: what happened before the account's start is recorded and left alone."""
    old = rules.start_at is not None and event.event_at is not None and event.event_at < rules.start_at
    return old and row.landing == Landing.SEEN.value


async def _move_cursor(session: AsyncSession, ledger: Ledger, key: AccountKey, move: CursorMove, now: datetime) -> bool:
    fresh = {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "cursor": move.to,
        "moved_at": now,
        "fence": move.fence,
        "full_page": move.full_page,
    }
    row = await session.get(FeedCursor, (key.provider, key.environment, key.account), with_for_update=True)
    if row is None:
        await session.execute(ledger.insert_ignoring(FeedCursor, [fresh]))
        return True
    if move.full_page:
        row.full_page = min(row.full_page or move.full_page, move.full_page)
    if row.cursor == move.to:
        return False
    row.cursor, row.moved_at, row.fence = move.to, now, move.fence
    return True


async def keep_bad_answer(
    ledger: Ledger, key: AccountKey, *, what: str, code: str, reason: str, body: bytes, size: int
) -> None:
    """Keep an unusable answer as received (its first 64 KiB); the same bytes are kept once."""
    row = {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "what": clean_text(what)[:300],
        "code": code[:64],
        "reason": clean_text(reason),
        "received_at": ledger.clock(),
        "sha256": digest(body + clean_text(what).encode()),
        "size": size,
        "body": body[:MAX_KEPT_BODY],
    }
    async with ledger.write() as session:
        await session.execute(ledger.insert_ignoring(BadAnswer, [row]))
