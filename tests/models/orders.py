"""Glopal order documents for tests: one by hand, and as many as Hypothesis likes that add up."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from models.document import OrderDocument
from models.glopal import GlopalMapping, parse_order
from models.glopal_order import map_order
from models.ids import AccountKey
from models.money import exponent, round_minor, total_of
from tests.support import Canaries

ACCOUNT = AccountKey("glopal", "live", "912")
ORDER = "310678-936140"
BASE = "USD"


def address(**changes: Any) -> dict[str, Any]:
    """A postal address full of canaries."""
    return {
        "first_name": Canaries.NAME,
        "last_name": "Ωμέγα",
        "company": "",
        "address1": Canaries.STREET,
        "city": "Łódź",
        "postcode": "90-001",
        "country": "PL",
        "phone": Canaries.PHONE,
    } | changes


def line(**changes: Any) -> dict[str, Any]:
    """One line that adds up: 2 x 10.00 - 1.00 + 3.80 = 22.80."""
    return {
        "id": "L1",
        "sku": "SKU-1",
        "name": "Teapot, blue",
        "quantity": 2,
        "options": {"size": "L", "colour": "blue"},
        "unit_price": 10.00,
        "discount": 1.00,
        "tax": 3.80,
        "tax_rate": 0.19,
        "duty": 0.50,
        "total": 22.80,
    } | changes


def document(**changes: Any) -> dict[str, Any]:
    """An order in EUR that adds up: 22.80 + 5.00 + 0.95 + 2.00 + 1.00 + 0.19 - 2.50 = 29.44."""
    return {
        "id": ORDER,
        "status": "READY",
        "external": {"order_id": None, "order_number": None},
        "currency": "EUR",
        "language": "pl-PL",
        "environment": "live",
        "customer_note": Canaries.NOTE,
        "internal_note": None,
        "exchange_rates": {"USD": {"rate": 0.9102}},
        "created_at": "2025-07-02T07:37:45.854Z",
        "customer": {
            "first_name": Canaries.NAME,
            "last_name": "Ωμέγα",
            "email": Canaries.EMAIL,
            "phone": Canaries.PHONE,
        },
        "shipping_address": address(),
        "billing_address": address(),
        "items": [line()],
        "discounts": [{"code": "SPRING", "amount": 2.50}],
        "shipping": {"method": "DHL Express", "price": 5.00, "tax": 0.95},
        "prices_include_tax": False,
        "duties": 2.00,
        "extra_charges": {"net": 1.00, "tax": 0.19},
        "payment": {"method": "card"},
        "total": 29.44,
    } | changes


def raw(body: Any) -> bytes:
    """A document's bytes; Decimals become JSON numbers with all their digits."""
    text = json.dumps(body, default=lambda value: f"#{value:f}#", ensure_ascii=False)
    return text.replace('"#', "").replace('#"', "").encode("utf-8", "surrogatepass")


def mapped(body: Any, base: str = BASE, mapping: GlopalMapping | None = None) -> OrderDocument:
    """Read and map a document as a fetch does."""
    content = body if isinstance(body, bytes) else raw(body)
    return map_order(parse_order(content, ORDER), mapping or GlopalMapping(), ACCOUNT, base)


@st.composite
def order_documents(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """A document whose parts add up exactly, in either tax mode, and the merchant's base currency."""
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD", "CLF"]))
    base = draw(st.sampled_from(["USD", "JPY", "KWD", currency]))
    inclusive = draw(st.booleans())
    # Providers print up to nine decimals, whatever the currency has.
    places = draw(st.sampled_from([exponent(currency), exponent(currency), 9]))
    amount = st.decimals(min_value=0, max_value=5000, places=places)
    lines: list[dict[str, Any]] = []
    parts: list[Decimal] = []
    for number in range(draw(st.integers(1, 6))):
        unit, quantity = draw(amount), draw(st.integers(1, 99))
        discount = draw(st.decimals(min_value=0, max_value=unit * quantity, places=places))
        tax, duty = draw(amount), draw(amount)
        total = unit * quantity - discount + (0 if inclusive else tax)
        entry = {"id": f"L{number}", "sku": f"S{number}", "quantity": quantity, "unit_price": unit, "duty": duty}
        entry |= {"discount": discount, "tax": tax}
        if draw(st.booleans()):
            entry["total"] = total
        lines.append(entry)
        parts.append(total)
    shipping, shipping_tax, duties, extra, extra_tax = (draw(amount) for _ in range(5))
    parts += [shipping, duties, extra, *([] if inclusive else [shipping_tax, extra_tax])]
    reductions = draw(st.lists(st.decimals(min_value=0, max_value=total_of(parts) / 4, places=places), max_size=3))
    total = total_of([*parts, *(-reduction for reduction in reductions)])
    body = document(
        currency=currency,
        exchange_rates={base: {"rate": draw(st.decimals(min_value="0.0001", max_value=2000, places=6))}},
        prices_include_tax=inclusive,
        items=lines,
        shipping={"method": "x", "price": shipping, "tax": shipping_tax},
        duties=duties,
        extra_charges={"net": extra, "tax": extra_tax},
        discounts=[{"code": "C", "amount": reduction} for reduction in reductions],
        total=draw(st.sampled_from([total, round_minor(total, currency)])),
    )
    return body, base
