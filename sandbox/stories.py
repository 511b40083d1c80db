"""The life of a simulated order: what it looks like, which events it has had, what is still to come."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox.orders import BASES, HUGE, PLAIN, TINY, Document, Shape, build_document, order_id

RECEIVED, READY, ACCEPTED, COMPLETED, CANCELLED = "RECEIVED", "READY", "ACCEPTED", "COMPLETED", "CANCELLED"

EVENT_OF = {RECEIVED: "order.received", READY: "order.ready", CANCELLED: "order.cancelled"}
"""Statuses whose change is told by an event."""

_LIVES: dict[str, tuple[str, ...]] = {
    "received": (RECEIVED,),
    "cancelled_early": (RECEIVED, CANCELLED),
    "cancelled_ready": (RECEIVED, READY, CANCELLED),
}
_SHAPES = {"huge": HUGE, "tiny": TINY}


def _wrong_total(document: Document, rng: random.Random) -> None:
    document["total"] += Decimal(rng.randrange(3, 90))


def _unknown_currency(document: Document, rng: random.Random) -> None:
    document["currency"] = "XXQ"


def _negative_total(document: Document, rng: random.Random) -> None:
    excess = document["total"] + Decimal(rng.randrange(5, 50))
    document.setdefault("discounts", []).append({"code": "OOPS", "amount": excess})
    document["total"] -= excess


def _absurd_amount(document: Document, rng: random.Random) -> None:
    item = document["items"][0]
    excess = Decimal(10) ** 15 - item["unit_price"]
    item["unit_price"] += excess
    for place in (item, document):
        place["total"] += excess * item["quantity"]


def _without(key: str) -> Callable[[Document, random.Random], None]:
    def drop(document: Document, rng: random.Random) -> None:
        document.pop(key, None)

    return drop


def _unknown_status(document: Document, rng: random.Random) -> None:
    document["status"] = "ON_HOLD"


def _test_environment(document: Document, rng: random.Random) -> None:
    document["environment"] = "test"


def _no_rate(document: Document, rng: random.Random) -> None:
    document["exchange_rates"] = {}


def _sku(prefix: str) -> Callable[[Document, random.Random], None]:
    def rename(document: Document, rng: random.Random) -> None:
        item = rng.choice(document["items"])
        item["sku"] = f"{prefix}{rng.randrange(1000, 10000)}"

    return rename


POISONS: dict[str, Callable[[Document, random.Random], None]] = {
    "poison_total": _wrong_total,
    "poison_currency": _unknown_currency,
    "poison_negative": _negative_total,
    "poison_absurd": _absurd_amount,
    "poison_no_items": _without("items"),
    "poison_no_total": _without("total"),
    "poison_no_customer": _without("customer"),
    "poison_status": _unknown_status,
    "poison_environment": _test_environment,
    "poison_no_rate": _no_rate,
    "poison_unknown_sku": _sku("UNKNOWN-"),
    "poison_out_of_stock": _sku("NOSTOCK-"),
    "poison_id": lambda document, rng: None,
}
"""Stories that a hub must stop at: the name, and what makes the document bad."""

STORIES: dict[str, str] = {
    "plain": "received, then ready",
    "huge": "ready, with 150 lines or more",
    "tiny": "ready, one item of one minor unit",
    "received": "received and not ready yet",
    "cancelled_early": "received, then cancelled by the provider",
    "cancelled_ready": "ready, then cancelled before anybody could act",
    "cancelled_late": "ready; a release cancels it once it is accepted",
    "cancelled_during": "ready; cancelled right after its document was read for the first time",
    "reordered": "ready; its events stand in the feed in the wrong order",
    "reordered_cancel": "cancelled; the cancellation stands in the feed before ready and received",
    **dict.fromkeys(POISONS, "ready, with a document that must not be landed"),
}
"""Every story with what happens in it."""

MIXES: dict[str, dict[str, float]] = {
    "plain": {"plain": 1},
    "bench": {"plain": 1},
    "demo": {
        "plain": 73,
        "huge": 0.5,
        "tiny": 1.5,
        "received": 3,
        "cancelled_early": 3,
        "cancelled_ready": 3,
        "cancelled_late": 3,
        "cancelled_during": 1.5,
        "reordered": 2,
        "reordered_cancel": 1,
        **dict.fromkeys(POISONS, 0.6),
    },
    "all": dict.fromkeys(STORIES, 1.0),
}
"""Named mixes: relative weights of the stories."""


class StoryError(ValueError):
    """An unknown story or mix; the text names it and what is known."""


@dataclass(frozen=True, slots=True)
class GeneratedOrder:
    """An order with its past.

    Attributes:
        order_id: Glopal order id.
        story: name of its story.
        status: status it is in.
        document: the order document, without status and external ids.
        events: (event name, instant) in the order in which they stand in the feed.
    """

    order_id: str
    story: str
    status: str
    document: Document
    events: tuple[tuple[str, datetime], ...]


def generate(
    seed: int | str,
    count: int,
    now: datetime,
    mix: str | Mapping[str, float] = "plain",
    spread: timedelta = timedelta(hours=24),
    environment: str = "live",
) -> list[GeneratedOrder]:
    """Make `count` orders at once; see `generate_each`.

    Raises:
        StoryError: an unknown mix or story.
    """
    return list(generate_each(seed, count, now, mix, spread, environment))


def generate_each(
    seed: int | str,
    count: int,
    now: datetime,
    mix: str | Mapping[str, float] = "plain",
    spread: timedelta = timedelta(hours=24),
    environment: str = "live",
) -> Iterator[GeneratedOrder]:
    """Make `count` orders one after the other; same arguments, same orders.

    Args:
        seed: the seed.
        count: number of orders.
        now: instant before which everything has happened, aware UTC.
        mix: name in `MIXES`, or relative weights of stories.
        spread: how far back the first order lies.
        environment: the documents' `environment`.

    Raises:
        StoryError: an unknown mix or story.
    """
    stories = _allot(count, mix)
    random.Random(f"{seed}:stories").shuffle(stories)
    start = now - spread - timedelta(minutes=30)
    step = spread / max(count, 1)
    for number, story in enumerate(stories):
        yield _generate_one(random.Random(f"{seed}:{number}"), story, start + step * number, environment)


def _allot(count: int, mix: str | Mapping[str, float]) -> list[str]:
    """Share `count` out by largest remainder, so that a mix is met exactly rather than on average."""
    if isinstance(mix, str):
        if mix not in MIXES:
            raise StoryError(f"unknown mix {mix!r}; known are {sorted(MIXES)}")
        weights: Mapping[str, float] = MIXES[mix]
    else:
        weights = mix
    for story in weights:
        if story not in STORIES:
            raise StoryError(f"unknown story {story!r}; known are {sorted(STORIES)}")
    whole = sum(weights.values())
    if whole <= 0:
        raise StoryError("the weights of a mix must add up to more than zero")
    shares = {story: count * weight / whole for story, weight in weights.items()}
    counts = {story: int(share) for story, share in shares.items()}
    by_remainder = sorted(shares, key=lambda story: counts[story] - shares[story])
    for story in by_remainder[: count - sum(counts.values())]:
        counts[story] += 1
    return [story for story, number in counts.items() for _ in range(number)]


def _generate_one(rng: random.Random, story: str, created_at: datetime, environment: str) -> GeneratedOrder:
    identifier = order_id(rng)
    if story == "poison_id":
        identifier = rng.choice(("{}/../admin", "{}%2e%2e", "{}?x=1#frag", "{} ü✓", "..{}")).format(identifier)
    shape: Shape = _SHAPES.get(story, PLAIN)
    document = build_document(rng, identifier, created_at, shape, environment)
    while story == "poison_no_rate" and document["currency"] in BASES:
        # A merchant whose own currency this is needs no rate, so the order would be a good one.
        document = build_document(rng, identifier, created_at, shape, environment)
    poison = POISONS.get(story)
    if poison is not None:
        poison(document, rng)
    statuses = _LIVES.get(story, (RECEIVED, READY))
    if story == "reordered_cancel":
        statuses = (RECEIVED, READY, CANCELLED)
    moment = created_at
    events = []
    for status in statuses:
        events.append((EVENT_OF[status], moment))
        moment += timedelta(milliseconds=rng.randrange(20_000, 480_000))
    if story.startswith("reordered"):
        events.reverse()
    status = document.pop("status", statuses[-1])
    return GeneratedOrder(identifier, story, status, document, tuple(events))


def story_help() -> dict[str, Any]:
    """The stories and mixes as JSON, for the control plane."""
    return {"stories": STORIES, "mixes": MIXES}
