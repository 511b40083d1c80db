"""The floor: an asyncio and httpx loop that makes the same HTTP calls, with no ledger and no Prefect."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.calls import IN_FLIGHT, Calls
from benchmarks.child import Stopwatch, answer


async def bare(asked: dict[str, Any]) -> dict[str, Any]:
    """Land every ready order, ``IN_FLIGHT`` at once."""
    watch = Stopwatch()
    calls = Calls(asked["glopal"], asked["store"], asked["store_id"])
    async with calls.http:
        orders = [order_id async for order_id in calls.ready()]
        waiting = iter(orders)

        async def work() -> None:
            for order_id in waiting:
                created = await calls.insert(await calls.read(order_id))
                await calls.accept(order_id, created)

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return {"orders": len(orders), **watch.read()}


if __name__ == "__main__":
    answer(bare)
