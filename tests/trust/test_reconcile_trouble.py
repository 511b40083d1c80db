"""Reconciliation in bad company: other runs at the same moment, and kills in the middle of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks import compare
from tests.trust.conftest import Worlds
from tests.trust.deeds import broken_by, cancelled_by_provider, row_of, with_deeds
from tests.trust.edges import Edges
from tests.trust.history import at_present, picture
from tests.trust.reconciling import changing_calls, findings_of, fingerprint, holds, reconcile, reconciled, rest
from tests.trust.world import World

SOME = (
    "row and events gone",
    "insert forgotten",
    "gone from the store, not accepted",
    "cancelled in the store",
    "READY again",
    "cancelled without an event",
)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two looks follow each other at once."""
    monkeypatch.setattr(compare, "SECOND_LOOK", 0.0)


# ---------------------------------------------------------------------- other runs


@pytest.mark.asyncio
@pytest.mark.parametrize("deed", ["cancelled in the store", "another total in the store", "READY again"])
async def test_an_order_that_moves_meanwhile_is_left_alone(worlds: Worlds, deed: str) -> None:
    """A live poll cancels the order between reading and writing: what was compared is true no more, nothing is done."""
    world, placed = await with_deeds(worlds, deed)
    order = placed[deed]
    known = (await row_of(world, order)).id

    async def live() -> None:
        cancelled_by_provider(world, order)
        await world.poll()

    edges = Edges(where="before ledger.save_judged", mode="meanwhile", meanwhile=live)
    result = await reconcile(world, edges)
    assert result is not None
    assert edges.broken
    assert result.compared.moved == 1
    assert result.state[1] == "Unfinished"
    assert not await findings_of(world, also_closed=True)
    row = await row_of(world, order)
    assert (row.id, row.landing, row.parked_code) == (known, "cancelled", None)
    lines = (await world.evidence()).lines[row.id or 0]
    assert "reconcile" not in {line.kind for line in lines}
    again = await reconciled(world)
    assert not again.compared.moved
    assert not await findings_of(world, also_closed=True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "where",
    ["before store.create", "after store.create", "before glopal.accept", "after glopal.accept", "after glopal.order"],
)
async def test_reconciling_in_the_middle_of_a_poll_does_nothing(worlds: Worlds, where: str) -> None:
    """While a live poll works on an order, a reconciliation concludes nothing of it and calls nobody."""
    world = await at_present(worlds)
    [order] = world.sandbox.generate(1)
    states: list[str] = []

    async def look() -> None:
        calls = changing_calls(world)
        states.append((await reconciled(world)).state[1])
        assert changing_calls(world) == calls

    edges = Edges(where=where, mode="meanwhile", meanwhile=look)
    await world.poll(edges)
    assert len(states) == 1, f"never came to {where}"
    assert not await findings_of(world, also_closed=True)
    seen = await world.calm()
    assert seen.rows[order].landing == "accepted"
    assert len(seen.store[world.reference(order)]) == seen.glopal[order]["accept_calls"] == 1


async def side_by_side(worlds: Worlds) -> None:
    """Two reconciliations and a live poll in the same moment do each repair once."""
    # What the ledger forgot, and what is not accepted yet, the poll alone would take on as if it were new.
    names = ("cancelled in the store", "READY again", "its accept never arrived", "cancelled without an event")
    world, placed = await with_deeds(worlds, *names, timeout=2.0)
    before = changing_calls(world)
    await asyncio.gather(reconciled(world), reconciled(world), world.poll())
    await rest(world)
    world.clock.forward(hours=1)
    await reconciled(world)
    await rest(world)
    world.clock.forward(hours=1)
    last = await reconciled(world)
    assert not last.compared.opened
    made = {name: number - before[name] for name, number in changing_calls(world).items()}
    assert (made["store.create"], made["store.cancel"], made["accept"]) == (0, 1, 2)
    found = await findings_of(world)
    assert list(found) == [placed["cancelled in the store"]]
    await holds(world, broken_by(placed))


@pytest.mark.nightly
@pytest.mark.asyncio
async def test_two_reconciliations_and_a_poll_at_once(worlds: Worlds) -> None:
    """Whoever comes first does the repair; nobody does it twice, and nobody parks what another one mended."""
    await side_by_side(worlds)


@pytest.mark.asyncio
async def test_two_reconciliations_and_a_poll_at_once_on_postgresql(postgres_worlds: Worlds) -> None:
    """The same on PostgreSQL, where they really write at the same time."""
    await side_by_side(postgres_worlds)


# ---------------------------------------------------------------------- kills


async def finished(world: World) -> dict[str, Any]:
    """The ledger after as many runs as it takes."""
    opened = True
    for _ in range(2):
        world.clock.forward(hours=1)
        opened = bool((await reconciled(world)).compared.opened)
        await rest(world)
    assert not opened
    return picture(await world.evidence())


_undisturbed: dict[str, Any] = {}


async def killed_at(worlds: Worlds, where: str, times: int) -> None:
    """A reconciliation is killed at its n-th crossing of an edge; the next ones end where an undisturbed one would."""
    if not _undisturbed:
        world, placed = await with_deeds(worlds, *SOME)
        assert await reconcile(world) is not None
        _undisturbed.update(await finished(world))
    world, placed = await with_deeds(worlds, *SOME)
    crossings = 0

    class Nth(Edges):
        async def cross(self, name: str) -> None:
            nonlocal crossings
            crossings += name == where
            self.where = where if crossings == times else "nowhere"
            await super().cross(name)

    edges = Nth(where=where)
    assert await reconcile(world, edges) is None, f"never came to {where} {times} times"
    await world.check([])
    world.lease_over()
    assert await finished(world) == _undisturbed
    await holds(world, broken_by(placed))


KILLS = [("inside ledger.save_judged", 1), ("after ledger.save_judged", 2), ("after glopal.accept", 1)]
MORE_KILLS = [
    ("inside ledger.save_judged", 4),
    ("after ledger.record_page", 1),
    ("after store.cancel", 1),
    ("inside ledger.finish(accept)", 1),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("where", "times"), [*KILLS, *(pytest.param(*kill, marks=pytest.mark.nightly) for kill in MORE_KILLS)]
)
async def test_killed_and_resumed(worlds: Worlds, monkeypatch: pytest.MonkeyPatch, where: str, times: int) -> None:
    """Killed within a chunk's transaction, between chunks or in a repair, the next runs end in the same ledger."""
    monkeypatch.setattr(compare, "CHUNK", 2)
    await killed_at(worlds, where, times)


@pytest.mark.asyncio
async def test_a_killed_chunk_leaves_no_trace(worlds: Worlds) -> None:
    """What a chunk came to is written as a whole or not at all: readings, findings, rows and lines."""
    world, placed = await with_deeds(worlds, "cancelled in the store", "READY again")
    known = await fingerprint(world)
    assert await reconcile(world, Edges(where="inside ledger.save_judged")) is None
    assert await fingerprint(world) == known
    world.lease_over()
    await reconciled(world)
    assert set(await findings_of(world, also_closed=True)) == set(placed.values())
