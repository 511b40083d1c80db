"""One merchant's orders and events at the simulated Glopal, and its books."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.jsontext import Json
from sandbox.orders import Document, timestamp
from sandbox.stories import ACCEPTED, CANCELLED, COMPLETED, EVENT_OF, READY, RECEIVED, GeneratedOrder, generate

_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(slots=True)
class Order:
    """One order as Glopal has it, and what callers did to it."""

    order_id: str
    story: str
    status: str
    document: Document
    previous_status: str | None = None
    external: dict[str, str] | None = None
    accept_calls: int = 0
    accepts: int = 0
    cancel_calls: int = 0
    cancelled_by: str | None = None
    reads: int = 0
    shipped: bool = False
    refunds: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> Document:
        """The order document as the API gives it."""
        return {
            "id": self.order_id,
            "status": self.status,
            "external": self.external,
            **{k: v for k, v in self.document.items() if k != "id"},
        }

    def book(self) -> dict[str, Any]:
        """The order's line in the books: no buyer in it."""
        total = self.document.get("total")
        return {
            "story": self.story,
            "status": self.status,
            "external": self.external,
            "accept_calls": self.accept_calls,
            "accepts": self.accepts,
            "cancel_calls": self.cancel_calls,
            "cancelled_by": self.cancelled_by,
            "reads": self.reads,
            "refunds": self.refunds,
            "currency": self.document.get("currency"),
            "total": None if total is None else str(total),
        }


@dataclass(slots=True)
class FeedEvent:
    """One entry of the feed. `hidden_for` calls more it is not shown, as if it were committed late."""

    body: dict[str, Any]
    hidden_for: int = 0
    was_hidden: bool = False
    served: bool = False


class Merchant:
    """One store identifier: orders, feed, status machine.

    Args:
        store_id: the identifier in the paths.
        seed: makes event ids and chances repeatable.
    """

    def __init__(self, store_id: str, seed: int = 0) -> None:
        self.store_id = store_id
        self.orders: dict[str, Order] = {}
        self.feed: list[FeedEvent] = []
        self._places: dict[str, int] = {}
        self._rng = random.Random(f"{seed}:{store_id}:events")

    def new_event_id(self) -> str:
        """An opaque id whose text says nothing about its place in the feed."""
        return "".join(self._rng.choices(_ID_LETTERS, k=16))

    def place_of(self, event_id: str) -> int | None:
        """Where an event stands in the feed."""
        place = self._places.get(event_id)
        if place is None or place >= len(self.feed) or self.feed[place].body.get("event_id") != event_id:
            self._places = {str(e.body.get("event_id")): i for i, e in enumerate(self.feed)}
            place = self._places.get(event_id)
        return place

    def append(self, name: str, order_id: str, at: datetime) -> None:
        """Put an event at the end of the feed."""
        order = self.orders.get(order_id)
        nothing: dict[str, str | None] = {"order_id": None, "order_number": None}
        external = (order.external if order else None) or nothing
        body = {
            "event_id": self.new_event_id(),
            "event_name": name,
            "event_at": timestamp(at),
            "order_id": order_id,
            "external": dict(external),
            "entity_id": None,
        }
        self.append_raw(body)

    def append_raw(self, body: dict[str, Any], before_end: int = 0) -> None:
        """Put an event as given into the feed, `before_end` places before its end."""
        place = max(0, len(self.feed) - before_end)
        self.feed.insert(place, FeedEvent(body))
        if before_end == 0:
            self._places[str(body.get("event_id"))] = place
        else:
            self._places = {}

    def add(self, made: GeneratedOrder) -> None:
        """Take a generated order with its past."""
        document = dict(made.document)
        self.orders[made.order_id] = Order(made.order_id, made.story, made.status, document)
        for name, at in made.events:
            self.append(name, made.order_id, at)

    def generate(self, seed: int, count: int, mix: Any, hours: float, environment: str) -> list[str]:
        """Make orders and mix their events by time; returns their ids."""
        made = generate(seed, count, datetime.now(UTC), mix, timedelta(hours=hours), environment)
        pending = []
        for order in made:
            self.orders[order.order_id] = Order(order.order_id, order.story, order.status, dict(order.document))
            reordered = order.story.startswith("reordered")
            # A re-ordered story keeps its wrong order: all of its events stand where its last one stands.
            last = max(at for _, at in order.events)
            pending += [
                (last if reordered else at, i, order.order_id, name, at) for i, (name, at) in enumerate(order.events)
            ]
        for _, _, order_id, name, at in sorted(pending, key=lambda entry: (entry[0], entry[2], entry[1])):
            self.append(name, order_id, at)
        return [order.order_id for order in made]

    def advance(self, order_id: str, status: str, by: str = "glopal") -> Order:
        """Move an order as Glopal would.

        Raises:
            KeyError: no such order.
            ValueError: not a move that Glopal makes.
        """
        order = self.orders[order_id]
        allowed = {
            READY: {RECEIVED},
            CANCELLED: {RECEIVED, READY, ACCEPTED, COMPLETED},
            COMPLETED: {ACCEPTED},
            ACCEPTED: {READY},
        }
        if order.status not in allowed.get(status, set()):
            raise ValueError(f"{order.status} cannot become {status}")
        self._move(order, status)
        if status == CANCELLED:
            order.cancelled_by = by
            order.refunds.append({"amount": str(order.document.get("total")), "kind": "full", "by": by})
        return order

    def _move(self, order: Order, status: str) -> None:
        order.previous_status, order.status = order.status, status
        if status in EVENT_OF:
            self.append(EVENT_OF[status], order.order_id, datetime.now(UTC))

    def accept(self, order_id: str, external: dict[str, str]) -> tuple[int, str]:
        """The accept call; returns status and error code ("" when it went well)."""
        order = self.orders[order_id]
        order.accept_calls += 1
        if order.status in (ACCEPTED, COMPLETED):
            return (200, "") if order.external == external else (409, "already_accepted")
        if order.status != READY:
            return 409, "not_ready" if order.status == RECEIVED else "order_cancelled"
        order.external = external
        order.accepts += 1
        self._move(order, ACCEPTED)
        return 200, ""

    def cancel(self, order_id: str, reason: str) -> tuple[int, str]:
        """The cancel call; the buyer is refunded in full."""
        order = self.orders[order_id]
        order.cancel_calls += 1
        if order.status == CANCELLED:
            return 200, ""
        if order.shipped or order.status not in (RECEIVED, READY, ACCEPTED, COMPLETED):
            return 409, "not_cancellable"
        self.advance(order_id, CANCELLED, by=f"merchant: {reason}"[:200])
        return 200, ""

    def happen(self) -> dict[str, int]:
        """What happens later: late cancels, and the waiting orders become ready or cancelled in turn."""
        done = {"cancelled": 0, "ready": 0, "completed": 0}
        for number, order in enumerate(list(self.orders.values())):
            if order.story == "cancelled_late" and order.status == ACCEPTED:
                self.advance(order.order_id, CANCELLED)
                done["cancelled"] += 1
            elif order.story == "received" and order.status == RECEIVED:
                status = READY if number % 2 else CANCELLED
                self.advance(order.order_id, status)
                done["ready" if status == READY else "cancelled"] += 1
            elif order.status == ACCEPTED and number % 5 == 0:
                self.advance(order.order_id, COMPLETED)
                done["completed"] += 1
        return done

    def release_late(self) -> int:
        """Show every hidden event from now on."""
        hidden = [event for event in self.feed if event.hidden_for]
        for event in hidden:
            event.hidden_for = 0
        return len(hidden)

    def books(self) -> dict[str, Any]:
        """What really happened."""
        return {
            "orders": {order_id: order.book() for order_id, order in self.orders.items()},
            "events": len(self.feed),
        }

    def to_state(self) -> Json:
        """All of it, to be loaded again."""
        return {
            "feed": [{"body": e.body, "served": e.served} for e in self.feed],
            "orders": [
                {
                    **order.book(),
                    "order_id": order.order_id,
                    "document": order.document,
                    "previous_status": order.previous_status,
                    "shipped": order.shipped,
                }
                for order in self.orders.values()
            ],
        }

    def load(self, state: Json) -> None:
        """Take over what `to_state` wrote."""
        self.feed = [FeedEvent(e["body"], served=e["served"]) for e in state["feed"]]
        names = (
            "order_id story status document previous_status external accept_calls accepts cancel_calls cancelled_by "
            "reads shipped refunds"
        ).split()
        self.orders = {o["order_id"]: Order(**{name: o[name] for name in names}) for o in state["orders"]}
        self._places = {}
        # Ids given out from now on must not repeat those of before.
        self._rng = random.Random(f"{self.store_id}:{len(self.feed)}:{datetime.now(UTC).timestamp()}")
