"""Exact money: Decimal amounts, ISO 4217 exponents, one rounding function. Pure: no clock, no database, no HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext

from models.currencies import EXPONENTS

# Amounts beyond this are refused as absurd: no single paid order reaches a thousand million in any currency's major
# unit but the weakest, and a slip of the decimal point does.
ABSURD_AMOUNT = Decimal("1e12")
# More digits than any provider documents (Global-e prints nine decimals), so nothing is lost while adding up.
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)


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
        raise MoneyError(f"{currency!r} is not a currency of ISO 4217") from None


def parse_amount(value: object) -> Decimal:
    """Read an amount from JSON: a Decimal, an int or a numeric string. Floats are refused, they already lost digits.

    Raises:
        MoneyError: not a finite number, or beyond ``ABSURD_AMOUNT``.
    """
    if isinstance(value, bool) or not isinstance(value, (Decimal, int, str)):
        raise MoneyError(f"{value!r} is not an amount")
    try:
        amount = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        raise MoneyError(f"{value!r} is not an amount") from None
    if not amount.is_finite():
        raise MoneyError(f"{value!r} is not a finite amount")
    if abs(amount) >= ABSURD_AMOUNT:
        raise MoneyError(f"{amount} is beyond any plausible order amount")
    # Sixty digits after the point would fit Decimal but no ledger; nobody documents more than nine.
    if isinstance(exp := amount.as_tuple().exponent, int) and exp < -18:
        raise MoneyError(f"{amount} has more than 18 decimals")
    return amount


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
