"""JSON text in which every amount keeps its exact decimal digits.

The standard encoder turns `Decimal` into a float or refuses it; amounts must leave here as written (`12.30`, not
`12.299999999999999`), so the encoder is our own. It refuses floats, because a float in a document is always a mistake.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, BinaryIO, TypeAlias

Json: TypeAlias = Any
"""A JSON value; numbers with a fraction are `Decimal`."""


@dataclass(frozen=True, slots=True)
class Raw:
    """JSON that is written already; `dumps` puts it in as it stands."""

    encoded: bytes


_quote: Callable[[str], str] = encode_basestring


def dumps(value: Json) -> bytes:
    """Write `value` as compact UTF-8 JSON.

    Args:
        value: dicts with string keys, lists, tuples, str, int, bool, None, Decimal and Raw.

    Returns:
        The text as bytes.

    Raises:
        TypeError: the value holds something else, a float for example.
    """
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts).encode("utf-8", "replace")


def dump(value: Json, out: BinaryIO) -> None:
    """Write `value` like `dumps`, piece by piece into a file, for states that are too big to hold twice."""
    _write(value, lambda text: out.write(text.encode("utf-8", "replace")))


def loads(data: bytes | str) -> Json:
    """Read JSON; numbers with a fraction come back as `Decimal`, digits kept.

    Raises:
        ValueError: the text is not JSON.
    """
    return json.loads(data, parse_float=Decimal)


def _write(value: Json, put: Callable[[str], object]) -> None:
    if isinstance(value, str):
        put(_quote(value))
    elif value is None:
        put("null")
    elif isinstance(value, bool):
        put("true" if value else "false")
    elif isinstance(value, int):
        put(str(value))
    elif isinstance(value, Decimal):
        if not value.is_finite():
            raise TypeError(f"{value} cannot be written as a JSON number")
        put(format(value, "f"))
    elif isinstance(value, dict):
        _write_object(value, put)
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            put(separator)
            _write(item, put)
            separator = ","
        put("]" if separator == "," else "[]")
    elif isinstance(value, Raw):
        put(value.encoded.decode("utf-8"))
    else:
        raise TypeError(f"{type(value).__name__} cannot be written as JSON here")


def _write_object(value: dict[str, Json], put: Callable[[str], object]) -> None:
    separator = "{"
    for key, item in value.items():
        put(separator)
        put(_quote(key))
        put(":")
        _write(item, put)
        separator = ","
    put("}" if separator == "," else "{}")
