"""Reconciliations in the trust world, and what may differ afterwards and what not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select as sa_select
from sqlmodel import SQLModel, col, select

from flows.range_form import Range
from flows.reconcile import Reconciled, final_state, rows_of, run_reconcile
from flows.settle import directly
from models.ranges import Span
from models.tables import FindingRow
from reports.markdown import summary
from tests.trust.edges import Edges
from tests.trust.evidence import Evidence
from tests.trust.history import process
from tests.trust.invariants import CALM, Check
from tests.trust.world import Options, World

# What says when somebody looked, or what is proven, and not what the ledger has of an order.
TIMES_OF_LOOKING = frozenset({"read_at", "seen_at", "reconciled_at"})
NOT_OF_ORDERS = frozenset({"coverage", "feed_lease", "side_hold"})
OF_LOOKING = frozenset({"reading", "finding", *NOT_OF_ORDERS})
CHANGING_CALLS = ("accept", "cancel", "store.create", "store.release", "store.cancel", "store.note")


async def reconcile(
    world: World,
    edges: Edges | None = None,
    *,
    span: Span | None = None,
    zone: str = "UTC",
    options: Options | None = None,
    **asked: Any,
) -> Reconciled | None:
    """One reconciliation by a process of its own, over the whole feed; None when it was killed."""
    wanted, before = Range(span or whole_feed(world), ZoneInfo(zone)), asyncio.all_tasks()
    async with process(world, options=options) as runtime:
        before |= asyncio.all_tasks()
        if edges is not None:
            edges.attach(runtime)
        given = {"repair": True, "call": directly, "linger": 0.0, **asked}
        result = await world.mortal(run_reconcile(runtime, wanted, **given), edges, before)
    if result is not None:
        heard(world, result)
    return result


def whole_feed(world: World) -> Span:
    """From the feed's first event until what may still be published."""
    first = min(datetime.fromisoformat(event["event_at"]) for event in world.sandbox.feed())
    return Span(first, world.clock.now - timedelta(minutes=16))


def heard(world: World, result: Reconciled) -> None:
    """Keep what people would read of it, to be searched for canaries."""
    assert result.certificate is not None
    state = final_state([result])
    world.said += [str(result), str(state.message), str(rows_of(result)), summary(result.certificate)]
    world.said += [*result.stopped, *result.compared.problems, *result.compared.tally.problems]


async def reconciled(world: World, **more: Any) -> Reconciled:
    """A reconciliation that nobody killed."""
    result = await reconcile(world, **more)
    assert result is not None
    return result


async def rest(world: World, most: int = 40) -> None:
    """Poll, and let time pass, until nothing is due."""
    for _ in range(most):
        await world.poll()
        wake = await world.wake_at()
        if wake is None:
            return
        world.clock.now = max(world.clock.now, wake + timedelta(seconds=world.stride))
    raise AssertionError(f"not at rest after {most} polls: {world.reports[-1].problems}")


async def findings_of(world: World, *, also_closed: bool = False) -> dict[str, dict[str, FindingRow]]:
    """The findings by order and class; those that are open unless told otherwise."""
    found: dict[str, dict[str, FindingRow]] = {}
    async with world.checker.read() as session:
        query = select(FindingRow).order_by(col(FindingRow.id))
        for row in await session.exec(query if also_closed else query.where(col(FindingRow.closed_at).is_(None))):
            found.setdefault(row.source_order_id, {})[row.mismatch] = row
    return found


async def fingerprint(world: World, without: Iterable[str] = NOT_OF_ORDERS) -> str:
    """A hash over all rows, without the columns that only say when somebody looked and without these tables."""
    text = hashlib.sha256()
    async with world.checker.read() as session:
        for table in SQLModel.metadata.sorted_tables:
            if table.name in set(without):
                continue
            columns = [column for column in table.columns if column.name not in TIMES_OF_LOOKING]
            rows = await session.execute(sa_select(*columns).order_by(*table.primary_key.columns))
            text.update(f"{table.name}: {[tuple(row) for row in rows]}".encode())
    return text.hexdigest()


def changing_calls(world: World) -> dict[str, int]:
    """How often either side was asked to change something so far."""
    both = [world.sandbox.books(), world.sandbox.store_books()]
    calls = {name: number for books in both for name, number in books["traffic"]["calls"].items()}
    return {name: calls.get(name, 0) for name in CHANGING_CALLS}


def holding(seen: Evidence, broken: dict[str, tuple[str, ...]], checks: Iterable[Check]) -> None:
    """Every invariant holds, but for those that a deed broke by itself, for its order alone."""
    for check in checks:
        name = check.__name__
        out = {order for order, names in broken.items() if any(name.startswith(f"{short}_") for short in names)}
        check(_without(seen, out) if out else seen)


def _without(seen: Evidence, orders: set[str]) -> Evidence:
    references = {seen.rows[order].reference for order in orders if order in seen.rows}
    return replace(
        seen,
        glopal={order: book for order, book in seen.glopal.items() if order not in orders},
        store={reference: held for reference, held in seen.store.items() if reference not in references},
        rows={order: row for order, row in seen.rows.items() if order not in orders},
    )


async def holds(world: World, broken: dict[str, tuple[str, ...]], checks: Iterable[Check] = CALM) -> Evidence:
    """Assert every invariant that the deeds did not break themselves, and what a world checks beside them."""
    seen = await world.check([])
    holding(seen, broken, checks)
    return seen
