"""Ranges of time: reading them in a zone, cutting them into that zone's days, and what covers what. Pure: no clock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from models.time import require_utc

# Neither provider sold across borders before; an earlier start is a slip of a digit.
EARLIEST_START = datetime(2000, 1, 1, tzinfo=UTC)
LONGEST_DAYS = 3660
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_LONGEST_NAME = 40
# Files of the zone database that name no place: one says that nobody chose, the other changes with the machine.
_NO_ZONES = {"Factory", "localtime"}


class BadRange(ValueError):
    """A range that cannot be meant. The message says what was given, what it means and what to give instead."""


@dataclass(frozen=True, slots=True)
class Span:
    """The instants from ``start`` up to, not including, ``end``. Aware values are converted to UTC.

    Raises:
        ValueError: a value has no time zone, or ``start`` is not before ``end``.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        # Converted before they are compared: Python compares two times of one zone by their clocks, ignoring DST.
        object.__setattr__(self, "start", require_utc(self.start))
        object.__setattr__(self, "end", require_utc(self.end))
        if self.start >= self.end:
            raise ValueError(f"a span must start before it ends, not {_utc(self.start)} to {_utc(self.end)}")

    @property
    def length(self) -> timedelta:
        """How much time passes from start to end."""
        return self.end - self.start

    def contains(self, at: datetime) -> bool:
        """Whether ``at`` lies in the span: its start does, its end does not.

        Raises:
            ValueError: ``at`` has no time zone.
        """
        return self.start <= require_utc(at) < self.end

    def overlap(self, other: Span) -> Span | None:
        """What both spans contain; None for spans that at most touch."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if start < end else None

    def __str__(self) -> str:
        return f"{_utc(self.start)} to {_utc(self.end)}"


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a span that falls on one day of a zone; ``whole`` if that is all of the day."""

    span: Span
    day: date
    whole: bool


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name such as ``Europe/Berlin``.

    Raises:
        BadRange: no such zone; the message suggests names like it.
    """
    # Asked of the list first: ZoneInfo opens files by name, and "", "America" and "../etc" each fail in their own way.
    if name in _zone_names():
        return ZoneInfo(name)
    if not name.strip():
        raise BadRange("the time zone is empty; give an IANA name such as Europe/Berlin or UTC")
    shown = f"{name[:_LONGEST_NAME]!r}{'...' if len(name) > _LONGEST_NAME else ''}"
    close = _names_like(name[:_LONGEST_NAME])
    instead = f"did you mean {' or '.join(close)}?" if close else "give an IANA name such as Europe/Berlin or UTC"
    raise BadRange(f"{shown} is not a time zone of the IANA database; {instead}")


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_ZONES)


def _names_like(name: str) -> list[str]:
    """Up to three zone names that look like ``name``, which may be a city only."""
    known = {full.lower(): full for full in sorted(_zone_names())}
    for full in sorted(_zone_names()):
        known.setdefault(full.rpartition("/")[2].lower(), full)
    close = get_close_matches(name.strip().lower().replace(" ", "_"), known, n=3, cutoff=0.7)
    return list(dict.fromkeys(known[key] for key in close))


def instant_of(value: date | datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant that ``value`` means in ``zone``: for a date, the first moment of that day.

    A datetime with an offset is taken as it is, one without is read on the zone's clocks.

    Raises:
        BadRange: the zone's clocks or calendar skip the value or show it twice, or it is beyond the years 1 to 9999.
    """
    if not isinstance(value, datetime):  # asked this way round, because each datetime is a date, too
        return _first_moment(value, zone)
    if value.tzinfo is not None:
        try:
            return require_utc(value)
        except ValueError as error:
            raise BadRange(f"{error}; give a time in UTC such as 2026-03-01T00:00:00Z") from None
    first, second = _readings(value, zone)
    if first == second:
        return first
    texts = [value.replace(tzinfo=zone, fold=fold).isoformat() for fold in (0, 1)]
    wrong = "happens twice in" if first < second else "does not exist in"
    why = "are put back" if first < second else "are put forward"
    raise BadRange(
        f"{value} {wrong} {zone}, where the clocks {why} around it: it can mean {_utc(first)} or {_utc(second)}; "
        f"add an offset such as +01:00, here {texts[0]} or {texts[1]}"
    )


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The day of ``zone`` that ``at`` belongs to, so that ``day_span`` of it contains ``at``.

    That is the date on the zone's calendar, but for clocks that are put back over midnight: once a day began, the
    repeated end of the day before belongs to it.

    Raises:
        ValueError: ``at`` has no time zone.
        BadRange: the day is beyond the years 1 to 9999.
    """
    at = require_utc(at)
    local = _local(at, zone)
    if local.fold and _reached(_day_after(local.date()), zone) <= at:
        return _day_after(local.date())
    return local.date()


def day_span(day: date, zone: ZoneInfo) -> Span:
    """The whole of ``day`` in ``zone``, from its first moment to that of the next day there is: often not 24 hours.

    Raises:
        BadRange: the zone's calendar skips the day, or it is beyond the years 1 to 9999.
        TypeError: ``day`` is a datetime, whose day depends on a zone: see ``day_of``.
    """
    if isinstance(day, datetime):
        raise TypeError("day_span takes a date; day_of tells that of a datetime")
    return Span(_first_moment(day, zone), _reached(_day_after(day), zone))


def windows(span: Span, zone: ZoneInfo) -> list[Window]:
    """Cut ``span`` at the first moments of the zone's days. The first and the last window may be parts of days.

    Raises:
        BadRange: a day is beyond the years 1 to 9999.
    """
    found = []
    at = span.start
    while at < span.end:
        day = day_of(at, zone)
        full = day_span(day, zone)
        part = Span(at, min(full.end, span.end))
        found.append(Window(part, day, whole=part == full))
        at = full.end
    return found


def _first_moment(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of ``day``, which ``zone`` must have."""
    at = _reached(day, zone)
    if (there := _local(at, zone).date()) != day:
        before = _local(at - _SECOND, zone).date()
        raise BadRange(
            f"there is no {day} in {zone}, whose calendar goes from {before} to {there} at {_utc(at)}; "
            f"give {before} or {there}"
        )
    return at


def _reached(day: date, zone: ZoneInfo) -> datetime:
    """The first instant at which the zone's calendar shows ``day`` or, where it skips that, a later one."""
    midnight = datetime.combine(day, time.min)
    first, second = _readings(midnight, zone)
    if first <= second:
        return first
    # No clock shows this midnight. Read with the offset after the change it is too early, with that before it too late;
    # the change is in between, and on a whole second.
    seconds = range((first - second) // _SECOND)
    jump = bisect_left(
        seconds, True, key=lambda passed: _local(second + passed * _SECOND, zone).replace(tzinfo=None) >= midnight
    )
    return second + jump * _SECOND


def _readings(clock: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both UTC instants that a clock time can mean: equal but where clocks change.

    The first is the earlier one for a time that is shown twice, and the later one for a time that is skipped.
    """
    try:
        first, second = (clock.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    except OverflowError:
        raise _beyond(clock, zone) from None
    return first, second


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    try:
        return at.astimezone(zone)
    except OverflowError:
        raise _beyond(at, zone) from None


def _day_after(day: date) -> date:
    try:
        return day + _DAY
    except OverflowError:
        raise BadRange(f"{day} has no end before the year 10000; give an earlier day") from None


def _beyond(value: datetime, zone: ZoneInfo) -> BadRange:
    return BadRange(f"{value} in {zone} is beyond the years 1 to 9999; give a time well within them")


def _utc(at: datetime) -> str:
    """An instant in UTC as people read it, with microseconds only if there are any."""
    return f"{at.replace(tzinfo=None)} UTC"


def resolve(
    start: date | datetime,
    end: date | datetime | None,
    zone: ZoneInfo,
    now: datetime,
    *,
    longest_days: int = LONGEST_DAYS,
) -> Span:
    """The span that was asked for, exactly: never shortened. No ``end`` means ``now``.

    Raises:
        BadRange: reversed, empty, not over yet, before ``EARLIEST_START`` or longer than ``longest_days``.
        ValueError: ``now`` has no time zone.
    """
    now = require_utc(now)
    begin = instant_of(start, zone)
    until = now if end is None else instant_of(end, zone)
    from_text = f"{start} ({_utc(begin)})"
    until_text = f"{'now' if end is None else end} ({_utc(until)})"
    if begin < EARLIEST_START:
        raise BadRange(f"the start {from_text} is too early; the earliest possible one is {_utc(EARLIEST_START)}")
    # The future before the order: a start in the future is after each end that is possible, too.
    if begin > now:
        raise BadRange(f"the start {from_text} is in the future; give one before now, {_utc(now)}")
    if until > now:
        raise BadRange(
            f"the end {until_text} is in the future; the latest possible end is now, {_utc(now)}: leave the end out "
            "to mean that"
        )
    if begin > until:
        raise BadRange(f"the start {from_text} is after the end {until_text}; swap them, or give a later end")
    if begin == until:
        raise BadRange(
            f"nothing lies between the start {from_text} and the end {until_text}, which is not part of the range; "
            "give the day after as the end to mean a whole day, or an earlier start"
        )
    span = Span(begin, until)
    if -(-span.length // _DAY) > longest_days:  # started days, rounded up
        latest = begin + longest_days * _DAY
        raise BadRange(
            f"{from_text} to {until_text} is longer than {longest_days} days; give an end up to {_utc(latest)}, and "
            "the rest as ranges of their own"
        )
    return span


def union(spans: Iterable[Span]) -> list[Span]:
    """The same instants in as few spans as possible, in order: those that overlap or touch become one."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted((span.start, span.end) for span in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return [Span(start, end) for start, end in merged]


def covered_part(span: Span, covered: Iterable[Span]) -> list[Span]:
    """The parts of ``span`` that ``covered`` contains, in order, none touching another."""
    return [part for other in union(covered) if (part := span.overlap(other)) is not None]


def gaps(span: Span, covered: Iterable[Span]) -> list[Span]:
    """The parts of ``span`` that ``covered`` leaves open, in order."""
    found = []
    at = span.start
    for part in covered_part(span, covered):
        if at < part.start:
            found.append(Span(at, part.start))
        at = part.end
    if at < span.end:
        found.append(Span(at, span.end))
    return found


def is_covered(span: Span, covered: Iterable[Span]) -> bool:
    """Whether ``covered`` leaves nothing of ``span`` open."""
    return not gaps(span, covered)
