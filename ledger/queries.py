"""Read-only questions to the ledger: for reports, the command line and dry runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import col, or_, select

from ledger.engine import MAX_IN_LIST, Ledger
from ledger.rows import account_filter, effect_hash, step_of
from models.ids import AccountKey
from models.lifecycle import ImportOn, Step
from models.tables import BadAnswer, Effect, SourceEvent, SourceOrder


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked order, for reports. No buyer in it."""

    id: int
    source_order_id: str
    code: str
    reason: str
    since: datetime


async def parked_orders(ledger: Ledger, key: AccountKey, *, limit: int = 500) -> list[Parked]:
    """Parked orders of an account, newest first."""
    async with ledger.read() as session:
        query = (
            select(SourceOrder)
            .where(*account_filter(key), col(SourceOrder.parked_at).is_not(None))
            .order_by(col(SourceOrder.parked_at).desc(), col(SourceOrder.id))
            .limit(limit)
        )
        return [
            Parked(row.id, row.source_order_id, row.parked_code or "", row.parked_reason or "", row.parked_at)
            for row in await session.exec(query)
            if row.parked_at is not None and row.id is not None
        ]


async def next_due(ledger: Ledger, key: AccountKey, within: timedelta, *, live_only: bool = False) -> datetime | None:
    """When the next free order of the account is due, if that is within ``within`` from now."""
    now = ledger.clock()
    async with ledger.read() as session:
        query = select(func.min(col(SourceOrder.due_at))).where(
            *account_filter(key),
            col(SourceOrder.due_at) <= now + within,
            col(SourceOrder.priority).in_((0,) if live_only else (0, 1)),
            or_(col(SourceOrder.lease_until).is_(None), col(SourceOrder.lease_until) < now),
        )
        return (await session.exec(query)).one()


async def due_steps(
    ledger: Ledger, key: AccountKey, import_on: ImportOn, limit: int
) -> list[tuple[str, Step, datetime | None]]:
    """What would be done now, order by order, without claiming anything."""
    now = ledger.clock()
    async with ledger.read() as session:
        query = (
            select(SourceOrder)
            .where(*account_filter(key), col(SourceOrder.settled_at).is_(None), col(SourceOrder.due_at) <= now)
            .order_by(col(SourceOrder.priority), col(SourceOrder.due_at), col(SourceOrder.id))
            .limit(limit)
        )
        found: list[tuple[str, Step, datetime | None]] = []
        for row in await session.exec(query):
            step = step_of(row, import_on)
            if step is not None and (row.due_at is None or row.due_at <= now):
                found.append((row.source_order_id, step, row.due_at))
            if len(found) >= limit:
                break
        return found


async def known_events(ledger: Ledger, key: AccountKey, event_ids: Sequence[str]) -> set[str]:
    """Which of these events are recorded already."""
    known: set[str] = set()
    async with ledger.read() as session:
        for start in range(0, len(event_ids), MAX_IN_LIST):
            query = select(SourceEvent.event_id).where(
                SourceEvent.provider == key.provider,
                SourceEvent.environment == key.environment,
                SourceEvent.account == key.account,
                col(SourceEvent.event_id).in_(event_ids[start : start + MAX_IN_LIST]),
            )
            known.update(await session.exec(query))
    return known


async def find_orders(ledger: Ledger, wanted: str, *, limit: int = 20) -> list[SourceOrder]:
    """Orders by any of their numbers: the provider's id, our reference, the store's id or number."""
    async with ledger.read() as session:
        query = (
            select(SourceOrder)
            .where(
                or_(
                    SourceOrder.source_order_id == wanted,
                    SourceOrder.reference == wanted,
                    SourceOrder.store_order_id == wanted,
                    SourceOrder.store_order_number == wanted,
                )
            )
            .order_by(col(SourceOrder.id))
            .limit(limit)
        )
        return list(await session.exec(query))


async def list_orders(
    ledger: Ledger, *, key: AccountKey | None = None, only: str | None = None, limit: int = 100
) -> list[SourceOrder]:
    """Orders for listing, newest first.

    Args:
        ledger: where.
        key: one account's only.
        only: ``open``, ``parked`` or ``settled``; None for all.
        limit: at most so many.
    """
    async with ledger.read() as session:
        query = select(SourceOrder).order_by(col(SourceOrder.id).desc()).limit(limit)
        if key is not None:
            query = query.where(*account_filter(key))
        if only == "parked":
            query = query.where(col(SourceOrder.parked_at).is_not(None))
        elif only == "settled":
            query = query.where(col(SourceOrder.settled_at).is_not(None))
        elif only == "open":
            query = query.where(col(SourceOrder.settled_at).is_(None))
        return list(await session.exec(query))


@dataclass(frozen=True, slots=True)
class Story:
    """All the ledger knows of one order, for ``crossdock why``."""

    order: SourceOrder
    events: list[SourceEvent]
    effects: list[Effect]
    bad_answers: list[BadAnswer]


async def story_of(ledger: Ledger, order: SourceOrder) -> Story:
    """An order's events and effects, oldest first, and the unusable answers that concern it."""
    async with ledger.read() as session:
        events = await session.exec(
            select(SourceEvent).where(SourceEvent.order_id == order.id).order_by(col(SourceEvent.id))
        )
        effects = await session.exec(select(Effect).where(Effect.order_id == order.id).order_by(col(Effect.seq)))
        bad = await session.exec(
            select(BadAnswer)
            .where(
                BadAnswer.provider == order.provider,
                BadAnswer.environment == order.environment,
                BadAnswer.account == order.account,
                BadAnswer.what == f"order {order.source_order_id}",
            )
            .order_by(col(BadAnswer.id))
        )
        return Story(order, list(events), list(effects), list(bad))


async def event_buckets(ledger: Ledger, key: AccountKey) -> dict[str, int]:
    """Events of an account by bucket; every event is in exactly one, so they add up to the total."""
    async with ledger.read() as session:
        query = (
            select(SourceEvent.bucket, func.count())
            .where(
                SourceEvent.provider == key.provider,
                SourceEvent.environment == key.environment,
                SourceEvent.account == key.account,
            )
            .group_by(SourceEvent.bucket)
        )
        return {bucket: int(number) for bucket, number in await session.exec(query)}


async def broken_chains(ledger: Ledger) -> AsyncIterator[str]:
    """Orders whose effect lines were changed, removed or added behind the ledger's back, each with where it breaks."""
    async with ledger.read() as session:
        result = await session.stream_scalars(
            select(Effect).order_by(col(Effect.order_id), col(Effect.seq)).execution_options(yield_per=1000)
        )
        heads: dict[int, tuple[int, str]] = {}
        async for line in result:
            seq, previous = heads.get(line.order_id, (0, ""))
            if line.seq != seq + 1 or line.prev_hash != previous or line.hash != effect_hash(line.model_dump()):
                yield f"order row {line.order_id}: effect line {line.seq} does not follow line {seq}"
            heads[line.order_id] = (line.seq, line.hash)
        rows = await session.exec(select(SourceOrder.id, SourceOrder.effect_seq, SourceOrder.effect_hash))
        for row_id, seq, last in rows:
            if (seq, last) != heads.get(row_id or 0, (0, "")):
                yield f"order row {row_id}: its last effect line should be {seq}"
