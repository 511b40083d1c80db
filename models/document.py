"""The canonical order: one shape for both providers and every store.

Amounts stand in the buyer's currency on the document itself and in the merchant's base currency under ``base``. All are
Decimal in Python and strings in JSON, in the currency's smallest unit. What rounding left over is ``residual``: the
parts plus the residual equal the total exactly, in each currency by itself.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

CANONICAL_VERSION = 1


class _Part(BaseModel):
    # Errors of pydantic must not show what a buyer typed.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Buyer(_Part):
    """Who bought. Personal data: never in logs, parameters or artifacts."""

    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""


class Address(_Part):
    """A postal address. ``country`` is ISO 3166-1 alpha-2."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: str = ""
    phone: str = ""


class LineAmounts(_Part):
    """Amounts of one line. Discount, tax and duty are for the whole line, not for one unit.

    ``tax`` is inside ``unit_price`` when the document's ``prices_include_tax`` is true, added to it otherwise.
    ``duty`` is a breakdown of the order's ``duties`` and is not added again.
    """

    unit_price: Decimal
    discount: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)
    duty: Decimal = Decimal(0)
    total: Decimal


class Line(LineAmounts):
    """One ordered line."""

    line_id: str = ""
    sku: str
    name: str = ""
    quantity: int = Field(ge=1)
    tax_rate: Decimal | None = None
    options: dict[str, str] = Field(default_factory=dict)
    base: LineAmounts


class Discount(_Part):
    """An order-level discount; ``amount`` is positive and is taken off the total."""

    code: str = ""
    amount: Decimal
    base_amount: Decimal


class OrderAmounts(_Part):
    """The parts of an order's total; ``goods + shipping + … - discount + residual == total`` exactly.

    ``goods`` is the sum of the lines' totals. Tax parts are zero when prices include tax.
    """

    goods: Decimal
    shipping: Decimal = Decimal(0)
    shipping_tax: Decimal = Decimal(0)
    duties: Decimal = Decimal(0)
    extra_charges: Decimal = Decimal(0)
    extra_charges_tax: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    residual: Decimal = Decimal(0)
    total: Decimal


class OrderDocument(OrderAmounts):
    """A paid order, ready to be written into any store."""

    version: int = CANONICAL_VERSION
    reference: str
    provider: str
    environment: str
    account: str
    source_order_id: str
    created_at: datetime | None = None
    currency: str
    base_currency: str
    rate: Decimal = Field(gt=0, description="Units of buyer currency for one unit of base currency.")
    rate_source: str
    base: OrderAmounts
    prices_include_tax: bool = False
    language: str = ""
    customer_note: str = ""
    internal_note: str = ""
    buyer: Buyer
    shipping_address: Address
    billing_address: Address
    original_shipping_address: Address | None = None
    shipping_method: str = ""
    payment_method: str = ""
    transaction_id: str = ""
    tax_scheme: str = ""
    lines: list[Line] = Field(min_length=1)
    discounts: list[Discount] = Field(default_factory=list)
    extra: dict[str, Any] = Field(default_factory=dict, description="Keys of the provider that no mapping knows.")

    def to_json(self) -> str:
        """JSON with every amount as a string, so that no reader turns one into a float."""
        return self.model_dump_json()
