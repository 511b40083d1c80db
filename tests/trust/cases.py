"""The product of stories, endpoints and fault kinds as single orders: each order meets its own fault, all at once.

A fault rule matches one order, so hundreds of cases share one world without touching each other; only what concerns a
whole side (a Retry-After, a feed that cannot be read) is shared, as it would be in life.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.faults import BREAKING
from tests.trust.world import HOLD, World

READS = ("order", "store.find")
WRITES = ("accept", "cancel", "store.create", "store.release", "store.cancel")
SHAPED: dict[str, tuple[str, ...]] = {
    "order": ("slow", "unknown_fields", "missing_field", "stale_read"),
    "accept": ("slow", "unknown_fields", "missing_field"),
    "cancel": ("slow", "unknown_fields", "missing_field"),
    "store.create": ("slow", "unknown_fields", "missing_field"),
    "store.find": ("slow", "unknown_fields", "missing_field", "lookup_lag"),
    "store.release": ("slow", "unknown_fields", "missing_field"),
    "store.cancel": ("slow", "unknown_fields", "missing_field"),
}
# Faults that hold a whole side for a second each: once at an endpoint is enough.
SIDE_WIDE = frozenset({"429"})
PARAMS: dict[str, dict[str, Any]] = {
    "429": {"retry_after": 1},
    "timeout_before": {"seconds": HOLD},
    "timeout_after": {"seconds": HOLD},
    "slow": {"seconds": 0.1},
    "lookup_lag": {"calls": 1},
    "huge": {"size_mb": 4, "effect": True},
    "html": {"status": 200, "effect": True},
}


@dataclass(frozen=True)
class Case:
    """One order's trouble.

    Attributes:
        story: the order's story in the sandbox.
        endpoint: where the fault strikes.
        kind: which fault.
        times: how often in a row.
        first: a fault of the create that leads to the endpoint, for ``store.find``.
        person: what a person decides once the order is parked.
    """

    story: str
    endpoint: str
    kind: str
    times: int = 1
    first: str | None = None
    person: str | None = None

    def rules(self, world: World, order_id: str) -> Iterator[dict[str, Any]]:
        """The fault rules of this order alone."""
        if self.first is not None:
            yield self._rule(world, order_id, "store.create", self.first, 1)
        yield self._rule(world, order_id, self.endpoint, self.kind, self.times)

    def _rule(self, world: World, order_id: str, endpoint: str, kind: str, times: int) -> dict[str, Any]:
        match = world.reference(order_id) if endpoint.startswith("store.") else order_id
        return {"where": endpoint, "kind": kind, "match": match, "times": times, "params": PARAMS.get(kind, {})}


def kinds_at(endpoint: str) -> tuple[str, ...]:
    """Every fault kind that an endpoint can meet."""
    return (*sorted(BREAKING), *SHAPED[endpoint])


def ready_cases(times: tuple[int, ...], *, every_story: bool) -> list[Case]:
    """Cases for an account that imports READY orders."""
    cases = []
    for number in times:
        for endpoint, story in (("order", "plain"), ("store.create", "plain"), ("accept", "plain")):
            cases += [Case(story, endpoint, kind, number) for kind in kinds_at(endpoint)]
        for first in ("500_after", "502_before") if every_story else ("500_after",):
            cases += [Case("plain", "store.find", kind, number, first) for kind in kinds_at("store.find")]
        cases += [Case("cancelled_late", "store.cancel", kind, number) for kind in kinds_at("store.cancel")]
        cases += [Case("poison_unknown_sku", "cancel", kind, number, person="cancel") for kind in kinds_at("cancel")]
        if every_story:
            cases += _more_stories(number)
    return _side_wide_once(cases)


def _side_wide_once(cases: list[Case]) -> list[Case]:
    """The cases without repetitions of what holds a whole side."""
    first: dict[tuple[str, str], Case] = {}
    for case in cases:
        first.setdefault((case.endpoint, case.kind), case)
    return [c for c in cases if c.kind not in SIDE_WIDE or first[c.endpoint, c.kind] is c]


def _more_stories(times: int) -> Iterator[Case]:
    for story in ("cancelled_during", "cancelled_late", "reordered", "poison_unknown_sku", "cancelled_ready"):
        for endpoint in ("order", "store.create", "accept", "store.cancel"):
            yield from (Case(story, endpoint, kind, times) for kind in kinds_at(endpoint))
    for kind in kinds_at("store.find"):
        yield Case("poison_unknown_sku", "store.find", kind, times, person="cancel")
        yield Case("cancelled_during", "store.find", kind, times, first="timeout_after")


def held_cases(times: tuple[int, ...]) -> list[Case]:
    """Cases for an account that imports RECEIVED orders on hold; ``person`` says how the provider goes on."""
    ways = (("store.create", "READY"), ("store.release", "READY"), ("store.cancel", "CANCELLED"))
    cases = [
        Case("received", endpoint, kind, number, person=status)
        for number in times
        for endpoint, status in ways
        for kind in kinds_at(endpoint)
    ]
    return _side_wide_once(cases)


def begin(world: World, cases: list[Case]) -> dict[str, Case]:
    """Make one order for each case and set its faults; returns the cases by order id."""
    stories: dict[str, list[Case]] = {}
    for case in cases:
        stories.setdefault(case.story, []).append(case)
    placed: dict[str, Case] = {}
    for number, (story, group) in enumerate(sorted(stories.items())):
        ids = world.sandbox.generate(len(group), seed=100 + number, mix={story: 1})
        placed |= dict(zip(ids, group, strict=True))
    world.sandbox.faults([rule for order_id, case in placed.items() for rule in case.rules(world, order_id)])
    return placed
