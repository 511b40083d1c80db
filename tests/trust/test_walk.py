"""Seek, don't scan: a walk reads few pages wherever it begins, and calls nothing complete that it did not see.

Every test ends with the same question to the sandbox's own feed: is there an event in what was called complete that the
walk did not hand out?
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.events import record_page
from models.glopal import GlopalEvent
from models.ranges import Span
from models.time import parse_instant
from tasks.walk import MARGIN, Entry, Walk, walk
from tests.ledger.kit import RULES
from tests.trust.conftest import Worlds
from tests.trust.history import at_present, calls_of, pages_read, process, put, raw
from tests.trust.world import World

pytestmark = pytest.mark.asyncio
HANDFUL = 5
BLIND: dict[str, Any] = {"before_param": "no_such_name"}
"""The sandbox takes no notice of a parameter that it does not know: what should go backwards comes from the start."""
REFUSING: dict[str, Any] = {"before_param": "limit"}
"""An event id is no number, so whatever should go backwards is refused with a 400."""
WAYS: list[dict[str, Any]] = [{}, BLIND, REFUSING, {"page_size": 1}]


@dataclass
class Line:
    """A feed in which event ``n`` happened ``n`` steps after ``start``."""

    world: World
    start: datetime
    step: timedelta = timedelta(minutes=30)
    put: list[int] = field(default_factory=list)

    def at(self, number: float) -> datetime:
        """When it happened."""
        return self.start + number * self.step

    def span(self, first: float, last: float) -> Span:
        """From one event up to, not including, another."""
        return Span(self.at(first), self.at(last))

    def events(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Raw events."""
        return [raw(number, self.at(number)) for number in numbers]

    async def know(self, *numbers: int, at: Mapping[int, float] | None = None) -> None:
        """The ledger has these already; ``at`` says when one happened that stands elsewhere."""
        known = [
            GlopalEvent(f"E{n:06d}", "order.received", f"100-{n}", self.at((at or {}).get(n, n)), "", "{}")
            for n in numbers
        ]
        await record_page(self.world.checker, self.world.key, known, RULES)


async def line(worlds: Worlds, count: int, *, days_ago: float = 30.0, minutes: float = 30.0, **options: Any) -> Line:
    """A world with so many events in order, the first so many days ago."""
    world = await at_present(worlds, **options)
    start = world.clock.now.replace(second=0, microsecond=0) - timedelta(days=days_ago)
    made = Line(world, start, timedelta(minutes=minutes))
    put(world, made.events(range(count)))
    return made


async def walked(world: World, span: Span) -> tuple[Walk, set[str]]:
    """One walk by a process of its own, checked against the sandbox's feed, and the ids that it handed out."""
    seen: set[str] = set()

    async def keep(page: Sequence[Entry]) -> None:
        seen.update(entry.event_id for entry in page)

    async with process(world) as runtime:
        found = await walk(runtime, span, keep)
        assert found.calls == runtime.client.calls["events"]
    if found.proven is not None:
        assert found.proven.overlap(span) == found.proven, "more was called complete than was asked for"
        assert found.how
        missed = [
            event["event_id"]
            for event in world.sandbox.feed()
            if event.get("event_at") and found.proven.contains(parse_instant(event["event_at"]))
        ]
        assert set(missed) <= seen, f"{found.how}, and yet {sorted(set(missed) - seen)[:5]} were not seen"
    assert (found.proven == span) == (found.why_not == ""), (found.proven, found.why_not)
    return found, seen


# ---------------------------------------------------------------------------- where it begins


@pytest.mark.parametrize(("known", "way"), [((380, 900), "from event E000380"), ((100, 420), "from event E000420")])
async def test_it_begins_at_the_nearest_known_event(worlds: Worlds, known: tuple[int, int], way: str) -> None:
    """Of the known events before and after the interval the nearer one is where the walk begins."""
    feed = await line(worlds, 1000)
    await feed.know(*known)
    found, _ = await walked(feed.world, feed.span(400, 410))
    assert found.proven == feed.span(400, 410)
    assert way in found.how
    assert found.calls <= HANDFUL


async def test_an_empty_ledger_is_read_from_the_newest_backwards(worlds: Worlds) -> None:
    """Without any known event the walk goes back from the feed's end and stops as soon as the interval is behind it."""
    feed = await line(worlds, 1000)
    found, seen = await walked(feed.world, feed.span(930, 940))
    assert found.proven == feed.span(930, 940)
    assert "back" in found.how
    assert found.calls <= 70 / 20 + HANDFUL
    assert not {f"E{number:06d}" for number in range(880)} & seen, "it went on behind the interval"


@pytest.mark.parametrize("known", [(), (1440,), (1600,)], ids=["nothing known", "known before", "known after"])
async def test_calls_are_proportional_to_the_interval(worlds: Worlds, known: tuple[int, ...]) -> None:
    """One day in the middle of 3,000 events costs its own pages and a handful, once anything near it is known."""
    feed = await line(worlds, 3000, days_ago=70)
    await feed.know(*known)
    found, seen = await walked(feed.world, feed.span(1488, 1536))
    pages = 48 / 20
    near = pages + (3000 - 1536) / 20 if not known else pages + (1600 - 1536) / 20
    assert found.proven == feed.span(1488, 1536)
    assert found.calls <= near + HANDFUL
    assert len(seen) <= 48 + 3 * 20, "pages far from the interval are handed out"


# ---------------------------------------------------------------------------- anchors that lie


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("place", [112, 200])
async def test_a_late_event_is_no_anchor(worlds: Worlds, options: dict[str, Any], place: int) -> None:
    """An event that happened before the interval and stands in it, or far behind it, in the feed proves nothing."""
    feed = await line(worlds, place, **options)
    put(feed.world, [raw(5000, feed.at(95.2)), *feed.events(range(place, 400))])
    await feed.know(5000, at={5000: 95.2})
    found, seen = await walked(feed.world, feed.span(100, 120))
    assert found.proven == feed.span(100, 120)
    assert {f"E{number:06d}" for number in range(100, 120)} <= seen


@pytest.mark.parametrize("options", WAYS, ids=str)
async def test_an_event_from_the_future_is_no_anchor(worlds: Worlds, options: dict[str, Any]) -> None:
    """An event that is dated after the interval and stands before it in the feed proves nothing."""
    feed = await line(worlds, 60, **options)
    put(feed.world, [raw(5000, feed.at(125)), *feed.events(range(60, 400))])
    await feed.know(5000, at={5000: 125})
    found, seen = await walked(feed.world, feed.span(100, 120))
    assert found.proven == feed.span(100, 120)
    assert {f"E{number:06d}" for number in range(100, 120)} <= seen


async def test_an_outlier_between_ends_no_walk(worlds: Worlds) -> None:
    """One event from the future and one from the past, standing inside of the interval, neither end nor shorten it."""
    feed = await line(worlds, 105)
    odd = [raw(5000, feed.at(390)), raw(5001, feed.at(3))]
    put(feed.world, [*odd, *feed.events(range(105, 400))])
    for known in ((80,), (300,)):
        await feed.know(*known)
        found, seen = await walked(feed.world, feed.span(100, 180))
        assert found.proven == feed.span(100, 180)
        assert {"E005000", "E005001"} <= seen


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("known", [80, 300])
async def test_an_outlier_alone_on_its_page_ends_no_walk(worlds: Worlds, size: int, known: int) -> None:
    """However short the pages are, one event from the future or the past is never taken for the end of the interval."""
    feed = await line(worlds, 105, page_size=size)
    put(feed.world, [raw(5000, feed.at(390)), *feed.events(range(105, 110)), raw(5001, feed.at(3))])
    put(feed.world, feed.events(range(110, 400)))
    await feed.know(known)
    found, _ = await walked(feed.world, feed.span(100, 130))
    assert found.proven == feed.span(100, 130)


async def test_what_was_read_to_check_an_anchor_is_not_lost(worlds: Worlds) -> None:
    """An event of the interval that stands on the page before the anchor is handed out, because it was read anyway."""
    feed = await line(worlds, 75)
    put(feed.world, [raw(5000, feed.at(105)), *feed.events(range(75, 300))])
    await feed.know(80)
    _, seen = await walked(feed.world, feed.span(100, 120))
    assert "E005000" in seen


async def test_an_anchor_that_left_the_feed_is_done_without(worlds: Worlds) -> None:
    """Known events that the provider has forgotten are no obstacle, whichever side they are on."""
    feed = await line(worlds, 400)
    await feed.know(9000, 9001, at={9000: 98.5, 9001: 122})
    found, _ = await walked(feed.world, feed.span(100, 120))
    assert found.proven == feed.span(100, 120)


# ---------------------------------------------------------------------------- a provider that does not page backwards


@pytest.mark.parametrize("known", [(), (300,), (50, 300)], ids=str)
@pytest.mark.parametrize("options", [BLIND, REFUSING], ids=["takes no notice", "refuses"])
async def test_without_paging_backwards_it_stays_honest(
    worlds: Worlds, options: dict[str, Any], known: tuple[int, ...]
) -> None:
    """Where the provider cannot page backwards the walk is slower, and what it calls complete still is."""
    feed = await line(worlds, 400, **options)
    await feed.know(*known)
    found, _ = await walked(feed.world, feed.span(200, 220))
    assert found.proven == feed.span(200, 220)
    assert found.calls <= 400 / 20 + 2 * HANDFUL
    if 50 in known:
        assert found.calls <= 170 / 20 + 2 * HANDFUL, "a known event before the interval is still of use"


@pytest.mark.parametrize("options", [BLIND, REFUSING], ids=["takes no notice", "refuses"])
async def test_without_paging_backwards_a_known_event_saves_the_way(worlds: Worlds, options: dict[str, Any]) -> None:
    """A known event well before the interval is begun at, and not the beginning of the feed."""
    feed = await line(worlds, 800, **options)
    await feed.know(370, 395)
    found, _ = await walked(feed.world, feed.span(400, 410))
    assert found.proven == feed.span(400, 410)
    assert "from event E000370" in found.how
    assert found.calls <= 40 / 20 + 2 * HANDFUL


async def test_a_refused_end_of_the_feed_is_read_from_the_start(worlds: Worlds) -> None:
    """A provider that pages backwards from an event, but not from the end, is read from the beginning."""
    feed = await line(worlds, 100)
    feed.world.sandbox.settings(empty_cursor=False)
    found, _ = await walked(feed.world, feed.span(50, 60))
    assert found.proven == feed.span(50, 60)
    assert found.from_start


async def test_events_published_meanwhile_are_no_sign_of_a_blind_provider(worlds: Worlds) -> None:
    """Events that come while the walk looks at the feed's end do not send it to the beginning."""
    feed = await line(worlds, 400)
    world = feed.world
    async with process(world) as runtime:
        ask, asked = runtime.client.events, 0

        async def meanwhile(after: str | None, limit: int | None = None, before: str | None = None) -> Any:
            nonlocal asked
            answer = await ask(after, limit, before)
            asked += 1
            if asked == 1:
                put(world, [raw(6000 + number, datetime.now(UTC)) for number in range(3)])
            return answer

        runtime.client.events = meanwhile  # type: ignore[method-assign]

        async def nothing(page: Sequence[Entry]) -> None:
            """The walk alone is of interest."""

        found = await walk(runtime, feed.span(380, 390), nothing)
    assert found.proven == feed.span(380, 390)
    assert found.calls <= 2 * HANDFUL


# ---------------------------------------------------------------------------- the ends of the feed


@pytest.mark.parametrize("options", [{}, BLIND, REFUSING], ids=["pages back", "takes no notice", "refuses"])
@pytest.mark.parametrize("known", [(), (30,)], ids=str)
async def test_a_feed_that_begins_inside_proves_the_rest(
    worlds: Worlds, options: dict[str, Any], known: tuple[int, ...]
) -> None:
    """What lies before the feed's first event is not called complete; what lies after it is."""
    feed = await line(worlds, 60, **options)
    await feed.know(*known)
    found, _ = await walked(feed.world, feed.span(-100, 20))
    assert found.from_start
    assert found.begins_at == feed.at(0)
    assert found.proven == feed.span(0, 20)
    assert "the feed begins at" in found.why_not


async def test_a_feed_that_begins_later_proves_nothing(worlds: Worlds) -> None:
    """An interval before all that the feed shows is not proven, and the reason is the feed's beginning."""
    feed = await line(worlds, 60)
    found, seen = await walked(feed.world, feed.span(-200, -100))
    assert (found.proven, found.begins_at, seen) == (None, feed.at(0), set())
    assert "the feed begins at" in found.why_not


@pytest.mark.parametrize("options", [{}, BLIND, REFUSING], ids=["pages back", "takes no notice", "refuses"])
async def test_an_empty_feed_proves_nothing(worlds: Worlds, options: dict[str, Any]) -> None:
    """A feed without any event says nothing about any interval."""
    feed = await line(worlds, 0, **options)
    found, _ = await walked(feed.world, feed.span(0, 100))
    assert found.proven is None
    assert "no events at all" in found.why_not


@pytest.mark.parametrize("known", [(), (95,)], ids=str)
async def test_nothing_younger_than_the_margin_is_proven(worlds: Worlds, known: tuple[int, ...]) -> None:
    """What may still be published late is not called complete, although its events are handed out."""
    feed = await line(worlds, 120, days_ago=119 / 1440, minutes=1)
    await feed.know(*known)
    now = feed.world.clock.now
    found, seen = await walked(feed.world, Span(feed.at(100), now))
    assert found.proven is not None
    assert found.proven.start == feed.at(100)
    assert abs(found.proven.end - (now - MARGIN)) < timedelta(seconds=10)
    assert "may still be published" in found.why_not
    assert "E000119" in seen


async def test_an_interval_within_the_margin_is_not_proven_at_all(worlds: Worlds) -> None:
    """An interval that is younger than the margin altogether is not proven at all."""
    feed = await line(worlds, 120, days_ago=119 / 1440, minutes=1)
    found, _ = await walked(feed.world, Span(feed.at(110), feed.world.clock.now))
    assert found.proven is None


# ---------------------------------------------------------------------------- what stands in it


@pytest.mark.parametrize("known", [(80,), (160,)], ids=str)
async def test_equal_times_at_both_ends(worlds: Worlds, known: tuple[int, ...]) -> None:
    """Many events of the very moments of start and end: all of the start's are handed out."""
    feed = await line(worlds, 100)
    twins = [raw(1000 + n, feed.at(100)) for n in range(45)] + [raw(2000 + n, feed.at(110)) for n in range(45)]
    put(feed.world, [*twins[:45], *feed.events(range(100, 110)), *twins[45:], *feed.events(range(110, 200))])
    await feed.know(*known)
    found, seen = await walked(feed.world, feed.span(100, 110))
    assert found.proven == feed.span(100, 110)
    assert {f"E{1000 + n:06d}" for n in range(45)} <= seen


@pytest.mark.parametrize("known", [80, 160])
async def test_pages_of_events_without_a_time_are_walked_over(worlds: Worlds, known: int) -> None:
    """Whole pages of events without a time, with unreadable ones between, end no walk and are handed out."""
    feed = await line(worlds, 105)
    odd = [raw(3000 + number, None) for number in range(50)]
    put(feed.world, [*odd, *({"event_name": "order.ready"} for _ in range(12)), *feed.events(range(105, 300))])
    await feed.know(known)
    found, seen = await walked(feed.world, feed.span(100, 110))
    assert found.proven == feed.span(100, 110)
    assert {f"E{3000 + number:06d}" for number in range(50)} <= seen


@pytest.mark.parametrize("known", [80, 300])
async def test_a_page_that_leads_nowhere_proves_nothing(worlds: Worlds, known: int) -> None:
    """A feed that repeats itself is left, and the interval is not called complete."""
    feed = await line(worlds, 110)
    put(feed.world, [{"event_name": "order.ready"} for _ in range(60)])
    put(feed.world, feed.events(range(110, 400)))
    await feed.know(known)
    before = calls_of(feed.world)
    found, _ = await walked(feed.world, feed.span(100, 120))
    assert found.proven is None
    assert "nowhere new" in found.why_not
    assert pages_read(feed.world, before) <= 25


@given(
    count=st.integers(0, 160),
    bounds=st.tuples(st.integers(-20, 180), st.integers(1, 60)),
    known=st.lists(st.sampled_from([*range(0, 160, 7), 5000, 5001]), max_size=3, unique=True),
    odd=st.lists(st.tuples(st.integers(0, 160), st.integers(1, 90)), max_size=2),
    size=st.sampled_from([5, 20]),
    way=st.sampled_from([{}, BLIND, REFUSING]),
)
@settings(max_examples=25)
async def test_whatever_the_feed_is_like_the_walk_is_honest(
    worlds: Worlds,
    count: int,
    bounds: tuple[int, int],
    known: list[int],
    odd: list[tuple[int, int]],
    size: int,
    way: dict[str, Any],
) -> None:
    """Any feed, any two events from another time in it, any known events, any paging: what is proven was seen."""
    feed = await line(worlds, 0, page_size=size, **way)
    first, last = bounds[0], bounds[0] + bounds[1]
    entries, moved = feed.events(range(count)), {}
    for number, (place, far) in enumerate(odd):
        moved[5000 + number] = first - far if number else last + far
        entries.insert(place, raw(5000 + number, feed.at(moved[5000 + number])))
    put(feed.world, entries)
    there = {int(entry["event_id"][1:]) for entry in entries}
    await feed.know(*(number for number in known if number in there), at=moved)
    found, _ = await walked(feed.world, feed.span(first, last))
    inside = any(first <= number < last for number in range(count))
    assert found.proven is not None or not inside or "nowhere" in found.why_not, found
