"""Parked orders move on by themselves: a fixed article and an edited mapping are noticed by the next poll."""

from __future__ import annotations

from typing import Any

import pytest

from flows.report import RunReport, final_state
from models.glopal import GlopalMapping
from tests.trust.conftest import Worlds
from tests.trust.history import calls_of
from tests.trust.world import World

pytestmark = pytest.mark.asyncio
WAIT = 60.0
SKUS = {"insert.unknown_sku": "UNKNOWN-77", "insert.out_of_stock": "NOSTOCK-77"}


def same_sku(world: World, orders: int, sku: str) -> list[str]:
    """Orders that all have one article that the store does not take."""
    ids = world.sandbox.generate(orders, seed=71)
    for order_id in ids:
        items = world.sandbox.document(order_id)["items"]
        world.sandbox.change(order_id, {"items": [{**items[0], "sku": sku}, *items[1:]]})
    return ids


async def polled(world: World, **more: Any) -> RunReport:
    """One poll."""
    report = await world.poll(**more)
    assert report is not None
    return report


@pytest.mark.parametrize("code", SKUS)
async def test_a_fixed_article_lands_all_orders_that_wait_for_it(worlds: Worlds, code: str) -> None:
    """While the article is missing one order is tried for all, told once; once it is there, one poll lands them all."""
    world = await worlds.fresh(recheck_refused=WAIT)
    ids = same_sku(world, 4, SKUS[code])
    first = await polled(world)
    assert len(first.tally.parked) == 4
    assert {parked.code for parked in first.parked} == {code}
    creates = calls_of(world)["store.create"]
    for number in (1, 2):
        world.clock.forward(WAIT)
        report = await polled(world)
        assert report.tally.parked == []
        assert final_state(report).name != "Parked some"
        assert len(report.parked) == 4
        assert calls_of(world)["store.create"] == creates + number
    world.sandbox.store("fix-sku", sku=SKUS[code])
    world.clock.forward(WAIT)
    report = await polled(world)
    seen = await world.check()
    assert {seen.rows[order_id].landing for order_id in ids} == {"accepted"}
    assert (report.parked, report.tally.parked) == ([], [])
    assert final_state(report).type.value == "COMPLETED"
    assert calls_of(world)["store.create"] == creates + 2 + 4
    await world.calm()


async def test_a_limit_holds_for_those_that_follow(worlds: Worlds) -> None:
    """A poll that may settle two orders settles two, however many follow the one that was tried."""
    world = await worlds.fresh(recheck_refused=WAIT)
    ids = same_sku(world, 5, SKUS["insert.unknown_sku"])
    await polled(world)
    world.sandbox.store("fix-sku", sku=SKUS["insert.unknown_sku"])
    world.clock.forward(WAIT)
    report = await polled(world, limit=2)
    assert report.tally.claimed == 2
    seen = await world.calm()
    assert {seen.rows[order_id].landing for order_id in ids} == {"accepted"}


async def test_switched_off_nothing_is_tried(worlds: Worlds) -> None:
    """An account that does not want it has its parked orders wait for a person, however long."""
    world = await worlds.fresh(recheck_refused=0.0)
    same_sku(world, 2, SKUS["insert.unknown_sku"])
    await polled(world)
    before = calls_of(world)
    world.clock.forward(hours=20)
    report = await polled(world)
    assert len(report.parked) == 2
    assert {**calls_of(world), "events": 0} == {**before, "events": 0}


@pytest.mark.parametrize("decision", ["cancel", "settle"])
async def test_what_a_person_decided_stands(worlds: Worlds, decision: Any) -> None:
    """An order that a person cancelled or settled does not come back when its article does."""
    world = await worlds.fresh(recheck_refused=WAIT)
    first, second = same_sku(world, 2, SKUS["insert.unknown_sku"])
    await polled(world)
    await world.decide(first, decision)
    world.sandbox.store("fix-sku", sku=SKUS["insert.unknown_sku"])
    world.clock.forward(WAIT)
    seen = await world.calm()
    assert seen.rows[second].landing == "accepted"
    assert seen.live(first) == []
    assert seen.rows[first].landing == ("cancelled" if decision == "cancel" else "fetched")


async def test_an_edited_mapping_reads_parked_orders_again(worlds: Worlds) -> None:
    """An order whose document had its total elsewhere lands at the first poll after the mapping says where."""
    world = await worlds.fresh()
    odd, good = world.sandbox.generate(2, seed=72)
    total = world.sandbox.document(odd)["total"]
    world.sandbox.change(odd, {"grand_total": total}, remove=["total"])
    report = await polled(world)
    assert [parked.code.split(".")[0] for parked in report.parked] == ["document"]
    reads = calls_of(world)["order"]
    world.clock.forward(hours=5)
    await polled(world)
    assert calls_of(world)["order"] == reads, "without an edit it is not read again"
    edited = world.with_options(mapping=GlopalMapping(total="grand_total"))
    report = await polled(world, options=edited)
    seen = await world.check()
    assert {seen.rows[order_id].landing for order_id in (odd, good)} == {"accepted"}
    assert report.parked == []
    assert "resume" in [line.kind for line in seen.story(odd)]


async def test_an_edit_that_does_not_help_is_told(worlds: Worlds) -> None:
    """An order that the edited mapping cannot read either is parked anew, and once for each edit."""
    world = await worlds.fresh()
    [odd] = world.sandbox.generate(1, seed=73)
    world.sandbox.change(odd, {}, remove=["total"])
    await polled(world)
    for name in ("elsewhere", "somewhere"):
        edited = world.with_options(mapping=GlopalMapping(total=name))
        report = await polled(world, options=edited)
        assert len(report.tally.parked) == 1
        again = await polled(world, options=edited)
        assert again.tally.parked == []
        assert len(again.parked) == 1
