"""Reads the JSON of a merchant's order endpoint. What does not fit the documented contract is ``Unusable``.

Nothing that the other side wrote in its own words is ever passed on: it may echo a buyer.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from models.document import Address, Buyer, Discount, Line, OrderAmounts, OrderDocument
from models.http_status import machine_code
from models.ids import Reference, StoreOrderId, StoreOrderNumber
from models.money import MoneyError, parse_amount
from models.outcome import RefusalCode
from stores.protocol import StoreOrder, StoreState

_LONGEST_NAME = 512
_CURRENCY = re.compile(r"^[A-Z]{3}$")
_STEP = re.compile(r"^([a-z_0-9]{1,32})(?:\[[0-9]{1,4}\])?$")
_FIELDS = frozenset(
    name for part in (OrderDocument, Line, Address, Buyer, OrderAmounts, Discount) for name in part.model_fields
)

CODES: dict[str, RefusalCode] = {
    code.value: code
    for code in (
        RefusalCode.UNKNOWN_SKU,
        RefusalCode.OUT_OF_STOCK,
        RefusalCode.INVALID_ADDRESS,
        RefusalCode.INVALID_ORDER,
        RefusalCode.REFERENCE_CONFLICT,
        RefusalCode.ALREADY_SHIPPED,
        RefusalCode.ORDER_CANCELLED,
    )
}
"""The contract's error codes and what they mean here."""


class Unusable(Exception):
    """An answer that the contract does not allow. The message says what is wrong, in our own words."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Numbers with a point stay exact.

    Raises:
        Unusable: not JSON, or no object.
    """
    try:
        value = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise Unusable("is not JSON") from None
    if not isinstance(value, dict):
        raise Unusable("is no JSON object")
    return value


def parse_order(value: object) -> StoreOrder:
    """A ``StoreOrder`` object.

    Raises:
        Unusable: a key is missing or holds what it must not; the message names the key.
    """
    if not isinstance(value, dict):
        raise Unusable("has no order object")
    order_id = _name(value, "id")
    if order_id in (".", ".."):
        # In a path these mean another address, quoted or not.
        raise Unusable("has an id that cannot stand in a path")
    state = value.get("state")
    if state not in list(StoreState):
        raise Unusable("has a state that is none of held, open, shipped and cancelled")
    currency = value.get("currency")
    if not isinstance(currency, str) or not _CURRENCY.match(currency):
        raise Unusable("has no ISO 4217 currency")
    try:
        total = parse_amount(value.get("total"))
    except MoneyError:
        raise Unusable("has no usable total") from None
    return StoreOrder(
        id=StoreOrderId(order_id),
        number=StoreOrderNumber(_name(value, "number")),
        reference=Reference(_name(value, "reference")),
        state=StoreState(state),
        currency=currency,
        total=total,
    )


def orders_with(reference: Reference, body: bytes) -> list[StoreOrder]:
    """The orders of a lookup that carry ``reference``, each id once.

    Orders with another reference are left out: some platforms ignore filters that they do not know and answer with
    whatever they have. One that has no readable reference spoils the answer, since it could be ours.

    Raises:
        Unusable: see the message.
    """
    entries = parse_object(body).get("orders")
    if not isinstance(entries, list):
        raise Unusable("has no list of orders")
    found: dict[str, StoreOrder] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            raise Unusable("has an order that is no object")
        if _name(entry, "reference") == reference:
            order = parse_order(entry)
            found[order.id] = order
    return list(found.values())


def refusal_of(body: bytes) -> tuple[str | None, RefusalCode | None]:
    """The machine code of an error answer as sent, and what it means when it is one of the contract's."""
    code = machine_code(body)
    return code, CODES.get(code or "")


def error_detail(body: bytes, order: OrderDocument) -> str:
    """Which SKU or field an error is about, in words, or nothing.

    Only what we sent ourselves is repeated: a SKU of this order, the name of a field of the canonical document.
    """
    try:
        error = parse_object(body).get("error")
    except Unusable:
        return ""
    if not isinstance(error, dict):
        return ""
    sku, name = error.get("sku"), error.get("field")
    said = []
    if isinstance(sku, str) and any(line.sku == sku for line in order.lines):
        said.append(f"SKU {sku!r}")
    if isinstance(name, str) and _known_field(name):
        said.append(f"field {name}")
    return ", ".join(said)


def _known_field(name: str) -> bool:
    steps = [_STEP.match(step) for step in name.split(".", 4)]
    return all(step is not None and step[1] in _FIELDS for step in steps)


def _name(value: dict[str, Any], key: str) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not 1 <= len(text) <= _LONGEST_NAME or not text.isprintable():
        raise Unusable(f"has no usable {key}")
    return text
