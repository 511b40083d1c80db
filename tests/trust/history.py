"""Backfills in the trust world, and what a ledger looks like from outside, to be compared with another."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select as sa_select
from sqlmodel import SQLModel, select

from clients.limiter import forget_limiters
from flows.backfill import Asked, Backfill
from flows.backfill_report import Result
from flows.range_form import Range
from flows.settle import directly
from ledger.coverage import proofs
from ledger.policy import bucket_of
from models.lifecycle import Landing, SourceStatus
from models.ranges import Span, union
from models.tables import FeedCursor
from sandbox.orders import timestamp
from tasks.runtime import Runtime, open_runtime
from tests.trust.conftest import Worlds
from tests.trust.edges import Edges
from tests.trust.evidence import Evidence
from tests.trust.world import ACCOUNT, Options, World

MIX = {
    "plain": 6,
    "received": 1,
    "cancelled_early": 1,
    "cancelled_ready": 1,
    "reordered": 1,
    "reordered_cancel": 1,
    "poison_unknown_sku": 1,
    "poison_total": 1,
}
"""Stories that end in every landing that a calm ledger knows."""


async def at_present(worlds: Worlds, **options: object) -> World:
    """A fresh world whose clock shows the real time: the sandbox's events carry it."""
    # Nothing here is about time-outs, and a busy machine must not make one.
    world = await worlds.fresh(**{"timeout": 10.0, **options})
    world.clock.now = datetime.now(UTC)
    return world


def ago(world: World, days: float, until: float = 0.0) -> Span:
    """From so many days ago until so many days ago."""
    return Span(world.clock.now - timedelta(days=days), world.clock.now - timedelta(days=until))


@asynccontextmanager
async def process(
    world: World, *, options: Options | None = None, glopal_url: str | None = None, dry_run: bool = False
) -> AsyncIterator[Runtime]:
    """A hub process of its own, with its connections open."""
    forget_limiters()
    settings = world.settings(options, glopal_url)
    async with open_runtime(settings, ACCOUNT, clock=world.clock, dry_run=dry_run) as runtime:
        yield runtime


async def backfill(
    world: World,
    span: Span,
    edges: Edges | None = None,
    *,
    zone: str = "UTC",
    options: Options | None = None,
    **asked: Any,
) -> Result | None:
    """One backfill by a process of its own; None when it was killed. ``asked`` is what ``Asked`` takes."""
    wanted, before = Asked(**asked), asyncio.all_tasks()
    async with process(world, options=options, dry_run=wanted.dry_run) as runtime:
        before |= asyncio.all_tasks()
        if edges is not None:
            edges.attach(runtime)
        work = Backfill(runtime, Range(span, ZoneInfo(zone)), wanted, call=directly, linger=0.0).run()
        result = await world.mortal(work, edges, before)
    if result is not None:
        world.said += [str(result), *result.problems, *result.bad, *result.why_not, str(result.plan)]
    return result


async def done(world: World, span: Span, **more: Any) -> Result:
    """A backfill that nobody disturbed."""
    result = await backfill(world, span, **more)
    assert result is not None
    assert not result.problems, result.problems
    return result


def picture(seen: Evidence) -> dict[str, Any]:
    """All of a ledger that must not depend on the way it came about."""
    orders = {}
    for order_id, row in seen.rows.items():
        bucket = bucket_of(
            Landing(row.landing),
            SourceStatus(row.source_status),
            parked=row.parked_at is not None,
            settled=row.settled_at is not None,
            closed=row.closed_at is not None,
        )
        states = sorted(order["state"] for order in seen.store.get(row.reference, []))
        stored = row.store_order_id is not None
        orders[order_id] = (row.source_status, row.landing, stored, row.parked_code, bucket, states)
    events = {event.event_id: (event.bucket, event.source_order_id) for event in seen.events.values()}
    return {"orders": orders, "events": events}


async def cursor_of(world: World) -> dict[str, Any] | None:
    """The live cursor's row, all of it."""
    async with world.checker.read() as session:
        row = (await session.exec(select(FeedCursor))).one_or_none()
        return None if row is None else row.model_dump()


async def fingerprint(world: World) -> str:
    """A hash over every row of every table."""
    text = hashlib.sha256()
    async with world.checker.read() as session:
        for table in SQLModel.metadata.sorted_tables:
            rows = await session.execute(sa_select(table).order_by(*table.primary_key.columns))
            text.update(f"{table.name}: {[tuple(row) for row in rows]}".encode())
    return text.hexdigest()


async def proven(world: World) -> list[Span]:
    """What is proven by now, in one piece where it touches."""
    ever = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    return union([proof.span for proof in await proofs(world.checker, world.key, ever)])


def calls_of(world: World) -> dict[str, int]:
    """Calls to both sides so far, by endpoint."""
    both = [world.sandbox.books(), world.sandbox.store_books()]
    return {name: number for books in both for name, number in books["traffic"]["calls"].items()}


def pages_read(world: World, before: dict[str, int]) -> int:
    """Pages of the feed that were asked for since."""
    return calls_of(world).get("events", 0) - before.get("events", 0)


def raw(number: int, at: datetime | None, order_id: str | None = None, name: str = "order.received") -> dict[str, Any]:
    """An event as it stands in the feed; nothing is due for an order that was only received."""
    body = {"event_id": f"E{number:06d}", "event_name": name, "order_id": order_id or f"100-{number}"}
    return body if at is None else {**body, "event_at": timestamp(at)}


def put(world: World, entries: Sequence[dict[str, Any]]) -> None:
    """Put entries at the end of the feed, in this order."""
    for start in range(0, len(entries), 1000):
        world.sandbox.inject(list(entries[start : start + 1000]))
