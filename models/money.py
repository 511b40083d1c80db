"""Exact money: Decimal amounts, ISO 4217 exponents, one rounding function. Pure: no clock, no database, no HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from models.currencies import EXPONENTS

# Amounts beyond this are refused as absurd: no single paid order reaches a thousand million in any currency's major
# unit but the weakest, and a slip of the decimal point does.
ABSURD_AMOUNT = Decimal("1e12")
# More digits than any provider documents (Global-e prints nine decimals), so nothing is lost while adding up.
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)
# What a provider may write as a number. Decimal itself also reads 1_000, Arabic digits and "sNaN123".
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,60}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_LONGEST_SHOWN = 40


class MoneyError(ValueError):
    """An amount or a currency that cannot be used. The message names the value."""


def exponent(currency: str) -> int:
    """Number of decimals of ``currency`` by ISO 4217, e.g. 0 for JPY and 3 for KWD.

    Raises:
        MoneyError: the code is not an active ISO 4217 currency.
    """
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise MoneyError(f"{currency[:8]!r} is not a currency of ISO 4217") from None


def parse_amount(value: object) -> Decimal:
    """Read an amount from JSON: a Decimal, an int or a numeric string. Floats are refused, they already lost digits.

    Raises:
        MoneyError: not a finite number, or beyond ``ABSURD_AMOUNT``.
    """
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise MoneyError(f"{_shape(value)} is not an amount")
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise MoneyError(f"{_shape(value)} is not an amount")
    amount = Decimal(value.strip() if isinstance(value, str) else value)
    if not amount.is_finite():
        raise MoneyError(f"{amount} is not a finite amount")
    if amount.is_zero():
        return Decimal(0)  # neither -0 nor 0E+999999
    # By its first digit's place: comparing would round, and overflow on 1e999999999.
    if amount.adjusted() >= ABSURD_AMOUNT.adjusted():
        raise MoneyError(f"{_shown(amount)} is beyond any plausible order amount")
    # Sixty digits after the point would fit Decimal but no ledger; nobody documents more than nine.
    if isinstance(exp := amount.as_tuple().exponent, int) and exp < -18:
        raise MoneyError(f"{_shown(amount)} has more than 18 decimals")
    return amount


def _shape(value: object) -> str:
    """What kind of thing stands where an amount should, without its content: it may be a buyer's."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    return {dict: "an object", list: "a list", bool: "true or false"}.get(type(value), f"a {type(value).__name__}")


def _shown(amount: Decimal) -> str:
    text = f"{amount:e}" if abs(amount.adjusted()) > _LONGEST_SHOWN else f"{amount}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def round_minor(amount: Decimal, currency: str) -> Decimal:
    """The only rounding of the hub: half up to the currency's smallest unit."""
    with localcontext(_CONTEXT):
        return amount.quantize(Decimal(1).scaleb(-exponent(currency)), rounding=ROUND_HALF_UP)


def total_of(amounts: Iterable[Decimal]) -> Decimal:
    """Exact sum of amounts."""
    with localcontext(_CONTEXT):
        return sum(amounts, Decimal(0))


def multiply(amount: Decimal, quantity: Decimal | int) -> Decimal:
    """Exact product."""
    with localcontext(_CONTEXT):
        return amount * quantity


def convert(amount: Decimal, rate: Decimal) -> Decimal:
    """Buyer currency to base currency: ``amount / rate``, unrounded to 60 digits.

    ``rate`` is units of buyer currency for one unit of base (Glopal's documented rule).
    """
    with localcontext(_CONTEXT):
        return amount / rate


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the smallest unit that its currency allows."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or self.amount.adjusted() > _LONGEST_SHOWN:
            raise MoneyError(f"{_shown(self.amount)} is not an amount of money")
        if round_minor(self.amount, self.currency) != self.amount:
            raise MoneyError(f"{self.amount} {self.currency} has more decimals than the currency")

    @property
    def minor(self) -> int:
        """The amount in minor units, e.g. 1234 for 12.34 EUR and 500 for 500 JPY."""
        return int(self.amount.scaleb(exponent(self.currency), context=_CONTEXT))

    @property
    def text(self) -> str:
        """Fixed-point text with exactly the currency's decimals."""
        return f"{round_minor(self.amount, self.currency):f}"

    def __str__(self) -> str:
        return f"{self.text} {self.currency}"


def spread_residual(parts: list[Decimal], total: Decimal, currency: str) -> tuple[list[Decimal], Decimal]:
    """Round each part and say what rounding left over.

    Returns:
        The rounded parts and the residual in the currency's unit, so that ``sum(parts) + residual`` equals the
        rounded total exactly.
    """
    rounded = [round_minor(part, currency) for part in parts]
    return rounded, round_minor(total, currency) - total_of(rounded)
