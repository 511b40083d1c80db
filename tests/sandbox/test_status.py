"""The status machine: accept once, cancel with a full refund, and what happens later."""

from __future__ import annotations

import httpx
import pytest

from tests.sandbox.kit import Box, code


def made(box: Box, story: str = "plain") -> str:
    """The id of a fresh order."""
    return box.running.generate(1, mix={story: 1})[0]


def test_accept_once(box: Box) -> None:
    """The first acceptance counts; a repeat with the same ids is harmless, one with others is refused."""
    order_id = made(box)
    assert box.accept(order_id).json()["status"] == "ACCEPTED"
    assert box.accept(order_id).json()["external"] == {"order_id": "92", "order_number": "00092"}
    for other in ({"store_order": "93"}, {"number": "00093"}):
        answer = box.accept(order_id, **other)
        assert (answer.status_code, code(answer)) == (409, "already_accepted")
    book = box.book(order_id)
    assert (book["accepts"], book["accept_calls"]) == (1, 4)
    assert book["external"] == {"order_id": "92", "order_number": "00092"}
    assert book["accepted_at"].endswith("Z")


def test_accept_after_completion(box: Box) -> None:
    """A completed order still answers a repeat of its acceptance, and still refuses other ids."""
    order_id = made(box)
    box.accept(order_id)
    box.running.advance(order_id, "COMPLETED")
    assert box.accept(order_id).json()["status"] == "COMPLETED"
    assert box.accept(order_id, store_order="93").status_code == 409


def test_accept_by_the_provider(box: Box) -> None:
    """An order that the provider itself accepted has no ids of ours and takes none."""
    order_id = made(box)
    box.running.advance(order_id, "ACCEPTED")
    assert code(box.accept(order_id)) == "already_accepted"
    assert box.book(order_id)["accepts"] == 0


@pytest.mark.parametrize(
    ("story", "why"),
    [("received", "not_ready"), ("cancelled_ready", "order_cancelled"), ("poison_status", "not_ready")],
)
def test_not_acceptable(box: Box, story: str, why: str) -> None:
    """An order that is not READY cannot be accepted, and the answer says why."""
    order_id = made(box, story)
    before = box.book(order_id)["status"]
    answer = box.accept(order_id)
    assert (answer.status_code, code(answer)) == (409, why)
    assert (box.book(order_id)["status"], box.book(order_id)["accepts"]) == (before, 0)


@pytest.mark.parametrize("accepted", [False, True])
def test_cancel_refunds_in_full(box: Box, accepted: bool) -> None:
    """A cancel is told in the feed, refunds the whole total once, and a repeat changes nothing."""
    order_id = made(box)
    if accepted:
        box.accept(order_id)
    events = len(box.feed())
    for _ in range(3):
        assert box.cancel(order_id, "no stock").json()["status"] == "CANCELLED"
    told = box.feed()[events:]
    assert [(event["event_name"], event["order_id"]) for event in told] == [("order.cancelled", order_id)]
    book = box.book(order_id)
    [refund] = book["refunds"]
    assert (refund["amount"], refund["kind"]) == (book["total"], "full")
    assert (book["cancelled_by"], book["cancel_calls"]) == ("merchant: no stock", 3)


def test_cancel_of_a_shipped_order(box: Box) -> None:
    """A shipped order cannot be cancelled and nothing is refunded."""
    order_id = made(box)
    box.running.change(order_id, shipped=True)
    answer = box.cancel(order_id)
    assert (answer.status_code, code(answer)) == (409, "not_cancellable")
    assert (box.book(order_id)["status"], box.book(order_id)["refunds"]) == ("READY", [])


def test_ready_after_received(box: Box) -> None:
    """A received order becomes ready with an event of its own, and can be accepted from then on."""
    order_id = made(box, "received")
    box.running.advance(order_id, "READY")
    assert [event["event_name"] for event in box.feed()] == ["order.received", "order.ready"]
    assert box.accept(order_id).status_code == 200


@pytest.mark.parametrize(("story", "status"), [("plain", "RECEIVED"), ("plain", "COMPLETED"), ("received", "ACCEPTED")])
def test_moves_that_nobody_makes(box: Box, story: str, status: str) -> None:
    """Moves that Glopal does not make are refused by the control plane."""
    order_id = made(box, story)
    with pytest.raises(httpx.HTTPStatusError, match="409"):
        box.running.advance(order_id, status)


def test_cancelled_during(box: Box) -> None:
    """The order of this story is cancelled right after its first read, and the next read shows it."""
    order_id = made(box, "cancelled_during")
    assert box.order(order_id).json()["status"] == "READY"
    assert box.order(order_id).json()["status"] == "CANCELLED"
    assert box.book(order_id)["cancelled_by"] == "glopal"


def test_what_happens_later(box: Box) -> None:
    """Late cancels come once the order is accepted, and waiting orders become ready or cancelled in turn."""
    late = made(box, "cancelled_late")
    waiting = box.running.generate(4, mix={"received": 1})
    assert box.running.happen() == {"cancelled": 2, "ready": 2, "completed": 0}
    assert box.book(late)["status"] == "READY"
    assert sorted(box.book(order_id)["status"] for order_id in waiting) == ["CANCELLED"] * 2 + ["READY"] * 2
    box.accept(late)
    assert box.running.happen()["cancelled"] == 1
    assert box.book(late)["refunds"][0]["by"] == "glopal"


def test_reordered_stories(box: Box) -> None:
    """The events of a re-ordered story stand in the wrong order, and their times tell the right one."""
    for story, names in (
        ("reordered", ["order.ready", "order.received"]),
        ("reordered_cancel", ["order.cancelled", "order.ready", "order.received"]),
    ):
        order_id = made(box, story)
        events = [event for event in box.feed() if event["order_id"] == order_id]
        assert [event["event_name"] for event in events] == names
        assert sorted((event["event_at"] for event in events), reverse=True) == [event["event_at"] for event in events]


def test_the_same_seed_again(box: Box) -> None:
    """The same seed a second time makes new orders and leaves the first ones as they are."""
    first = made(box)
    box.accept(first)
    second = made(box)
    assert second != first
    assert box.book(first)["status"] == "ACCEPTED"
    box.running.reset()
    assert [made(box), made(box)] == [first, second]


def test_change_behind_the_back(box: Box) -> None:
    """A document can be changed and lose keys; an id or status given with it is shown, and the order stays the same."""
    order_id = made(box)
    box.running.change(order_id, {"total": 1, "status": "ODD", "id": "9-9"}, remove=["customer"])
    document = box.order(order_id).json()
    assert (document["total"], document["status"], document["id"]) == (1, "ODD", "9-9")
    assert "customer" not in document
    assert (box.book(order_id)["status"], box.book(order_id)["total"]) == ("READY", "1")
    assert box.accept(order_id).status_code == 200
