"""The one text of every fact, and the hash over all of them whatever order they come in."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from models.ranges import Span
from models.sides import LedgerSide, SourceSide, StoreSide
from models.time import parse_instant, to_text
from reports.facts import FindingFact, OrderFact, Proven
from reports.words import amount_text, paragraphs

RECIPE = paragraphs(
    """
    Each order is one JSON object, its keys sorted, no blanks between them and every character outside of ASCII escaped
    (Python: json.dumps with sort_keys, ensure_ascii and separators ',' and ':'). A side's fields that may be left out
    are left out when they are empty, null or false.

    orders_sum is the sum of the SHA-256 digests of these objects, each read as one big-endian number, modulo 2**256,
    as 64 hexadecimal digits; so the order of the orders does not matter.

    sha256 is the SHA-256 of one JSON object of the same form with the keys account (the key), from, to, zone, proven
    and findings (as they stand in this document, each list sorted by its objects' texts) and orders, an object of
    count and sum.

    Amounts are texts in plain digits with at least their currency's decimals; times are UTC with microseconds.
    """
)
_MODULUS = 1 << 256
# Which currency an amount is in. Every other field of an order is a text, a time, a yes or no, or a side.
_CURRENCY_OF = {"total": "currency", "base_total": "base_currency"}
_AMOUNT = re.compile(r"-?[0-9]{1,80}(?:\.[0-9]{1,80})?", re.ASCII)
FIELDS: dict[type, dict[str, Any]] = {
    kind: get_type_hints(kind) for kind in (OrderFact, FindingFact, SourceSide, LedgerSide, StoreSide)
}
_NO_DEFAULT = object()
_DEFAULTS = {
    kind: {field.name: field.default for field in fields(kind) if field.default is not MISSING} for kind in FIELDS
}
_WITH_DEFAULTS = {
    kind: tuple((name, _DEFAULTS[kind].get(name, _NO_DEFAULT)) for name in names) for kind, names in FIELDS.items()
}
# Kept, because json.dumps would make a new one for each of many orders.
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
T = TypeVar("T")


class Unreadable(ValueError):
    """A line or document that is none of ours. The message says what is wrong with it."""


def canonical(value: object) -> str:
    """The one JSON text of a value."""
    return _ENCODER.encode(value)


def record_of(fact: object) -> dict[str, Any]:
    """A fact, or a side of one, as JSON values, without the fields that have their default.

    So a field that a later release adds leaves the texts and hashes of older certificates as they are.
    """
    record: dict[str, Any] = {}
    for name, default in _WITH_DEFAULTS[type(fact)]:
        value = getattr(fact, name)
        if value is not default and value != default:
            # Most are texts, and a certificate has a great many of them.
            record[name] = value if type(value) is str else _value(fact, name, value)
    return record


def _value(fact: object, name: str, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, Decimal):
        return amount_text(value, getattr(fact, _CURRENCY_OF[name]))
    return record_of(value)


def proven_record(proven: Proven) -> dict[str, Any]:
    """A proven interval as JSON values."""
    return {
        **span_record(proven.span),
        "by": proven.by,
        "proved_at": to_text(proven.proved_at),
        "how": proven.how,
    }


def finding_record(finding: FindingFact) -> dict[str, Any]:
    """A finding as JSON values."""
    return record_of(finding)


def span_record(span: Span) -> dict[str, Any]:
    """A span as JSON values."""
    return {"from": to_text(span.start), "to": to_text(span.end)}


def in_order(facts: Iterable[T], record: Callable[[T], Mapping[str, Any]]) -> tuple[T, ...]:
    """Facts by their texts, so that their order says nothing."""
    return tuple(sorted(facts, key=lambda fact: canonical(record(fact))))


class Combined:
    """A hash over many lines whatever order they come in: the sum of their digests. Repeats count.

    It tells when anything was changed by mistake or by hand. Somebody with a great deal of computing could build other
    lines of the same sum: who must exclude that, signs the file.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, line: str) -> None:
        """Take one line in."""
        digest = hashlib.sha256(line.encode("ascii")).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % _MODULUS
        self.count += 1

    @property
    def text(self) -> str:
        """The sum as 64 hexadecimal digits."""
        return f"{self._sum:064x}"


def fingerprint(
    key: str,
    span: Span,
    zone: str,
    proven: Iterable[Mapping[str, Any]],
    findings: Iterable[Mapping[str, Any]],
    orders: tuple[int, str],
) -> str:
    """The SHA-256 of all that a certificate was computed from."""
    whole = {
        "account": key,
        **span_record(span),
        "zone": zone,
        "proven": sorted(proven, key=canonical),
        "findings": sorted(findings, key=canonical),
        "orders": {"count": orders[0], "sum": orders[1]},
    }
    return hashlib.sha256(canonical(whole).encode("ascii")).hexdigest()


def fact_of(record: object) -> OrderFact:
    """The order that a record describes.

    Raises:
        Unreadable: fields are missing, unknown or of another kind.
    """
    return _read(OrderFact, record)


def finding_of(record: object) -> FindingFact:
    """The finding that a record describes.

    Raises:
        Unreadable: fields are missing, unknown or of another kind.
    """
    return _read(FindingFact, record)


def proven_of(record: Mapping[str, Any]) -> Proven:
    """The proven interval that a record describes.

    Raises:
        Unreadable: fields are missing, unknown or of another kind.
    """
    try:
        return Proven(span_of(record), record["by"], parse_instant(record["proved_at"]), record["how"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"no proven interval: {error!r}") from None


def span_of(record: Mapping[str, Any]) -> Span:
    """The span that a record describes.

    Raises:
        Unreadable: it is none.
    """
    try:
        return Span(parse_instant(record["from"]), parse_instant(record["to"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"no span: {error!r}") from None


def _read(kind: type[T], record: object) -> T:
    hints = FIELDS[kind]
    needed = set(hints) - set(_DEFAULTS[kind])
    if not isinstance(record, Mapping) or not needed <= set(record) <= set(hints):
        raise Unreadable(f"the fields of {kind.__name__} are {', '.join(hints)}")
    try:
        return kind(**{name: _back(hints[name], value) for name, value in record.items()})
    except (TypeError, ValueError) as error:
        raise Unreadable(f"{kind.__name__}: {error}") from None


def _back(hint: Any, value: object) -> object:  # noqa: ANN401 - a type
    """A JSON value as the type that its field has."""
    if get_origin(hint) is UnionType:
        if value is None:
            return None
        hint = get_args(hint)[0]
    if hint in (str, bool) and isinstance(value, hint):
        return value
    if isinstance(value, str):
        if hint is datetime:
            return parse_instant(value)
        if hint is Decimal and _AMOUNT.fullmatch(value):
            return Decimal(value)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return hint(value)
    if hint in FIELDS:
        return _read(hint, value)
    raise Unreadable(f"{type(value).__name__} instead of {getattr(hint, '__name__', hint)}")
