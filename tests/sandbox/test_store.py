"""The simulated store keeps the contract of the HTTP order endpoint."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.sandbox.kit import Box, code

KEYS = {"id", "number", "reference", "state", "currency", "total"}


def order_of(answer: Any) -> dict[str, Any]:
    """The order of a good answer."""
    found: dict[str, Any] = answer.json()["order"]
    assert set(found) == KEYS
    return found


def test_create_and_create_again(box: Box) -> None:
    """A new reference is stored with 201; the same again, at once or later, gives the same order with 200."""
    first = box.create()
    assert first.status_code == 201
    order = order_of(first)
    assert (order["reference"], order["state"], order["total"]) == ("r-1", "open", "12.30")
    again = box.create()
    assert (again.status_code, order_of(again)) == (200, order)
    box.store("POST", f"/orders/{order['id']}/cancel", json={"reason": "x"})
    late = box.create()
    assert (late.status_code, order_of(late)["state"]) == (200, "cancelled")
    assert box.running.store_books()["live"] == {"r-1": 0}


def test_creates_at_the_same_time(box: Box) -> None:
    """Of five creates of one reference at once one stores it and four find it."""
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(box.create().status_code)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 200, 200, 201]
    assert len(box.shop()) == 1


def test_reference_conflict(box: Box) -> None:
    """The same reference with another total is refused, and the order stays as it is."""
    box.create()
    answer = box.create(total="12.31")
    assert (answer.status_code, code(answer)) == (409, "reference_conflict")
    assert [order["total"] for order in box.shop().values()] == ["12.30"]


def test_a_store_that_ignores_the_key(box: Box) -> None:
    """With idempotence off every create makes another order, and the books say so."""
    box.running.store("settings", idempotent=False)
    assert [box.create().status_code for _ in range(3)] == [201, 201, 201]
    books = box.running.store_books()
    assert (books["live"], books["duplicates"]) == ({"r-1": 3}, ["r-1"])
    assert len(box.find().json()["orders"]) == 3


@pytest.mark.parametrize(("sku", "why"), [("UNKNOWN-7", "unknown_sku"), ("NOSTOCK-7", "out_of_stock")])
def test_refused_sku(box: Box, sku: str, why: str) -> None:
    """A SKU that cannot be sold is named with its line, nothing is stored, and a person can mend it."""
    answer = box.create(sku=sku)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["sku"], error["field"]) == (422, why, sku, "lines[1].sku")
    assert box.shop() == {}
    box.running.store("fix-sku", sku=sku)
    assert box.create(sku=sku).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"reference": "r-1", "hold": False},
        {"reference": "r-1", "hold": "no", "order": {"currency": "EUR", "total": "1.00", "lines": []}},
        {"reference": "r-1", "hold": False, "order": {"currency": "EUR", "total": 1.5, "lines": []}},
        {"reference": "r-1", "hold": False, "order": {"currency": "EUR", "lines": []}},
        {"reference": "r-1", "hold": False, "order": {"currency": "EUR", "total": "1.00", "lines": None}},
        {"reference": "r-2", "hold": False, "order": {"currency": "EUR", "total": "1.00", "lines": []}},
    ],
)
def test_orders_that_are_none(box: Box, body: Any) -> None:
    """A body that is not what the contract says, or whose key is another reference, is refused and not stored."""
    answer = box.create(json=body)
    assert (answer.status_code, code(answer)) == (422, "invalid_order")
    assert box.shop() == {}


def test_find(box: Box) -> None:
    """A lookup gives the orders with exactly this reference, and an empty list for any other."""
    order = order_of(box.create())
    box.create("r-11")
    assert box.find().json() == {"orders": [order]}
    for nothing in ("r", "R-1", "r-2", ""):
        assert (box.find(nothing).status_code, box.find(nothing).json()) == (200, {"orders": []})


def test_read(box: Box) -> None:
    """An order is read by its id; an id that is not there is 404."""
    order = order_of(box.create())
    assert order_of(box.store("GET", f"/orders/{order['id']}")) == order
    answer = box.store("GET", "/orders/so_9")
    assert (answer.status_code, code(answer)) == (404, "not_found")


def test_hold_and_release(box: Box) -> None:
    """A held order is released once; releasing it again, or one that has shipped, changes nothing."""
    order = order_of(box.create(hold=True))
    assert order["state"] == "held"
    release = f"/orders/{order['id']}/release"
    assert [order_of(box.store("POST", release, json={}))["state"] for _ in range(2)] == ["open", "open"]
    box.running.store("ship", reference="r-1")
    assert order_of(box.store("POST", release, json={}))["state"] == "shipped"


def test_cancel(box: Box) -> None:
    """A cancel may be repeated; a cancelled order is not released, a shipped one not cancelled."""
    order = order_of(box.create(hold=True))
    cancel = f"/orders/{order['id']}/cancel"
    for reason in ("first", "second"):
        assert order_of(box.store("POST", cancel, json={"reason": reason}))["state"] == "cancelled"
    assert box.shop()[order["id"]]["cancel_reason"] == "first"
    answer = box.store("POST", f"/orders/{order['id']}/release", json={})
    assert (answer.status_code, code(answer)) == (409, "order_cancelled")
    other = order_of(box.create("r-2"))
    box.running.store("ship", reference="r-2")
    answer = box.store("POST", f"/orders/{other['id']}/cancel", json={"reason": "x"})
    assert (answer.status_code, code(answer)) == (409, "already_shipped")


def test_notes_and_ping(box: Box) -> None:
    """Notes are counted, and ping answers a good token."""
    order = order_of(box.create())
    assert box.store("POST", f"/orders/{order['id']}/notes", json={"text": "a word"}).status_code == 201
    assert box.shop()[order["id"]]["notes"] == 1
    assert box.store("GET", "/ping").json() == {"ok": True}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_wrong_token(box: Box, headers: dict[str, str]) -> None:
    """Without the right token every call is 401, and nothing is stored."""
    assert box.create(headers={**headers, "Idempotency-Key": "r-1"}).status_code == 401
    for method, path in (("GET", "/ping"), ("GET", "/orders?reference=r-1"), ("POST", "/orders/so_1/cancel")):
        assert box.store(method, path, headers=headers).status_code == 401
    assert box.shop() == {}


def test_outage(box: Box) -> None:
    """A store that is closed answers 503 with a wish and the JSON error to everything, and has done nothing."""
    box.running.store("outage", on=True)
    for answer in (box.create(), box.find(), box.store("GET", "/ping")):
        assert (answer.status_code, code(answer)) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    assert box.shop() == {}
    box.running.store("outage", on=False)
    assert box.create().status_code == 201


def test_changes_by_hand(box: Box) -> None:
    """The control plane sets states, changes what the store shows, and deletes; ids are never given out twice."""
    ids = [order_of(box.create(f"r-{number}"))["id"] for number in range(3)]
    box.running.store("change", reference="r-0", new_total="9.99", new_reference="r-x")
    [shown] = box.find("r-0").json()["orders"]
    assert (shown["total"], shown["reference"]) == ("9.99", "r-x")
    assert box.running.store("delete", reference="r-0") == {"deleted": 1}
    assert order_of(box.create("r-new"))["id"] not in ids
    assert len(box.shop()) == 3
    box.running.store("state", reference="r-1", state="held")
    assert box.find("r-1").json()["orders"][0]["state"] == "held"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("ship", {"reference": "nope"}, 404),
        ("ship", {}, 422),
        ("state", {"reference": "nope"}, 422),
        ("state", {"reference": "r-1", "state": "odd"}, 422),
        ("change", {"reference": "nope"}, 404),
        ("settings", {"nonsense": True}, 422),
        ("fix-sku", {}, 422),
    ],
)
def test_control_plane_refuses(box: Box, path: str, body: Any, status: int) -> None:
    """The control plane says what is wrong instead of doing nothing."""
    box.create()
    assert box.http.post(f"{box.running.store_url}/_sandbox/{path}", json=body).status_code == status
