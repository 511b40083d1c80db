"""Sabotage behind our back: each difference is found, named, and mended or parked; then nothing is left to find."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from models.sides import Mismatch
from tasks import compare
from tests.trust.conftest import Worlds
from tests.trust.deeds import DEEDS, do, landed, put_right, row_of, store_orders
from tests.trust.history import at_present
from tests.trust.reconciling import (
    OF_LOOKING,
    changing_calls,
    findings_of,
    fingerprint,
    holds,
    reconciled,
    rest,
)
from tests.trust.world import World

PARKED = {name: deed for name, deed in DEEDS.items() if deed.parked}
REPAIRED = {name: deed for name, deed in DEEDS.items() if deed.found and not deed.parked}
MIX = {"plain": 14, "received": 2, "cancelled_ready": 1, "cancelled_early": 1, "poison_unknown_sku": 1}
WAITS = Mismatch.PARKED.value


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two looks follow each other at once."""
    monkeypatch.setattr(compare, "SECOND_LOOK", 0.0)


async def sabotaged(worlds: Worlds) -> tuple[World, dict[str, str]]:
    """Every deed done to an order that landed by polling, and other orders that nobody touched."""
    world = await at_present(worlds)
    placed = await landed(world, DEEDS, 48, MIX)
    for name, order in placed.items():
        await do(DEEDS[name].act, world, order)
    # What is younger than some minutes is never called complete.
    world.clock.forward(hours=1)
    return world, placed


async def each_is_found(world: World, placed: dict[str, str]) -> None:
    """Every deed is found under its class, the gravest of what was found about its order, and nothing else is found."""
    found = await findings_of(world, also_closed=True)
    for name, deed in DEEDS.items():
        told = found.pop(placed[name], {})
        assert (deed.found in told) if deed.found else not told, f"{name}: {list(told)}"
        for finding in told.values():
            assert len(finding.explanation) > 40, f"{name}: {finding.explanation!r}"
    parked = {order for order, row in (await world.evidence()).rows.items() if row.parked_code == "insert.unknown_sku"}
    assert parked
    assert {order: list(told) for order, told in found.items()} == {order: [WAITS] for order in parked}


async def each_rests(world: World, placed: dict[str, str]) -> None:
    """Every order is where its deed says, and only the parked ones have open findings."""
    seen, found = await world.evidence(), await findings_of(world)
    for name, deed in DEEDS.items():
        row = seen.rows[placed[name]]
        assert (row.landing, row.parked_code or "") == (deed.landing, deed.parked), name
        assert (row.settled_at is None) is bool(deed.parked), name
        told = found.get(placed[name], {})
        assert bool(told) is bool(deed.parked), f"{name}: {list(told)}"
        assert all(finding.action == f"waits for a person: {deed.parked}" for finding in told.values()), name


def breaking(placed: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """The invariants that deeds broke by themselves, by order."""
    return {placed[name]: deed.breaks for name, deed in DEEDS.items()}


async def only_reported(world: World, placed: dict[str, str]) -> None:
    """Without repairs nothing but the findings is written, however often it is run, and no call changes anything."""
    known, calls = await fingerprint(world, OF_LOOKING), changing_calls(world)
    first = await reconciled(world, repair=False)
    assert first.state[1] == "Differences", str(first)
    # A day of which events are missing is not called complete, however surely all of it was read.
    lacking = [check for check in first.compared.feed if check.new_events]
    assert sum(check.new_events for check in lacking) == 5
    assert all(check.proven is None and "nothing was to be repaired" in check.why_not for check in lacking)
    await each_is_found(world, placed)
    found = await findings_of(world)
    for name, deed in PARKED.items():
        action = found[placed[name]][deed.found].action
        assert action.startswith(f"would be parked: {deed.parked}" if deed.at_once else "not repaired"), name
    for name, deed in REPAIRED.items():
        action = found[placed[name]][deed.found].action
        assert action.startswith("not repaired in this run: ") or deed.found == "missing_in_ledger", f"{name}: {action}"
    again = await reconciled(world, repair=False)
    assert not again.compared.opened
    assert not again.compared.closed
    assert await fingerprint(world, OF_LOOKING) == known
    assert changing_calls(world) == calls


async def mended_and_parked(worlds: Worlds) -> None:
    """The judged scenario: two runs mend or park everything, and a third one finds nothing and changes nothing."""
    world, placed = await sabotaged(worlds)
    await only_reported(world, placed)
    before = changing_calls(world)
    first = await reconciled(world)
    assert first.state[1] == "Parked some", str(first)
    # The two events that went with each of two rows, and the one that was deleted by itself.
    assert first.compared.new_events == 5
    assert len(first.compared.restored) == len(set(first.compared.restored)) == 3
    await each_is_found(world, placed)
    await rest(world)
    world.clock.forward(hours=1)
    second = await reconciled(world)
    # What differs still waits for a person, and nothing else does.
    assert second.state[1].startswith("Agreed"), str(second)
    assert not second.compared.opened
    await each_rests(world, placed)
    done = changing_calls(world)
    await _nothing_more(world, done)
    # Created: the one that was deleted in the store, and the one that nobody had told of. Accepted: these, two that
    # were READY again, one that was stuck, and two whose insert the ledger had lost.
    made = {name: done[name] - before[name] for name in done}
    assert made == {
        "accept": 7,
        "cancel": 0,
        "store.create": 2,
        "store.release": 0,
        "store.cancel": 2,
        "store.note": 0,
    }
    await holds(world, breaking(placed))
    assert world.sandbox.store_books()["duplicates"] == [world.reference(placed["second store order"])]


async def _nothing_more(world: World, done: dict[str, int]) -> None:
    known = await fingerprint(world)
    world.clock.forward(hours=1)
    third = await reconciled(world)
    assert not third.compared.opened
    assert not third.compared.closed
    assert not third.compared.repaired
    assert await fingerprint(world) == known
    assert changing_calls(world) == done


@pytest.mark.asyncio
async def test_sabotage_is_found_and_mended_or_parked(worlds: Worlds) -> None:
    """Whatever was done is found by its class; a report changes nothing, two runs mend or park it, a third is quiet."""
    await mended_and_parked(worlds)


@pytest.mark.asyncio
async def test_sabotage_is_found_and_mended_or_parked_on_postgresql(postgres_worlds: Worlds) -> None:
    """The same on PostgreSQL."""
    await mended_and_parked(postgres_worlds)


async def books_of(world: World, orders: list[str]) -> dict[str, tuple[dict[str, Any], ...]]:
    """What provider and store have of these orders."""
    books = world.sandbox.orders()
    return {order: (books[order], world.sandbox.document(order), store_orders(world, order)[0]) for order in orders}


@pytest.mark.asyncio
async def test_what_a_person_puts_right_moves_on_by_itself(worlds: Worlds) -> None:
    """Once both sides are as they were, the next run closes each finding and frees what waited for only that."""
    world = await at_present(worlds)
    deeds = {name: deed for name, deed in PARKED.items() if deed.at_once and deed.parked != "store.order_missing"}
    placed = await landed(world, deeds)
    right = await books_of(world, list(placed.values()))
    for name, order in placed.items():
        await do(deeds[name].act, world, order)
    world.clock.forward(hours=1)
    parked = await reconciled(world)
    assert len(parked.compared.parked) == len(deeds)
    for order, books in right.items():
        put_right(world, order, *books)
    world.clock.forward(hours=1)
    mended = await reconciled(world)
    found = await findings_of(world)
    for name, deed in deeds.items():
        row, told = await row_of(world, placed[name]), found.get(placed[name], {})
        assert (row.parked_code is None) is deed.mends, f"{name}: {row.parked_code}"
        assert (row.settled_at is not None) is deed.mends, name
        assert (row.reconciled_at is not None) is deed.mends, name
        assert list(told) == ([] if deed.mends else [WAITS]), f"{name}: {list(told)}"
    assert not mended.compared.parked
    assert mended.compared.agreeing == sum(deed.mends for deed in deeds.values())
    # Cancelled by a person, the second store order is still one that we never wrote.
    await holds(world, {placed["second store order"]: ("s8",)})


@pytest.mark.asyncio
async def test_a_quiet_day_agrees(worlds: Worlds) -> None:
    """Where nobody did anything, all orders agree, all of the range is proven, and the run ends green."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(9, seed=5, mix={"plain": 6, "cancelled_ready": 1, "cancelled_late": 1, "received": 1})
    await rest(world)
    world.clock.forward(hours=1)
    done = await reconciled(world)
    assert done.state[1] == "Agreed", str(done)
    assert done.compared.orders == done.compared.agreeing == len(ids)
    assert not await findings_of(world, also_closed=True)
    assert done.certificate is not None
    assert done.certificate.standing.agrees
    assert done.certificate.standing.complete
    seen = await world.check()
    assert all(row.reconciled_at is not None for row in seen.rows.values())


@pytest.mark.asyncio
async def test_an_order_restored_while_it_waits_agrees_once(worlds: Worlds) -> None:
    """An unpaid order whose row was deleted is recorded again, and counts once among those that agree."""
    world = await at_present(worlds)
    [waiting] = world.sandbox.generate(1, seed=6, mix={"received": 1})
    await rest(world)
    await do(DEEDS["row and events gone"].act, world, waiting)
    world.clock.forward(hours=1)
    done = await reconciled(world)
    assert done.compared.restored == [waiting]
    assert done.compared.orders == done.compared.agreeing == 1


@pytest.mark.asyncio
async def test_a_row_whose_events_stayed_is_recorded_again(worlds: Worlds) -> None:
    """No event is missing, and yet the order is: its row is made again from what the feed says, and lands as before."""
    world = await at_present(worlds)
    orders = world.sandbox.generate(2, seed=7)
    await rest(world)
    rows = {order: (await row_of(world, order)).id for order in orders}
    lost = min(orders, key=lambda order: rows[order] or 0)
    await do(DEEDS["row gone, events left"].act, world, lost)
    world.clock.forward(hours=1)
    done = await reconciled(world)
    assert (done.compared.new_events, done.compared.restored) == (0, [lost])
    assert done.state[1] == "Agreed", str(done)
    row = await row_of(world, lost)
    assert (row.landing, row.store_order_id) == ("accepted", store_orders(world, lost)[0]["id"])
    first = min(str(event["event_at"]) for event in world.sandbox.feed() if event["order_id"] == lost)
    assert row.source_at == datetime.fromisoformat(first)


@pytest.mark.asyncio
@pytest.mark.parametrize("told_anew", [False, True], ids=["reconcile", "poll"])
async def test_the_newest_row_may_be_the_one_that_is_deleted(worlds: Worlds, told_anew: bool) -> None:
    """What hangs on the newest row stays behind when it is deleted, and stands in nobody's way, old order or new."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(3, seed=9)
    await rest(world)
    rows = [(await row_of(world, order)).id or 0 for order in ids]
    await do(DEEDS["row gone, events left"].act, world, ids[rows.index(max(rows))])
    if told_anew:
        world.sandbox.generate(1, seed=10)
        await rest(world)
    world.clock.forward(hours=1)
    assert (await reconciled(world)).state[1] == "Agreed"
