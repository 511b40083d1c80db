"""Where an account's feed was read to. The cursor moves with the events it passes, in one transaction, never back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from models.ids import AccountKey
from models.tables import FeedCursor, SourceEvent

# As many ids as the largest overlap that an account may ask for, and the cursor itself.
LONGEST_TAIL = 201


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
        tail: the last events that live polling passed, oldest first, the cursor's the last.
    """

    at: str | None = None
    full_page: int = 0
    end_seen_at: datetime | None = None
    tail: tuple[str, ...] = ()


async def read_cursor(ledger: Ledger, key: AccountKey) -> str | None:
    """The live cursor of an account's feed, or None before the first page."""
    return (await read_place(ledger, key)).at


async def read_place(ledger: Ledger, key: AccountKey) -> Cursor:
    """Where the live feed was read to, and what is known of its pages."""
    async with ledger.read() as session:
        row = await session.get(FeedCursor, (key.provider, key.environment, key.account))
        return Cursor(row.cursor, row.full_page, row.end_seen_at, _ids(row.tail)) if row else Cursor()


def _ids(tail: str | None) -> tuple[str, ...]:
    return tuple(tail.split("\n")) if tail else ()


async def confirm_end(ledger: Ledger, key: AccountKey) -> None:
    """Note that the feed said itself, with an empty page, that there is nothing after the cursor."""
    async with ledger.write() as session:
        row = await session.get(FeedCursor, (key.provider, key.environment, key.account), with_for_update=True)
        if row is not None:
            row.end_seen_at = ledger.clock()


async def overlap_anchor(ledger: Ledger, key: AccountKey, overlap: int) -> str | None:
    """Where to start reading so that the last ``overlap`` events before the cursor are read once more.

    Ids are given out in one order and committed in another, so a late event can appear behind the cursor. Only events
    that live polling passed are counted: a backfill records others, which stand elsewhere in the feed.
    """
    tail = (await read_place(ledger, key)).tail
    if len(tail) > overlap:
        return tail[-overlap - 1]
    async with ledger.read() as session:
        # A ledger of an earlier release has no tail yet, and a young feed is shorter than the overlap.
        query = (
            select(SourceEvent.event_id)
            .where(*events_of(key), SourceEvent.via == "live", col(SourceEvent.bucket) != "unreadable")
            .order_by(col(SourceEvent.id).desc())
            .offset(overlap)
            .limit(1)
        )
        return (await session.exec(query)).first()


def events_of(key: AccountKey) -> tuple[ColumnElement[bool], ...]:
    """The where-clauses that pick one account's events."""
    return (
        col(SourceEvent.provider) == key.provider,
        col(SourceEvent.environment) == key.environment,
        col(SourceEvent.account) == key.account,
    )


async def move_cursor(
    session: AsyncSession, ledger: Ledger, key: AccountKey, move: CursorMove, passed: Sequence[str], now: datetime
) -> bool:
    """Move the cursor within the transaction that records the page; False when it stood there already.

    Args:
        session: the transaction.
        ledger: whose dialect counts.
        key: whose feed.
        move: where to.
        passed: the page's usable event ids in the provider's order, ``move.to`` the last of them.
        now: the time.
    """
    row = await session.get(FeedCursor, (key.provider, key.environment, key.account), with_for_update=True)
    if row is None:
        fresh = {
            "provider": key.provider,
            "environment": key.environment,
            "account": key.account,
            "cursor": move.to,
            "moved_at": now,
            "fence": move.fence,
            "full_page": move.full_page,
            "tail": _longer_tail((), passed),
        }
        await session.execute(ledger.insert_ignoring(FeedCursor, [fresh]))
        return True
    if move.full_page:
        row.full_page = min(row.full_page or move.full_page, move.full_page)
    if row.cursor == move.to:
        return False
    row.tail = _longer_tail(_ids(row.tail), passed)
    row.cursor, row.moved_at, row.fence = move.to, now, move.fence
    return True


def _longer_tail(tail: Sequence[str], passed: Sequence[str]) -> str:
    """The tail with what was passed now. What the overlap showed again keeps its newer place."""
    again = set(passed)
    longer = [event_id for event_id in tail if event_id not in again] + list(dict.fromkeys(passed))
    return "\n".join(longer[-LONGEST_TAIL:])
