"""The generated orders: exact sums, real poison, canaries, and enough of the world."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox.countries import exponent
from sandbox.jsontext import dumps
from sandbox.orders import CANARY_DOMAIN, CANARY_PHONE
from sandbox.stories import MIXES, STORIES, GeneratedOrder, StoryError, generate
from tests.sandbox.kit import Box, exact

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ZERO = Decimal(0)
# Stories in which the total is wrong or cannot be had.
NO_SUM = {"poison_total", "poison_no_items", "poison_no_total"}


@pytest.fixture(scope="module")
def orders() -> list[GeneratedOrder]:
    """Two thousand orders of every story."""
    return generate(11, 2000, NOW, "all")


def of_story(orders: list[GeneratedOrder], story: str) -> list[dict[str, Any]]:
    """The documents of one story; there are some of each."""
    found = [order.document for order in orders if order.story == story]
    assert found
    return found


def contract_total(document: dict[str, Any]) -> Decimal:
    """The contract's section 2.2, written once more and not taken from the sandbox."""
    inclusive = document["prices_include_tax"]
    total = ZERO
    for item in document["items"]:
        line = item["unit_price"] * item["quantity"] - item.get("discount", ZERO)
        line += ZERO if inclusive else item.get("tax", ZERO)
        assert item["total"] == line
        total += line
    shipping, extra = document.get("shipping", {}), document.get("extra_charges", {})
    total += shipping.get("price", ZERO) + document.get("duties", ZERO) + extra.get("net", ZERO)
    if not inclusive:
        total += shipping.get("tax", ZERO) + extra.get("tax", ZERO)
    return Decimal(total - sum((one["amount"] for one in document.get("discounts", [])), ZERO))


def amounts(value: Any) -> list[Decimal]:
    """Every amount of a document; rates are none."""
    if isinstance(value, dict):
        kept = [item for key, item in value.items() if key not in {"exchange_rates", "tax_rate"}]
        return [amount for item in kept for amount in amounts(item)]
    if isinstance(value, list):
        return [amount for item in value for amount in amounts(item)]
    return [value] if isinstance(value, Decimal) else []


def test_sums_are_exact(orders: list[GeneratedOrder]) -> None:
    """Lines and charges add up to the total to the last digit, with tax inside the prices and without."""
    checked = [order.document for order in orders if order.story not in NO_SUM]
    assert {document["prices_include_tax"] for document in checked} == {True, False}
    for document in checked:
        assert contract_total(document) == document["total"]
        duties = sum((item.get("duty", ZERO) for item in document["items"]), ZERO)
        assert duties == document.get("duties", ZERO)
        for rate in (item["tax_rate"] for item in document["items"]):
            assert ZERO <= rate < 30


def test_no_digits_beyond_the_currency(orders: list[GeneratedOrder]) -> None:
    """No amount has more decimals than its currency, and currencies with 0, 2 and 3 decimals are there."""
    seen = set()
    for order in orders:
        if order.story == "poison_currency":
            continue
        digits = exponent(order.document["currency"])
        seen.add(digits)
        assert all(-Decimal(amount).as_tuple().exponent <= digits for amount in amounts(order.document))  # type: ignore[operator]
    assert seen == {0, 2, 3}


def test_tax_inside_the_prices(orders: list[GeneratedOrder]) -> None:
    """Where prices include tax, the tax of a line is what its price holds, and less than the price."""
    checked = 0
    for document in (order.document for order in orders if order.story == "plain"):
        for item in document["items"] if document["prices_include_tax"] else []:
            net = item["total"] / (1 + item["tax_rate"] / 100)
            assert abs(item["total"] - item["tax"] - net) <= Decimal(1).scaleb(-exponent(document["currency"]))
            checked += item["tax"] > 0
    assert checked


def test_sums_survive_the_wire(box: Box) -> None:
    """The digits that are served are the digits that were made."""
    ids = box.running.generate(30, mix={"plain": 1, "huge": 0.1, "tiny": 0.2})
    for order_id in ids:
        document = exact(box.order(order_id))
        assert contract_total(document) == document["total"]
        assert str(document["total"]) == box.book(order_id)["total"]


def test_poison_is_what_its_name_says(orders: list[GeneratedOrder]) -> None:
    """Every poisoned document has the fault that its story is named after."""
    fits: dict[str, Callable[[dict[str, Any]], bool]] = {
        "poison_total": lambda d: d["total"] != contract_total(d),
        "poison_currency": lambda d: d["currency"] == "XXQ",
        "poison_negative": lambda d: d["total"] < 0,
        "poison_absurd": lambda d: d["total"] > 10**14,
        "poison_no_items": lambda d: "items" not in d,
        "poison_no_total": lambda d: "total" not in d,
        "poison_no_customer": lambda d: "customer" not in d,
        "poison_environment": lambda d: d["environment"] == "test",
        "poison_no_rate": lambda d: d["exchange_rates"] == {} and d["currency"] not in {"EUR", "USD", "GBP"},
        "poison_unknown_sku": lambda d: any(item["sku"].startswith("UNKNOWN-") for item in d["items"]),
        "poison_out_of_stock": lambda d: any(item["sku"].startswith("NOSTOCK-") for item in d["items"]),
    }
    for story, bad in fits.items():
        assert all(bad(document) for document in of_story(orders, story)), story
        assert not any(bad(document) for document in of_story(orders, "plain")), story
    assert {order.status for order in orders if order.story == "poison_status"} == {"ON_HOLD"}
    odd = [order.order_id for order in orders if order.story == "poison_id"]
    assert all(set(order_id) & set("/%?. ") for order_id in odd)
    poisons = {story for story in STORIES if story.startswith("poison_")}
    assert poisons == {*fits, "poison_status", "poison_id"}


def test_sizes(orders: list[GeneratedOrder]) -> None:
    """Huge orders have 150 lines or more, tiny ones cost one minor unit."""
    assert min(len(document["items"]) for document in of_story(orders, "huge")) >= 150
    for document in of_story(orders, "tiny"):
        assert document["total"] == Decimal(1).scaleb(-exponent(document["currency"]))


def test_canaries_in_every_buyer(orders: list[GeneratedOrder]) -> None:
    """Every buyer has an e-mail address and a telephone number that can be searched for."""
    for document in (order.document for order in orders if order.story != "poison_no_customer"):
        assert document["customer"]["email"].endswith(f"@{CANARY_DOMAIN}")
        assert document["customer"]["phone"].startswith(f"+{CANARY_PHONE}")


def test_all_over_the_world(orders: list[GeneratedOrder]) -> None:
    """Many countries and currencies, scripts of the world, both shapes of order ids, three shapes of language."""
    documents = [order.document for order in orders]
    assert len({document["shipping_address"]["country"] for document in documents}) >= 25
    assert len({document["currency"] for document in documents}) >= 25
    names = "".join(document["shipping_address"]["last_name"] for document in documents)
    scripts = {"Greek": "Π", "Cyrillic": "Ш", "Arabic": "ا", "Hebrew": "כ", "Thai": "ด", "Devanagari": "श", "Han": "山"}
    assert [script for script, letter in scripts.items() if letter not in names] == []
    assert {type(document["language"]) for document in documents} == {str, list, dict}
    clean = [order.order_id for order in orders if order.story != "poison_id"]
    assert {order_id.replace("-", "").isdigit() for order_id in clean} == {True, False}
    assert len(set(clean)) == len(clean)


def test_exchange_rates(orders: list[GeneratedOrder]) -> None:
    """Rates are units of the buyer's currency for one of the base, so that a base amount is amount / rate."""
    yen = next(document for document in of_story(orders, "plain") if document["currency"] == "JPY")
    assert yen["exchange_rates"]["USD"]["rate"] > 100
    for document in of_story(orders, "plain"):
        assert set(document["exchange_rates"]) | {document["currency"]} >= {"USD", "EUR", "GBP"}
        assert all(entry["rate"] > 0 for entry in document["exchange_rates"].values())


def test_the_past_lies_in_the_past(orders: list[GeneratedOrder]) -> None:
    """Every event lies before the moment of the making, and the stories have the events of their lives."""
    lives = {"plain": 2, "received": 1, "cancelled_early": 2, "cancelled_ready": 3, "reordered_cancel": 3}
    for order in orders:
        assert all(at <= NOW for _, at in order.events)
        assert len(order.events) == lives.get(order.story, 2)


def test_same_seed_same_orders() -> None:
    """The same arguments give the same bytes, another seed gives others."""
    same = [[dumps(order.document) for order in generate(5, 60, NOW, "all")] for _ in range(2)]
    assert same[0] == same[1]
    assert same[0] != [dumps(order.document) for order in generate(6, 60, NOW, "all")]


def test_same_seed_same_world(box: Box) -> None:
    """After a reset the same seed gives the same ids, amounts and event ids over the wire."""

    def world() -> Any:
        box.running.reset()
        ids = box.running.generate(15, mix="demo")
        return ids, [box.book(order_id)["total"] for order_id in ids], [e["event_id"] for e in box.feed()]

    assert world() == world()


@pytest.mark.parametrize("name", MIXES)
def test_mixes_are_met_exactly(name: str) -> None:
    """A mix is shared out exactly rather than on average, so that small runs have every story."""
    orders = generate(1, 400, NOW, name, timedelta(hours=1))
    assert len(orders) == 400
    assert {order.story for order in orders} == set(MIXES[name])


@pytest.mark.parametrize("mix", ["nonsense", {"nonsense": 1}, {"plain": 0}])
def test_unknown_mix(mix: Any) -> None:
    """An unknown mix or story is named, with what is known."""
    with pytest.raises(StoryError, match=r"unknown|more than zero"):
        generate(1, 5, NOW, mix)
