"""One merchant's orders and events at the simulated Glopal, and its books."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.events import Feed, FeedEvent
from sandbox.jsontext import Json, Raw, dumps, loads
from sandbox.orders import Document, timestamp
from sandbox.stories import (
    ACCEPTED,
    CANCELLED,
    COMPLETED,
    EVENT_OF,
    READY,
    RECEIVED,
    GeneratedOrder,
    StoryError,
    generate_each,
)

__all__ = ["FeedEvent", "Merchant", "Order"]

_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_HEAD = ("id", "status", "external")
_PLAIN_FIELDS = (
    "order_id story status previous_status external accept_calls accepts accepted_at cancel_calls cancelled_by "
    "cancelled_at reads shipped refunds"
).split()


@dataclass(slots=True)
class Order:
    """One order as Glopal has it, and what callers did to it.

    The document is kept as the bytes that go out: a quarter of the memory of its parts, and nothing to do at a read.
    """

    order_id: str
    story: str
    status: str
    encoded: bytes = b"{}"
    currency: str | None = None
    total: str | None = None
    shown: dict[str, Any] = field(default_factory=dict)
    previous_status: str | None = None
    external: dict[str, str] | None = None
    accept_calls: int = 0
    accepts: int = 0
    accepted_at: str | None = None
    cancel_calls: int = 0
    cancelled_by: str | None = None
    cancelled_at: str | None = None
    reads: int = 0
    shipped: bool = False
    refunds: list[dict[str, Any]] = field(default_factory=list)

    @property
    def document(self) -> Document:
        """The document without id, status and external ids, amounts exact, plus what `shown` says of these."""
        return {**loads(self.encoded), **self.shown}

    @document.setter
    def document(self, document: Document) -> None:
        # An id, status or external given here is a lie for the callers; the order itself stays what it is.
        self.shown = {key: document[key] for key in _HEAD if key in document and document[key] != self.order_id}
        self.encoded = dumps({key: value for key, value in document.items() if key not in _HEAD})
        total, currency = document.get("total"), document.get("currency")
        self.total = None if total is None else str(total)
        self.currency = None if currency is None else str(currency)

    def to_json(self, status: str | None = None) -> bytes:
        """The order document as the API gives it, with another status if wanted."""
        head = {"id": self.order_id, "status": status or self.status, "external": self.external, **self.shown}
        opened = dumps(head)[:-1]
        return opened + b"}" if self.encoded == b"{}" else opened + b"," + self.encoded[1:]

    def book(self) -> dict[str, Any]:
        """The order's line in the books: no buyer in it."""
        return {
            "story": self.story,
            "status": self.status,
            "external": self.external,
            "accept_calls": self.accept_calls,
            "accepts": self.accepts,
            "accepted_at": self.accepted_at,
            "cancel_calls": self.cancel_calls,
            "cancelled_by": self.cancelled_by,
            "cancelled_at": self.cancelled_at,
            "reads": self.reads,
            "refunds": self.refunds,
            "currency": self.currency,
            "total": self.total,
        }

    def to_state(self) -> Json:
        """All of it, to be loaded again."""
        return {
            **{name: getattr(self, name) for name in _PLAIN_FIELDS},
            "document": Raw(self.encoded),
            "shown": self.shown,
        }

    @classmethod
    def from_state(cls, saved: Json) -> "Order":
        """Read what `to_state` wrote; what an older state lacks takes its first value."""
        order = cls(**{name: saved[name] for name in _PLAIN_FIELDS if name in saved})
        order.document = {**saved["document"], **saved.get("shown", {})}
        return order


class Merchant:
    """One store identifier: orders, feed, status machine.

    Args:
        store_id: the identifier in the paths.
        seed: makes event ids and chances repeatable.
    """

    def __init__(self, store_id: str, seed: int = 0) -> None:
        self.store_id = store_id
        self.seed = seed
        self.orders: dict[str, Order] = {}
        self.feed = Feed()
        self._seeds_used: Counter[str] = Counter()
        self._rng = random.Random(f"{seed}:{store_id}:events")

    def new_event_id(self) -> str:
        """An opaque id whose text says nothing about its place in the feed."""
        return "".join(self._rng.choices(_ID_LETTERS, k=16))

    def place_of(self, event_id: str) -> int | None:
        """Where an event stands in the feed."""
        return self.feed.place_of(event_id)

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

    def append_raw(self, body: Any, before_end: int = 0) -> None:
        """Put an event as given into the feed, `before_end` places before its end."""
        self.feed.insert(FeedEvent.of(body), before_end)

    def _take(self, made: GeneratedOrder) -> None:
        if made.order_id in self.orders:
            raise StoryError(f"order {made.order_id} exists already")
        order = Order(made.order_id, made.story, made.status)
        order.document = made.document
        self.orders[made.order_id] = order

    def add(self, made: GeneratedOrder) -> None:
        """Take a generated order with its past."""
        self._take(made)
        for name, at in made.events:
            self.append(name, made.order_id, at)

    def generate(self, seed: int, count: int, mix: Any, hours: float, environment: str) -> list[str]:
        """Make orders and mix their events by time; returns their ids.

        The same seed again makes other orders, as repeatable as the first ones: a merchant has each order once.

        Raises:
            StoryError: an unknown mix or story.
        """
        again = self._seeds_used[str(seed)]
        made = generate_each(
            f"{seed}/{again}" if again else seed, count, datetime.now(UTC), mix, timedelta(hours=hours), environment
        )
        ids, pending = [], []
        for order in made:
            self._take(order)
            ids.append(order.order_id)
            reordered = order.story.startswith("reordered")
            # A re-ordered story keeps its wrong order: all of its events stand where its last one stands.
            last = max(at for _, at in order.events)
            pending += [
                (last if reordered else at, i, order.order_id, name, at) for i, (name, at) in enumerate(order.events)
            ]
        self._seeds_used[str(seed)] += 1
        for _, _, order_id, name, at in sorted(pending, key=lambda entry: (entry[0], entry[2], entry[1])):
            self.append(name, order_id, at)
        return ids

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
        if status == CANCELLED:
            order.cancelled_by = by
            order.cancelled_at = timestamp(datetime.now(UTC))
            refund = {"amount": str(order.total), "kind": "full", "by": by, "created_at": order.cancelled_at}
            order.refunds.append(refund)
        self._move(order, status)
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
            return 409, "order_cancelled" if order.status == CANCELLED else "not_ready"
        order.external = external
        order.accepts += 1
        order.accepted_at = timestamp(datetime.now(UTC))
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
        return self.feed.release()

    def books(self) -> dict[str, Any]:
        """What really happened."""
        return {
            "orders": {order_id: order.book() for order_id, order in self.orders.items()},
            "events": len(self.feed),
        }

    def to_state(self) -> Json:
        """All of it, to be loaded again."""
        return {
            "feed": self.feed.to_state(),
            "orders": [order.to_state() for order in self.orders.values()],
            "seeds_used": dict(self._seeds_used),
        }

    def load(self, state: Json) -> None:
        """Take over what `to_state` wrote."""
        self.feed.load(state["feed"])
        self.orders = {saved["order_id"]: Order.from_state(saved) for saved in state["orders"]}
        self._seeds_used = Counter(state.get("seeds_used", {}))
        # Ids given out from now on must not repeat those of before.
        self._rng = random.Random(f"{self.store_id}:{len(self.feed)}:{datetime.now(UTC).timestamp()}")
