"""The feed: cursors, filters, limits, and the order of its entries."""

from __future__ import annotations

import random
from typing import Any

import pytest

from sandbox.events import Feed, FeedEvent
from tests.sandbox.kit import Box, code


def ids(events: list[dict[str, Any]]) -> list[str]:
    """The ids of events."""
    return [event["event_id"] for event in events]


@pytest.fixture
def feed(box: Box) -> list[dict[str, Any]]:
    """The feed of thirty plain orders: sixty events."""
    box.running.generate(30)
    return box.feed()


def test_first_pull(box: Box, feed: list[dict[str, Any]]) -> None:
    """A pull without a cursor and one with an empty cursor both begin at the oldest event."""
    assert ids(box.events(limit=7).json()["events"]) == ids(feed[:7])
    assert ids(box.events(limit=7, after_event_id="").json()["events"]) == ids(feed[:7])


def test_pages_forward(box: Box, feed: list[dict[str, Any]]) -> None:
    """Pages by the last seen id give every event once, in order, and then nothing."""
    seen: list[str] = []
    while page := box.events(limit=7, after_event_id=seen[-1] if seen else "").json()["events"]:
        assert len(page) <= 7
        seen += ids(page)
    assert seen == ids(feed)


def test_pages_backward(box: Box, feed: list[dict[str, Any]]) -> None:
    """Before an event come the events right before it, oldest first; before the first one comes nothing."""
    page = box.events(limit=5, before_event_id=feed[20]["event_id"]).json()["events"]
    assert ids(page) == ids(feed[15:20])
    assert box.events(before_event_id=feed[0]["event_id"]).json()["events"] == []
    assert ids(box.events(limit=3, before_event_id="").json()["events"]) == ids(feed[-3:])


@pytest.mark.parametrize("name", ["after_event_id", "before_event_id"])
def test_unknown_cursor(box: Box, feed: list[dict[str, Any]], name: str) -> None:
    """A cursor that names no event of this store is refused, also when it is another store's."""
    box.running.generate(1, seed=8, store_id="other")
    foreign = box.running.feed("other")[0]["event_id"]
    for cursor in ("NOSUCHEVENT", feed[0]["event_id"].lower(), foreign):
        answer = box.events(("event", "order.ready"), **{name: cursor})
        assert (answer.status_code, code(answer)) == (400, "bad_request")


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1.5"])
def test_bad_limit(box: Box, limit: str) -> None:
    """A limit that is no number above zero is refused."""
    assert box.events(limit=limit).status_code == 400


def test_limit_has_a_most(box: Box, feed: list[dict[str, Any]]) -> None:
    """A limit above the most is taken as the most."""
    assert len(box.events(limit=10**9).json()["events"]) == len(feed)


def test_filters(box: Box) -> None:
    """The event filter may be repeated, and each name that is asked for is given, in the feed's order."""
    box.running.generate(20, mix={"plain": 1, "cancelled_ready": 1})
    names = [event["event_name"] for event in box.feed()]
    assert set(names) == {"order.received", "order.ready", "order.cancelled"}
    for wanted in (["order.ready"], ["order.cancelled", "order.ready"], ["return.requested"]):
        pairs = [("event", name) for name in wanted]
        assert [event["event_name"] for event in box.feed(*pairs)] == [name for name in names if name in wanted]


def test_cursor_of_another_filter(box: Box, feed: list[dict[str, Any]]) -> None:
    """A cursor stays good when the filter changes: it is a place in the one feed."""
    place = next(number for number, event in enumerate(feed) if event["event_name"] == "order.received")
    page = box.events(("event", "order.ready"), after_event_id=feed[place]["event_id"], limit=500).json()["events"]
    assert ids(page) == [event["event_id"] for event in feed[place:] if event["event_name"] == "order.ready"]


def test_names_from_the_future_pass_every_filter(box: Box) -> None:
    """An event with an unknown name is given whatever was asked for, and rubbish in the feed stays rubbish."""
    odd = [{"event_id": "NEW", "event_name": "order.ready_soon", "order_id": "1-2"}, {"no": "id"}, "rubbish", None]
    box.running.inject(odd)
    found = box.feed(("event", "order.ready"))
    assert found[0]["event_name"] == "order.ready_soon"
    assert len(found[0]["event_id"]) == 16
    assert found[1:] == [{"no": "id"}, "rubbish", None]


def test_links(box: Box, feed: list[dict[str, Any]]) -> None:
    """The links lead to the next and the previous page of the same filter."""
    page = box.events(("event", "order.ready"), limit=5, after_event_id=feed[10]["event_id"]).json()
    after = [event for event in feed[11:] if event["event_name"] == "order.ready"]
    for name, wanted in (("next", after[5:10]), ("current", after[:5])):
        found = box.http.get(page["links"][name], headers=box.glopal_headers).json()["events"]
        assert ids(found)[:5] == ids(wanted)
    before = box.http.get(page["links"]["previous"], headers=box.glopal_headers).json()["events"]
    assert before[-1]["event_id"] != page["events"][0]["event_id"]


@pytest.mark.parametrize(
    ("setting", "query"),
    [
        ("event_required", [("limit", "5")]),
        ("empty_cursor", [("event", "order.ready"), ("after_event_id", "")]),
        ("missing_cursor", [("event", "order.ready")]),
    ],
)
def test_readings_of_the_contract(box: Box, setting: str, query: list[tuple[str, str]]) -> None:
    """What the contract leaves open about a first pull can be switched, and a reset takes the switch back."""
    assert box.events(*query).status_code == 200
    box.running.settings(**{setting: setting == "event_required"})
    assert box.events(*query).status_code == 400
    box.running.reset()
    assert box.events(*query).status_code == 200


def test_late_entry_by_hand(box: Box, feed: list[dict[str, Any]]) -> None:
    """An event that is put before the end of the feed stands there, and the cursors around it stay good."""
    box.running.inject([{"event_id": "LATE", "event_name": "order.ready", "order_id": "1-2"}], before_end=2)
    page = box.events(after_event_id=feed[-4]["event_id"]).json()["events"]
    assert ids(page) == [feed[-3]["event_id"], "LATE", *ids(feed[-2:])]


def test_feed_finds_every_entry_wherever_it_was_put() -> None:
    """However entries are put between others, each is found at its place, and so is one that was put there twice."""
    rng, feed = random.Random(3), Feed()
    model: list[str] = []
    for number in range(3000):
        # Half of them at one and the same place, until there is no number left between the neighbours.
        before_end = rng.choice((0, 7, rng.randrange(len(model) + 1)))
        model.insert(max(0, len(model) - before_end), f"e{number}")
        feed.insert(FeedEvent.of({"event_id": f"e{number}", "event_name": "order.ready"}), before_end)
    assert [feed.place_of(event_id) for event_id in model] == list(range(3000))
    assert [event.event_id for event in feed] == model
    feed.insert(FeedEvent.of({"event_id": "e5"}))
    assert feed.place_of("e5") == 3000


def test_a_poll_at_the_end_looks_at_nothing() -> None:
    """A poll that finds nothing new looks at no entry of the feed, however long it is."""

    class Counting(list[FeedEvent]):
        looks = 0

        def __getitem__(self, place: Any) -> Any:
            Counting.looks += 1
            return super().__getitem__(place)

        def __iter__(self) -> Any:
            raise AssertionError("the whole feed was walked through")

    feed = Feed()
    for number in range(50_000):
        feed.insert(FeedEvent(b"{}", str(number), "order.ready"))
    feed._events = Counting(feed._events)
    feed.count_call()
    place = feed.place_of("49999")
    assert place == 49_999
    assert feed.page(["order.ready"], place, 500) == []
    middle = feed.place_of("25000")
    assert middle is not None
    assert len(feed.page(["order.ready"], middle, 20)) == 20
    assert Counting.looks < 100
