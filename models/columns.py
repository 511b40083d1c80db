"""Column types that cannot lose anything: exact decimals and aware UTC times, the same on SQLite and PostgreSQL.

SQLite's NUMERIC is a float and its times have no zone, so both are stored as text there: amounts in fixed-point form,
times in 27 fixed-width characters, so that text order is time order.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect, Numeric, String
from sqlalchemy.types import TypeDecorator, TypeEngine

from models.time import parse_instant, require_utc, to_text

# NUMERIC(38, 18) on PostgreSQL; the same bounds hold on SQLite, so that a ledger can move between them.
_DECIMALS, _INTEGER_DIGITS = 18, 20
_CONTEXT = Context(prec=_DECIMALS + _INTEGER_DIGITS)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC only: ``timestamptz`` on PostgreSQL, fixed-width text on SQLite. Naive values are refused."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Pick the column type of the database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(String(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Refuse naive values; write UTC."""
        if value is None:
            return None
        return require_utc(value) if dialect.name == "postgresql" else to_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ANN401, ARG002
        """Read aware UTC back."""
        if value is None:
            return None
        return require_utc(value) if isinstance(value, datetime) else parse_instant(value)


class ExactDecimal(TypeDecorator[Decimal]):
    """Decimal in, the same Decimal out: NUMERIC on PostgreSQL, TEXT on SQLite. Floats are refused."""

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Pick the column type of the database."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(38, 18, asdecimal=True))
        return dialect.type_descriptor(String())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Refuse anything but finite decimals."""
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():  # type: ignore[redundant-expr]
            raise TypeError(f"{value!r} is not a finite Decimal")
        exponent = value.as_tuple().exponent
        if (isinstance(exponent, int) and -exponent > _DECIMALS) or value.adjusted() >= _INTEGER_DIGITS:
            raise TypeError(f"{value:e} has more than {_INTEGER_DIGITS} digits before or {_DECIMALS} after the point")
        return value if dialect.name == "postgresql" else f"{value:f}"

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ANN401, ARG002
        """Read the exact value back; trailing zeros carry no meaning."""
        if value is None:
            return None
        exact = Decimal(value)
        # Never in Python's default context: its 28 digits would round.
        short = _CONTEXT.normalize(exact)
        return _CONTEXT.quantize(short, Decimal(1)) if short == short.to_integral_value(context=_CONTEXT) else short
