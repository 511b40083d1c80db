"""Every answer of the simulated Glopal is what the OpenAPI file says."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.stories import STORIES
from tests.sandbox.kit import ACCEPT, CANCEL, EVENTS, ORDER, Box, Contract

# These two break the contract on purpose: an id that is none, and a status that nobody knows.
LAWFUL = {story: 1 for story in STORIES if story not in {"poison_id", "poison_status"}}


def a_ready_order(box: Box) -> str:
    """The id of a fresh READY order."""
    return box.running.generate(1)[0]


def test_pages_of_events(box: Box, contract: Contract) -> None:
    """Pages of events are as the contract says, the empty one, too, forward and backward."""
    assert contract.answer("get", EVENTS, box.events())["events"] == []
    box.running.generate(40, mix=LAWFUL)
    page = contract.answer("get", EVENTS, box.events())["events"]
    assert len(page) == 20, "the default limit"
    contract.answer("get", EVENTS, box.events(before_event_id=page[7]["event_id"]))


def test_orders_of_every_story(box: Box, contract: Contract) -> None:
    """The documents of every story are as the contract says, poison in amounts and missing keys included."""
    for order_id in box.running.generate(3 * len(LAWFUL), mix=LAWFUL):
        assert contract.answer("get", ORDER, box.order(order_id))["id"] == order_id


def test_orders_in_every_status(box: Box, contract: Contract) -> None:
    """An order is as the contract says in each of the five statuses, and shows our ids once it is accepted."""
    seen = {}
    received, ready = box.running.generate(1, mix={"received": 1})[0], a_ready_order(box)
    for order_id in (received, ready):
        seen[order_id] = [contract.answer("get", ORDER, box.order(order_id))]
    contract.answer("post", ACCEPT, box.accept(ready))
    seen[ready].append(contract.answer("get", ORDER, box.order(ready)))
    box.running.advance(ready, "COMPLETED")
    seen[ready].append(contract.answer("get", ORDER, box.order(ready)))
    contract.answer("post", CANCEL, box.cancel(received))
    seen[received].append(contract.answer("get", ORDER, box.order(received)))
    assert [document["status"] for document in seen[received]] == ["RECEIVED", "CANCELLED"]
    assert [document["status"] for document in seen[ready]] == ["READY", "ACCEPTED", "COMPLETED"]
    ours = {"order_id": "92", "order_number": "00092"}
    assert [document["external"] for document in seen[ready]] == [None, ours, ours]


def test_events_after_accept_show_our_ids(box: Box, contract: Contract) -> None:
    """An event that is told after the acceptance carries the merchant's ids, one before carries none."""
    order_id = a_ready_order(box)
    box.accept(order_id)
    box.cancel(order_id)
    *_, ready, cancelled = contract.answer("get", EVENTS, box.events())["events"]
    assert ready["external"] == {"order_id": None, "order_number": None}
    assert cancelled["external"] == {"order_id": "92", "order_number": "00092"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "GL.canary"}])
def test_wrong_key(box: Box, contract: Contract, headers: dict[str, str]) -> None:
    """Without the right key every call is 401, and nothing happens."""
    order_id = a_ready_order(box)
    contract.answer("get", EVENTS, box.glopal("GET", "/v2/events/acme", headers=headers))
    contract.answer("get", ORDER, box.order(order_id, headers=headers))
    contract.answer("post", ACCEPT, box.accept(order_id, headers=headers))
    answer = box.cancel(order_id, headers=headers)
    contract.answer("post", CANCEL, answer)
    assert answer.status_code == 401
    assert (box.book(order_id)["status"], box.book(order_id)["accept_calls"]) == ("READY", 0)


def test_nothing_there(box: Box, contract: Contract) -> None:
    """A store or order that does not exist is 404, for every call, and one merchant does not see another's orders."""
    order_id = a_ready_order(box)
    answers = [
        (EVENTS, "get", box.glopal("GET", "/v2/events/nobody")),
        (ORDER, "get", box.order("1-2")),
        (ACCEPT, "post", box.accept("1-2")),
        (CANCEL, "post", box.cancel("1-2")),
        (ORDER, "get", box.glopal("GET", f"/v2/orders/other/{order_id}")),
    ]
    for path, method, answer in answers:
        contract.answer(method, path, answer)
        assert answer.status_code == 404


def test_conflicts(box: Box, contract: Contract) -> None:
    """Acts that the order's status does not allow are 409, as the contract says."""
    received = box.running.generate(1, mix={"received": 1})[0]
    answer = box.accept(received)
    contract.answer("post", ACCEPT, answer)
    shipped = a_ready_order(box)
    box.running.change(shipped, shipped=True)
    refusal = box.cancel(shipped)
    contract.answer("post", CANCEL, refusal)
    assert (answer.status_code, refusal.status_code) == (409, 409)


@pytest.mark.parametrize(
    "body",
    [
        {"external": {"order_id": "92", "order_number": "00092"}},
        {"external": {"order_id": "9" * 64, "order_number": "1"}},
        {"external": {"order_id": "9" * 65, "order_number": "1"}},
        {"external": {"order_id": "", "order_number": "1"}},
        {"external": {"order_id": 92, "order_number": "1"}},
        {"external": {"order_id": None, "order_number": "1"}},
        {"external": {"order_id": "92"}},
        {"external": {"order_id": "92", "order_number": "1", "note": "x"}},
        {"external": {"order_id": "92", "order_number": "1"}, "note": "x"},
        {"external": "92"},
        {},
        [],
        "92",
        None,
    ],
)
def test_body_of_accept(box: Box, contract: Contract, body: Any) -> None:
    """The accept call takes exactly the bodies that the contract allows; another key is one too many."""
    order_id = a_ready_order(box)
    answer = box.accept(order_id, json=body)
    contract.answer("post", ACCEPT, answer)
    assert answer.status_code == (200 if contract.allows("AcceptRequest", body) else 422)
    assert box.book(order_id)["accepts"] == (1 if answer.status_code == 200 else 0)


@pytest.mark.parametrize("body", [{"reason": "x"}, {}, {"reason": 1}, {"reason": "x", "amount": "1"}, [], "x"])
def test_body_of_cancel(box: Box, contract: Contract, body: Any) -> None:
    """The cancel call takes exactly the bodies that the contract allows, and cancels nothing for any other."""
    order_id = a_ready_order(box)
    answer = box.cancel(order_id, json=body)
    assert answer.status_code == (200 if contract.allows("CancelRequest", body) else 400)
    assert box.book(order_id)["status"] == ("CANCELLED" if answer.status_code == 200 else "READY")


def test_cancel_without_a_body(box: Box, contract: Contract) -> None:
    """The body of a cancel is not required."""
    order_id = a_ready_order(box)
    answer = box.glopal("POST", f"/v2/orders/acme/{order_id}/cancel")
    assert contract.answer("post", CANCEL, answer)["status"] == "CANCELLED"


def test_accept_that_is_not_json(box: Box, contract: Contract) -> None:
    """A body that cannot be read is refused like one of the wrong shape."""
    order_id = a_ready_order(box)
    answer = box.accept(order_id, json=None, content=b"{")
    contract.answer("post", ACCEPT, answer)
    assert answer.status_code == 422


@pytest.mark.parametrize(("where", "kind"), [("*", "429"), ("*", "429_bare")])
def test_too_many(box: Box, contract: Contract, where: str, kind: str) -> None:
    """A 429 is as the contract says at every endpoint."""
    order_id = a_ready_order(box)
    box.fault(where, kind)
    for path, method, answer in (
        (EVENTS, "get", box.events()),
        (ORDER, "get", box.order(order_id)),
        (ACCEPT, "post", box.accept(order_id)),
        (CANCEL, "post", box.cancel(order_id)),
    ):
        contract.answer(method, path, answer)
        assert answer.status_code == 429


def test_unknown_fields_keep_to_the_contract(box: Box, contract: Contract) -> None:
    """Keys from the future are allowed by the contract, wherever they stand."""
    order_id = a_ready_order(box)
    box.fault("*", "unknown_fields")
    assert "x_added_later" in contract.answer("get", EVENTS, box.events())
    assert "x_added_later" in contract.answer("get", ORDER, box.order(order_id))
    assert "x_added_later" in contract.answer("post", ACCEPT, box.accept(order_id))
    assert "x_added_later" in contract.answer("post", CANCEL, box.cancel(order_id))


def test_no_such_call(box: Box) -> None:
    """Other paths are 404 and other methods 405."""
    order_id = a_ready_order(box)
    assert box.glopal("GET", "/v1/events/acme").status_code == 404
    assert box.glopal("POST", "/v2/events/acme").status_code == 405
    assert box.glopal("DELETE", f"/v2/orders/acme/{order_id}").status_code == 405
    assert box.glopal("GET", f"/v2/orders/acme/{order_id}/accept").status_code == 405


def test_order_id_with_a_path_in_it(box: Box) -> None:
    """An order whose id needs quoting is reached by its quoted id and by nothing else."""
    ids = box.running.generate(12, mix={"poison_id": 1})
    slashed = next(order_id for order_id in ids if "/" in order_id)
    assert box.order(slashed.replace("/", "%2F")).json()["id"] == slashed
    assert box.order(slashed).status_code == 404
