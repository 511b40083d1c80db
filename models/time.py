"""Aware UTC time and nothing else. Pure apart from ``utc_now``, which is the one place that reads the clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, aware, in UTC, with microseconds."""
    return datetime.now(UTC)


def require_utc(value: datetime) -> datetime:
    """Refuse naive times and convert aware ones to UTC.

    Raises:
        ValueError: the value has no zone; guessing one has lost others whole hours of orders.
    """
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{value.isoformat()} has no time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value.isoformat()} is outside of the years 1 to 9999 in UTC") from None


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant with a zone, e.g. ``2023-01-10T10:00:00.000Z``.

    Raises:
        ValueError: not a date-time, or one without a zone.
    """
    return require_utc(datetime.fromisoformat(text))


def to_text(value: datetime) -> str:
    """Fixed-width UTC text (27 characters, microseconds, ``Z``), so that text order is time order."""
    return require_utc(value).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
