"""Two runs at the same time: at every step of the other, over many orders, and with a lease that ran out."""

from __future__ import annotations

import asyncio

import pytest

from flows.report import RunReport
from tests.trust.conftest import Worlds
from tests.trust.edges import Edges
from tests.trust.tally import TALLY
from tests.trust.test_kills import SCRIPTS, changes_something, crossings, matters_most
from tests.trust.world import World

OFTEN = ("cancelled_during",)


async def second_run_everywhere(worlds: Worlds, script: str, *, lease_over: bool, only_new: set[str] | None) -> None:
    """One life for each crossing, during which a second process runs a whole poll."""
    for name in await crossings(worlds, SCRIPTS[script]):
        chosen = changes_something(name) if only_new is None else matters_most(name) and name not in only_new
        if not chosen:
            continue
        if only_new is not None:
            only_new.add(name)

        async def other_run() -> None:
            world = worlds.now
            if lease_over:
                world.lease_over()
            await world.poll()
            TALLY.saw("two_runs_at_once")

        edges = Edges(where=name, mode="meanwhile", meanwhile=other_run)
        await SCRIPTS[script].run(worlds, edges)
        TALLY.saw("lease_ran_out_while_alive", sum(report.tally.lost for report in worlds.now.reports))
        TALLY.cells.add((name.split()[-1], "second run, lease over" if lease_over else "second run"))


@pytest.mark.asyncio
@pytest.mark.parametrize("lease_over", [False, True], ids=["lease holds", "lease over"])
async def test_second_run_at_every_step(worlds: Worlds, lease_over: bool) -> None:
    """A second run in the middle of any step of the first, with or without its lease, doubles and loses nothing."""
    done: set[str] = set()
    for script in OFTEN:
        await second_run_everywhere(worlds, script, lease_over=lease_over, only_new=done)


@pytest.mark.nightly
@pytest.mark.asyncio
@pytest.mark.parametrize("lease_over", [False, True], ids=["lease holds", "lease over"])
@pytest.mark.parametrize("script", SCRIPTS)
async def test_second_run_at_every_step_of_every_story(worlds: Worlds, script: str, lease_over: bool) -> None:
    """The same for every story."""
    await second_run_everywhere(worlds, script, lease_over=lease_over, only_new=None)


async def side_by_side(world: World, runs: int) -> list[RunReport]:
    """Several runs over the same due orders, all in the same moment."""
    reports = await asyncio.gather(*(world.poll() for _ in range(runs)))
    TALLY.saw("two_runs_at_once")
    return [report for report in reports if report is not None]


async def _once_each(world: World, ids: list[str]) -> None:
    seen = await world.calm()
    calls = world.sandbox.store_books()["traffic"]["calls"]
    assert calls["store.create"] == len(ids)
    assert all(seen.glopal[order_id]["accept_calls"] == 1 for order_id in ids)
    assert all(len(seen.store[world.reference(order_id)]) == 1 for order_id in ids)


@pytest.mark.asyncio
async def test_three_runs_share_forty_orders(worlds: Worlds) -> None:
    """Three runs in the same moment land each of forty orders with exactly one create and one accept."""
    world = await worlds.fresh(timeout=2.0)
    ids = world.sandbox.generate(40)
    reports = await side_by_side(world, 3)
    # A run that came late finds the feed free again; what counts is that nobody read it beside another.
    assert sum(report.pulled is not None and report.pulled.busy for report in reports) <= 2
    await side_by_side(world, 3)
    await _once_each(world, ids)


@pytest.mark.asyncio
async def test_three_runs_share_forty_orders_on_postgresql(postgres_worlds: Worlds) -> None:
    """The same on PostgreSQL, where they really claim and write at the same time."""
    world = await postgres_worlds.fresh(timeout=2.0)
    ids = world.sandbox.generate(40)
    await side_by_side(world, 3)
    await side_by_side(world, 3)
    await _once_each(world, ids)


@pytest.mark.asyncio
async def test_limit_settles_no_more_than_asked(worlds: Worlds) -> None:
    """A run with a limit records all events and settles at most so many orders; the rest stays due."""
    world = await worlds.fresh()
    world.sandbox.generate(6)
    report = await world.poll(limit=2)
    assert report is not None
    seen = await world.check()
    assert report.tally.claimed == 2
    assert sum(row.landing == "accepted" for row in seen.rows.values()) == 2
    assert len(seen.events) == 12
    await world.calm()
