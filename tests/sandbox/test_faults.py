"""Faults that spoil an answer: each really happens on the wire, with the effect done or not as its name says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sandbox.faults import BREAKING
from tests.sandbox.kit import Box

STATUSES = [f"{status}_{when}" for status in (500, 502, 503, 504) for when in ("before", "after")]
TORN = (httpx.ReadError, httpx.RemoteProtocolError)
# Kinds whose name does not say whether the effect is done: these do it, the others do not unless told so.
DONE = {"cut_body", "broken_json", "wrong_content_type"}
# The caller gives up long before; the sandbox lets go of the call when it is closed.
HOLD = {"seconds": 30}

Act = Callable[..., httpx.Response]


class Write:
    """A write of either side: how to call it, and whether it was done."""

    def __init__(self, box: Box, name: str) -> None:
        self.box = box
        self.name = name
        self.key = "r-1" if name.startswith("store.") else box.running.generate(1)[0]
        self.store_id = ""
        if name in {"store.release", "store.cancel", "store.note"}:
            self.store_id = box.create(hold=True).json()["order"]["id"]

    def call(self, **more: Any) -> httpx.Response:
        """Do it."""
        if self.name in {"accept", "cancel"}:
            act: Act = self.box.accept if self.name == "accept" else self.box.cancel
            return act(self.key, **more)
        if self.name == "store.create":
            return self.box.create(**more)
        action = {"store.note": "notes"}.get(self.name, self.name.removeprefix("store."))
        return self.box.store("POST", f"/orders/{self.store_id}/{action}", json={"text": "x"}, **more)

    def done(self) -> bool:
        """Whether it happened, by the books."""
        if self.name in {"accept", "cancel"}:
            return bool(self.box.book(self.key)["status"] != "READY")
        if self.name == "store.create":
            return len(self.box.shop()) == 1
        order = self.box.shop()[self.store_id]
        return bool(order["notes"] or order["state"] != "held")


WRITES = ["accept", "cancel", "store.create", "store.release", "store.cancel", "store.note"]


def expected(kind: str) -> bool:
    """Whether a kind does the effect."""
    return kind.endswith("_after") or kind in DONE


@pytest.mark.parametrize("name", WRITES)
def test_effect_of_every_kind(box: Box, name: str) -> None:
    """Every breaking fault of a write does the effect or leaves it, as its name says, and heals when it is spent."""
    for kind in sorted(BREAKING):
        box.running.reset()
        write = Write(box, name)
        params = {"size_mb": 1} if kind == "huge" else HOLD if kind.startswith("timeout") else {}
        box.fault(name, kind, times=1, params=params)
        try:
            answer = write.call(timeout=0.15 if kind.startswith("timeout") else 20)
        except httpx.TransportError:
            assert kind.startswith(("timeout_", "reset_", "cut_"))
        else:
            assert not kind.startswith(("timeout_", "reset_", "cut_"))
            answer.close()
        assert write.done() == expected(kind), kind
        assert write.call().status_code in {200, 201}, kind
        assert write.done()
        books = box.running.store_books() if name.startswith("store.") else box.running.books()
        assert books["injected"] == {f"{name}:{kind}": 1}


@pytest.mark.parametrize("kind", STATUSES)
def test_status(box: Box, kind: str) -> None:
    """A server error has its status, a body in the side's own form, and a Retry-After only when one is wanted."""
    order_id = box.running.generate(1)[0]
    box.fault("order", kind, times=1)
    plain = box.order(order_id)
    box.fault("order", kind, times=1, params={"retry_after": 7})
    waiting = box.order(order_id)
    assert [plain.status_code, waiting.status_code] == [int(kind[:3])] * 2
    assert "retry-after" not in plain.headers
    assert waiting.headers["retry-after"] == "7"
    assert plain.json()["error"]["code"] == "server_error"
    assert box.book(order_id)["reads"] == (2 if kind.endswith("after") else 0)


def test_429(box: Box) -> None:
    """A 429 tells its wait in seconds, as a date, or not at all."""
    for params, kind in (
        ({"retry_after": 3}, "429"),
        ({"retry_after": 30, "http_date": True}, "429"),
        ({}, "429_bare"),
    ):
        box.fault("events", kind, times=1, params=params)
        answer = box.events()
        assert answer.status_code == 429
        wish = answer.headers.get("retry-after")
        if kind == "429_bare":
            assert wish is None
        elif "http_date" in params:
            assert wish.endswith(" GMT")
            wait = parsedate_to_datetime(wish) - datetime.now(UTC)
            assert timedelta(0) < wait <= timedelta(seconds=31)
        else:
            assert wish == "3"


@pytest.mark.parametrize("where", ["events", "order"])
@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
def test_timeout(box: Box, where: str, kind: str) -> None:
    """A simulated time-out holds the call until its caller gives up; a patient one sees the connection closed."""
    order_id = box.running.generate(1)[0]
    act: Act = box.events if where == "events" else lambda: box.order(order_id)
    box.http.timeout = httpx.Timeout(0.15)
    try:
        box.fault(where, kind, times=1, params=HOLD)
        with pytest.raises(httpx.ReadTimeout):
            act()
    finally:
        box.http.timeout = httpx.Timeout(20)
    box.fault(where, kind, times=1, params={"seconds": 0.05})
    with pytest.raises(TORN):
        act()
    assert box.book(order_id)["reads"] == (2 if (where, kind) == ("order", "timeout_after") else 0)
    assert act().status_code == 200


@pytest.mark.parametrize("kind", ["reset_before", "reset_after"])
def test_reset(box: Box, kind: str) -> None:
    """A reset tears the connection down without a byte of an answer."""
    order_id = box.running.generate(1)[0]
    box.fault("accept", kind, times=1)
    with pytest.raises(TORN):
        box.accept(order_id)
    assert box.traffic()["answers"]["accept:reset"] == 1


def test_cut_body(box: Box) -> None:
    """A cut answer promises its whole length, gives half of it, and breaks off."""
    order_id = box.running.generate(1, mix={"huge": 1})[0]
    whole = len(box.order(order_id).content)
    box.fault("order", "cut_body", times=1)
    url = f"{box.running.glopal_url}/v2/orders/acme/{order_id}"
    with box.http.stream("GET", url, headers=box.glopal_headers) as answer:
        assert (answer.status_code, answer.headers["content-length"]) == (200, str(whole))
        parts = answer.iter_raw()
        with pytest.raises(TORN):
            b"".join(parts)
    assert answer.num_bytes_downloaded <= whole // 2


def test_broken_json(box: Box) -> None:
    """Broken JSON comes with status 200 and the right type, begins well and cannot be read."""
    order_id = box.running.generate(1)[0]
    good = box.order(order_id).content
    box.fault("order", "broken_json", times=1)
    answer = box.order(order_id)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.content[:40] == good[:40]
    with pytest.raises(ValueError, match=r"."):
        answer.json()


@pytest.mark.parametrize("effect", [False, True])
def test_html(box: Box, effect: bool) -> None:
    """A page of HTML comes with the status that is wanted, after the effect if that is wanted, too."""
    order_id = box.running.generate(1)[0]
    box.fault("accept", "html", times=1, params={"status": 502, "effect": effect})
    answer = box.accept(order_id)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert box.book(order_id)["accepts"] == int(effect)


@pytest.mark.parametrize("chunked", [True, False])
def test_huge(box: Box, chunked: bool) -> None:
    """A huge answer is streamed, valid JSON to its end, and of the size that is wanted."""
    box.fault("events", "huge", times=1, params={"size_mb": 3, "chunked": chunked})
    answer = box.events()
    assert len(answer.content) > 3 * 1024 * 1024
    assert ("content-length" in answer.headers) is not chunked
    assert set(answer.json()) == {"padding"}


def test_huge_that_nobody_reads(box: Box) -> None:
    """A caller may leave in the middle of a huge answer, and the sandbox goes on."""
    box.fault("events", "huge", times=1, params={"size_mb": 200})
    with box.http.stream("GET", f"{box.running.glopal_url}/v2/events/acme", headers=box.glopal_headers) as answer:
        assert len(next(answer.iter_raw())) > 0
    assert box.events().status_code == 200


@pytest.mark.parametrize("given", [None, "application/xml"])
def test_wrong_content_type(box: Box, given: str | None) -> None:
    """The body is right and its type is wrong."""
    order_id = box.running.generate(1)[0]
    good = box.order(order_id).content
    box.fault("order", "wrong_content_type", times=1, params={"content_type": given} if given else {})
    answer = box.order(order_id)
    assert answer.headers["content-type"] == (given or "text/plain; charset=utf-8")
    assert answer.content == good


@pytest.mark.parametrize("kind", sorted(BREAKING - {"huge"}))
def test_reads_of_the_store(box: Box, kind: str) -> None:
    """Every breaking fault can meet a lookup, and the next lookup finds what there is."""
    box.create()
    box.fault("store.find", kind, times=1, params=HOLD if kind.startswith("timeout") else {})
    try:
        answer = box.find(timeout=0.15 if kind.startswith("timeout") else 20)
    except httpx.TransportError:
        assert kind.startswith(("timeout_", "reset_", "cut_"))
    else:
        good = answer.status_code == 200 and answer.headers["content-type"] == "application/json"
        assert not good or kind == "broken_json"
    assert len(box.find().json()["orders"]) == 1


def test_slow(box: Box) -> None:
    """A slow call is answered well, after the effect, to a caller who waits."""
    order_id = box.running.generate(1)[0]
    box.fault("accept", "slow", times=2, params={"seconds": 0.3})
    with pytest.raises(httpx.ReadTimeout):
        box.accept(order_id, timeout=0.05)
    assert box.accept(order_id).json()["status"] == "ACCEPTED"
    assert box.book(order_id)["accepts"] == 1
