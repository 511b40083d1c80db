"""What is done behind everybody's back: to the ledger, to the store's books, to the provider's, one deed an order."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import httpx
from sqlmodel import select

from models.tables import SourceOrder
from sandbox.running import STORE_TOKEN
from tests.trust.conftest import Worlds
from tests.trust.history import at_present
from tests.trust.world import World

Act = Callable[[World, str], Awaitable[None] | None]


@dataclass(frozen=True)
class Deed:
    """Something that is done to one order behind our back.

    Attributes:
        act: what is done.
        found: the class under which it is found; empty when nothing may be found.
        parked: the code of its parking; empty when it is repaired.
        landing: where the order rests afterwards.
        story: the order's story in the sandbox.
        first: what happens to the order in the usual way once it landed, before the deed.
        stuck: the order's accept does not arrive before the deed, so that it is in the store only.
        breaks: invariants that the deed itself breaks for this order, by their short names.
        mends: whether the order goes on by itself once a person has undone the deed.
        at_once: whether the comparison itself parks it, and not what follows from its repair.
    """

    act: Act
    found: str
    parked: str = ""
    landing: str = "accepted"
    story: str = "plain"
    first: Act | None = None
    stuck: bool = False
    breaks: tuple[str, ...] = ()
    mends: bool = False
    at_once: bool = True


async def do(act: Act, world: World, order_id: str) -> None:
    """Do it to one order."""
    done = act(world, order_id)
    if done is not None:
        await done


async def row_of(world: World, order_id: str) -> SourceOrder:
    """An order's row in the ledger."""
    async with world.checker.read() as session:
        return (await session.exec(select(SourceOrder).where(SourceOrder.source_order_id == order_id))).one()


async def behind(world: World, *statements: str) -> None:
    """Run SQL on the ledger as somebody with a database tool would; foreign keys are not looked at."""
    if world.url.startswith("sqlite"):
        # The tool's own default: foreign keys are off.
        with closing(sqlite3.connect(Path(world.url.removeprefix("sqlite+aiosqlite:///")))) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return
    place, socket = world.url.split("?host=")
    connection = await asyncpg.connect(host=socket, user="postgres", database=place.rsplit("/", 1)[1])
    try:
        await connection.execute("SET session_replication_role = replica")
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def forget(world: World, order_id: str, *, events: bool) -> None:
    """Delete an order's row from the ledger, and all that hangs on it, too, or leave that without its order."""
    row = await row_of(world, order_id)
    tables = ("effect", "notice", "open_intent", "order_document", "source_event") if events else ()
    places = [*((table, "order_id") for table in tables), ("source_order", "id")]
    await behind(world, *(f"DELETE FROM {table} WHERE {column} = {row.id}" for table, column in places))  # noqa: S608
    world._lines.pop(row.id or 0, None)


def in_ledger(changes: str) -> Act:
    """Columns of the order's row are overwritten."""

    async def act(world: World, order_id: str) -> None:
        row = await row_of(world, order_id)
        await behind(world, f"UPDATE source_order SET {changes} WHERE id = {row.id}")  # noqa: S608 - ours

    return act


async def lose_ready(world: World, order_id: str) -> None:
    """One event is deleted; its order stays as it is."""
    await behind(
        world,
        f"DELETE FROM source_event WHERE source_order_id = '{order_id}' AND event_name = 'order.ready'",  # noqa: S608
    )


def in_store(action: str, **given: str) -> Act:
    """Something that the sandbox's store lets a merchant do."""

    def act(world: World, order_id: str) -> None:
        world.sandbox.store(action, reference=world.reference(order_id), **given)

    return act


def store_orders(world: World, order_id: str) -> list[dict[str, Any]]:
    """The store's orders with our reference, the oldest first."""
    reference = world.reference(order_id)
    return [order for order in world.sandbox.store_books()["orders"].values() if order["reference"] == reference]


def _ask_store(world: World, path: str, body: dict[str, Any], **headers: str) -> None:
    headers["Authorization"] = f"Bearer {STORE_TOKEN}"
    answer = httpx.post(f"{world.sandbox.store_url}/{path}", json=body, headers=headers, trust_env=False)
    assert answer.is_success, answer.text


def second_store_order(world: World, order_id: str) -> None:
    """Somebody writes another live order with our reference into the store."""
    known, reference = store_orders(world, order_id)[0], world.reference(order_id)
    order = {"currency": known["currency"], "total": known["total"], "lines": []}
    body = {"reference": reference, "hold": False, "order": order}
    _ask_store(world, "orders", body, **{"Idempotency-Key": reference})


def cancel_second(world: World, order_id: str) -> None:
    """A person cancels the store order that came second."""
    _ask_store(world, f"orders/{store_orders(world, order_id)[1]['id']}/cancel", {"reason": "twice"})


def at_provider(**given: Any) -> Act:
    """Something that happens at the provider without an event."""

    def act(world: World, order_id: str) -> None:
        world.sandbox.change(order_id, **given)

    return act


def cancelled_by_provider(world: World, order_id: str) -> None:
    """The provider cancels, and tells of it."""
    world.sandbox.advance(order_id, "CANCELLED")


def other_number(world: World, order_id: str) -> None:
    """The provider has another number for the same store order."""
    world.sandbox.change(order_id, external={**world.sandbox.orders()[order_id]["external"], "order_number": "999"})


def raise_total(world: World, order_id: str, by: int = 7) -> None:
    """The provider charges more for the shipping, and the sum still adds up."""
    document = world.sandbox.document(order_id)
    shipping = {"method": "any", "price": 0, "tax": 0, **document.get("shipping", {})}
    shipping["price"] = _more(shipping["price"], by)
    world.sandbox.change(order_id, {"shipping": shipping, "total": _more(document["total"], by)})


def _more(amount: float, by: int) -> float:
    """A float's sum may not be the float of the sum; what is sent must be exact in its decimals."""
    return float(Decimal(str(amount)) + by)


def other_article(world: World, order_id: str) -> None:
    """The provider swaps an article for another one of the same price."""
    items = world.sandbox.document(order_id)["items"]
    items[0] = {**items[0], "sku": f"{items[0]['sku']}-B"}
    world.sandbox.change(order_id, {"items": items})


def put_right(
    world: World, order_id: str, book: dict[str, Any], document: dict[str, Any], held: dict[str, Any]
) -> None:
    """A person undoes what was done at the provider and in the store."""
    kept = {key: value for key, value in document.items() if key not in ("id", "status", "external")}
    world.sandbox.change(order_id, kept, status=book["status"], external=book["external"])
    if len(store_orders(world, order_id)) > 1:
        cancel_second(world, order_id)
        return
    reference = world.reference(order_id)
    world.sandbox.store("change", reference=reference, new_total=held["total"], new_currency=held["currency"])
    world.sandbox.store("state", reference=reference, state=held["state"])


_LONG_AGO = "2026-01-01T00:00:00.000000Z"
_ELSEWHERE = {"order_id": "so_999999", "order_number": "999"}
# The story of an order went with its row, so that the other sides' books know more than it tells.
_STORY_GONE = ("s8",)
DEEDS = {
    "row gone, events left": Deed(partial(forget, events=False), "missing_in_ledger", breaks=_STORY_GONE),
    "row and events gone": Deed(partial(forget, events=True), "missing_in_ledger", breaks=_STORY_GONE),
    "row gone, not accepted": Deed(partial(forget, events=True), "missing_in_ledger", stuck=True, breaks=_STORY_GONE),
    "one event gone": Deed(lose_ready, ""),
    "insert forgotten": Deed(
        in_ledger("landing = 'fetched', store_order_id = NULL, store_order_number = NULL"),
        "status_differs",
        stuck=True,
    ),
    "forgotten while under way": Deed(in_ledger(f"due_at = NULL, ready_at = '{_LONG_AGO}'"), "stuck", stuck=True),
    "gone from the store, accepted": Deed(
        in_store("delete"), "missing_in_store", "store.order_missing", breaks=("s2",)
    ),
    "gone from the store, not accepted": Deed(in_store("delete"), "missing_in_store", stuck=True, breaks=("s14",)),
    "cancelled in the store": Deed(
        in_store("state", state="cancelled"), "cancelled_in_store_only", "insert.store_cancelled", mends=True
    ),
    "shipped": Deed(in_store("state", state="shipped"), ""),
    "reopened after its cancel": Deed(
        in_store("state", state="open"),
        "cancelled_at_provider_only",
        "cancel.store_order_live",
        "cancelled",
        first=cancelled_by_provider,
        mends=True,
    ),
    # Cancelled as it should be, it still is one of two with our reference, and a person looks at those.
    "written anew after its cancel": Deed(
        second_store_order,
        "cancelled_at_provider_only",
        "store.duplicate",
        "cancelled",
        first=cancelled_by_provider,
        breaks=("s8",),
        at_once=False,
    ),
    "another total in the store": Deed(
        in_store("change", new_total="0.01"), "total_differs", "insert.total_differs", mends=True
    ),
    "another currency in the store": Deed(
        in_store("change", new_currency="BRL"), "currency_differs", "insert.total_differs", mends=True
    ),
    "second store order": Deed(
        second_store_order, "duplicate_in_store", "store.duplicate", breaks=("s1", "s8"), mends=True
    ),
    "READY again": Deed(at_provider(status="READY"), "inserted_not_accepted", breaks=("s14",)),
    "its accept never arrived": Deed(
        at_provider(status="READY", external=None), "inserted_not_accepted", breaks=("s14",)
    ),
    "other store order at the provider": Deed(
        at_provider(external=_ELSEWHERE), "store_id_differs", "accept.ids_differ", breaks=("s2",), mends=True
    ),
    "other number at the provider": Deed(
        other_number, "store_number_differs", "accept.ids_differ", breaks=("s2",), mends=True
    ),
    "cancelled without an event": Deed(
        at_provider(status="CANCELLED"), "cancelled_at_provider_only", landing="cancelled"
    ),
    "ready without an event": Deed(at_provider(status="READY"), "status_differs", story="received"),
    "accepted by somebody else": Deed(
        at_provider(status="ACCEPTED", external=_ELSEWHERE),
        "accepted_not_inserted",
        "accept.elsewhere",
        "fetched",
        story="received",
        at_once=False,
    ),
    "RECEIVED again": Deed(at_provider(status="RECEIVED"), "live_too_early", "insert.hold_ignored"),
    "an unknown status": Deed(at_provider(status="PAUSED"), "status_differs", "fetch.unknown_status"),
    "another total at the provider": Deed(raise_total, "total_differs", "insert.total_differs", mends=True),
    "unreadable at the provider": Deed(at_provider(remove=["items"]), "document_unusable", "document.unusable"),
    "another article at the provider": Deed(other_article, "document_changed", "document.changed_after_import"),
}


async def landed(
    world: World, deeds: dict[str, Deed], count: int | None = None, mix: dict[str, int] | None = None
) -> dict[str, str]:
    """One order for each deed, landed by polling; returns the order ids by the deeds' names.

    All orders are made at once, because a feed stands in order of time. With ``count`` and ``mix`` there are others.
    """
    made = world.sandbox.generate(count or len(deeds), seed=31, mix=mix or {"plain": 1})
    books, placed = world.sandbox.orders(), dict[str, str]()
    for name, deed in deeds.items():
        fits = (order for order in made if books[order]["story"] == deed.story and order not in placed.values())
        placed[name] = next(fits)
    stuck = [order for name, order in placed.items() if deeds[name].stuck]
    world.sandbox.faults([{"where": "accept", "kind": "503_before", "match": order} for order in stuck])
    await world.poll()
    for name, order in placed.items():
        if (first := deeds[name].first) is not None:
            await do(first, world, order)
    await world.poll()
    world.sandbox.clear_faults()
    return placed


async def with_deeds(worlds: Worlds, *names: str, **options: object) -> tuple[World, dict[str, str]]:
    """A fresh world with one order for each deed, done."""
    world = await at_present(worlds, **options)
    placed = await landed(world, {name: DEEDS[name] for name in names})
    for name, order in placed.items():
        await do(DEEDS[name].act, world, order)
    world.clock.forward(hours=1)
    return world, placed


def broken_by(placed: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The invariants that deeds broke by themselves, by order."""
    return {order: DEEDS[name].breaks for name, order in placed.items()}
