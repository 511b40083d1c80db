"""The parameters that every deployment about a range of time shares, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from models.outcome import ConfigurationError
from models.ranges import BadRange, Span, resolve, zone_of
from models.settings import Settings


def _date_or_time(value: Any) -> Any:  # noqa: ANN401 - whatever a form or a command line gives
    """A date stays a date: midnight of a zone that is only known later must not become midnight in UTC."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    try:
        return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is neither a date (2026-03-01) nor a date and time (2026-03-01T06:00)"
        ) from None


When = Annotated[date | datetime, BeforeValidator(_date_or_time)]
Zone = Annotated[str, Field(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class Range:
    """A range as it was asked for, and as it is meant; ``open_end`` when it was to end now."""

    span: Span
    zone: ZoneInfo
    open_end: bool = False

    def __str__(self) -> str:
        return f"{self.span} ({self.zone.key})"


def read_range(start: date | datetime, end: date | datetime | None, zone: str, now: datetime) -> Range:
    """The two instants that a person means.

    Raises:
        BadRange: reversed, empty, in the future, absurd, or a time that the zone does not have (once).
    """
    place = zone_of(zone)
    return Range(resolve(start, end, place, now), place, open_end=end is None)


def read_when(text: str) -> date | datetime:
    """A date or time from the command line.

    Raises:
        BadRange: it is neither.
    """
    try:
        found: date | datetime = _date_or_time(text)
    except ValueError as error:
        raise BadRange(str(error)) from None
    return found


def names_of(settings: Settings, accounts: list[str]) -> list[str]:
    """The accounts that are meant: all of the configuration's when none is named.

    Raises:
        ConfigurationError: one that is not in the configuration, or none at all.
    """
    known = ", ".join(sorted(settings.accounts)) or "none"
    for name in accounts:
        if name not in settings.accounts:
            raise ConfigurationError(f"there is no [accounts.{name}] in the configuration; known accounts: {known}")
    chosen = list(dict.fromkeys(accounts)) or sorted(settings.accounts)
    if not chosen:
        raise ConfigurationError("there is no account in the configuration; see crossdock.example.toml")
    return chosen
