"""Who may read a feed and who may act on an order: leases with a heartbeat and a fencing number.

A lease saves work; correctness rests on the unique keys, the open intent and the fence that every write checks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from ledger.engine import Ledger
from ledger.hot import ORDERS, fetch_rows, rows_where, save_effects, save_rows
from ledger.rows import account_filter, close_orphan, delete_intents, orphaned_intents, reschedule, step_of
from models.ids import AccountKey
from models.lifecycle import ImportOn, Step
from models.outcome import LeaseLost
from models.tables import FeedLease, SourceOrder


@dataclass(frozen=True, slots=True)
class Claimed:
    """An order that this process may act on until its lease ends."""

    id: int
    source_order_id: str
    step: Step
    fence: int


async def acquire_feed(ledger: Ledger, name: str) -> int | None:
    """Take the lease on a feed. Returns its fencing number, or None while somebody else holds it."""
    now = ledger.clock()
    until = now + timedelta(seconds=ledger.settings.lease_seconds)
    async with ledger.write() as session:
        await session.execute(ledger.insert_ignoring(FeedLease, [{"name": name, "fence": 0}]))
        row = (await session.exec(select(FeedLease).where(FeedLease.name == name).with_for_update())).one()
        if row.owner not in (None, ledger.owner) and row.until is not None and row.until > now:
            return None
        row.owner, row.until, row.fence = ledger.owner, until, row.fence + 1
        return row.fence


async def feed_held_until(ledger: Ledger, name: str) -> datetime | None:
    """Until when somebody holds the lease on a feed, if anybody does."""
    async with ledger.read() as session:
        return (await session.exec(select(FeedLease.until).where(FeedLease.name == name))).first()


async def release_feed(ledger: Ledger, name: str) -> None:
    """Give the lease on a feed back."""
    async with ledger.write() as session:
        await session.execute(
            update(FeedLease)
            .where(col(FeedLease.name) == name, col(FeedLease.owner) == ledger.owner)
            .values(owner=None, until=None)
        )


async def check_feed(session: AsyncSession, ledger: Ledger, name: str, fence: int) -> None:
    """Refuse to go on when the feed's lease passed to somebody else.

    Raises:
        LeaseLost: another reader has it now.
    """
    row = (await session.exec(select(FeedLease).where(FeedLease.name == name).with_for_update())).one_or_none()
    if row is None or row.owner != ledger.owner or row.fence != fence:
        raise LeaseLost(f"the lease on feed {name} passed to another run; this one stops reading")


async def count_due(ledger: Ledger, key: AccountKey) -> tuple[int, int]:
    """How many orders of the account are due and free: live ones, and history that a backfill brought."""
    now = ledger.clock()
    async with ledger.read() as session:
        history = col(SourceOrder.priority) > 0
        query = select(history, func.count()).where(*_due(key, now)).group_by(history)
        counts = {bool(is_history): int(number) for is_history, number in await session.exec(query)}
    return counts.get(False, 0), counts.get(True, 0)


def _due(key: AccountKey, now: datetime, *, live_only: bool = False) -> tuple[ColumnElement[bool], ...]:
    return (
        *account_filter(key),
        # Named in any case: the index of what is due begins with it.
        col(SourceOrder.priority).in_((0,) if live_only else (0, 1)),
        col(SourceOrder.due_at) <= now,
        or_(col(SourceOrder.lease_until).is_(None), col(SourceOrder.lease_until) < now),
    )


async def claim_due(
    ledger: Ledger,
    key: AccountKey,
    *,
    limit: int,
    import_on: ImportOn,
    first_probe: timedelta,
    live_only: bool = False,
) -> list[Claimed]:
    """Take up to ``limit`` due orders, live ones before history, oldest due first; each gets a new fencing number.

    An order whose earlier owner vanished between intent and outcome comes back in an unknown landing, to be looked
    into when its first probe is due.
    """
    started = time.monotonic()
    now = ledger.clock()
    until = now + timedelta(seconds=ledger.settings.lease_seconds)
    claimed: list[Claimed] = []
    async with ledger.write() as session:
        query = (
            rows_where(*_due(key, now, live_only=live_only))
            .order_by(ORDERS.c.priority, ORDERS.c.due_at, ORDERS.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = await fetch_rows(session, query)
        orphans = await orphaned_intents(session, [row.id for row in rows])
        lines = []
        for row in rows:
            row.fence += 1
            row.lease_owner = row.lease_until = None
            if row.id in orphans:
                lines.append(close_orphan(row, orphans[row.id], now, ledger.owner, first_probe))
            step = step_of(row, import_on)
            if step is None:
                reschedule(row, import_on, now)
            elif row.due_at is not None and row.due_at <= now:
                row.lease_owner, row.lease_until = ledger.owner, until
                claimed.append(Claimed(row.id, row.source_order_id, step, row.fence))
        await save_effects(session, lines)
        await save_rows(session, rows)
        await delete_intents(session, list(orphans))
    if claimed:
        ledger.leased(started)
    return claimed


async def heartbeat(ledger: Ledger) -> None:
    """Prolong every lease of this process."""
    started = time.monotonic()
    until = ledger.clock() + timedelta(seconds=ledger.settings.lease_seconds)
    async with ledger.write() as session:
        await session.execute(update(SourceOrder).where(_held_by(ledger)).values(lease_until=until))
        await session.execute(update(FeedLease).where(col(FeedLease.owner) == ledger.owner).values(until=until))
    ledger.leased(started, all_of_them=True)


async def release_orders(ledger: Ledger) -> None:
    """Give back the lease on every order that this process holds."""
    async with ledger.write() as session:
        query = update(SourceOrder).where(_held_by(ledger))
        await session.execute(query.values(lease_owner=None, lease_until=None))
    ledger.unleased()


def _held_by(ledger: Ledger) -> ColumnElement[bool]:
    """Our rows, locked in the order that every other writer uses, so that two writers cannot deadlock."""
    ours = select(SourceOrder.id).where(col(SourceOrder.lease_owner) == ledger.owner)
    return col(SourceOrder.id).in_(ours.order_by(col(SourceOrder.id)).with_for_update())
