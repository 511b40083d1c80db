"""Every fault kind at every endpoint of an order's life, for each story that reaches it."""

from __future__ import annotations

import pytest

from models.tables import SourceOrder
from tests.trust.cases import Case, begin, held_cases, ready_cases
from tests.trust.conftest import Worlds
from tests.trust.world import World

PARKS = {
    ("order", "huge"): "fetch.bad_answer",
    ("order", "missing_field"): "document.unknown_currency",
}
"""Faults of an answer that no repetition of the same call may heal by itself: a person is asked, and retries."""


def expected_park(case: Case) -> str | None:
    """The code with which an order rests once its fault is over and before a person decides."""
    if "cancel" in case.story and case.story != "cancelled_late" and case.endpoint == "order":
        # It is never read, or the provider cancels after the read that failed, and news undo the parking.
        return None
    return PARKS.get((case.endpoint, case.kind)) or ("insert.unknown_sku" if "unknown_sku" in case.story else None)


async def walk_ready(world: World, cases: list[Case]) -> None:
    """Take every case to its rest, let persons decide, and see every order settled."""
    placed = begin(world, cases)
    seen = await world.calm(happen=True)
    for order_id, case in placed.items():
        _rests(seen.rows[order_id], case)
    for order_id, case in placed.items():
        if seen.rows[order_id].parked_at is not None:
            if case.person is None:
                for item in world.sandbox.document(order_id)["items"]:
                    world.sandbox.store("fix-sku", sku=item["sku"])
            await world.decide(order_id, "cancel" if case.person else "retry")
    seen = await world.calm(happen=True, faults_off=True)
    for order_id, case in placed.items():
        row = seen.rows[order_id]
        assert row.settled_at is not None, f"{case}: rests at {row.landing}, parked {row.parked_code}"
        gone = case.person == "cancel" or case.story.startswith("cancelled")
        assert (row.landing == "cancelled") == gone, f"{case}: {row.landing}"


def _rests(row: SourceOrder, case: Case) -> None:
    expected = expected_park(case)
    assert row.parked_code == expected, f"{case}: parked {row.parked_code} ({row.parked_reason}), expected {expected}"


async def walk_held(world: World, cases: list[Case]) -> None:
    """Take every case onto hold, let the provider go on, and see every order settled."""
    placed = begin(world, cases)
    seen = await world.calm()
    for order_id, case in placed.items():
        assert seen.rows[order_id].landing == "held", f"{case}: {seen.rows[order_id].landing}"
        world.sandbox.advance(order_id, case.person or "READY")
    seen = await world.calm(faults_off=True)
    for order_id, case in placed.items():
        expected = "accepted" if case.person == "READY" else "cancelled"
        assert seen.rows[order_id].landing == expected, f"{case}: {seen.rows[order_id].landing}"


@pytest.mark.asyncio
async def test_every_fault_at_every_endpoint_ends_settled(worlds: Worlds) -> None:
    """Each fault kind, once at each endpoint of an order's life, changes nothing about where its order ends."""
    await walk_ready(await worlds.fresh(retry_after_wait=0.05), ready_cases((1,), every_story=False))


@pytest.mark.asyncio
async def test_every_fault_on_held_orders_ends_settled(worlds: Worlds) -> None:
    """Orders imported on hold are released or cancelled as the provider says, whatever fault their calls meet."""
    await walk_held(await worlds.fresh(import_on="received", retry_after_wait=0.05), held_cases((1,)))


@pytest.mark.nightly
@pytest.mark.asyncio
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_full_product_of_stories_endpoints_and_faults(worlds: Worlds, times: int) -> None:
    """The full product, each fault up to three times in a row, ends settled."""
    await walk_ready(await worlds.fresh(), ready_cases((times,), every_story=True))
    await walk_held(await worlds.fresh(import_on="received"), held_cases((times,)))


@pytest.mark.nightly
@pytest.mark.asyncio
async def test_every_fault_on_postgresql(postgres_worlds: Worlds) -> None:
    """The same product ends the same way on PostgreSQL."""
    await walk_ready(await postgres_worlds.fresh(retry_after_wait=0.05), ready_cases((1,), every_story=False))
    await walk_held(await postgres_worlds.fresh(import_on="received"), held_cases((1,)))
