"""Numbers, times and lengths of time as the reports write them, and how hostile text is made harmless."""

from __future__ import annotations

import html
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from models.currencies import EXPONENTS
from models.ranges import Span

UNUSABLE = "?"
"""The currency under which orders stand of which no usable currency is known."""
_WEEKDAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))


def amount_text(amount: Decimal, currency: str) -> str:
    """An amount in plain digits with at least the currency's decimals, so that equal amounts have equal texts.

    Nothing is rounded: digits beyond the currency's smallest unit stay.
    """
    whole, _, fraction = f"{amount:f}".partition(".")
    fraction = fraction.rstrip("0").ljust(EXPONENTS.get(currency, 0), "0")
    if whole.strip("-0") == "" and fraction.strip("0") == "":
        whole = "0"
    return f"{whole}.{fraction}" if fraction else whole


def grouped(amount: Decimal, currency: str) -> str:
    """The same with a comma between thousands."""
    whole, point, fraction = amount_text(amount, currency).partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole != "-0" else f"{whole}{point}{fraction}"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun, e.g. 1 order or 1,204 orders."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def plain(text: str) -> str:
    """Text in which nothing moves the cursor, hides or turns round what stands beside it."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "\ufffd" for char in text)


def escape(text: object) -> str:
    """Text for HTML and SVG, in elements and in quoted attributes."""
    return html.escape(plain(str(text)), quote=True)


def utc(at: datetime) -> str:
    """An instant in UTC, with seconds and smaller only where there are any."""
    return f"{_clock(at)} UTC"


def local(at: datetime, zone: ZoneInfo) -> str:
    """An instant on the zone's clocks, with the offset that makes it one instant."""
    there = at.astimezone(zone)
    return f"{_clock(there)} {there:%z}"


def _clock(at: datetime) -> str:
    if at.microsecond:
        return f"{at:%Y-%m-%d %H:%M:%S.%f}"
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def day_text(day: date) -> str:
    """A day with its weekday, e.g. Mon 2026-03-02."""
    return f"{_WEEKDAYS[day.weekday()]} {day}"


def length(gap: timedelta) -> str:
    """A length of time in its largest fitting unit."""
    seconds = max(0, int(gap.total_seconds()))
    for size, word in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size} {word}"
    return count(seconds, "second")


def span_text(span: Span, zone: ZoneInfo) -> str:
    """A span on the zone's clocks."""
    return f"{local(span.start, zone)} to {local(span.end, zone)}"


def paragraphs(text: str) -> tuple[str, ...]:
    """The paragraphs of a text, each on one line."""
    return tuple(" ".join(part.split()) for part in text.strip().split("\n\n"))
