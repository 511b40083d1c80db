"""Faults that change a good answer: odd keys, odd feeds, old states."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from tests.sandbox.kit import Box


def ids(events: list[dict[str, Any]]) -> list[str]:
    """The ids of events."""
    return [event["event_id"] for event in events]


def test_unknown_fields(box: Box) -> None:
    """Every object of the answer gets a key that nobody knows, and every amount keeps its digits."""
    order_id = box.running.generate(1)[0]
    good = box.order(order_id)
    box.fault("order", "unknown_fields", times=1)
    odd = box.order(order_id)
    found = odd.json()
    assert all("x_added_later" in place for place in (found, found["customer"], found["items"][0]))

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(item) for key, item in value.items() if key != "x_added_later"}
        return [without(item) for item in value] if isinstance(value, list) else value

    assert without(found) == good.json()
    total = good.text[good.text.rindex('"total":') :].split(",")[0]
    assert total.rstrip("}") in odd.text


@pytest.mark.parametrize(
    ("where", "path", "gone"),
    [
        ("order", None, ["currency"]),
        ("order", "items.0.sku", ["items", 0, "sku"]),
        ("order", "customer", ["customer"]),
        ("events", None, ["events"]),
        ("events", "events.0.order_id", ["events", 0, "order_id"]),
    ],
)
def test_missing_field(box: Box, where: str, path: str | None, gone: list[str | int]) -> None:
    """One key is missing from the answer, the one that is named, and the order itself keeps it."""
    order_id = box.running.generate(1)[0]

    def ask() -> Any:
        return (box.order(order_id) if where == "order" else box.events()).json()

    def there(value: Any) -> bool:
        *way, last = gone
        for step in way:
            value = value[step]
        return last in value

    assert there(ask())
    box.fault(where, "missing_field", times=1, params={} if path is None else {"field": path})
    assert not there(ask())
    assert there(ask())


def test_unknown_event(box: Box) -> None:
    """An event with a name from the future is served, and stays in the feed where it was."""
    box.running.generate(3)
    before = ids(box.feed())
    box.fault("events", "unknown_event", times=1)
    page = box.feed(("event", "order.ready"), ("event", "order.received"))
    odd = page[-2]
    assert odd["event_name"] == "order.x_invented_later"
    assert ids(page) == [*before[:-1], odd["event_id"], before[-1]]
    assert ids(box.feed(("event", "order.ready")))[-2:] == [odd["event_id"], before[-1]]
    assert ids(box.events(after_event_id=odd["event_id"]).json()["events"]) == before[-1:]


def test_duplicate(box: Box) -> None:
    """The first event of a page comes twice, and the feed itself holds it once."""
    box.running.generate(3)
    feed = ids(box.feed())
    box.fault("events", "duplicate_events", times=1)
    assert ids(box.feed()) == [feed[0], *feed]
    assert ids(box.feed()) == feed


def test_reordered(box: Box) -> None:
    """The same events come in another order; the last one, the caller's next cursor, keeps its place."""
    box.running.generate(4)
    feed = ids(box.feed())
    box.fault("events", "reordered_events", times=1)
    page = ids(box.feed())
    assert page != feed
    assert Counter(page) == Counter(feed)
    assert page[-1] == feed[-1]
    assert ids(box.feed()) == feed


def test_reordered_is_not_spent_unseen(box: Box) -> None:
    """A page too short to be re-ordered does not use the fault up."""
    box.running.generate(4)
    box.fault("events", "reordered_events", times=1)
    box.feed(limit=2)
    assert box.running.books()["injected"] == {}


def test_late(box: Box) -> None:
    """A late event is not in the page that passes it; afterwards it stands behind the head that was served."""
    box.running.generate(4)
    feed = ids(box.running.feed())
    box.fault("events", "late_events", times=1, params={"calls": 2})
    first = ids(box.feed())
    [late] = [event_id for event_id in feed if event_id not in first]
    assert first[-1] == feed[-1], "the head was served"
    assert [event["was_hidden"] for event in box.running.feed()].count(True) == 1
    assert late not in ids(box.feed()), "hidden for two calls in all"
    assert ids(box.feed()) == feed
    assert ids(box.events(after_event_id=first[-1]).json()["events"]) == [], "the cursor has passed it"
    page = box.events(after_event_id=feed[feed.index(late) - 1]).json()["events"]
    assert ids(page)[0] == late, "a look back finds it"


def test_late_shown_by_hand(box: Box) -> None:
    """Every hidden event can be shown at once."""
    box.running.generate(4)
    box.fault("events", "late_events", params={"calls": 1000})
    shown = len(box.feed())
    hidden = box.running.release_late()
    assert hidden > 0
    assert shown + hidden == 8 == len(box.feed())
    assert box.running.release_late() == 0


def test_links_other_host(box: Box) -> None:
    """The links lead to a host where nobody listens; the events are the right ones."""
    box.running.generate(1)
    box.fault("events", "links_other_host", times=1)
    page = box.events(limit=1).json()
    assert box.running.glopal_url not in page["links"]["next"]
    with pytest.raises(httpx.ConnectError):
        box.http.get(page["links"]["next"])
    assert len(page["events"]) == 1


def test_stale_read(box: Box) -> None:
    """A stale read shows the status before the last change, and does not change what is."""
    order_id = box.running.generate(1)[0]
    box.fault("order", "stale_read", times=1)
    assert box.order(order_id).json()["status"] == "READY"
    assert box.running.books()["injected"] == {}, "nothing older to show yet"
    box.accept(order_id)
    assert box.order(order_id).json()["status"] == "READY"
    assert box.order(order_id).json()["status"] == "ACCEPTED"
    assert box.book(order_id)["status"] == "ACCEPTED"


@pytest.mark.parametrize(("params", "misses"), [({}, 1), ({"calls": 1}, 1), ({"calls": 3}, 3), ({"seconds": 60}, 5)])
def test_lookup_lag(box: Box, params: dict[str, Any], misses: int) -> None:
    """A lookup misses an order that was just created, for some calls or some time, and then finds it."""
    box.fault("store.find", "lookup_lag", params=params)
    assert box.find().json()["orders"] == []
    box.create()
    found = [len(box.find().json()["orders"]) for _ in range(5)]
    assert found == [0] * misses + [1] * (5 - misses)
    assert box.running.store_books()["injected"] == {"store.find:lookup_lag": misses}
    box.running.clear_faults()
    assert len(box.find().json()["orders"]) == 1
