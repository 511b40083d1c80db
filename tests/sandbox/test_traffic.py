"""The books of the traffic: calls, answers, calls at the same time, calls inside a Retry-After."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from sandbox.running import GLOPAL_KEY
from tests.sandbox.kit import Box


def test_calls_and_answers(box: Box) -> None:
    """Calls are counted by endpoint and answers by endpoint and status; the control plane's are not."""
    order_id = box.running.generate(1)[0]
    box.events()
    box.order(order_id)
    box.accept(order_id)
    box.accept(order_id, store_order="93")
    box.fault("order", "reset_before", times=1)
    box.fault("cancel", "500_after")
    box.cancel(order_id)
    traffic = box.traffic()
    assert traffic["calls"] == {"events": 1, "order": 1, "accept": 2, "cancel": 1}
    wanted = {"events:200": 1, "order:200": 1, "accept:200": 1, "accept:409": 1, "cancel:500": 1}
    assert traffic["answers"] == wanted


def early(box: Box, side: str = "glopal") -> dict[str, Any]:
    """What one side noted about Retry-After."""
    found: dict[str, Any] = box.traffic(side)["retry_after"]
    return found


def test_calls_inside_retry_after(box: Box) -> None:
    """A call before the wait is over is noted: about the same order, or about any."""
    one, two = box.running.generate(2)
    box.fault("accept", "429", times=1, params={"retry_after": 30})
    assert box.accept(one).status_code == 429
    box.accept(one)
    box.accept(two)
    box.order(one)
    noted = early(box)
    assert (noted["answers"], noted["calls_inside_same_key"], noted["calls_inside_any"]) == (1, 1, 3)
    assert [(call["endpoint"], call["key"], call["same_key"]) for call in noted["early_calls"]] == [
        ("accept", one, True),
        ("accept", two, False),
        ("order", one, False),
    ]
    assert all(0 <= call["ms_after_answer"] <= 30_000 for call in noted["early_calls"])


def test_a_caller_who_waits(box: Box) -> None:
    """A call after the wait is not noted, and a 429 without a wish binds nobody."""
    order_id = box.running.generate(1)[0]
    box.fault("accept", "429", times=1, params={"retry_after": 1})
    wait = int(box.accept(order_id).headers["retry-after"])
    time.sleep(wait)
    box.accept(order_id)
    box.fault("order", "429_bare", times=1)
    box.order(order_id)
    box.order(order_id)
    assert (early(box)["answers"], early(box)["calls_inside_any"]) == (1, 0)


def test_other_answers_that_ask_to_wait(box: Box) -> None:
    """A 503 with a wish binds like a 429, and so does a store that is closed for repairs."""
    box.fault("store.create", "503_before", times=1, params={"retry_after": 30})
    box.create()
    box.create()
    assert early(box, "store")["calls_inside_same_key"] == 1
    box.running.reset()
    box.running.store("outage", on=True)
    assert box.find().headers["retry-after"] == "1"
    box.running.store("outage", on=False)
    box.find()
    assert early(box, "store")["calls_inside_any"] == 1
    assert box.traffic("store")["answers"] == {"store.outage:503": 1, "store.find:200": 1}


def test_calls_at_the_same_time(box: Box) -> None:
    """The books know the most calls that were open at once."""
    box.events()
    assert box.traffic()["max_in_flight"] == 1
    box.fault("events", "slow", params={"seconds": 0.3})
    threads = [threading.Thread(target=box.events) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert box.traffic()["max_in_flight"] == 4


def test_a_body_after_the_answer_is_no_new_call(box: Box) -> None:
    """A call that is answered before its body has come in counts as one call, not two."""
    place = urlsplit(box.running.store_url)
    head = b"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\nContent-Length: 8\r\n\r\n"
    for _ in range(3):
        with socket.create_connection((place.hostname, place.port)) as connection:
            connection.sendall(head)
            assert b" 401 " in connection.recv(4096)
            connection.sendall(b"12345678")
            # A call of somebody else, while this connection is quiet.
            assert box.store("GET", "/ping").status_code == 200
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n")
            assert b" 401 " in connection.recv(4096)
    assert box.traffic("store")["max_in_flight"] == 1


def test_kept_alive(box: Box) -> None:
    """One connection serves one call after the other, and an answer comes as one piece."""
    box.running.generate(1)
    place = urlsplit(box.running.glopal_url)
    request = f"GET /v2/events/acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {GLOPAL_KEY}\r\n\r\n".encode()
    with socket.create_connection((place.hostname, place.port)) as connection:
        for _ in range(5):
            connection.sendall(request)
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK")
            assert answer.endswith(b"]}")
