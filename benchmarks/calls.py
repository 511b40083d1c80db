"""The HTTP calls of the job and nothing else: what the bare loop and the naive flow have in common."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from sandbox.running import GLOPAL_KEY, STORE_TOKEN

IN_FLIGHT = 16
PAGE_SIZE = 100


class Calls:
    """One client for both sides of a sandbox.

    Args:
        glopal: address of the simulated Glopal.
        store: address of the simulated store.
        store_id: the merchant at Glopal.
    """

    def __init__(self, glopal: str, store: str, store_id: str) -> None:
        self._store = store
        self._events = f"{glopal}/v2/events/{store_id}"
        self._orders = f"{glopal}/v2/orders/{store_id}"
        self._glopal_headers = {"Authorization": f"Bearer {GLOPAL_KEY}"}
        self._store_headers = {"Authorization": f"Bearer {STORE_TOKEN}", "Content-Type": "application/json"}
        limits = httpx.Limits(max_connections=2 * IN_FLIGHT, max_keepalive_connections=2 * IN_FLIGHT)
        self.http = httpx.AsyncClient(trust_env=False, limits=limits, timeout=30.0)

    async def ready(self) -> AsyncIterator[str]:
        """The ids of the orders that the feed says are ready, page by page until an empty one."""
        query: dict[str, str | int] = {"limit": PAGE_SIZE}
        while True:
            answer = await self.http.get(self._events, params=query, headers=self._glopal_headers)
            events = answer.raise_for_status().json()["events"]
            if not events:
                return
            for event in events:
                if event["event_name"] == "order.ready":
                    yield event["order_id"]
            query["after_event_id"] = events[-1]["event_id"]

    async def read(self, order_id: str) -> dict[str, Any]:
        """Read one order at Glopal."""
        answer = await self.http.get(f"{self._orders}/{order_id}", headers=self._glopal_headers)
        # Amounts stay as they were written, as text: the store's contract has no floats.
        order: dict[str, Any] = json.loads(answer.raise_for_status().content, parse_float=str)
        return order

    async def insert(self, order: dict[str, Any]) -> dict[str, Any]:
        """Write one order into the store."""
        reference = f"bench-{order['id']}"
        answer = await self.http.post(
            f"{self._store}/orders",
            content=json.dumps({"reference": reference, "hold": False, "order": order_of(order)}).encode(),
            headers={**self._store_headers, "Idempotency-Key": reference},
        )
        created: dict[str, Any] = answer.raise_for_status().json()["order"]
        return created

    async def accept(self, order_id: str, created: dict[str, Any]) -> None:
        """Accept one order at Glopal with the store's id and number."""
        answer = await self.http.post(
            f"{self._orders}/{order_id}/accept",
            json={"external": {"order_id": created["id"], "order_number": created["number"]}},
            headers=self._glopal_headers,
        )
        answer.raise_for_status()


def order_of(order: dict[str, Any]) -> dict[str, Any]:
    """The document under the names that the store's contract looks at."""
    return {**order, "total": str(order["total"]), "lines": order["items"], "items": None}
