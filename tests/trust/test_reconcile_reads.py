"""Reconciliation with sides that are down and reads that lag: nothing is concluded from what was not read."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from models.sides import Mismatch
from sandbox.running import RunningSandbox
from tasks import compare
from tests.trust.conftest import Worlds
from tests.trust.deeds import DEEDS, broken_by, do, landed, put_right, row_of, store_orders, with_deeds
from tests.trust.edges import Edges
from tests.trust.history import ago, at_present
from tests.trust.reconciling import OF_LOOKING, changing_calls, findings_of, fingerprint, holds, reconciled, rest
from tests.trust.world import WRONG_ENV, World


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two looks follow each other at once."""
    monkeypatch.setattr(compare, "SECOND_LOOK", 0.0)


# ---------------------------------------------------------------------- sides that are down


async def _store_is_down(world: World) -> dict[str, Any]:
    world.sandbox.store("outage", on=True)
    return {}


async def _provider_fails(world: World) -> dict[str, Any]:
    world.sandbox.faults([{"where": "order", "kind": "503_before"}], side="glopal")
    return {}


async def _provider_talks_nonsense(world: World) -> dict[str, Any]:
    world.sandbox.faults([{"where": "order", "kind": "html"}], side="glopal")
    return {}


async def _store_answers_oddly(world: World) -> dict[str, Any]:
    world.sandbox.faults([{"where": "store.find", "kind": "html", "params": {"status": 409}}], side="store")
    return {}


async def _no_feed(world: World) -> dict[str, Any]:
    world.sandbox.faults([{"where": "*", "kind": "503_before"}], side="glopal")
    return {}


async def _wrong_key(world: World) -> dict[str, Any]:
    return {"options": world.with_options(glopal_key=WRONG_ENV)}


async def _wrong_token(world: World) -> dict[str, Any]:
    return {"options": world.with_options(store_token=WRONG_ENV)}


TROUBLE = [_store_is_down, _store_answers_oddly, _provider_fails, _wrong_key]
MORE_TROUBLE = [_provider_talks_nonsense, _no_feed, _wrong_token]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "trouble",
    [*TROUBLE, *(pytest.param(trouble, marks=pytest.mark.nightly) for trouble in MORE_TROUBLE)],
    ids=lambda trouble: trouble.__name__.strip("_"),
)
async def test_nothing_is_concluded_while_a_side_is_down(
    worlds: Worlds, trouble: Callable[[World], Awaitable[dict[str, Any]]]
) -> None:
    """No finding is opened, closed or acted on for an order of which a side was not read, and the run says so."""
    names = ("cancelled in the store", "READY again", "gone from the store, accepted", "shipped")
    world = await at_present(worlds, retry_after_wait=0.1)
    placed = await landed(world, {name: DEEDS[name] for name in names})
    right = {order: (world.sandbox.orders()[order], store_orders(world, order)[0]) for order in placed.values()}
    for name in ("cancelled in the store", "READY again"):
        await do(DEEDS[name].act, world, placed[name])
    world.clock.forward(hours=1)
    before = await reconciled(world, repair=False)
    known = await findings_of(world)
    assert len(known) == len(before.compared.opened) == 2
    # What was found is mended now, and something new is wrong; nobody can see either.
    for name in ("cancelled in the store", "READY again"):
        book, held = right[placed[name]]
        put_right(world, placed[name], book, {}, held)
    await do(DEEDS["gone from the store, accepted"].act, world, placed["gone from the store, accepted"])
    # An answer that cannot be used is kept as it came.
    unchanged = {*OF_LOOKING, "bad_answer"}
    ledger, calls = await fingerprint(world, unchanged), changing_calls(world)
    result = await reconciled(world, **await trouble(world))
    assert result.state[1] == "Not all read", str(result)
    assert result.compared.unread == len(placed)
    assert not result.compared.closed
    assert not result.compared.opened
    assert set(await findings_of(world)) == set(known)
    assert await fingerprint(world, unchanged) == ledger
    assert changing_calls(world) == calls
    world.sandbox.clear_faults()
    world.sandbox.store("outage", on=False)
    # A side that asked to be left alone is.
    world.clock.forward(hours=1)
    well = await reconciled(world)
    assert well.compared.closed == 2
    assert set(await findings_of(world)) == {placed["gone from the store, accepted"]}


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [{"kind": "broken_json"}, {"kind": "html", "params": {"status": 302}}], ids=str)
async def test_one_order_that_cannot_be_read_does_not_hide_the_others(worlds: Worlds, fault: dict[str, Any]) -> None:
    """One order's document is broken for good: its finding stays as it is, the other one's is mended and closed."""
    world, placed = await with_deeds(worlds, "READY again", "its accept never arrived")
    blind, other = placed.values()
    await reconciled(world, repair=False)
    world.sandbox.faults([{"where": "order", "match": blind, **fault}], side="glopal")
    result = await reconciled(world)
    assert result.state[1] == "Not all read"
    assert result.compared.unread == 1
    assert list(await findings_of(world)) == [blind]
    assert (await row_of(world, blind)).landing == "accepted"
    assert world.sandbox.orders()[blind]["accepts"] == 1
    assert world.sandbox.orders()[other]["accepts"] == 2


# ---------------------------------------------------------------------- reads that lag behind


@pytest.mark.asyncio
async def test_a_read_that_lags_once_is_no_difference(worlds: Worlds) -> None:
    """Each first read of a document is an old one and no search finds anything: the next look sees that all agree."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(8, mix={"plain": 1})
    await rest(world)
    world.clock.forward(hours=1)
    world.sandbox.faults(
        [
            {"where": "order", "kind": "stale_read", "max_per_key": 1},
            {"where": "store.find", "kind": "lookup_lag", "params": {"calls": 99}},
        ]
    )
    known, calls = await fingerprint(world, OF_LOOKING), changing_calls(world)
    result = await reconciled(world)
    assert world.sandbox.books()["injected"]["order:stale_read"] == len(ids)
    assert world.sandbox.store_books()["injected"]["store.find:lookup_lag"] >= len(ids)
    assert not await findings_of(world, also_closed=True)
    assert result.compared.agreeing == len(ids)
    assert not result.compared.repaired
    assert await fingerprint(world, OF_LOOKING) == known
    assert changing_calls(world) == calls


@pytest.mark.asyncio
async def test_what_only_one_look_has_seen_is_no_difference(worlds: Worlds) -> None:
    """Three looks see three different things: nothing is concluded, and the order does not count as agreeing either."""
    world = await at_present(worlds)
    [order] = world.sandbox.generate(1)
    await rest(world)
    world.clock.forward(hours=1)
    [right] = store_orders(world, order)
    ways: list[dict[str, str]] = [{"new_total": "0.01"}, {"new_total": right["total"], "new_currency": "BRL"}]

    class EachLook(Edges):
        async def cross(self, name: str) -> None:
            if name == "before read.load_to_compare":
                if ways:
                    world.sandbox.store("change", reference=world.reference(order), **ways.pop(0))
                else:
                    world.sandbox.store("change", reference=world.reference(order), new_currency=right["currency"])
                    world.sandbox.store("state", reference=world.reference(order), state="cancelled")
            await super().cross(name)

    result = await reconciled(world, edges=EachLook())
    assert not ways
    assert not await findings_of(world, also_closed=True)
    assert (result.compared.agreeing, result.compared.pending, result.compared.parked) == (0, 1, set())
    assert (await row_of(world, order)).reconciled_at is None
    await reconciled(world)
    assert list((await findings_of(world))[order]) == [Mismatch.CANCELLED_IN_STORE_ONLY.value]


@pytest.mark.asyncio
async def test_a_read_that_lags_for_long_does_no_harm(worlds: Worlds) -> None:
    """Documents that stay old through both looks are accepted again with the same ids, which changes nothing there."""
    world = await at_present(worlds)
    ids = world.sandbox.generate(3, mix={"plain": 1})
    await rest(world)
    world.clock.forward(hours=1)
    world.sandbox.faults([{"where": "order", "kind": "stale_read"}], side="glopal")
    result = await reconciled(world)
    assert len(result.compared.repaired) == len(ids)
    world.sandbox.clear_faults()
    await rest(world)
    seen = await world.check([])
    assert {order: (seen.glopal[order]["accepts"], seen.rows[order].landing) for order in ids} == dict.fromkeys(
        ids, (1, "accepted")
    )
    await reconciled(world)
    assert not await findings_of(world)


# ---------------------------------------------------------------------- what is mended is not closed too early


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("deed", "endpoint"),
    [
        ("cancelled without an event", "store.cancel"),
        ("READY again", "accept"),
        ("gone from the store, not accepted", "store.find"),
    ],
)
async def test_a_finding_stays_open_until_its_repair_is_done(worlds: Worlds, deed: str, endpoint: str) -> None:
    """The repair's own call fails: the finding is not called mended, and closes once the repair came to its end."""
    world, placed = await with_deeds(worlds, deed)
    side = "store" if endpoint.startswith("store.") else "glopal"
    if endpoint != "store.find":
        world.sandbox.faults([{"where": endpoint, "kind": "503_before"}], side=side)
    result = await reconciled(world)
    assert list(await findings_of(world)) == [placed[deed]]
    assert not result.compared.closed
    assert (await reconciled(world)).state[1] == "Differences"
    world.sandbox.clear_faults()
    await rest(world)
    world.clock.forward(hours=1)
    last = await reconciled(world)
    assert last.compared.closed == 1
    assert not await findings_of(world)
    await holds(world, broken_by(placed))


@pytest.mark.asyncio
async def test_an_acceptance_sent_again_has_time_of_its_own(worlds: Worlds) -> None:
    """An old order whose accept is sent again, and fails at first, is not parked for a deadline that it kept."""
    world, placed = await with_deeds(worlds, "READY again")
    order = placed["READY again"]
    world.clock.forward(hours=100)
    world.fault("accept", "429_bare", times=1)
    await reconciled(world)
    assert (await row_of(world, order)).landing == "inserted"
    assert list((await findings_of(world))[order]) == [Mismatch.INSERTED_NOT_ACCEPTED.value]
    await rest(world)
    row = await row_of(world, order)
    assert (row.landing, row.parked_code) == ("accepted", None)


@pytest.mark.asyncio
async def test_an_old_finding_closes_outside_of_its_range(worlds: Worlds) -> None:
    """A finding that was only reported and is mended since closes in the next nightly run, whose range is another."""
    world, placed = await with_deeds(worlds, "READY again")
    [order] = placed.values()
    await reconciled(world, repair=False)
    world.sandbox.change(order, status="ACCEPTED")
    world.clock.forward(hours=24 * 9)
    world.sandbox.generate(1, seed=77)
    later = await reconciled(world, span=ago(world, 7, 1))
    assert later.compared.closed == 1
    assert not await findings_of(world)


# ---------------------------------------------------------------------- an order that left the provider


@pytest.mark.asyncio
async def test_an_order_that_the_provider_no_longer_has(worlds: Worlds, tmp_path: Path) -> None:
    """A landed order of which the provider clearly says that there is none is parked, and comes back by itself."""
    state = tmp_path / "sandbox.json"
    with RunningSandbox(state=state) as own:
        world = await at_present(Worlds(own, worlds._ledgers))
        gone, kept = world.sandbox.generate(2, seed=8)
        await rest(world)
        world.clock.forward(hours=1)
        own.stop()
        whole = state.read_text()
        books = json.loads(whole)
        merchant = books["glopal"][own.store_id]
        merchant["orders"] = [entry for entry in merchant["orders"] if entry["order_id"] != gone]
        state.write_text(json.dumps(books))
        own.start()
        result = await reconciled(world)
        assert result.state[1] == "Parked some"
        assert list((await findings_of(world))[gone]) == [Mismatch.MISSING_AT_PROVIDER.value]
        assert (await row_of(world, gone)).parked_code == "source.order_missing"
        assert (await row_of(world, kept)).reconciled_at is not None
        own.stop()
        state.write_text(whole)
        own.start()
        back = await reconciled(world)
        assert back.compared.closed == 1
        assert (await row_of(world, gone)).settled_at is not None
        await world.check()
        await world.close()
