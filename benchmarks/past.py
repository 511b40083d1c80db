"""A history that was landed long ago, made in bulk: the sandbox's state file, and the ledger and embedded store to it.

Landing so many orders by their flow would take longer than all that is measured. What is written here is what the flow
leaves behind: the same rows, made of the same documents by the same mapping; a reconciliation then finds all sides
agreeing. Coverage is left out, so that nothing counts as proven.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.child import answer
from benchmarks.landed import AT_ONCE, Landed, Past, bulk_engine, store_number, write_events
from benchmarks.stage import ACCOUNT, STORE_ID
from ledger.events import EVENTS
from models.settings import EmbeddedStore, GlopalAccount, Settings
from sandbox.feed import Merchant, Order
from sandbox.glopal import Glopal
from sandbox.orders import timestamp
from sandbox.server import save
from sandbox.store import SandboxStore
from sandbox.stories import ACCEPTED, READY, GeneratedOrder, generate_each
from stores.embedded import EmbeddedStoreAdapter
from tasks.runtime import ready_ledger

SEED = 7
# An order's events are less than this apart.
_NEAR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What history is wanted.

    Attributes:
        orders: how many, each with two events.
        start: the first order's first event.
        end: before which everything happened.
        only: orders of this interval have documents, store orders and stories, the others have rows and events only.
    """

    orders: int
    start: datetime
    end: datetime
    only: tuple[datetime, datetime] | None

    def documented(self, at: datetime) -> bool:
        """Whether an order of this moment has all that belongs to it."""
        return self.only is None or self.only[0] - _NEAR <= at < self.only[1] + _NEAR


async def fill(asked: dict[str, Any]) -> dict[str, Any]:
    """Write the ledger, the embedded store and the state file that the configuration and ``asked`` name."""
    start, end = datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"])
    only = asked.get("only")
    wanted = Asked(
        asked["orders"],
        start,
        end,
        (datetime.fromisoformat(only[0]), datetime.fromisoformat(only[1])) if only else None,
    )
    settings = Settings()
    account = settings.accounts[ACCOUNT]
    store = settings.stores[account.store]
    assert isinstance(store, EmbeddedStore)  # noqa: S101 - as it was configured
    await (await ready_ledger(settings)).dispose()
    adapter = EmbeddedStoreAdapter(store)
    await adapter.check()
    await adapter.aclose()
    merchant = Merchant(STORE_ID, SEED)
    with bulk_engine(settings.ledger.url).begin() as ledger, bulk_engine(store.url).begin() as shop:
        numbers = _orders(wanted, merchant, Landed(ledger, shop, account))
        write_events(ledger, EVENTS, _event_rows(account, merchant, numbers))
    _save(merchant, Path(asked["state"]))
    return {"orders": len(numbers), "events": len(merchant.feed)}


def _orders(wanted: Asked, merchant: Merchant, landed: Landed) -> dict[str, int]:
    """Make the orders everywhere; returns their numbers by their ids."""
    numbers: dict[str, int] = {}
    happened: list[tuple[datetime, str, str]] = []
    part: list[Past] = []
    # The generator begins half an hour before what it is told.
    now, spread = wanted.end + timedelta(minutes=15), wanted.end - wanted.start - timedelta(minutes=15)
    for made in generate_each(SEED, wanted.orders, now, "bench", spread):
        number = numbers[made.order_id] = len(numbers) + 1
        happened += [(_shown(at), made.order_id, name) for name, at in made.events]
        part.append(_past(wanted, merchant, made, number))
        if len(part) == AT_ONCE:
            landed.write(part)
            part = []
    landed.write(part)
    # The events say nothing of the store's ids: those came later.
    for at, order_id, name in sorted(happened):
        merchant.append(name, order_id, at)
    for order in merchant.orders.values():
        number = numbers[order.order_id]
        order.status, order.previous_status = ACCEPTED, READY
        order.external = {"order_id": str(number), "order_number": store_number(number)}
        order.accepts = order.accept_calls = 1
        order.accepted_at = timestamp(wanted.end)
    return numbers


def _past(wanted: Asked, merchant: Merchant, made: GeneratedOrder, number: int) -> Past:
    first, ready = (_shown(at) for _, at in made.events)
    raw = None
    if wanted.documented(first):
        order = merchant.orders[made.order_id] = Order(made.order_id, made.story, made.status)
        order.document = made.document
        raw = order.to_json()
    return Past(number, made.order_id, first, ready, raw)


def _shown(at: datetime) -> datetime:
    """A moment as the feed shows it, in milliseconds."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _event_rows(account: GlopalAccount, merchant: Merchant, numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    key = account.key_of
    same = {
        "provider": key.provider,
        "environment": key.environment,
        "account": key.account,
        "entity_id": "",
        "bucket": "applied",
        "via": "live",
        "note": "",
    }
    for event in merchant.feed:
        body = event.body
        at = datetime.fromisoformat(body["event_at"])
        yield {
            **same,
            "event_id": event.event_id,
            "event_name": event.name,
            "source_order_id": body["order_id"],
            "order_id": numbers[body["order_id"]],
            "event_at": at,
            "recorded_at": at + timedelta(seconds=10),
            "raw": event.encoded.decode(),
        }


def _save(merchant: Merchant, path: Path) -> None:
    # Keys are given to the sandbox when it starts; this one only writes the file.
    glopal = Glopal("", [], SEED)
    glopal.merchants[merchant.store_id] = merchant
    save(glopal, SandboxStore(""), path)


if __name__ == "__main__":
    answer(fill)
