"""Realistic orders from a seed, every sum exact to the currency's minor unit.

The arithmetic is the assumed one of the contract. With `prices_include_tax` false:
`item.total = unit_price x quantity - discount + tax` and
`total = sum(item.total) + shipping.price + shipping.tax + duties + extra.net + extra.tax - sum(discounts)`.
With it true the taxes are inside the prices and are not added again; `extra_charges.tax` is then zero, so that both
readings of that rule agree.
"""

import random
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

from sandbox.catalog import CARRIERS, COUPONS, NOTES, PAYMENTS, PRODUCTS, Product
from sandbox.countries import COUNTRIES, HEAVY, PER_USD, Country, exponent

Document = dict[str, Any]
"""An order document; amounts are `Decimal`."""

CANARY_DOMAIN = "canary-buyer.example"
"""Domain of every generated e-mail address, to be searched for in places where no buyer may appear."""

CANARY_PHONE = "999555"
"""Digits in every generated telephone number, for the same search."""

BASES = ("USD", "EUR", "GBP")
"""Merchants' currencies, for which every document has an exchange rate."""

_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_ZERO = Decimal(0)
_COMMON = tuple(country for country in COUNTRIES if country.code in HEAVY)


@dataclass(frozen=True, slots=True)
class Shape:
    """How big an order is.

    Attributes:
        min_lines: least number of lines.
        max_lines: greatest number of lines.
        tiny: a single item of one minor unit, nothing else.
    """

    min_lines: int = 1
    max_lines: int = 5
    tiny: bool = False


PLAIN = Shape()
HUGE = Shape(150, 220)
TINY = Shape(1, 1, tiny=True)


@cache
def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency, for example `0.01` or `1`."""
    return Decimal(1).scaleb(-exponent(currency))


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Round half up to the currency's minor unit."""
    return amount.quantize(minor_unit(currency), rounding=ROUND_HALF_UP)


def timestamp(moment: datetime) -> str:
    """A UTC instant as the contract prints it: milliseconds and `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def order_id(rng: random.Random) -> str:
    """An order id in one of the two shapes that the vendor's pages show."""
    if rng.random() < 0.7:
        return f"{rng.randrange(100000, 1000000)}-{rng.randrange(100000, 1000000)}"
    return "".join(rng.choices(_ALPHANUMERIC, k=8)) + "-" + "".join(rng.choices(_ALPHANUMERIC, k=8))


def build_document(
    rng: random.Random, identifier: str, created_at: datetime, shape: Shape = PLAIN, environment: str = "live"
) -> Document:
    """Make one order document without status and external ids.

    Args:
        rng: the source of every choice.
        identifier: the order id.
        created_at: when the buyer checked out, aware UTC.
        shape: how big the order is.
        environment: the `environment` value.

    Returns:
        The document with keys in the contract's order; `id` first.
    """
    country = rng.choice(_COMMON) if rng.random() < 0.4 else rng.choice(COUNTRIES)
    person = rng.choice(country.people)
    address = _address(rng, country, person)
    document: Document = {
        "id": identifier,
        "currency": country.currency,
        "language": _language(rng, country.language),
        "environment": environment,
        "customer_note": rng.choice(NOTES) if rng.random() < 0.15 else None,
        "internal_note": None,
        "exchange_rates": _exchange_rates(rng, country.currency),
        "created_at": timestamp(created_at),
        "customer": _customer(rng, country, person, identifier),
        "shipping_address": address,
        "billing_address": address if rng.random() < 0.85 else _address(rng, country, rng.choice(country.people)),
        "prices_include_tax": country.inclusive,
    }
    _put_amounts(rng, document, country, shape)
    document["transaction_id"] = f"tcc_{rng.getrandbits(48):012x}"
    document["tax_scheme"] = _tax_scheme(country, document)
    document["payment"] = {"method": rng.choice(PAYMENTS)}
    return document


def expected_total(document: Document) -> Decimal:
    """What the contract's arithmetic makes of a document; missing amounts count as zero."""
    inclusive = document.get("prices_include_tax", False)
    total = _ZERO
    for item in document.get("items", ()):
        total += item["unit_price"] * item["quantity"] - item.get("discount", _ZERO)
        if not inclusive:
            total += item.get("tax", _ZERO)
    shipping, extra = document.get("shipping", {}), document.get("extra_charges", {})
    total += shipping.get("price", _ZERO) + document.get("duties", _ZERO) + extra.get("net", _ZERO)
    if not inclusive:
        total += shipping.get("tax", _ZERO) + extra.get("tax", _ZERO)
    return Decimal(total - sum((discount["amount"] for discount in document.get("discounts", ())), _ZERO))


def _put_amounts(rng: random.Random, document: Document, country: Country, shape: Shape) -> None:
    currency = country.currency
    if shape.tiny:
        document["items"] = [_item(rng, country, 0, Product("STICKER", "Sticker", _ZERO), minor_unit(currency), 1)]
        document["total"] = expected_total(document)
        return
    duty_rate = rng.choice([_ZERO, _ZERO, Decimal("2.5"), Decimal("6.5"), Decimal("12")])
    count = rng.randint(shape.min_lines, shape.max_lines)
    items = []
    for number in range(count):
        product = rng.choice(PRODUCTS)
        price = max(rounded(product.usd * PER_USD[currency], currency), minor_unit(currency))
        items.append(_item(rng, country, number, product, price, _quantity(rng), duty_rate))
    document["items"] = items
    goods = sum((item["total"] for item in items), _ZERO)
    if rng.random() < 0.25:
        document["discounts"] = _order_discounts(rng, goods, currency)
    price = rounded(Decimal(rng.randrange(0, 4500)) / 100 * PER_USD[currency], currency)
    document["shipping"] = {
        "method": rng.choice(CARRIERS),
        "price": price,
        "tax": _tax(price, country.tax_rate, country.inclusive, currency),
    }
    duties = sum((item.get("duty", _ZERO) for item in items), _ZERO)
    if duties or rng.random() < 0.3:
        document["duties"] = duties
    if rng.random() < 0.2:
        net = rounded(Decimal(rng.randrange(50, 900)) / 100 * PER_USD[currency], currency)
        tax = rounded(_ZERO, currency) if country.inclusive else _tax(net, country.tax_rate, False, currency)
        document["extra_charges"] = {"net": net, "tax": tax}
    document["total"] = expected_total(document)


def _item(
    rng: random.Random,
    country: Country,
    number: int,
    product: Product,
    price: Decimal,
    quantity: int,
    duty_rate: Decimal = _ZERO,
) -> Document:
    options = {name: rng.choice(values) for name, values in product.options}
    suffix = "".join(f"-{value[:2].upper()}" for value in options.values())
    item: Document = {
        "id": str(rng.randrange(10000, 100000) + number),
        "sku": product.sku + suffix,
        "name": product.name,
        "quantity": quantity,
    }
    if options:
        listed = [{"name": name, "value": value} for name, value in options.items()]
        item["options"] = listed if rng.random() < 0.8 else options
    item["unit_price"] = price
    net = price * quantity
    if rng.random() < 0.15:
        item["discount"] = rounded(net * Decimal(rng.randrange(1, 41)) / 100, country.currency)
        net -= item["discount"]
    item["tax"] = _tax(net, country.tax_rate, country.inclusive, country.currency)
    item["tax_rate"] = country.tax_rate
    if duty_rate:
        item["duty"] = rounded(net * duty_rate / 100, country.currency)
    item["total"] = net if country.inclusive else net + item["tax"]
    return item


def _quantity(rng: random.Random) -> int:
    return rng.choice((1, 1, 1, 1, 2, 2, 3, rng.randint(4, 12)))


def _tax(amount: Decimal, rate: Decimal, inclusive: bool, currency: str) -> Decimal:
    if inclusive:
        return rounded(amount - amount / (1 + rate / 100), currency)
    return rounded(amount * rate / 100, currency)


def _order_discounts(rng: random.Random, goods: Decimal, currency: str) -> list[Document]:
    """One or two discounts, together never more than half the goods."""
    found = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        amount = rounded(goods * Decimal(rng.randrange(1, 25)) / 100, currency)
        found.append({"code": rng.choice(COUPONS) if rng.random() < 0.8 else None, "amount": amount})
    return found


def _exchange_rates(rng: random.Random, currency: str) -> Document:
    """Units of the buyer's currency for one unit of each base."""
    rates = {}
    for base in BASES:
        if base != currency:
            rate = (PER_USD[currency] / PER_USD[base]).quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)
            rates[base] = {"rate": rate.normalize() + 0}
        elif rng.random() < 0.5:
            rates[base] = {"rate": Decimal(1)}
    return rates


def _language(rng: random.Random, tag: str) -> Any:
    shape = rng.random()
    if shape < 0.7:
        return tag
    tags = [tag.split("-", maxsplit=1)[0], tag]
    return tags if shape < 0.85 else {str(number): value for number, value in enumerate(tags)}


def _customer(rng: random.Random, country: Country, person: tuple[str, str], identifier: str) -> Document:
    return {
        "email": f"buyer.{identifier.lower()}@{CANARY_DOMAIN}",
        "first_name": person[0],
        "last_name": person[1],
        "phone": _phone(rng),
    }


def _phone(rng: random.Random) -> str:
    return f"+{CANARY_PHONE}{rng.randrange(100000, 1000000)}"


def _address(rng: random.Random, country: Country, person: tuple[str, str]) -> Document:
    city, region, postcode = rng.choice(country.cities)
    return {
        "first_name": person[0],
        "last_name": person[1],
        "company": "Große & Söhne GmbH & Co. KG" if rng.random() < 0.05 else None,
        "address1": rng.choice(country.streets),
        "address2": f"c/o {person[1]}" if rng.random() < 0.1 else None,
        "city": city,
        "region": region or None,
        "postcode": postcode or None,
        "country": country.code,
        "phone": _phone(rng) if rng.random() < 0.7 else None,
    }


def _tax_scheme(country: Country, document: Document) -> str | None:
    if country.currency == "EUR" and document["total"] < 150:
        return "IOSS"
    return "VOEC" if country.code == "NO" else None
