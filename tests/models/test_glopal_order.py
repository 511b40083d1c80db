"""The canonical order made of Glopal's document: every sum holds, every poison is named."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings

from models.document import OrderAmounts, OrderDocument
from models.glopal import GlopalMapping, LineMapping
from models.money import exponent, round_minor, total_of
from models.outcome import BadDocument
from tests.models.orders import ORDER, address, document, line, mapped, order_documents, raw
from tests.support import Canaries, assert_no_canary


def _sum(amounts: OrderAmounts) -> Decimal:
    return total_of(
        [
            amounts.goods,
            amounts.shipping,
            amounts.shipping_tax,
            amounts.duties,
            amounts.extra_charges,
            amounts.extra_charges_tax,
            -amounts.discount,
            amounts.residual,
        ]
    )


def test_hand_made_order_is_mapped() -> None:
    """Every part of a plain order lands in its place, in both currencies."""
    order = mapped(document())

    assert order.reference == f"glopal.live.912.{ORDER}"
    assert (order.currency, order.total, order.residual) == ("EUR", Decimal("29.44"), Decimal(0))
    assert (order.base_currency, order.base.total) == ("USD", Decimal("32.34"))
    assert (order.rate, order.rate_source) == (Decimal("0.9102"), "exchange_rates.USD.rate")
    assert order.buyer.email == Canaries.EMAIL
    assert (order.shipping_address.city, order.billing_address.country) == ("Łódź", "PL")
    assert order.original_shipping_address is None
    assert (order.shipping_method, order.payment_method, order.language) == ("DHL Express", "card", "pl-PL")
    [entry] = order.lines
    assert (entry.sku, entry.quantity, entry.total) == ("SKU-1", 2, Decimal("22.80"))
    assert entry.options == {"size": "L", "colour": "blue"}
    assert order.extra == {}


def test_contract_sample_rate_is_used() -> None:
    """EUR 91.02 at 0.9102 is USD 100.00, as the contract's sample says."""
    body = document(items=[line(unit_price=91.02, quantity=1, discount=0, tax=0, total=91.02)], total=91.02)
    body |= {"shipping": None, "duties": None, "extra_charges": None, "discounts": None}

    assert mapped(body).base.total == Decimal("100.00")


@settings(max_examples=80)
@given(order_documents())
def test_sums_always_hold_in_both_currencies(made: tuple[dict[str, Any], str]) -> None:
    """Whatever the currencies, tax mode and decimals: the parts and the residual are the total, to the unit."""
    body, base = made
    order = mapped(body, base)

    assert order.total == round_minor(Decimal(body["total"]), order.currency)
    assert _sum(order) == order.total
    assert _sum(order.base) == order.base.total
    assert total_of(entry.total for entry in order.lines) == order.goods
    assert total_of(entry.base.total for entry in order.lines) == order.base.goods
    assert total_of(entry.base_amount for entry in order.discounts) == order.base.discount
    for amounts, currency in ((order, order.currency), (order.base, base)):
        assert all(value == round_minor(value, currency) for _, value in OrderAmounts(**_parts(amounts)))
    # Half a unit for each rounded part is the most that can be left over; the paid total is rounded before it is
    # converted, so its own rounding comes on top of that.
    parts = len(order.lines) + len(order.discounts) + 6
    unit, base_unit = (Decimal(1).scaleb(-exponent(currency)) for currency in (order.currency, base))
    assert abs(order.residual) * 2 <= parts * unit
    assert abs(order.base.residual) * 2 <= (parts + 1) * base_unit + 2 * unit / order.rate


def _parts(amounts: OrderAmounts) -> dict[str, Decimal]:
    return {name: getattr(amounts, name) for name in OrderAmounts.model_fields}


@settings(max_examples=50)
@given(order_documents())
def test_canonical_json_keeps_every_amount(made: tuple[dict[str, Any], str]) -> None:
    """The stored form reads back as the same order, and no amount in it is a JSON float."""
    order = mapped(*made)
    text = order.to_json()

    assert OrderDocument.model_validate_json(text) == order
    json.loads(text, parse_float=lambda number: pytest.fail(f"a float: {number}"))


def test_tax_inside_prices_is_not_added_again() -> None:
    """With tax-inclusive prices the tax parts are a breakdown: 20 - 1 + 5 + 2 + 1 - 2.5 = 24.5."""
    order = mapped(document(prices_include_tax=True, items=[line(total=19.00)], total=24.50))

    assert (order.goods, order.shipping_tax, order.extra_charges_tax) == (Decimal(19), Decimal(0), Decimal(0))
    assert order.lines[0].tax == Decimal("3.80")


def test_nine_decimals_are_judged_by_their_exact_sum() -> None:
    """Three lines of 0.333333333 and a total of 1.00 agree; what rounding leaves is the residual."""
    part = {"sku": "A", "quantity": 1, "unit_price": Decimal("0.333333333")}
    body = document(items=[part] * 3, shipping=None, duties=None, extra_charges=None, discounts=None, total=1.00)
    order = mapped(body)

    assert (order.goods, order.residual, order.total) == (Decimal("0.99"), Decimal("0.01"), Decimal("1.00"))


def test_same_currency_needs_no_rate() -> None:
    """When the buyer paid in the merchant's currency the rate is one, and both sides are equal."""
    order = mapped(document(exchange_rates=None), "EUR")

    assert (order.rate, order.rate_source) == (Decimal(1), "same currency")
    assert _parts(order) == _parts(order.base)


@pytest.mark.parametrize(
    ("language", "read"),
    [
        ("fr-FR", "fr-FR"),
        (["fr", "fr-FR"], "fr"),
        ({"0": "fr", "1": "fr-FR"}, "fr"),
        (None, ""),
        ([], ""),
        ({}, ""),
        (7, "7"),
        (True, ""),
        ([[["fr"]]], "fr"),
    ],
)
def test_language_comes_in_many_shapes(language: object, read: str) -> None:
    """A text, a list or an object of languages are all read as the first one."""
    assert mapped(document(language=language)).language == read


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({"size": "L"}, {"size": "L"}),
        ([{"name": "size", "value": "L"}, {"name": "fit", "value": None}], {"size": "L", "fit": ""}),
        (["L", 5], {"option 1": "L", "option 2": "5"}),
        (None, {}),
        ("L", {}),
    ],
)
def test_options_come_in_many_shapes(options: object, read: dict[str, str]) -> None:
    """An object, a list of pairs and a list of texts all become one table."""
    assert mapped(document(items=[line(options=options)])).lines[0].options == read


def test_unknown_fields_are_carried_along() -> None:
    """Keys that no mapping knows come through as extra, numbers as exact text; documented keys don't."""
    order = mapped(document(vat={"ioss": "IM123", "rate": Decimal("0.10")}, flags=[1.50, None, True], returns=[]))

    assert order.extra == {"vat": {"ioss": "IM123", "rate": "0.10"}, "flags": ["1.5", None, True]}


def test_parcel_forwarding_keeps_the_buyers_own_address() -> None:
    """The real address behind a forwarding hub is kept apart from the hub's."""
    body = document(shipping_address=address(city="Hub 7"))
    body["customer"]["original_shipping_address"] = address(city="Łódź")
    order = mapped(body)

    assert order.shipping_address.city == "Hub 7"
    assert order.original_shipping_address is not None
    assert order.original_shipping_address.city == "Łódź"


def test_mapping_is_followed_where_a_merchant_changes_it() -> None:
    """Other paths and line keys are read when the configuration says so."""
    body = document(lines=[line(price=10.00, unit_price=None)], amounts={"grand": 29.44}, total=None)
    mapping = GlopalMapping(lines="lines", total="amounts.grand", line=LineMapping(unit_price="price"))

    assert mapped(body, mapping=mapping).total == Decimal("29.44")


def test_half_characters_and_nul_do_not_stop_an_order() -> None:
    """JSON may escape half a character or a NUL; the order is mapped and can be stored and read again."""
    body = document(customer_note="a\ud800b\x00c", note2={"k\udfff": "\ud83d\ude00"})
    order = mapped(json.dumps(body, default=str).encode())

    assert order.customer_note == "a\ufffdb\ufffdc"
    assert order.extra["note2"] == {"k\ufffd": "😀"}
    assert OrderDocument.model_validate_json(order.to_json()) == order


CANARY = Canaries.EMAIL
DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]

POISON: dict[str, tuple[dict[str, Any], str, str]] = {
    "total wrong": (document(total=29.45), "sum_mismatch", "total"),
    "total wrong by much": (document(total=2944), "sum_mismatch", "total"),
    "line total wrong": (document(items=[line(total=22.81)]), "sum_mismatch", r"items\[0\]"),
    "tax mode wrong": (document(prices_include_tax=True), "sum_mismatch", r"items\[0\]"),
    "discounts no list": (document(discounts={"amount": 2.50}), "sum_mismatch", "total"),
    "currency unknown": (document(currency="EUX"), "unknown_currency", "EUX"),
    "currency missing": (document(currency=None), "unknown_currency", "''"),
    "currency long": (document(currency=CANARY), "unknown_currency", "ISO 4217"),
    "negative price": (document(items=[line(unit_price=-10.00)]), "negative_amount", r"items\[0\]\.unit_price"),
    "negative total": (document(total=-29.44), "negative_amount", "total"),
    "negative shipping": (document(shipping={"price": -5}), "negative_amount", r"shipping\.price"),
    "negative discount": (document(discounts=[{"amount": -2.5}]), "negative_amount", r"discounts\[0\]"),
    "discount above line": (document(items=[line(discount=24)]), "negative_amount", r"items\[0\]"),
    "absurd price": (document(items=[line(unit_price=10**12)]), "bad_amount", r"items\[0\]\.unit_price"),
    "absurd digits": (document(total=Decimal("1e400")), "bad_amount", "total"),
    "absurd in base": (
        document(exchange_rates={"USD": {"rate": Decimal("0.000000000000000001")}}),
        "absurd",
        "rate.*USD",
    ),
    "price text": (document(items=[line(unit_price=CANARY)]), "bad_amount", r"items\[0\]\.unit_price"),
    "price object": (document(items=[line(unit_price={"x": CANARY})]), "bad_amount", r"items\[0\]\.unit_price"),
    "price true": (document(items=[line(unit_price=True)]), "bad_amount", r"items\[0\]\.unit_price"),
    "price 'NaN'": (document(items=[line(unit_price="NaN")]), "bad_amount", r"items\[0\]\.unit_price"),
    "total 'Infinity'": (document(total="Infinity"), "bad_amount", "total"),
    "tax rate text": (document(items=[line(tax_rate="19%")]), "bad_amount", r"items\[0\]\.tax_rate"),
    "no lines": (document(items=[]), "missing_field", "items"),
    "lines missing": (document(items=None), "missing_field", "items"),
    "lines no list": (document(items={"0": line()}), "missing_field", "items"),
    "line no object": (document(items=[CANARY]), "missing_field", r"items\[0\]"),
    "no price": (document(items=[line(unit_price=None)]), "missing_field", r"items\[0\] has no unit_price"),
    "no quantity": (document(items=[line(quantity=None)]), "missing_field", r"items\[0\].*quantity"),
    "quantity text": (document(items=[line(quantity=CANARY)]), "missing_field", r"items\[0\].*quantity"),
    "quantity zero": (document(items=[line(quantity=0)]), "bad_amount", r"items\[0\].*quantity of 0"),
    "quantity half": (document(items=[line(quantity=1.5)]), "bad_amount", r"items\[0\].*quantity of 1\.5"),
    "quantity negative": (document(items=[line(quantity=-1)]), "bad_amount", r"items\[0\].*quantity of -1"),
    "quantity huge": (document(items=[line(quantity=10**9)]), "bad_amount", r"items\[0\].*quantity"),
    "quantity beyond": (document(items=[line(quantity=10**40)]), "missing_field", r"items\[0\].*quantity"),
    "too many lines": (document(items=[line()] * 2001), "absurd", "2001 lines"),
    "no total": (document(total=None), "missing_field", "total"),
    "other environment": (document(environment="test"), "environment_mismatch", "'test'.*'live'"),
    "environment long": (document(environment="e" * 9000), "environment_mismatch", "environment"),
    "no rate": (document(exchange_rates={"GBP": {"rate": 1}}), "missing_rate", "USD"),
    "rates missing": (document(exchange_rates=None), "missing_rate", "USD"),
    "rate zero": (document(exchange_rates={"USD": {"rate": 0}}), "bad_amount", "rate"),
    "rate text": (document(exchange_rates={"USD": {"rate": CANARY}}), "bad_amount", "rate"),
    "rate negative": (document(exchange_rates={"USD": {"rate": -1}}), "negative_amount", "rate"),
    "no shipping address": (document(shipping_address=None), "missing_field", "address"),
    "address no object": (document(billing_address=CANARY), "missing_field", "address"),
    "another order": (document(id="310678-936141"), "wrong_order", "310678-936141"),
    "id with a path": (document(id=f"../{CANARY}"), "wrong_order", "another order"),
    "id missing": (document(id=None), "wrong_order", "no order"),
    "no status": (document(status=None), "missing_field", "status"),
    "deep": (document(gift=DEEP), "absurd", "nested"),
}


@pytest.mark.parametrize("name", POISON)
def test_poison_is_refused_by_name(name: str) -> None:
    """Each kind of unusable order is refused with its code, the order and the field, and no buyer's data."""
    body, code, told = POISON[name]
    with pytest.raises(BadDocument, match=told) as caught:
        mapped(body)

    assert caught.value.code == code
    assert f"order {ORDER}: " in caught.value.message
    assert len(caught.value.message) < 300
    assert_no_canary(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no JSON"),
        (b"<html><body>canary.buyer@canary.example</body></html>", "an HTML page"),
        (b'{"id": ', r"no JSON \(at byte"),
        (b'{"id": NaN}', "no JSON"),
        (b'{"total": 1e99999999999999999999}', "no JSON"),
        (b'{"total": ' + b"9" * 5000 + b"}", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[]", "not an object"),
        (b'"canary.buyer@canary.example"', "not an object"),
        (b"null", "not an object"),
    ],
    ids=range(11),
)
def test_answers_that_are_no_order_are_unreadable(content: bytes, told: str) -> None:
    """HTML, cut JSON, NaN, endless numbers and nesting are told apart in words; the bytes are kept, none is shown."""
    with pytest.raises(BadDocument, match=told) as caught:
        mapped(content)

    assert (caught.value.code, caught.value.raw) == ("unreadable", content)
    assert f"order {ORDER}: " in caught.value.message
    assert_no_canary(caught.value)


@settings(max_examples=60)
@given(order_documents())
def test_one_unit_off_is_never_mapped(made: tuple[dict[str, Any], str]) -> None:
    """A total that is one smallest unit away from its parts is refused."""
    body, base = made
    wrong = body | {"total": body["total"] + Decimal(1).scaleb(-exponent(body["currency"]))}

    with pytest.raises(BadDocument) as caught:
        mapped(raw(wrong), base)
    assert caught.value.code == "sum_mismatch"
