"""From the canonical order to the embedded store's columns, and which values no column can hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from models.document import Address, Line, LineAmounts, OrderAmounts, OrderDocument
from models.outcome import Refused
from stores.guards import unfit_field
from stores.protocol import StoreState

Values = dict[str, object]

# NUMERIC(38, 18) on PostgreSQL: it would round what has more decimals, in silence.
_MOST_DECIMALS = 18
_LARGEST = Decimal(10) ** 20
_SAME_NAME = (
    "reference environment provider account source_order_id currency base_currency rate rate_source prices_include_tax "
    "tax_scheme language shipping_method payment_method transaction_id customer_note internal_note"
).split()


def order_values(order: OrderDocument, document: str, state: StoreState, now: datetime) -> Values:
    """The row of ``store_orders``.

    Args:
        order: the order.
        document: its canonical JSON.
        state: held or open.
        now: aware; when it is written.
    """
    values: Values = {name: getattr(order, name) for name in _SAME_NAME}
    for name in OrderAmounts.model_fields:
        values[name] = getattr(order, name)
        values[f"base_{name}"] = getattr(order.base, name)
    for name, value in order.buyer:
        values[f"buyer_{name}"] = value
    for prefix, address in (("ship_to", order.shipping_address), ("bill_to", order.billing_address)):
        values |= {f"{prefix}_{name}": getattr(address, name) for name in Address.model_fields}
    return values | {
        "state": state.value,
        "cancel_reason": "",
        "source_created_at": order.created_at,
        "created_at": now,
        "document": document,
    }


def line_values(line: Line, position: int) -> Values:
    """The row of ``store_order_lines`` without its order's id. ``position`` counts from 1."""
    values: Values = {
        "position": position,
        "line_id": line.line_id,
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "options": json.dumps(line.options, ensure_ascii=False),
        "tax_rate": line.tax_rate,
    }
    for name in LineAmounts.model_fields:
        values[name] = getattr(line, name)
        values[f"base_{name}"] = getattr(line.base, name)
    return values


def unfit_value(order: Values, lines: Sequence[Values]) -> Refused | None:
    """The refusal of an order with a value that a column cannot hold, naming the column; None when all fit."""
    return next(_unfit(order, lines), None)


def storable(text: str) -> str:
    """Free text of our own side (a note, a reason) with what PostgreSQL or UTF-8 cannot hold replaced.

    An order's text is refused instead: there it is data, and changing it in silence would be a lie.
    """
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def _unfit(order: Values, lines: Sequence[Values]) -> Iterator[Refused]:
    rows: list[tuple[str, Mapping[str, object]]] = [("", order)]
    rows += [(f"lines[{line['position']}].", line) for line in lines]
    for prefix, row in rows:
        for name, value in row.items():
            problem = _problem(value)
            if problem is not None:
                yield unfit_field(f"{prefix}{name}", problem)


def _problem(value: object) -> str | None:
    if isinstance(value, str):
        return "holds a NUL character" if "\x00" in value else None
    if isinstance(value, Decimal):
        decimals = value.as_tuple().exponent
        if not isinstance(decimals, int) or -decimals > _MOST_DECIMALS or abs(value) >= _LARGEST:
            return f"is no amount below 10^20 with at most {_MOST_DECIMALS} decimals"
        return None
    if isinstance(value, datetime) and value.utcoffset() is None:
        return "is a time without a zone"
    return None
