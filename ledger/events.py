"""Record a page of the feed: events, the orders they speak of and the cursor, in one transaction.

Any event makes its order's row, so a cancel that arrives before its order is remembered. Recording the same page again
changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Table, func, insert, union_all, update
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.cursor import CursorMove, events_of, move_cursor
from ledger.engine import MAX_IN_LIST, Ledger
from ledger.hot import EFFECTS, ORDERS, Row, load_rows, save_effects, save_rows
from ledger.leases import check_feed
from ledger.notices import notice_row, save_notices
from ledger.rows import account_filter, effect_line, learn_status, park, reschedule
from ledger.steps import Rules
from models.glopal import GlopalEvent, UnreadableEvent, clean_text
from models.ids import MAX_SOURCE_ID, AccountKey, is_safe_source_id
from models.lifecycle import Landing, SourceStatus
from models.tables import BadAnswer, Coverage, OpenIntent, OrderRecord, SourceEvent, SourceOrder

MAX_KEPT_BODY = 64 * 1024
# What found an event first.
Via = Literal["live", "backfill", "reconcile"]
EVENTS: Table = SourceEvent.__table__  # type: ignore[attr-defined]
COVERAGE: Table = Coverage.__table__  # type: ignore[attr-defined]
DOCUMENTS: Table = OrderRecord.__table__  # type: ignore[attr-defined]
INTENTS: Table = OpenIntent.__table__  # type: ignore[attr-defined]
LIVE, HISTORY = 0, 1


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


async def record_page(
    ledger: Ledger,
    key: AccountKey,
    events: Sequence[GlopalEvent | UnreadableEvent],
    rules: Rules,
    move: CursorMove | None = None,
    *,
    via: Via = "live",
    coverage: Sequence[dict[str, Any]] = (),
    lease: tuple[str, int] | None = None,
) -> Recorded:
    """Record one page and move the cursor with it.

    Args:
        ledger: where to.
        key: whose feed.
        events: in the provider's order.
        rules: the account's scheduling rules.
        move: the cursor's new place, for the live feed only.
        via: what reads the feed. Orders that only a backfill found are history: live ones are taken first.
        coverage: rows that say what these events complete, written with them.
        lease: the name and fencing number of a lease that must still be held, besides the one that ``move`` names.

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
        if lease is not None:
            await check_feed(session, ledger, *lease)
        ids, made = await _order_ids(session, ledger, key, events, now, via)
        fresh = await _insert_events(session, ledger, key, events, ids, now, seen, via)
        fresh += await _events_again(session, key, events, ids, made, fresh)
        seen.orders = await _apply(session, ledger, fresh, ids, rules, now, seen.parked, via)
        if move is not None:
            passed = [entry.event_id for entry in events if isinstance(entry, GlopalEvent) or entry.event_id == move.to]
            seen.cursor_moved = await move_cursor(session, ledger, key, move, passed, now)
        if coverage:
            await session.execute(insert(COVERAGE), list(coverage))
    return seen


async def _events_again(
    session: AsyncSession,
    key: AccountKey,
    events: Sequence[GlopalEvent | UnreadableEvent],
    ids: dict[str, int],
    made: set[str],
    fresh: Sequence[GlopalEvent],
) -> list[GlopalEvent]:
    """Events that are known and whose order's row was gone, so that it had to be made again: they count once more."""
    new = {id(event) for event in fresh}
    again = [
        event
        for event in events
        if isinstance(event, GlopalEvent) and _order_name(event) in made and id(event) not in new
    ]
    for name in {_order_name(event) for event in again}:
        statement = update(EVENTS).where(*events_of(key), EVENTS.c.source_order_id == name)
        await session.execute(statement.values(order_id=ids[name]))
    return again


async def _insert_events(
    session: AsyncSession,
    ledger: Ledger,
    key: AccountKey,
    events: Sequence[GlopalEvent | UnreadableEvent],
    ids: dict[str, int],
    now: datetime,
    seen: Recorded,
    via: Via,
) -> list[GlopalEvent]:
    """Insert what is new; returns the new events that speak of an order, in the provider's order."""
    rows: dict[str, dict[str, Any]] = {}
    for entry in events:
        row = _event_row(key, entry, now)
        row["order_id"], row["via"] = ids.get(row["source_order_id"]), via
        rows.setdefault(row["event_id"], row)
    if not rows:
        return []
    known: set[str] = set()
    for part in _parts(list(rows)):
        query = select(SourceEvent.event_id).where(*events_of(key), col(SourceEvent.event_id).in_(part))
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
    via: Via,
) -> tuple[dict[str, int], set[str]]:
    """Make a row for every order that the page speaks of; the rows' ids by order id, and which were made now."""
    usable = (e for e in events if isinstance(e, GlopalEvent) and len(e.order_id) <= MAX_SOURCE_ID)
    names = sorted({_order_name(event) for event in usable})
    found = await _ids_of(session, key, names)
    missing = [name for name in names if name not in found]
    if missing:
        blank = _blank_order(key, now, via)
        rows = [{**blank, "source_order_id": name, "reference": key.reference(name)} for name in missing]
        if ledger.is_sqlite:
            # It gives the id of the newest row out again once that was deleted, and what hangs on it is still there.
            first = await _unused_id(session)
            rows = [{**row, "id": first + place} for place, row in enumerate(rows)]
        await session.execute(ledger.insert_ignoring(ORDERS), rows)
        found |= await _ids_of(session, key, missing)
    return found, set(missing)


async def _unused_id(session: AsyncSession) -> int:
    """An id that no row of an order has, nor had one of which anything is left. SQLite has one writer at a time."""
    places = (ORDERS.c.id, EFFECTS.c.order_id, EVENTS.c.order_id, DOCUMENTS.c.order_id, INTENTS.c.order_id)
    used = union_all(*(sa_select(func.max(column)) for column in places)).subquery()
    return int((await session.execute(sa_select(func.max(used.c[0])))).scalar() or 0) + 1


def _blank_order(key: AccountKey, now: datetime, via: Via) -> dict[str, Any]:
    return {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "source_status": SourceStatus.UNSEEN.value,
        "landing": Landing.SEEN.value,
        "priority": HISTORY if via == "backfill" else LIVE,
        "attempts": 0,
        "probes_missed": 0,
        "fence": 0,
        "effect_seq": 0,
        "effect_hash": "",
        "first_seen_at": now,
        "updated_at": now,
    }


async def _ids_of(session: AsyncSession, key: AccountKey, names: Sequence[str]) -> dict[str, int]:
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
    via: Via,
) -> int:
    """Let new events move their orders; returns how many orders they speak of."""
    rows = await load_rows(session, {ids[_order_name(event)] for event in events})
    lines, notices = [], []
    for event in events:
        row = rows[ids[_order_name(event)]]
        if event.event_at is not None and (row.source_at is None or event.event_at < row.source_at):
            row.source_at = event.event_at
        if via == "live":
            row.priority = LIVE
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
