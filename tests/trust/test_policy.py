"""The failure policy: outages, deadlines both ways, the blast-radius guard, and orders whose outcome is unknown."""

from __future__ import annotations

import pytest

from ledger.decisions import CannotDecide
from sandbox.stories import POISONS
from tests.trust.conftest import Worlds
from tests.trust.edges import Edges
from tests.trust.tally import TALLY
from tests.trust.world import World

LANDABLE = {"poison_no_customer"}
"""What the sandbox calls poison and the mapping does not: an order without a customer still has its addresses."""


async def _hours_pass(world: World, hours: int) -> None:
    """A run every hour or so, as a schedule would make them."""
    for _ in range(hours):
        report = await world.poll()
        assert report is not None
        world.clock.forward(hours=1)
    await world.check()


@pytest.mark.asyncio
async def test_outage_longer_than_every_retry_heals_by_itself(worlds: Worlds) -> None:
    """A store that is down for a night costs nothing but time: nothing is parked, and all land once it is back."""
    world = await worlds.fresh(retry_after_wait=0.1)
    ids = world.sandbox.generate(5)
    world.sandbox.store("outage", on=True)
    await _hours_pass(world, 9)
    seen = await world.evidence()
    assert all(seen.rows[order_id].parked_at is None for order_id in ids)
    assert all(report.tally.unfinished or report.problems for report in world.reports)
    world.sandbox.store("outage", on=False)
    seen = await world.calm()
    assert all(seen.rows[order_id].landing == "accepted" for order_id in ids)


@pytest.mark.asyncio
async def test_deadline_notify_parks_and_a_person_moves_it_on(worlds: Worlds) -> None:
    """Past the deadline the order is parked, whatever number of tries is left; a person's retry lands it."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    world.sandbox.store("outage", on=True)
    await world.poll()
    world.clock.forward(hours=73)
    report = await world.poll()
    assert report is not None
    assert [told.code for told in report.told] == ["deadline", "late"]
    world.sandbox.store("outage", on=False)
    seen = await world.calm()
    assert seen.rows[order_id].parked_code == "deadline"
    assert seen.store == {}
    TALLY.saw("budget_ended_by_deadline")
    await world.decide(order_id, "retry")
    seen = await world.calm()
    assert seen.rows[order_id].landing == "accepted"


@pytest.mark.asyncio
async def test_deadline_cancel_cancels_only_what_has_no_store_order(worlds: Worlds) -> None:
    """Past the deadline the policy cancels at the provider, after the store said that it has no such order."""
    world = await worlds.fresh(on_failure="cancel")
    [order_id] = world.sandbox.generate(1)
    world.fault("store.create", "429_bare")
    await world.poll()
    world.clock.forward(hours=73)
    seen = await world.calm(faults_off=True)
    assert seen.glopal[order_id]["cancelled_by"].startswith("merchant")
    assert len(seen.glopal[order_id]["refunds"]) == 1
    assert seen.rows[order_id].landing == "cancelled"
    assert seen.store == {}
    TALLY.saw("budget_ended_by_deadline")


@pytest.mark.asyncio
async def test_deadline_cancel_waits_for_a_store_that_does_not_answer(worlds: Worlds) -> None:
    """While the store cannot be asked whether it has the order, nothing is cancelled at the provider."""
    world = await worlds.fresh(on_failure="cancel")
    [order_id] = world.sandbox.generate(1)
    world.sandbox.store("outage", on=True)
    await world.poll()
    world.clock.forward(hours=73)
    await _hours_pass(world, 3)
    assert world.sandbox.orders()[order_id]["cancel_calls"] == 0
    world.sandbox.store("outage", on=False)
    seen = await world.calm()
    assert seen.rows[order_id].landing == "cancelled"


@pytest.mark.asyncio
async def test_deadline_never_cancels_while_the_insert_is_unknown(worlds: Worlds) -> None:
    """A create of unknown outcome is looked for past the deadline, too, and lands when it is found at last."""
    world = await worlds.fresh(on_failure="cancel")
    [order_id] = world.sandbox.generate(1)
    world.sandbox.faults(
        [{"where": "store.create", "kind": "500_after", "times": 1}, {"where": "store.find", "kind": "503_before"}]
    )
    await world.poll()
    world.clock.forward(hours=73)
    await _hours_pass(world, 3)
    seen = await world.evidence()
    assert seen.rows[order_id].landing == "insert_unknown"
    assert seen.rows[order_id].parked_code == "deadline"
    assert seen.glopal[order_id]["cancel_calls"] == 0
    with pytest.raises(CannotDecide, match="unknown"):
        await world.decide(order_id, "cancel")
    world.collect()
    world.sandbox.clear_faults()
    seen = await world.calm()
    assert seen.rows[order_id].landing == "accepted"


@pytest.mark.asyncio
async def test_deadline_after_a_kill_between_create_and_record_cancels_nothing(worlds: Worlds) -> None:
    """A store order that only a dead process knew of is found before the policy may cancel."""
    world = await worlds.fresh(on_failure="cancel")
    [order_id] = world.sandbox.generate(1)
    assert await world.poll(Edges(where="after store.create")) is None
    world.clock.forward(hours=80)
    seen = await world.calm()
    assert seen.rows[order_id].landing == "accepted"
    assert seen.glopal[order_id]["cancel_calls"] == 0


@pytest.mark.asyncio
async def test_blast_radius_stops_automatic_cancels(worlds: Worlds) -> None:
    """Above the hourly limit nothing more is cancelled by itself: the rest waits for a person."""
    world = await worlds.fresh(on_failure="cancel", max_cancels_per_hour=2)
    ids = world.sandbox.generate(5)
    world.fault("store.create", "429_bare")
    await world.poll()
    world.clock.forward(hours=73)
    report = await world.poll()
    assert report is not None
    assert sum(told.event == "crossdock.cancel.blocked" for told in report.told) == 3
    seen = await world.calm(faults_off=True)
    cancelled = [order_id for order_id in ids if seen.glopal[order_id]["status"] == "CANCELLED"]
    blocked = [order_id for order_id in ids if seen.rows[order_id].parked_code == "cancel_blocked"]
    assert (len(cancelled), len(blocked)) == (2, 3)


@pytest.mark.asyncio
async def test_cancel_switched_off_parks(worlds: Worlds) -> None:
    """Where cancelling is not confirmed for the account, the deadline parks and calls nobody."""
    world = await worlds.fresh(on_failure="cancel", cancel_confirmed=False)
    [order_id] = world.sandbox.generate(1)
    world.fault("store.create", "429_bare")
    await world.poll()
    world.clock.forward(hours=73)
    seen = await world.calm(faults_off=True)
    assert seen.rows[order_id].parked_code == "deadline"
    assert seen.glopal[order_id]["cancel_calls"] == 0


@pytest.mark.asyncio
async def test_total_that_differs_is_never_accepted(worlds: Worlds) -> None:
    """A store order whose total is not what was paid is parked; a person's cancel cancels it on both sides."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    world.fault("store.create", "500_after", times=1)
    await world.poll()
    world.sandbox.store("change", reference=world.reference(order_id), new_total="1.00")
    seen = await world.calm()
    assert seen.rows[order_id].parked_code == "insert.total_differs"
    assert seen.glopal[order_id]["accept_calls"] == 0
    await world.decide(order_id, "cancel")
    seen = await world.calm()
    assert seen.rows[order_id].landing == "cancelled"
    assert seen.live(order_id) == []
    assert seen.glopal[order_id]["cancelled_by"].startswith("merchant")


@pytest.mark.asyncio
@pytest.mark.parametrize("call", ["glopal.order", "store.create", "store.find", "glopal.accept", "store.cancel"])
async def test_bug_in_one_order_stops_no_other(worlds: Worlds, call: str) -> None:
    """An error of ours that one order runs into never stops the others, never repeats an effect, and is never green."""
    world = await worlds.fresh()
    ids = world.sandbox.generate(3)
    word = ids[0]
    if call == "store.find":
        world.fault("store.create", "500_after")
    elif call == "store.cancel":
        seen = await world.calm()
        word = str(seen.rows[ids[0]].store_order_id)
        for order_id in ids:
            world.sandbox.advance(order_id, "CANCELLED")
    seen = await world.check()
    for _ in range(4):
        report = await world.poll(Edges(bug=(call, word)))
        assert report is not None
        world.clock.forward(130)
        seen = await world.check()
    assert all(seen.rows[order_id].settled_at is not None for order_id in ids[1:])
    assert seen.rows[ids[0]].settled_at is None
    seen = await world.calm(faults_off=True)
    assert seen.rows[ids[0]].settled_at is not None


@pytest.mark.asyncio
async def test_poison_delays_nobody(worlds: Worlds) -> None:
    """In one run every poison order is parked with a reason of its own and every other order lands."""
    world = await worlds.fresh(timeout=4.0)
    world.sandbox.generate(2 * len(POISONS), mix={"plain": len(POISONS), **dict.fromkeys(POISONS, 1)})
    first = await world.poll()
    assert first is not None
    seen = await world.check()
    for order_id, book in seen.glopal.items():
        row = seen.rows[order_id]
        if book["story"] == "plain":
            assert row.landing == "accepted", order_id
        elif book["story"] not in LANDABLE:
            assert row.parked_reason, book["story"]
            assert not seen.live(order_id), book["story"]
    assert len(first.parked) == len(POISONS) - len(LANDABLE)
    await world.calm()
