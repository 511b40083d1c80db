"""Glopal's documents as received: events, the order's head, and the one place that maps an order to the canonical one.

Source: docs.glopal.com Order API 2.3.2. Only ``id``, ``status``, ``external``, ``currency``, ``language``,
``environment``, the notes, ``exchange_rates``, ``created_at``, ``customer`` and ``returns`` are documented keys of the
order document; every other path in ``GlopalMapping`` is an assumption that a merchant overrides under
``[accounts.NAME.mapping]``. The assumed arithmetic stands in ``models/glopal_order.py`` beside this file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from models.ids import is_safe_source_id
from models.outcome import BadDocument
from models.time import parse_instant

ORDER_EVENTS = {"order.received": "RECEIVED", "order.ready": "READY", "order.cancelled": "CANCELLED"}
RETURN_EVENTS = {"return.requested", "return.authorized", "return.cancelled"}
# Orders are nested about five deep. Python's and pydantic's own limits are reached at 200 and more.
MAX_DEPTH = 50
STATUSES = ("RECEIVED", "READY", "ACCEPTED", "COMPLETED", "CANCELLED")


class AddressMapping(BaseModel):
    """Keys inside an address object."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_name: str = "first_name"
    last_name: str = "last_name"
    company: str = "company"
    address1: str = "address1"
    address2: str = "address2"
    city: str = "city"
    region: str = "region"
    postcode: str = "postcode"
    country: str = "country"
    phone: str = "phone"


class LineMapping(BaseModel):
    """Keys inside one line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line_id: str = "id"
    sku: str = "sku"
    name: str = "name"
    quantity: str = "quantity"
    options: str = "options"
    unit_price: str = "unit_price"
    discount: str = "discount"
    tax: str = "tax"
    tax_rate: str = "tax_rate"
    duty: str = "duty"
    total: str = "total"


class GlopalMapping(BaseModel):
    """Where each part of the canonical order stands in Glopal's document, as dotted paths."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    created_at: str = "created_at"
    language: str = "language"
    customer_note: str = "customer_note"
    internal_note: str = "internal_note"
    rates: str = "exchange_rates"
    rate: str = "rate"
    first_name: str = "customer.first_name"
    last_name: str = "customer.last_name"
    email: str = "customer.email"
    phone: str = "customer.phone"
    original_shipping_address: str = "customer.original_shipping_address"
    shipping_address: str = "shipping_address"
    billing_address: str = "billing_address"
    address: AddressMapping = Field(default_factory=AddressMapping)
    lines: str = "items"
    line: LineMapping = Field(default_factory=LineMapping)
    discounts: str = "discounts"
    discount_code: str = "code"
    discount_amount: str = "amount"
    shipping_method: str = "shipping.method"
    shipping_price: str = "shipping.price"
    shipping_tax: str = "shipping.tax"
    prices_include_tax: str = "prices_include_tax"
    duties: str = "duties"
    extra_charges: str = "extra_charges.net"
    extra_charges_tax: str = "extra_charges.tax"
    transaction_id: str = "transaction_id"
    tax_scheme: str = "tax_scheme"
    payment_method: str = "payment.method"
    total: str = "total"


@dataclass(frozen=True, slots=True)
class GlopalEvent:
    """One event as received. ``raw`` is its JSON text; ``event_at`` is None when missing or unreadable."""

    event_id: str
    event_name: str
    order_id: str
    event_at: datetime | None
    entity_id: str
    raw: str

    @property
    def claims(self) -> str | None:
        """The order status that this event's name claims, or None for returns and unknown names."""
        return ORDER_EVENTS.get(self.event_name)


@dataclass(frozen=True, slots=True)
class UnreadableEvent:
    """An entry of a page that is not an event. Kept with its reason; it never stops the rest of the page."""

    event_id: str
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page in the provider's order. ``cursor`` is the last usable event id, or None on an empty page."""

    events: list[GlopalEvent | UnreadableEvent]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class OrderHead:
    """The documented head of an order document, and the whole of it as parsed."""

    order_id: str
    status: str
    environment: str
    currency: str
    external_order_id: str
    external_order_number: str
    document: dict[str, Any] = field(repr=False)


def load_json(raw: bytes, what: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON with Decimal numbers.

    Raises:
        BadDocument: not JSON (``unreadable``). The message shows no content, only what kind of thing came.
    """
    try:
        return json.loads(raw, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        shape = "an HTML page" if raw.lstrip()[:1] == b"<" else "no JSON"
        at = f" (at byte {error.pos})" if isinstance(error, json.JSONDecodeError) else ""
        raise BadDocument("unreadable", f"{what}: the answer is {shape}{at}, {len(raw)} bytes", raw) from None


def _no_constant(name: str) -> Any:  # noqa: ANN401
    raise ValueError(f"{name} is not JSON")


def clean_text(text: str) -> str:
    """Text that every database takes: JSON can escape half a character, and a NUL."""
    if text.isprintable():
        return text
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def text_of(value: object) -> str:
    """A plain string for keys that may be null, a number or a nested shape (of which the first part counts)."""
    for _ in range(MAX_DEPTH):
        if isinstance(value, list):
            value = value[0] if value else None
        elif isinstance(value, dict):
            value = next(iter(value.values()), None)
        else:
            break
    if isinstance(value, str):
        return clean_text(value)
    return str(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else ""


def too_deep(value: object, deepest: int = MAX_DEPTH) -> bool:
    """Whether JSON is nested deeper than any order is, and than the readers after us can follow."""
    level = [value]
    for _ in range(deepest):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def parse_page(raw: bytes) -> EventPage:
    """Read one page of events.

    Raises:
        BadDocument: not JSON, or without a list of events. Single bad entries don't raise.
    """
    body = load_json(raw, "events")
    if not isinstance(body, dict) or not isinstance(body.get("events"), list):
        raise BadDocument("unreadable", "events: the answer has no list named events", raw)
    events = [_event(entry) for entry in body["events"]]
    cursor = next((e.event_id for e in reversed(events) if e.event_id), None)
    return EventPage(events, cursor)


def _event(entry: object) -> GlopalEvent | UnreadableEvent:
    if not isinstance(entry, dict):
        return UnreadableEvent("", "not an object", "(too deep)" if too_deep(entry) else _as_received(entry))
    deep = [key for key, value in entry.items() if too_deep(value)]
    # What is nested too deep cannot be written by json either; the rest of the entry is kept.
    raw = _as_received({key: "(too deep)" if key in deep else value for key, value in entry.items()})
    event_id, name, order_id = (text_of(entry.get(key)) for key in ("event_id", "event_name", "order_id"))
    if len(event_id) > 255:
        return UnreadableEvent("", "event_id longer than 255 characters", raw)
    if not clean_text(event_id).isprintable() or "\ufffd" in event_id:
        return UnreadableEvent("", "event_id with characters that no id has", raw)
    if deep:
        return UnreadableEvent(event_id, f"nested more than {MAX_DEPTH} deep", raw)
    missing = [k for k, v in (("event_id", event_id), ("event_name", name), ("order_id", order_id)) if not v]
    if missing:
        return UnreadableEvent(event_id, f"without {' and '.join(missing)}", raw)
    try:
        event_at = parse_instant(text_of(entry.get("event_at")))
    except ValueError:
        event_at = None
    return GlopalEvent(event_id, name, order_id, event_at, text_of(entry.get("entity_id")), raw)


def _as_received(entry: object) -> str:
    text = json.dumps(entry, default=str, ensure_ascii=False)
    # Halves of characters stay escaped, as they came; anything else stays readable.
    return text if clean_text(text) == text else json.dumps(entry, default=str)


def parse_order(raw: bytes, order_id: str) -> OrderHead:
    """Read the documented head of an order document.

    Raises:
        BadDocument: not an object, another order's document, or no status.
    """
    body = load_json(raw, f"order {order_id}")
    if not isinstance(body, dict):
        raise BadDocument("unreadable", f"order {order_id}: the answer is not an object", raw)
    if too_deep(body):
        raise BadDocument("absurd", f"order {order_id}: the document is nested more than {MAX_DEPTH} deep", raw)
    got, status = text_of(body.get("id")), text_of(body.get("status"))
    if got != order_id:
        other = f"order {got}" if is_safe_source_id(got) else "another order" if got else "no order"
        raise BadDocument("wrong_order", f"order {order_id}: the answer is the document of {other}", raw)
    if not status:
        raise BadDocument("missing_field", f"order {order_id}: the document has no status", raw)
    external = body.get("external")
    ids = external if isinstance(external, dict) else {}
    return OrderHead(
        order_id=got,
        status=status,
        environment=text_of(body.get("environment")),
        currency=text_of(body.get("currency")),
        external_order_id=text_of(ids.get("order_id")),
        external_order_number=text_of(ids.get("order_number")),
        document=body,
    )
