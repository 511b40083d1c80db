"""The floor of a reconciliation: the same pages, reads and look-ups, with nothing compared and nothing kept."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from benchmarks.calls import IN_FLIGHT, Calls
from benchmarks.child import Stopwatch, answer

_LOOK_UP = "SELECT id, number, reference, state, currency, total FROM store_orders WHERE reference IN ({})"


async def bare_reads(asked: dict[str, Any]) -> dict[str, Any]:
    """Read every ready order, ``IN_FLIGHT`` at once, and look each up in the embedded store, a chunk at a time."""
    watch = Stopwatch()
    calls = Calls(asked["glopal"], asked["store"], asked["store_id"])
    found, size = 0, asked["chunk"]
    async with calls.http:
        orders = [order_id async for order_id in calls.ready()]
        waiting = iter(orders)

        async def work() -> None:
            for order_id in waiting:
                await calls.read(order_id)

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    database = sqlite3.connect(asked["database"])
    for start in range(0, len(orders), size):
        part = [f"{asked['prefix']}{order_id}" for order_id in orders[start : start + size]]
        found += len(database.execute(_LOOK_UP.format(", ".join("?" * len(part))), part).fetchall())
    database.close()
    return {"orders": len(orders), "found": found, **watch.read()}


if __name__ == "__main__":
    answer(bare_reads)
