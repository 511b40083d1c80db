"""Map a Glopal order document to the canonical order, proving its sums.

The arithmetic is assumed (Glopal's document past ``customer`` is not public) and stands here beside the mapping:
a line is ``unit_price x quantity - discount (+ tax)``; the total is lines + shipping (+ tax) + duties + extra charges
(+ tax) - discounts, tax added only when prices do not include it. A document that does not add up to the currency's
smallest unit is refused with ``sum_mismatch``, never inserted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from models.document import Address, Buyer, Discount, Line, LineAmounts, OrderAmounts, OrderDocument
from models.glopal import AddressMapping, GlopalMapping, LineMapping, OrderHead, clean_text, text_of
from models.ids import AccountKey
from models.money import (
    ABSURD_AMOUNT,
    MoneyError,
    convert,
    exponent,
    multiply,
    parse_amount,
    round_minor,
    total_of,
)
from models.outcome import BadDocument
from models.time import parse_instant

MAX_LINES = 2000
ZERO = Decimal(0)


class _Reader:
    """Reads dotted paths out of one document and remembers which top-level keys were used."""

    def __init__(self, document: Mapping[str, Any], order_id: str) -> None:
        self.document = document
        self.order_id = order_id
        self.used: set[str] = {"id", "status", "external", "currency", "environment", "returns"}

    def get(self, path: str) -> Any:  # noqa: ANN401 - a JSON value
        self.used.add(path.split(".", 1)[0])
        return dig(self.document, path)

    def amount(self, path: str) -> Decimal:
        return self.parse(self.get(path), path)

    def parse(self, value: object, where: str) -> Decimal:
        if value is None:
            return ZERO
        try:
            amount = parse_amount(value)
        except MoneyError as error:
            raise self.bad("bad_amount", f"{where}: {error}") from None
        if amount < 0:
            raise self.bad("negative_amount", f"{where} is negative ({amount})")
        return amount

    def bad(self, code: str, message: str) -> BadDocument:
        return BadDocument(code, f"order {self.order_id}: {message}")


def dig(document: object, path: str) -> Any:  # noqa: ANN401 - a JSON value
    """The value at a dotted path, or None where any step is missing."""
    value = document
    for key in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def map_order(head: OrderHead, mapping: GlopalMapping, key: AccountKey, base_currency: str) -> OrderDocument:
    """The canonical order of one document.

    Args:
        head: the document as read.
        mapping: where its parts stand.
        key: the account it came for; its environment must be the document's.
        base_currency: the merchant's currency, ISO 4217.

    Raises:
        BadDocument: what is wrong, with the order's id and the field; nothing was inserted.
    """
    reader = _Reader(head.document, head.order_id)
    if head.environment and head.environment != key.environment:
        raise reader.bad(
            "environment_mismatch", f"environment is {head.environment[:32]!r}, the account's is {key.environment!r}"
        )
    try:
        exponent(head.currency)
    except MoneyError as error:
        raise reader.bad("unknown_currency", str(error)) from None
    rate, rate_source = _rate(reader, mapping, head.currency, base_currency)
    inclusive = reader.get(mapping.prices_include_tax) is True
    lines = _lines(reader, mapping, head.currency, base_currency, rate, inclusive)
    discounts = _discounts(reader, mapping, head.currency, base_currency, rate)
    parts = _parts(reader, mapping, inclusive)
    amounts = _amounts(reader, mapping, parts, lines, discounts, head.currency)
    base = _base_amounts(parts, lines, discounts, amounts.total, rate, base_currency)
    if max(base.total, base.goods, base.discount) >= ABSURD_AMOUNT:
        raise reader.bad("absurd", f"a rate of {rate} makes an absurd total in {base_currency}")
    return OrderDocument(
        **dict(amounts),
        base=base,
        reference=key.reference(head.order_id),
        provider=key.provider,
        environment=key.environment,
        account=key.account,
        source_order_id=head.order_id,
        created_at=_instant(reader.get(mapping.created_at)),
        currency=head.currency,
        base_currency=base_currency,
        rate=rate,
        rate_source=rate_source,
        prices_include_tax=inclusive,
        lines=lines,
        discounts=discounts,
        **_words(reader, mapping),
        extra={clean_text(k): _jsonable(v) for k, v in head.document.items() if k not in reader.used},
    )


def _words(reader: _Reader, mapping: GlopalMapping) -> dict[str, Any]:
    """The parts of an order that are no amounts."""
    return {
        "language": text_of(reader.get(mapping.language)),
        "customer_note": text_of(reader.get(mapping.customer_note)),
        "internal_note": text_of(reader.get(mapping.internal_note)),
        "buyer": Buyer(
            first_name=text_of(reader.get(mapping.first_name)),
            last_name=text_of(reader.get(mapping.last_name)),
            email=text_of(reader.get(mapping.email)),
            phone=text_of(reader.get(mapping.phone)),
        ),
        "shipping_address": _address(reader, mapping.shipping_address, mapping.address) or _no_address(reader),
        "billing_address": _address(reader, mapping.billing_address, mapping.address) or _no_address(reader),
        "original_shipping_address": _address(reader, mapping.original_shipping_address, mapping.address),
        "shipping_method": text_of(reader.get(mapping.shipping_method)),
        "payment_method": text_of(reader.get(mapping.payment_method)),
        "transaction_id": text_of(reader.get(mapping.transaction_id)),
        "tax_scheme": text_of(reader.get(mapping.tax_scheme)),
    }


def _no_address(reader: _Reader) -> Address:
    raise reader.bad("missing_field", "no shipping or billing address")


def _address(reader: _Reader, path: str, names: AddressMapping) -> Address | None:
    value = reader.get(path)
    if not isinstance(value, Mapping):
        return None
    return Address(**{field: text_of(dig(value, key)) for field, key in names.model_dump().items()})


def _instant(value: object) -> datetime | None:
    try:
        return parse_instant(text_of(value))
    except ValueError:
        return None


def _jsonable(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out, numbers as text
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(k)): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_jsonable(v) for v in value]
    return value


def _rate(reader: _Reader, mapping: GlopalMapping, currency: str, base: str) -> tuple[Decimal, str]:
    if currency == base:
        reader.used.add(mapping.rates)
        return Decimal(1), "same currency"
    path = f"{mapping.rates}.{base}.{mapping.rate}"
    value = reader.get(path)
    if value is None:
        raise reader.bad("missing_rate", f"no rate for base currency {base} at {path}; a rate is never guessed")
    rate = reader.parse(value, path)
    if rate <= 0:
        raise reader.bad("bad_amount", f"{path} is {rate}, a rate is above zero")
    return rate, path


def _lines(
    reader: _Reader, mapping: GlopalMapping, currency: str, base: str, rate: Decimal, inclusive: bool
) -> list[Line]:
    entries = reader.get(mapping.lines)
    if not isinstance(entries, list) or not entries:
        raise reader.bad("missing_field", f"no lines at {mapping.lines}")
    if len(entries) > MAX_LINES:
        raise reader.bad("absurd", f"{len(entries)} lines; more than {MAX_LINES} cannot be one order")
    return [
        _line(reader, mapping.line, entry, f"{mapping.lines}[{i}]", currency, base, rate, inclusive)
        for i, entry in enumerate(entries)
    ]


def _line(
    reader: _Reader,
    names: LineMapping,
    entry: object,
    where: str,
    currency: str,
    base: str,
    rate: Decimal,
    inclusive: bool,
) -> Line:
    if not isinstance(entry, Mapping):
        raise reader.bad("missing_field", f"{where} is not an object")
    quantity = _quantity(reader, dig(entry, names.quantity), where)
    if dig(entry, names.unit_price) is None:
        raise reader.bad("missing_field", f"{where} has no {names.unit_price}")
    read = {
        field: reader.parse(dig(entry, getattr(names, field)), f"{where}.{getattr(names, field)}")
        for field in ("unit_price", "discount", "tax", "duty")
    }
    total = total_of([multiply(read["unit_price"], quantity), -read["discount"], ZERO if inclusive else read["tax"]])
    if total < 0:
        raise reader.bad("negative_amount", f"{where}: the discount is larger than the line")
    stated = dig(entry, names.total)
    if stated is not None:
        told = reader.parse(stated, f"{where}.{names.total}")
        if round_minor(told, currency) != round_minor(total, currency):
            raise reader.bad("sum_mismatch", f"{where} says {told}, its parts add up to {total} {currency}")
    exact = {**read, "total": total}
    rate_text = dig(entry, names.tax_rate)
    return Line(
        **{field: round_minor(value, currency) for field, value in exact.items()},
        base=LineAmounts(**{field: round_minor(convert(value, rate), base) for field, value in exact.items()}),
        line_id=text_of(dig(entry, names.line_id)),
        sku=text_of(dig(entry, names.sku)),
        name=text_of(dig(entry, names.name)),
        quantity=quantity,
        tax_rate=None if rate_text is None else reader.parse(rate_text, f"{where}.{names.tax_rate}"),
        options=_options(dig(entry, names.options)),
    )


def _quantity(reader: _Reader, value: object, where: str) -> int:
    try:
        quantity = parse_amount(value)
    except MoneyError:
        raise reader.bad("missing_field", f"{where} has no usable quantity") from None
    if quantity != quantity.to_integral_value() or not 1 <= quantity <= 1_000_000:
        raise reader.bad("bad_amount", f"{where}: a quantity of {quantity} cannot be ordered")
    return int(quantity)


def _options(value: object) -> dict[str, str]:
    """Options come as an object or as a list of pairs or texts; all become one name-to-text table."""
    if isinstance(value, Mapping):
        return {clean_text(str(k)): text_of(v) for k, v in value.items()}
    if not isinstance(value, list):
        return {}
    options: dict[str, str] = {}
    for i, entry in enumerate(value):
        if isinstance(entry, Mapping) and "name" in entry:
            options[text_of(entry["name"])] = text_of(entry.get("value"))
        else:
            options[f"option {i + 1}"] = text_of(entry)
    return options


def _discounts(reader: _Reader, mapping: GlopalMapping, currency: str, base: str, rate: Decimal) -> list[Discount]:
    entries = reader.get(mapping.discounts)
    found: list[Discount] = []
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        where = f"{mapping.discounts}[{i}].{mapping.discount_amount}"
        amount = reader.parse(dig(entry, mapping.discount_amount), where)
        found.append(
            Discount(
                code=text_of(dig(entry, mapping.discount_code)),
                amount=round_minor(amount, currency),
                base_amount=round_minor(convert(amount, rate), base),
            )
        )
    return found


def _parts(reader: _Reader, mapping: GlopalMapping, inclusive: bool) -> dict[str, Decimal]:
    """The order-level parts that are added to the goods; tax parts are zero when prices include tax."""
    parts = {
        "shipping": reader.amount(mapping.shipping_price),
        "shipping_tax": reader.amount(mapping.shipping_tax),
        "duties": reader.amount(mapping.duties),
        "extra_charges": reader.amount(mapping.extra_charges),
        "extra_charges_tax": reader.amount(mapping.extra_charges_tax),
    }
    if inclusive:
        parts["shipping_tax"] = parts["extra_charges_tax"] = ZERO
    return parts


def _amounts(
    reader: _Reader,
    mapping: GlopalMapping,
    parts: dict[str, Decimal],
    lines: list[Line],
    discounts: list[Discount],
    currency: str,
) -> OrderAmounts:
    if reader.get(mapping.total) is None:
        raise reader.bad("missing_field", f"no total at {mapping.total}")
    told = reader.amount(mapping.total)
    total = round_minor(told, currency)
    exact = _exact_total(reader, mapping, parts)
    if round_minor(exact, currency) != total:
        raise reader.bad("sum_mismatch", f"total says {told} {currency}, its parts add up to {exact} {currency}")
    rounded = {name: round_minor(value, currency) for name, value in parts.items()}
    return _with_residual(rounded, lines, discounts, total)


def _exact_total(reader: _Reader, mapping: GlopalMapping, parts: dict[str, Decimal]) -> Decimal:
    """The total from the unrounded parts, so that nine-decimal amounts are judged by their exact sum."""
    inclusive = reader.get(mapping.prices_include_tax) is True
    names = mapping.line
    exact = list(parts.values())
    for entry in reader.get(mapping.lines):
        unit, discount, tax = (
            reader.parse(dig(entry, key), key) for key in (names.unit_price, names.discount, names.tax)
        )
        quantity = parse_amount(dig(entry, names.quantity))
        exact += [multiply(unit, quantity), -discount, ZERO if inclusive else tax]
    entries = reader.get(mapping.discounts)
    for entry in entries if isinstance(entries, list) else []:
        exact.append(-reader.parse(dig(entry, mapping.discount_amount), mapping.discounts))
    return total_of(exact)


def _with_residual(
    rounded: dict[str, Decimal], lines: list[Line], discounts: list[Discount], total: Decimal, *, base: bool = False
) -> OrderAmounts:
    goods = total_of(line.base.total if base else line.total for line in lines)
    discount = total_of(d.base_amount if base else d.amount for d in discounts)
    residual = total - total_of([goods, *rounded.values(), -discount])
    return OrderAmounts(goods=goods, **rounded, discount=discount, residual=residual, total=total)


def _base_amounts(
    parts: dict[str, Decimal],
    lines: list[Line],
    discounts: list[Discount],
    total: Decimal,
    rate: Decimal,
    base: str,
) -> OrderAmounts:
    rounded = {name: round_minor(convert(value, rate), base) for name, value in parts.items()}
    return _with_residual(rounded, lines, discounts, round_minor(convert(total, rate), base), base=True)
