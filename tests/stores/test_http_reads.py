"""Lookups of the HTTP store: "none" is only what clearly says none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.ids import Reference, StoreOrderId
from models.outcome import Done, NotYet, RefusalCode, Refused
from tests.stores.backends import an_order, done, failed
from tests.stores.endpoint import HTML, PAGE, REFERENCE, Endpoint, error, http, reset, shown, then_close

pytestmark = pytest.mark.asyncio

Open = Callable[..., Any]


async def test_find_ignores_other_references(endpoint: Endpoint, open_http: Open) -> None:
    """A platform that ignores the filter and answers with other orders has not found ours."""
    others = [
        shown(reference="glopal.live.shop.2"),
        shown(reference=REFERENCE + "0"),
        shown(reference=REFERENCE.upper()),
    ]
    endpoint.steps = [http(200, {"orders": others}), http(200, {"orders": [*others, shown()]})]
    store = open_http()
    assert await store.find(REFERENCE) == Done(None)
    assert done(await store.find(REFERENCE)).id == "1"


async def test_find_asks_exactly(endpoint: Endpoint, open_http: Open) -> None:
    """The reference goes into the query as one value, whatever it holds."""
    done(await open_http().create(an_order("a&b=c"), hold=False))
    done(await open_http().find(Reference("glopal.live.shop.a&b=c")))
    assert endpoint.requests[-1].target == "/shop/orders?reference=glopal.live.shop.a%26b%3Dc"


@pytest.mark.parametrize(
    ("states", "found"),
    [
        (["open", "cancelled"], "1"),
        (["cancelled", "held"], "2"),
        (["open", "shipped"], None),
        (["cancelled", "cancelled"], None),
        (["cancelled", "open", "held"], None),
    ],
)
async def test_two_with_our_reference(
    endpoint: Endpoint, open_http: Open, states: list[str], found: str | None
) -> None:
    """Of several orders with our reference the only live one counts; anything else is for a person, with the ids."""
    orders = [shown(id=str(i), state=state) for i, state in enumerate(states, 1)]
    endpoint.steps = [http(200, {"orders": orders})]
    outcome = await open_http().find(REFERENCE)
    if found is not None:
        assert done(outcome).id == found
        return
    message = failed(outcome, Refused)
    assert outcome.code is RefusalCode.CONFLICT
    assert all(f"'{i}'" in message for i in range(1, len(states) + 1))


async def test_same_order_listed_twice(endpoint: Endpoint, open_http: Open) -> None:
    """One order that is listed twice is one order."""
    endpoint.steps = [http(200, {"orders": [shown(), shown()]})]
    assert done(await open_http().find(REFERENCE)).id == "1"


@pytest.mark.parametrize(
    "answer",
    [
        http(200, b"<html>canary", headers=PAGE),
        http(200, {}),
        http(200, {"orders": None}),
        http(200, {"orders": ["x"]}),
        http(200, {"orders": [{"id": "1"}]}),
        http(200, {"orders": [shown(total=None)]}),
        http(200, b" " * 200_000 + b'{"orders": []}'),
        http(200, b'{"orders": []}', length=500),
        http(204),
        HTML,
        http(429),
        http(408),
    ],
)
async def test_broken_lookup_is_never_none(endpoint: Endpoint, open_http: Open, answer: bytes) -> None:
    """An answer that does not clearly say "none" never counts as none, however often it comes."""
    endpoint.steps = [then_close(answer)] * 2
    failed(await open_http(max_body=100_000, read_tries=2).find(REFERENCE), NotYet)
    assert len(endpoint.requests) == 2


async def test_reads_are_repeated_quickly(endpoint: Endpoint, open_http: Open) -> None:
    """A read survives a hiccup or two, and a write is never repeated."""
    store = open_http(read_tries=3)
    done(await store.create(an_order(), hold=False))
    endpoint.steps = [reset, HTML]
    assert done(await store.find(REFERENCE)).id == "1"
    assert len(endpoint.requests) == 4


async def test_lookup_at_a_wrong_address(endpoint: Endpoint, open_http: Open) -> None:
    """A 404 on the list means a wrong address and not a missing order."""
    endpoint.steps = [error(404, "not_found"), http(404, b"<html>")]
    store = open_http()
    for _ in range(2):
        outcome = await store.find(REFERENCE)
        assert "base_url" in failed(outcome, Refused)
        assert outcome.code is RefusalCode.OTHER


async def test_read_of_a_missing_order(endpoint: Endpoint, open_http: Open) -> None:
    """A single order is missing only when the contract's error says so, and never when a web server's page does."""
    endpoint.steps = [error(404, "not_found"), http(404, b"<html>"), http(200, {"order": shown(id="2")})]
    store = open_http()
    assert await store.read(StoreOrderId("1")) == Done(None)
    assert failed(await store.read(StoreOrderId("1")), Refused)
    assert "another order" in failed(await store.read(StoreOrderId("1")), NotYet)
