"""The feed: every fault a page can have, late and repeated events, a cursor that is not taken, links that lead away."""

from __future__ import annotations

import pytest

from sandbox.faults import BREAKING
from tests.trust.cases import PARAMS
from tests.trust.conftest import Worlds
from tests.trust.evidence import Evidence
from tests.trust.tiny import event, page, tiny
from tests.trust.world import World

FEED_SHAPES = (
    "slow",
    "unknown_fields",
    "missing_field",
    "unknown_event",
    "duplicate_events",
    "late_events",
    "reordered_events",
    "links_other_host",
)
FEED_KINDS = (*sorted(BREAKING), *FEED_SHAPES)


async def every_feed_fault(world: World, times: int) -> None:
    """One fault kind after the other, each on the page that tells of new orders and on the one after it."""
    for number, kind in enumerate(FEED_KINDS):
        for after in (0, 1):
            world.sandbox.generate(2, seed=1000 + 10 * number + after, mix={"plain": 1, "reordered_cancel": 1})
            world.fault("events", kind, times=times, after=after, params=PARAMS.get(kind, {}))
            await world.poll()
            await world.check()
            seen = await world.calm(faults_off=True)
            _all_landed(seen, f"{kind}, page {after + 1}")


def _all_landed(seen: Evidence, what: str) -> None:
    for order_id, book in seen.glopal.items():
        row = seen.rows[order_id]
        assert row.settled_at is not None, f"{what}: {order_id} rests at {row.landing}, parked {row.parked_code}"
        assert row.landing == ("cancelled" if book["status"] == "CANCELLED" else "accepted"), what


@pytest.mark.asyncio
async def test_every_fault_on_the_feed_loses_nothing(worlds: Worlds) -> None:
    """Every fault kind somewhere in one long feed: every poll records what it could read, and every order lands."""
    world = await worlds.fresh(page_size=4, overlap=6)
    world.sandbox.generate(60, seed=21, mix={"plain": 8, "reordered_cancel": 1, "reordered": 1})
    rules = [
        {"where": "events", "kind": kind, "times": 1, "after": number, "params": PARAMS.get(kind, {})}
        for number, kind in enumerate(FEED_KINDS)
        if kind != "late_events"
    ]
    # Only the newest events of a feed can be late.
    rules.append({"where": "events", "kind": "late_events", "times": 3})
    world.sandbox.faults(rules, side="glopal")
    _all_landed(await world.calm(faults_off=True, most=80), "all kinds")
    assert set(world.sandbox.books()["injected"]) == set(), "the faults stopped"


@pytest.mark.nightly
@pytest.mark.asyncio
@pytest.mark.parametrize("page_size", [None, 1, 3])
async def test_repeated_faults_on_the_feed_lose_nothing(worlds: Worlds, page_size: int | None) -> None:
    """Each kind by itself, on the first and on the second page, once and three times in a row, loses nothing."""
    world = await worlds.fresh(page_size=page_size)
    for times in (1, 3):
        await every_feed_fault(world, times)


@pytest.mark.asyncio
async def test_old_events_told_again_change_nothing(worlds: Worlds) -> None:
    """Every event of a settled feed told once more, with old and with new ids and backwards, causes no call."""
    world = await worlds.fresh()
    world.sandbox.generate(6, mix={"plain": 3, "cancelled_ready": 1, "reordered": 1, "reordered_cancel": 1})
    await world.calm()
    before = (world.sandbox.books()["traffic"]["calls"], world.sandbox.store_books()["traffic"]["calls"])
    old = [{k: v for k, v in e.items() if k not in ("hidden", "was_hidden")} for e in world.sandbox.feed()]
    world.sandbox.inject([{**e, "event_id": "NEW"} for e in reversed(old)])
    seen = await world.calm()
    after = (world.sandbox.books()["traffic"]["calls"], world.sandbox.store_books()["traffic"]["calls"])
    assert len(seen.events) == 2 * len(old)
    assert {**before[0], "events": 0} == {**after[0], "events": 0}
    assert before[1] == after[1]


@pytest.mark.asyncio
async def test_event_behind_the_cursor_is_found(worlds: Worlds) -> None:
    """An event that is committed late, behind the cursor, is found by the overlap and lands its order."""
    world = await worlds.fresh(overlap=5)
    world.sandbox.generate(5, seed=3)
    await world.calm()
    [late] = world.sandbox.generate(1, seed=4, mix={"received": 1})
    await world.calm()
    world.sandbox.change(late, status="READY")
    world.sandbox.inject(
        [{"event_id": "LATECOMER0000001", "event_name": "order.ready", "order_id": late}], before_end=3
    )
    world.late.add("LATECOMER0000001")
    seen = await world.calm()
    assert seen.rows[late].landing == "accepted"


@pytest.mark.asyncio
async def test_rejected_cursor_reads_the_feed_again_and_says_so(worlds: Worlds) -> None:
    """A cursor that left the feed is never reset in silence: everything is read again, nothing is done twice."""
    world = await worlds.fresh(overlap=0, page_size=2)
    world.sandbox.generate(3, seed=5)
    await world.calm()
    creates = world.sandbox.store_books()["traffic"]["calls"]["store.create"]
    new = world.sandbox.generate(2, seed=6)
    await world.lose_cursor()
    report = await world.poll()
    assert report is not None
    assert report.pulled is not None
    assert report.pulled.cursor_reset
    assert any("rejected the stored cursor" in problem for problem in report.problems)
    seen = await world.calm()
    assert all(seen.rows[order_id].landing == "accepted" for order_id in new)
    assert world.sandbox.store_books()["traffic"]["calls"]["store.create"] == creates + 2


@pytest.mark.asyncio
async def test_unreadable_events_are_kept_and_reported(worlds: Worlds) -> None:
    """Entries that are no events are kept as received and reported; the events beside them land their orders."""
    world = await worlds.fresh()
    odd = [
        {"event_id": "NEW", "event_name": "order.ready"},
        {"event_name": "order.ready", "order_id": "1-2"},
        {"event_id": "NEW", "event_name": "order.x_invented_later", "order_id": "555-666"},
        {"event_id": "NEW", "event_name": "order.ready", "order_id": "9" * 300},
    ]
    world.sandbox.inject(odd)
    [order_id] = world.sandbox.generate(1, seed=8)
    first = await world.poll()
    assert first is not None
    assert first.pulled is not None
    assert first.pulled.unreadable == 3
    seen = await world.calm()
    assert seen.rows[order_id].landing == "accepted"
    buckets = sorted(entry.bucket for entry in seen.events.values())
    assert buckets == ["applied", "applied", "kept", "unreadable", "unreadable", "unreadable"]


@pytest.mark.asyncio
async def test_links_are_never_followed_to_another_host(worlds: Worlds) -> None:
    """A next link to another host is not followed: that host hears nothing, not even a connection."""
    world = await worlds.fresh()
    async with tiny(lambda _: b"{}") as other:

        def answer(target: str) -> bytes:
            known = "EVENT00000000001" in target
            return page([] if known else [event(1)], f"{other.url}/v2/events/acme?after_event_id=EVENT00000000001")

        async with tiny(answer) as glopal:
            report = await world.poll(glopal_url=glopal.url)
    assert report is not None
    assert report.pulled is not None
    assert report.pulled.new == 1
    assert other.asked == []
    assert len(glopal.asked) == 2


@pytest.mark.asyncio
async def test_page_that_repeats_for_ever_is_left(worlds: Worlds) -> None:
    """A feed that answers the same page whatever it is asked is left with a clear problem, and is not green."""
    world = await worlds.fresh()
    async with tiny(lambda _: page([event(1), event(2)])) as glopal:
        report = await world.poll(glopal_url=glopal.url)
        assert report is not None
        assert report.pulled is not None
        assert "nowhere new" in (report.pulled.problem or "")
        assert len(glopal.asked) <= 3
        again = await world.poll(glopal_url=glopal.url)
        assert again is not None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "rules", [{"event_required": True}, {"missing_cursor": False}, {"empty_cursor": False}], ids=lambda r: next(iter(r))
)
async def test_first_pull_works_whatever_the_cursor_rule(worlds: Worlds, rules: dict[str, bool]) -> None:
    """The first pull works whether the provider wants a cursor left out or sent empty, and a filter or none."""
    world = await worlds.fresh()
    world.sandbox.settings(**rules)
    [order_id] = world.sandbox.generate(1, seed=9)
    seen = await world.calm()
    assert seen.rows[order_id].landing == "accepted"


@pytest.mark.asyncio
async def test_quiet_poll_makes_one_call(worlds: Worlds) -> None:
    """A poll that finds nothing new makes exactly one call to the provider and none to the store."""
    world = await worlds.fresh()
    world.sandbox.generate(3, seed=10)
    await world.calm()
    stores = world.sandbox.store_books()["traffic"]["calls"]
    before = world.sandbox.books()["traffic"]["calls"]
    report = await world.poll()
    assert report is not None
    assert report.http_calls == {"events": 1}
    after = world.sandbox.books()["traffic"]["calls"]
    assert after["events"] == before["events"] + 1
    assert {**after, "events": 0} == {**before, "events": 0}
    assert world.sandbox.store_books()["traffic"]["calls"] == stores
