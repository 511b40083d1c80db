"""The process killed at every edge, one run for each: before and after each call, in and after each transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.trust.conftest import Worlds
from tests.trust.edges import Edges
from tests.trust.world import WRONG_ENV, World

Act = Callable[[World, str], Awaitable[None]]


async def _ready(world: World, order_id: str) -> None:
    world.sandbox.advance(order_id, "READY")


async def _cancelled(world: World, order_id: str) -> None:
    world.sandbox.advance(order_id, "CANCELLED")


async def _person_cancels(world: World, order_id: str) -> None:
    await world.decide(order_id, "cancel")


@dataclass(frozen=True)
class Script:
    """One order's life, with a kill somewhere in it.

    Attributes:
        story: the order's story in the sandbox.
        ends: the landing in which it must end.
        act: what happens once it came to its first rest.
        options: the hub's options.
        fault: a fault on top, so that the unknown outcomes are walked through, too.
    """

    story: str
    ends: str
    act: Act | None = None
    options: dict[str, Any] = field(default_factory=dict)
    fault: tuple[str, str] | None = None

    async def run(self, worlds: Worlds, edges: Edges, **trouble: Any) -> None:
        """Live it on a fresh world with these edges; ``trouble`` comes after the kill."""
        world = await worlds.fresh(**self.options)
        dead = [world.with_options(glopal_key=WRONG_ENV), world.with_options(store_token=WRONG_ENV)]
        world.then = dead if trouble.get("dead_credentials") else []
        world.jump_hours = trouble.get("jump_hours", 0.0)
        [order_id] = world.sandbox.generate(1, mix={self.story: 1})
        if self.fault is not None:
            world.fault(self.fault[0], self.fault[1], times=1)
        seen = await world.calm(edges=edges)
        if self.act is not None:
            await self.act(world, order_id)
            seen = await world.calm(edges=edges)
        row = seen.rows[order_id]
        where = edges.broken
        assert row.landing == self.ends, f"{where}: {row.landing}, parked {row.parked_code} {row.parked_reason}"


HELD = {"import_on": "received"}
SCRIPTS = {
    "plain": Script("plain", "accepted"),
    "plain_create_unclear": Script("plain", "accepted", fault=("store.create", "500_after")),
    "plain_create_failed": Script("plain", "accepted", fault=("store.create", "500_before")),
    "plain_accept_unclear": Script("plain", "accepted", fault=("accept", "500_after")),
    "plain_accept_failed": Script("plain", "accepted", fault=("accept", "502_before")),
    "cancelled_early": Script("cancelled_early", "cancelled"),
    "cancelled_during": Script("cancelled_during", "cancelled"),
    "cancelled_late": Script("plain", "cancelled", _cancelled),
    "held_then_ready": Script("received", "accepted", _ready, HELD),
    "held_then_cancelled": Script("received", "cancelled", _cancelled, HELD),
    "poison_cancelled_by_person": Script("poison_unknown_sku", "cancelled", _person_cancels),
    "poison_cancel_unclear": Script("poison_unknown_sku", "cancelled", _person_cancels, fault=("cancel", "500_after")),
}


async def crossings(worlds: Worlds, script: Script) -> list[str]:
    """The names of all edges that an undisturbed life crosses, each once."""
    edges = Edges()
    await script.run(worlds, edges)
    return list(dict.fromkeys(edges.crossings))


def changes_something(name: str) -> bool:
    """Whether a kill there leaves another state behind than a kill at the crossing before it."""
    return name.startswith("after ") and not name.startswith("after read.")


def matters_most(name: str) -> bool:
    """Whether a kill there is between an effect, its intent and its record, or between a page and its cursor."""
    chores = ("apply_deadlines", "warn_late", "wake_received", "release_orders", "release_feed", "acquire_feed")
    return changes_something(name) and not name.endswith(chores)


_covered: dict[str, set[str]] = {}


async def kill_everywhere(worlds: Worlds, script: Script, *, only_new: bool, **trouble: Any) -> None:
    """One life for each crossing, killed there."""
    covered = _covered.setdefault(str(trouble), set())
    for name in await crossings(worlds, script):
        if only_new and (name in covered or not changes_something(name)):
            continue
        covered.add(name)
        edges = Edges(where=name)
        await script.run(worlds, edges, **trouble)
        assert edges.broken == name, f"never came to {name}"


@pytest.mark.asyncio
@pytest.mark.parametrize("script", SCRIPTS)
async def test_killed_after_every_change(worlds: Worlds, script: str) -> None:
    """Killed after any call or commit, the next runs end the order where an undisturbed run would."""
    await kill_everywhere(worlds, SCRIPTS[script], only_new=True)


@pytest.mark.nightly
@pytest.mark.asyncio
@pytest.mark.parametrize("script", SCRIPTS)
async def test_killed_at_every_edge_of_every_story(worlds: Worlds, script: str) -> None:
    """Killed before, inside or after any call or transaction of any story, the order ends where it should."""
    await kill_everywhere(worlds, SCRIPTS[script], only_new=False)


@pytest.mark.nightly
@pytest.mark.asyncio
@pytest.mark.parametrize("hours", [1.0, -1.0])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_killed_and_the_clock_jumped(worlds: Worlds, script: str, hours: float) -> None:
    """Killed anywhere, and our clock is an hour wrong afterwards, forward or back."""
    await kill_everywhere(worlds, SCRIPTS[script], only_new=True, jump_hours=hours)


@pytest.mark.nightly
@pytest.mark.asyncio
@pytest.mark.parametrize("script", SCRIPTS)
async def test_killed_and_credentials_dead_afterwards(worlds: Worlds, script: str) -> None:
    """Killed anywhere, and then runs with a wrong key and a wrong token: they say so and park nothing."""
    await kill_everywhere(worlds, SCRIPTS[script], only_new=True, dead_credentials=True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("script", "where", "trouble"),
    [
        ("plain", "after store.create", {"jump_hours": 1.0}),
        ("plain", "after store.create", {"jump_hours": -1.0}),
        ("plain_create_failed", "after ledger.finish(insert)", {"jump_hours": 1.0}),
        ("plain", "after store.create", {"dead_credentials": True}),
        ("plain", "after glopal.accept", {"dead_credentials": True}),
        ("held_then_cancelled", "after store.cancel", {"dead_credentials": True, "jump_hours": -1.0}),
        ("poison_cancelled_by_person", "after glopal.cancel", {"dead_credentials": True, "jump_hours": 1.0}),
    ],
)
async def test_killed_and_more_trouble(worlds: Worlds, script: str, where: str, trouble: dict[str, Any]) -> None:
    """A wrong clock or dead credentials after a kill change nothing about the end."""
    edges = Edges(where=where)
    await SCRIPTS[script].run(worlds, edges, **trouble)
    assert edges.broken == where


async def lock_everywhere(worlds: Worlds, script: Script, *, only_new: bool) -> None:
    """One life for each transaction, and the ledger does not take that one."""
    covered = _covered.setdefault("locked", set())
    for name in await crossings(worlds, script):
        prefixes = ("before ledger.",) if only_new else ("before ledger.", "before read.")
        if not name.startswith(prefixes) or (only_new and name in covered):
            continue
        covered.add(name)
        await script.run(worlds, Edges(where=name, mode="locked"))


@pytest.mark.asyncio
@pytest.mark.parametrize("script", ["held_then_ready"])
async def test_ledger_locked_at_every_transaction(worlds: Worlds, script: str) -> None:
    """A ledger that does not take one transaction loses nothing and doubles nothing, whichever it is."""
    await lock_everywhere(worlds, SCRIPTS[script], only_new=True)


@pytest.mark.nightly
@pytest.mark.asyncio
@pytest.mark.parametrize("script", SCRIPTS)
async def test_ledger_locked_anywhere_in_every_story(worlds: Worlds, script: str) -> None:
    """The same for every story."""
    await lock_everywhere(worlds, SCRIPTS[script], only_new=False)
