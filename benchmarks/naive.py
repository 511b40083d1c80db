"""The naive Prefect way: one async flow with a task per step per order, timed until the server shows every task run."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

from prefect import flow, task

from benchmarks.calls import IN_FLIGHT, Calls
from benchmarks.child import Stopwatch, answer
from benchmarks.shown import until_shown

_calls: ContextVar[Calls] = ContextVar("calls")


@task(retries=3, retry_delay_seconds=2)
async def fetch_order(order_id: str) -> dict[str, Any]:
    """Read one order."""
    return await _calls.get().read(order_id)


@task(retries=3, retry_delay_seconds=2)
async def insert_order(order: dict[str, Any]) -> dict[str, Any]:
    """Write one order into the store."""
    return await _calls.get().insert(order)


@task(retries=3, retry_delay_seconds=2)
async def accept_order(order_id: str, created: dict[str, Any]) -> None:
    """Accept one order."""
    await _calls.get().accept(order_id, created)


@flow
async def naive_orders() -> int:
    """Land every ready order."""
    orders = [order_id async for order_id in _calls.get().ready()]
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(order_id: str) -> None:
        async with room:
            created = await insert_order(await fetch_order(order_id))
            await accept_order(order_id, created)

    await asyncio.gather(*(one(order_id) for order_id in orders))
    return len(orders)


async def naive(asked: dict[str, Any]) -> dict[str, Any]:
    """Run the flow and wait for the server."""
    calls = Calls(asked["glopal"], asked["store"], asked["store_id"])
    _calls.set(calls)
    watch = Stopwatch()
    async with calls.http:
        state = await naive_orders(return_state=True)
    ran = watch.read()
    orders: int = await state.aresult()
    run_id = str(state.state_details.flow_run_id)
    await until_shown(run_id, 3 * orders)
    return {"orders": orders, **ran, "shown": watch.read()["wall"], "task_runs": 3 * orders}


if __name__ == "__main__":
    answer(naive)
