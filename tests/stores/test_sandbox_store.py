"""The HTTP store against the simulated store with its faults switched on: what is said must fit what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.outcome import Done, NotYet, RefusalCode, Refused, Unknown
from sandbox.running import STORE_TOKEN, RunningSandbox
from tests.stores.backends import an_order, done, failed

pytestmark = pytest.mark.asyncio

Open = Callable[..., Any]
BROKEN = ["timeout_before", "timeout_after", "reset_before", "reset_after", "cut_body", "broken_json", "html", "huge"]
CREATES = [
    *((kind, {}) for kind in ("500_before", "500_after", "502_after", "503_before", "504_after")),
    # The simulated store sends these with Retry-After after the effect, as a gateway may: they prove nothing.
    *((kind, {"retry_after": 1}) for kind in ("503_before", "503_after")),
    *((kind, {"seconds": 1.0}) for kind in BROKEN),
]


@pytest.fixture
def open_shop(sandbox: RunningSandbox, open_http: Open) -> Open:
    """Opens HTTP stores on an empty simulated store."""
    sandbox.reset()

    def opener(**limits: Any) -> Any:
        return open_http(base_url=sandbox.store_url, token=STORE_TOKEN, **{"max_body": 200_000, **limits})

    return opener


@pytest.mark.parametrize(("kind", "params"), CREATES)
async def test_create_with_a_fault(
    sandbox: RunningSandbox, open_shop: Open, kind: str, params: dict[str, float]
) -> None:
    """Whatever breaks a create, it is unknown, sent once, and a look and a second create end with one live order."""
    sandbox.faults([{"where": "store.create", "kind": kind, "times": 1, "params": params}], side="store")
    hasty = open_shop(timeout=0.5 if kind.startswith("timeout") else 5.0)
    failed(await hasty.create(an_order(), hold=False), Unknown)
    store = open_shop()
    books = sandbox.store_books()
    assert books["traffic"]["calls"]["store.create"] == 1
    found = await store.find(an_order().reference)
    assert isinstance(found, Done)
    assert (found.value is not None) == bool(books["orders"])
    again = await store.create(an_order(), hold=False)
    assert again.already == bool(books["orders"])
    assert list(sandbox.store_books()["live"].values()) == [1]


@pytest.mark.parametrize("kind", ["429", "429_bare"])
async def test_create_too_often(sandbox: RunningSandbox, open_shop: Open, kind: str) -> None:
    """A 429 is not yet, with the store's own wish when it has one, and nothing was written."""
    sandbox.faults([{"where": "store.create", "kind": kind, "times": 1}], side="store")
    store = open_shop()
    outcome = await store.create(an_order(), hold=False)
    failed(outcome, NotYet)
    assert outcome.retry_after == (1.0 if kind == "429" else None)
    assert sandbox.store_books()["orders"] == {}
    done(await store.create(an_order(), hold=False))


async def test_closed_for_repairs(sandbox: RunningSandbox, open_shop: Open) -> None:
    """A store that says that it is unavailable has not begun: not yet for writes and reads."""
    sandbox.store("outage", on=True)
    store = open_shop(retry_after_wait=0.5)
    for outcome in (await store.create(an_order(), hold=False), await store.find(an_order().reference)):
        failed(outcome, NotYet)
        assert outcome.retry_after <= 1.0


@pytest.mark.parametrize("kind", ["500_before", *BROKEN, "missing_field"])
async def test_lookup_with_a_fault(sandbox: RunningSandbox, open_shop: Open, kind: str) -> None:
    """No broken lookup says that there is no order, and the quick repeat finds it."""
    order = done(await open_shop().create(an_order(), hold=False))
    sandbox.faults([{"where": "store.find", "kind": kind, "times": 2, "params": {"seconds": 0.3}}], side="store")
    failed(await open_shop(read_tries=1).find(order.reference), NotYet)
    assert done(await open_shop(read_tries=2).find(order.reference)) == order


@pytest.mark.parametrize(
    ("sku", "code"), [("UNKNOWN-9", RefusalCode.UNKNOWN_SKU), ("NOSTOCK-9", RefusalCode.OUT_OF_STOCK)]
)
async def test_sku_is_named(open_shop: Open, sku: str, code: RefusalCode) -> None:
    """A SKU that the store refuses is named in the refusal."""
    order = an_order()
    bad = order.model_copy(update={"lines": [order.lines[0].model_copy(update={"sku": sku})]})
    outcome = await open_shop().create(bad, hold=False)
    assert f"SKU '{sku}'" in failed(outcome, Refused)
    assert outcome.code is code


async def test_unknown_fields(sandbox: RunningSandbox, open_shop: Open) -> None:
    """Keys that nobody knows change nothing."""
    sandbox.faults([{"where": "store.*", "kind": "unknown_fields"}], side="store")
    store = open_shop()
    order = done(await store.create(an_order(), hold=True))
    assert done(await store.find(order.reference)) == order
    assert done(await store.cancel(order.id, "x")).id == order.id


async def test_store_that_ignores_the_key(sandbox: RunningSandbox, open_shop: Open) -> None:
    """Two live orders with our reference in a store that ignores the key are a conflict, with both ids."""
    sandbox.store("settings", idempotent=False)
    store = open_shop()
    ids = [done(await store.create(an_order(), hold=False)).id for _ in range(2)]
    outcome = await store.find(an_order().reference)
    assert all(order_id in failed(outcome, Refused) for order_id in ids)
    assert outcome.code is RefusalCode.CONFLICT
