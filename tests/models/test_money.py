"""Exact money: exponents, reading, rounding, spreading."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import currencies
from models.currencies import EXPONENTS
from models.money import (
    ABSURD_AMOUNT,
    Money,
    MoneyError,
    convert,
    exponent,
    multiply,
    parse_amount,
    round_minor,
    spread_residual,
    total_of,
)
from tests.support import Canaries, assert_no_canary

amounts = st.decimals(min_value=0, max_value=10**9, places=9, allow_nan=False, allow_infinity=False)
codes = st.sampled_from(["EUR", "JPY", "KWD", "CLF", "CHF"])


@pytest.mark.parametrize(
    ("currency", "decimals"),
    [("EUR", 2), ("USD", 2), ("CHF", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("BHD", 3), ("CLF", 4), ("UYW", 4)],
)
def test_exponents_are_those_of_iso_4217(currency: str, decimals: int) -> None:
    """Each currency has the number of decimals that ISO 4217 gives it."""
    assert decimals == exponent(currency)


def test_no_currency_is_listed_twice() -> None:
    """A code stands in one group only, and all are three capitals."""
    groups = [*currencies._ZERO, *currencies._TWO, *currencies._THREE, *currencies._FOUR]

    assert sorted(EXPONENTS) == sorted(groups)
    assert all(len(code) == 3 and code.isupper() for code in EXPONENTS)


@pytest.mark.parametrize("code", ["", "eur", "XXX", "EURO", "DEM", "€", "EUR\n"])
def test_codes_that_are_no_currency_are_refused(code: str) -> None:
    """Unknown, former and misspelt codes are errors, never guesses."""
    with pytest.raises(MoneyError, match="ISO 4217"):
        exponent(code)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (Decimal("91.02"), "91.02"),
        (12, "12"),
        ("0.9102", "0.9102"),
        (" 5.00 ", "5.00"),
        ("-3", "-3"),
        ("1e3", "1000"),
        (Decimal("1E+2"), "100"),
        ("0.123456789012345678", "0.123456789012345678"),
        ("999999999999.999999999999999999", "999999999999.999999999999999999"),
        ("-0.00", "0"),
        (Decimal("0E+999999"), "0"),
        (Decimal("0E-999999"), "0"),
    ],
)
def test_amounts_are_read_exactly(value: object, read: str) -> None:
    """Decimals, integers and numeric texts are read without losing a digit; no zero has a sign."""
    assert Decimal(read) == parse_amount(value)
    assert not parse_amount("-0").is_signed()


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        0.0,
        True,
        False,
        None,
        [],
        {},
        b"1",
        "",
        " ",
        "abc",
        "1,50",
        "1 000",
        "1_000",
        "١٢",  # Arabic digits, which Decimal would take
        "0x10",
        "NaN",
        "sNaN12",
        "Infinity",
        "-inf",
        "1e9999999999999999999999",
        "1" * 61,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
        ABSURD_AMOUNT,
        -ABSURD_AMOUNT,
        10**12,
        10**4000,
        "1e999",
        Decimal("1e999999"),
        Decimal("1e999999999"),
        Decimal("-1e999999999"),
        "0.1234567890123456789",
        Decimal("1e-999999"),
        "1e-19",
    ],
)
def test_values_that_are_no_amount_are_refused(value: object) -> None:
    """Floats, truth values, texts, NaN, infinities, absurd sizes and too many decimals raise MoneyError only."""
    with pytest.raises(MoneyError) as caught:
        parse_amount(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [Canaries.EMAIL, {"email": Canaries.EMAIL}, [Canaries.NAME], Canaries.PHONE + "x"])
def test_refusals_do_not_show_what_stood_there(value: object) -> None:
    """A buyer's value in the place of an amount is not repeated in the message."""
    with pytest.raises(MoneyError) as caught:
        parse_amount(value)
    assert_no_canary(caught.value)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("10.005", "EUR", "10.01"),
        ("10.0049999", "EUR", "10.00"),
        ("-10.005", "EUR", "-10.01"),
        ("0.5", "JPY", "1"),
        ("1.4999", "JPY", "1"),
        ("1.0005", "KWD", "1.001"),
        ("1.00005", "CLF", "1.0001"),
    ],
)
def test_rounding_is_half_up_to_the_smallest_unit(amount: str, currency: str, rounded: str) -> None:
    """Halves go away from zero, at the currency's own decimals."""
    assert rounded == str(round_minor(Decimal(amount), currency))


def test_contract_sample_is_converted() -> None:
    """The contract's sample: EUR 91.02 at 0.9102 EUR for one USD is USD 100.00."""
    assert Decimal("100.00") == round_minor(convert(Decimal("91.02"), Decimal("0.9102")), "USD")


@given(amount=amounts, rate=st.decimals(min_value="0.000001", max_value=10**6, places=9))
def test_conversion_loses_less_than_any_unit(amount: Decimal, rate: Decimal) -> None:
    """Converting back gives the amount to far below any smallest unit."""
    assert abs(multiply(convert(amount, rate), rate) - amount) < Decimal("1e-20")


@given(parts=st.lists(amounts, max_size=60), currency=codes)
def test_rounded_parts_and_residual_are_the_total(parts: list[Decimal], currency: str) -> None:
    """Parts plus residual equal the rounded total exactly, and the residual is at most half a unit a part."""
    rounded, residual = spread_residual(parts, total_of(parts), currency)

    assert round_minor(total_of(parts), currency) == total_of([*rounded, residual])
    assert abs(residual) * 2 <= (len(parts) + 1) * Decimal(1).scaleb(-exponent(currency))
    assert all(part == round_minor(part, currency) for part in rounded)


@given(amount=amounts, count=st.integers(0, 50))
def test_sums_and_products_are_exact(amount: Decimal, count: int) -> None:
    """Adding an amount n times is multiplying it by n, to the last digit."""
    assert multiply(amount, count) == total_of([amount] * count)
    assert int(amount.scaleb(9)) * count == int(multiply(amount, count).scaleb(9))


@pytest.mark.parametrize(
    ("amount", "currency", "minor", "text"),
    [
        ("12.34", "EUR", 1234, "12.34 EUR"),
        ("12.3", "EUR", 1230, "12.30 EUR"),
        ("500", "JPY", 500, "500 JPY"),
        ("5E+2", "JPY", 500, "500 JPY"),
        ("1.234", "KWD", 1234, "1.234 KWD"),
        ("0", "CLF", 0, "0.0000 CLF"),
    ],
)
def test_money_shows_its_units(amount: str, currency: str, minor: int, text: str) -> None:
    """Money knows its minor units and is written with exactly its currency's decimals."""
    money = Money(Decimal(amount), currency)

    assert (minor, text) == (money.minor, str(money))


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("1.5", "JPY"), ("1.001", "EUR"), ("NaN", "EUR"), ("Infinity", "EUR"), ("1e999999", "EUR"), ("1", "ABC")],
)
def test_money_refuses_what_is_below_its_unit(amount: str, currency: str) -> None:
    """Money with more decimals than its currency, without end or without a currency cannot be made."""
    with pytest.raises(MoneyError):
        Money(Decimal(amount), currency)
