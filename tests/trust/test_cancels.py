"""Cancels from the provider: before the order, before, during and after the insert, and after the accept."""

from __future__ import annotations

import pytest

from ledger.decisions import CannotDecide
from tests.trust.conftest import Worlds


@pytest.mark.asyncio
async def test_cancel_before_its_order_never_reaches_the_store(worlds: Worlds) -> None:
    """A cancel that the feed tells before the order closes it without one call to the store."""
    world = await worlds.fresh()
    ids = world.sandbox.generate(4, mix={"reordered_cancel": 1, "cancelled_ready": 1})
    seen = await world.calm()
    assert {seen.rows[order_id].landing for order_id in ids} == {"cancelled"}
    assert seen.store == {}
    assert world.sandbox.store_books()["traffic"]["calls"] == {}


@pytest.mark.asyncio
@pytest.mark.parametrize("create", ["none", "500_after", "500_before", "timeout_after", "timeout_before"])
async def test_cancel_during_the_insert_leaves_no_live_store_order(worlds: Worlds, create: str) -> None:
    """A cancel while the create is under way or unknown ends with no live store order, whatever the create did."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1, mix={"cancelled_during": 1})
    if create != "none":
        world.sandbox.faults(
            [
                {"where": "store.create", "kind": create, "times": 1, "params": {"seconds": 0.7}},
                {"where": "store.find", "kind": "lookup_lag", "params": {"calls": 1}},
            ]
        )
    seen = await world.calm(faults_off=True)
    assert seen.rows[order_id].landing == "cancelled"
    assert seen.live(order_id) == []


@pytest.mark.asyncio
async def test_cancel_between_insert_and_accept(worlds: Worlds) -> None:
    """A cancel that comes while the accept cannot be sent cancels the store order, and nothing is accepted."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    world.fault("accept", "429_bare")
    await world.poll()
    world.sandbox.advance(order_id, "CANCELLED")
    seen = await world.calm(faults_off=True)
    assert seen.rows[order_id].landing == "cancelled"
    assert [order["state"] for order in seen.store[world.reference(order_id)]] == ["cancelled"]
    assert seen.glopal[order_id]["accepts"] == 0


@pytest.mark.asyncio
async def test_cancel_after_the_accept_cancels_the_store_order(worlds: Worlds) -> None:
    """A cancel of an accepted and even completed order cancels the store order."""
    world = await worlds.fresh()
    ids = world.sandbox.generate(2)
    await world.calm()
    world.sandbox.advance(ids[1], "COMPLETED")
    for order_id in ids:
        world.sandbox.advance(order_id, "CANCELLED")
    seen = await world.calm()
    assert {seen.rows[order_id].landing for order_id in ids} == {"cancelled"}


@pytest.mark.asyncio
async def test_cancel_that_the_store_refuses_waits_for_a_person(worlds: Worlds) -> None:
    """A store order that shipped is not cancelled and not tried again: it is parked, with the button that helps."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    await world.calm()
    world.sandbox.store("ship", reference=world.reference(order_id))
    world.sandbox.advance(order_id, "CANCELLED")
    seen = await world.calm()
    assert seen.rows[order_id].parked_code == "cancel.already_shipped"
    calls = world.sandbox.store_books()["traffic"]["calls"]["store.cancel"]
    world.clock.forward(hours=100)
    await world.calm()
    assert world.sandbox.store_books()["traffic"]["calls"]["store.cancel"] == calls
    # The parcel came back: the merchant's staff reopened the order, and a person puts it back in line.
    world.sandbox.store("state", reference=world.reference(order_id), state="open")
    await world.decide(order_id, "retry")
    seen = await world.calm()
    assert seen.rows[order_id].landing == "cancelled"


@pytest.mark.asyncio
async def test_held_order_that_the_store_cancelled_itself_is_never_made_twice(worlds: Worlds) -> None:
    """An order that the merchant's staff cancelled is not created a second time when its create was unknown."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    world.fault("store.create", "500_after", times=1)
    await world.poll()
    world.sandbox.store("state", reference=world.reference(order_id), state="cancelled")
    seen = await world.calm()
    assert seen.rows[order_id].parked_code == "insert.store_cancelled"
    assert len(seen.store[world.reference(order_id)]) == 1
    await world.decide(order_id, "cancel")
    seen = await world.calm()
    assert seen.rows[order_id].landing == "cancelled"
    assert seen.glopal[order_id]["cancelled_by"].startswith("merchant")


@pytest.mark.asyncio
async def test_order_changed_between_two_reads_waits_for_a_person(worlds: Worlds) -> None:
    """An order on hold whose document changed before it got ready is parked, not released with the old lines."""
    world = await worlds.fresh(import_on="received")
    changed, same = world.sandbox.generate(2, mix={"received": 1})
    await world.calm()
    address = world.sandbox.document(changed)["shipping_address"]
    world.sandbox.change(changed, {"shipping_address": {**address, "city": "Elsewhere"}})
    for order_id in (changed, same):
        world.sandbox.advance(order_id, "READY")
    seen = await world.calm()
    assert seen.rows[same].landing == "accepted"
    assert seen.rows[changed].parked_code == "document.changed_after_import"
    assert seen.glopal[changed]["accept_calls"] == 0


@pytest.mark.asyncio
async def test_order_changed_before_the_insert_lands_as_it_is_now(worlds: Worlds) -> None:
    """A document that changed before anything was written is simply read again; the new total lands."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1, mix={"received": 1})
    await world.calm()
    world.sandbox.change(order_id, {"customer_note": "changed"})
    world.sandbox.advance(order_id, "READY")
    seen = await world.calm()
    assert seen.rows[order_id].landing == "accepted"


@pytest.mark.asyncio
async def test_accepted_by_somebody_else_is_left_alone(worlds: Worlds) -> None:
    """An order that Glopal has as accepted with another store order is parked; nothing is written anywhere."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    world.sandbox.change(order_id, status="ACCEPTED", external={"order_id": "somebody", "order_number": "elses"})
    seen = await world.calm()
    assert seen.rows[order_id].parked_code == "accept.elsewhere"
    assert seen.store == {}
    assert seen.glopal[order_id]["accept_calls"] == 0


@pytest.mark.asyncio
async def test_person_cannot_cancel_what_is_accepted(worlds: Worlds) -> None:
    """A person's cancel of an accepted order is refused with a reason, whether or not it waits for a person."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    await world.calm()
    with pytest.raises(CannotDecide):
        await world.decide(order_id, "cancel")
    world.sandbox.store("ship", reference=world.reference(order_id))
    world.sandbox.advance(order_id, "CANCELLED")
    await world.calm()
    with pytest.raises(CannotDecide):
        await world.decide(order_id, "cancel")
    seen = await world.calm()
    assert seen.glopal[order_id]["cancel_calls"] == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("by", ["policy", "person"])
async def test_cancel_asks_the_store_itself(worlds: Worlds, by: str) -> None:
    """A store order that showed only after every search is found before a cancel, which never leaves it alive."""
    world = await worlds.fresh(on_failure="cancel" if by == "policy" else "notify")
    [order_id] = world.sandbox.generate(1)
    searches = len(world.options.probe_delays)
    world.sandbox.faults(
        [
            {"where": "store.create", "kind": "500_after", "times": 1},
            {"where": "store.create", "kind": "429_bare"},
            {"where": "store.find", "kind": "lookup_lag", "params": {"calls": searches}},
        ]
    )
    for _ in range(searches + 2):
        await world.poll()
        world.clock.forward(130)
    assert (await world.check()).rows[order_id].landing == "fetched"
    world.clock.forward(hours=73)
    if by == "person":
        await world.poll()
        await world.decide(order_id, "cancel")
    seen = await world.calm(faults_off=True)
    assert seen.rows[order_id].landing == ("cancelled" if by == "person" else "accepted")
    assert len(seen.store[world.reference(order_id)]) == 1
