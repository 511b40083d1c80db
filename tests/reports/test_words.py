"""Numbers, lengths and hostile text as the reports write them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import svg as draw
from reports.words import amount_text, escape, grouped, length, plain


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("0", "EUR", "0.00"),
        ("-0", "JPY", "0"),
        ("-0.00", "KWD", "0.000"),
        ("-0.5", "EUR", "-0.50"),
        ("1E+3", "EUR", "1000.00"),
        ("12.3450", "EUR", "12.345"),
        ("7", "?", "7"),
        ("0E-9", "?", "0"),
        ("99999999999999999999999999999999.999", "KWD", "99999999999999999999999999999999.999"),
    ],
)
def test_amounts_are_written_exactly(amount: str, currency: str, text: str) -> None:
    """At least the currency's decimals, never rounded, never an exponent, and no minus before nothing."""
    assert text == amount_text(Decimal(amount), currency)
    assert text == grouped(Decimal(amount), currency).replace(",", "")


def test_thousands_are_grouped() -> None:
    """People read 1,234,567.50 and -1,000; a minus before less than one stays."""
    written = [grouped(Decimal(text), "EUR") for text in ("1234567.5", "-1000", "-0.5")]

    assert written == ["1,234,567.50", "-1,000.00", "-0.50"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (7199, "119 minutes"),
        (172800, "2 days"),
        (-5, "0 seconds"),
    ],
)
def test_lengths_are_told_in_their_largest_unit(seconds: int, words: str) -> None:
    """A length is told in the unit of which it has at least two."""
    assert words == length(timedelta(seconds=seconds))


@given(st.text())
def test_no_text_can_move_the_cursor_or_leave_its_place(text: str) -> None:
    """What is shown has no control character in it, and what is escaped has no markup."""
    assert all(char.isprintable() for char in plain(text))
    assert not set("<>\"'") & set(escape(text))


@pytest.mark.parametrize(("most", "last"), [(0, 1), (1, 1), (3, 3), (7, 8), (47, 60), (80, 80), (12345, 15000)])
def test_axes_have_round_numbers(most: int, last: int) -> None:
    """An axis begins at 0, ends at or above the largest value, and has few steps."""
    scale = draw.ticks(most)

    assert (0, last) == (scale[0], scale[-1])
    assert len(scale) <= 6
