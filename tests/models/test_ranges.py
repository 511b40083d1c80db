"""Ranges of time: reading, days of odd zones, refusals and what covers what."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from random import Random
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.ranges import (
    EARLIEST_START,
    BadRange,
    Span,
    Window,
    covered_part,
    day_of,
    day_span,
    gaps,
    instant_of,
    is_covered,
    resolve,
    union,
    windows,
    zone_of,
)

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
BERLIN = zone_of("Europe/Berlin")
APIA = zone_of("Pacific/Apia")
# Each with its own way to spoil a midnight; St. John's put its clocks back at one minute past.
ZONES = (
    "UTC Europe/Berlin America/Santiago Asia/Beirut Africa/Cairo America/Havana Pacific/Apia Australia/Lord_Howe "
    "America/St_Johns Asia/Kathmandu America/New_York Africa/Casablanca Asia/Tehran"
).split()

naive = datetime.fromisoformat
zones = st.sampled_from(ZONES).map(zone_of)
instants = st.integers(946_684_800, 2_200_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
long_spans = st.builds(
    lambda start, length: Span(start, start + length), instants, st.timedeltas(TICK, 40 * DAY) | st.just(DAY)
)


def utc(text: str) -> datetime:
    """The instant that a text without an offset means in UTC."""
    return naive(text).replace(tzinfo=UTC)


def span(start: int, end: int) -> Span:
    """From and to so many minutes after the beginning of 2026."""
    return Span(ZERO + timedelta(minutes=start), ZERO + timedelta(minutes=end))


# Few minutes, so that spans often touch, nest and repeat.
short_spans = st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda pair: span(pair[0], sum(pair)))
many_spans = st.lists(short_spans, max_size=8)


def each(*pairs: tuple[int, int]) -> list[Span]:
    """Several spans in short."""
    return [span(*pair) for pair in pairs]


def test_a_span_contains_its_start_and_not_its_end() -> None:
    """Of two spans that touch, exactly one contains the instant between them."""
    one = span(10, 20)

    assert one.contains(one.start)
    assert one.contains(one.end - TICK)
    assert not one.contains(one.start - TICK)
    assert not one.contains(one.end)
    assert one.contains(one.start.astimezone(BERLIN))
    assert timedelta(minutes=10) == one.length


@pytest.mark.parametrize(
    ("other", "both"),
    [
        (span(0, 10), None),
        (span(20, 30), None),
        (span(0, 11), (10, 11)),
        (span(19, 30), (19, 20)),
        (span(0, 30), (10, 20)),
        (span(10, 20), (10, 20)),
    ],
)
def test_spans_overlap_where_both_are(other: Span, both: tuple[int, int] | None) -> None:
    """Spans that only touch have nothing in common; order does not matter."""
    expected = span(*both) if both else None

    assert expected == span(10, 20).overlap(other)
    assert expected == other.overlap(span(10, 20))


def test_spans_are_kept_and_shown_in_utc() -> None:
    """Other zones are converted before Python compares their clocks, and microseconds shown only if there are any."""
    one = Span(utc("2026-03-01").astimezone(BERLIN), utc("2026-04-01").astimezone(BERLIN))

    assert (one.start.tzinfo, one.end.tzinfo) == (UTC, UTC)
    assert str(one) == "2026-03-01 00:00:00 UTC to 2026-04-01 00:00:00 UTC"
    assert str(Span(one.start, one.start + TICK)) == "2026-03-01 00:00:00 UTC to 2026-03-01 00:00:00.000001 UTC"
    first, second = (naive("2026-10-25T02:30").replace(tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    assert timedelta(hours=1) == Span(first, second).length


def test_spans_that_end_before_they_start_or_have_no_zone_are_refused() -> None:
    """Neither an empty span nor a reversed one exists, and a zone is never guessed."""
    for end in (ZERO, ZERO - TICK):
        with pytest.raises(ValueError, match="must start before it ends"):
            Span(ZERO, end)
    for start, end in ((naive("2026-01-01"), NOW), (ZERO, naive("2026-01-02"))):
        with pytest.raises(ValueError, match="has no time zone"):
            Span(start, end)
    with pytest.raises(ValueError, match="has no time zone"):
        span(0, 1).contains(naive("2026-01-01"))


@pytest.mark.parametrize("name", ["", "  ", "../etc", "/etc/localtime", "America", "Factory", "localtime", "x" * 999])
def test_names_of_no_zone_are_refused(name: str) -> None:
    """Empty, path-like and unknown names are errors, and long ones are not shown in full."""
    with pytest.raises(BadRange, match=r"Europe/Berlin or UTC|did you mean") as refused:
        zone_of(name)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("name", ["europe/berlin", "Europe/Berln", "Berlin", " Berlin "])
def test_misspelt_zones_are_refused_with_what_was_meant(name: str) -> None:
    """The zone that a slip was meant for is suggested, never taken."""
    with pytest.raises(BadRange, match=re.escape(repr(name)) + ".*did you mean Europe/Berlin"):
        zone_of(name)


@pytest.mark.parametrize(
    ("zone", "day", "first", "hours"),
    [
        ("UTC", "2026-03-29", "2026-03-29T00:00", 24),
        ("Europe/Berlin", "2026-03-28", "2026-03-27T23:00", 24),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
        ("America/Santiago", "2025-09-07", "2025-09-07T04:00", 23),  # begins at 01:00
        ("America/Santiago", "2025-04-05", "2025-04-05T03:00", 25),  # its last hour is repeated
        ("Asia/Beirut", "2025-03-30", "2025-03-29T22:00", 23),  # begins at 01:00
        ("Africa/Cairo", "2025-04-25", "2025-04-24T22:00", 23),  # begins at 01:00
        ("Africa/Cairo", "2025-10-30", "2025-10-29T21:00", 25),
        ("America/Havana", "2025-03-09", "2025-03-09T05:00", 23),  # begins at 01:00
        ("America/Havana", "2025-11-02", "2025-11-02T04:00", 25),  # midnight happens twice: the first one
        ("Australia/Lord_Howe", "2025-10-05", "2025-10-04T13:30", 23.5),
        ("Australia/Lord_Howe", "2025-04-06", "2025-04-05T13:00", 24.5),
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00", 24),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00", 24),
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30", 23.5),  # 23:30 was followed by 00:30
        ("America/St_Johns", "2005-10-30", "2005-10-30T02:30", 25),  # from the first of its two midnights
    ],
)
def test_days_begin_at_their_first_moment(zone: str, day: str, first: str, hours: float) -> None:
    """A day is as long as its zone makes it, and begins when its date is first shown."""
    at, that = zone_of(zone), date.fromisoformat(day)

    assert utc(first) == instant_of(that, at)
    assert Span(utc(first), utc(first) + timedelta(hours=hours)) == day_span(that, at)
    assert that == day_of(utc(first), at)
    assert that > day_of(utc(first) - TICK, at)
    assert that == day_of(day_span(that, at).end - TICK, at)


def test_a_day_that_the_calendar_skips_is_refused() -> None:
    """Apia went from the 29th to the 31st of December 2011, and nothing can be meant by the 30th."""
    skipped = date(2011, 12, 30)
    for refused in (day_span, instant_of):
        with pytest.raises(BadRange, match=r"no 2011-12-30 .* 2011-12-29 to 2011-12-31 at 2011-12-30 10:00:00 UTC"):
            refused(skipped, APIA)
    with pytest.raises(BadRange, match="2011-12-30 22:00:00 UTC or 2011-12-29 22:00:00 UTC"):
        instant_of(naive("2011-12-30T12:00"), APIA)
    with pytest.raises(TypeError, match="day_of"):
        day_span(NOW, BERLIN)  # a date to Python, but of which day depends on the zone


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T00:00", "2026-02-28T23:00"),
        ("2026-03-29T01:59:59.999999", "2026-03-29T00:59:59.999999"),
        ("2026-03-29T03:00", "2026-03-29T01:00"),
        ("2026-10-25T01:59", "2026-10-24T23:59"),
        ("2026-10-25T03:00", "2026-10-25T02:00"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30"),
        ("2026-03-01T00:00-05:00", "2026-03-01T05:00"),
    ],
)
def test_times_are_read_on_the_zones_clocks(text: str, instant: str) -> None:
    """A time without an offset is Berlin's, one with an offset needs no zone; neither is cut to its date."""
    assert utc(instant) == instant_of(naive(text), BERLIN)
    assert instant_of(naive(text), BERLIN).tzinfo == UTC


@pytest.mark.parametrize(
    ("zone", "text", "wrong", "either"),
    [
        ("Europe/Berlin", "2026-03-29T02:30", "does not exist", "2026-03-29 01:30:00 UTC or 2026-03-29 00:30:00 UTC"),
        ("Europe/Berlin", "2026-03-29T02:00", "does not exist", "2026-03-29 01:00:00 UTC or 2026-03-29 00:00:00 UTC"),
        ("Europe/Berlin", "2026-10-25T02:00", "happens twice", "2026-10-25 00:00:00 UTC or 2026-10-25 01:00:00 UTC"),
        ("Asia/Beirut", "2025-03-30T00:00", "does not exist", "2025-03-29 22:00:00 UTC or 2025-03-29 21:00:00 UTC"),
        ("America/Havana", "2025-11-02T00:00", "happens twice", "2025-11-02 04:00:00 UTC or 2025-11-02 05:00:00 UTC"),
        ("Australia/Lord_Howe", "2025-04-06T01:45", "happens twice", "14:45:00 UTC or 2025-04-05 15:15:00 UTC"),
    ],
)
def test_times_that_the_clocks_skip_or_repeat_are_refused(zone: str, text: str, wrong: str, either: str) -> None:
    """Both instants are named, and the times offered for them mean them; a fold is no choice that anybody made."""
    at = zone_of(zone)
    for fold in (0, 1):
        with pytest.raises(BadRange, match=f"{wrong}.*{either}.*add an offset such as") as refused:
            instant_of(naive(text).replace(fold=fold), at)
        offered = [instant_of(naive(word), at) for word in str(refused.value).split() if word.startswith(text)]
        assert " or ".join(f"{one.replace(tzinfo=None)} UTC" for one in offered).endswith(either)


def test_times_at_the_ends_of_the_calendar_are_refused() -> None:
    """Beyond the years 1 to 9999 nothing overflows but the message."""
    new_york, tokyo = zone_of("America/New_York"), zone_of("Asia/Tokyo")
    late = naive("9999-12-31T23:59:59")
    for value, zone in ((date.min, tokyo), (naive("0001-01-01"), tokyo), (late, new_york)):
        with pytest.raises(BadRange, match="beyond the years 1 to 9999"):
            instant_of(value, zone)
    with pytest.raises(BadRange, match="outside of the years 1 to 9999"):
        instant_of(late.replace(tzinfo=timezone(-DAY / 2)), BERLIN)
    with pytest.raises(BadRange, match="beyond the years 1 to 9999"):
        day_of(late.replace(tzinfo=UTC), tokyo)
    with pytest.raises(BadRange, match="no end before the year 10000"):
        day_span(date.max, zone_of("UTC"))


def test_a_range_is_resolved_exactly() -> None:
    """Dates are days of the zone, times are themselves, and no end means now, which is the latest possible one."""
    march = Span(utc("2026-02-28T23:00"), utc("2026-03-31T22:00"))
    assert march == resolve(date(2026, 3, 1), date(2026, 4, 1), BERLIN, NOW)
    assert Span(utc("2026-06-14T22:00"), NOW) == resolve(date(2026, 6, 15), None, BERLIN, NOW.astimezone(APIA))
    assert Span(NOW - TICK, NOW) == resolve(NOW - TICK, NOW, BERLIN, NOW)
    assert Span(EARLIEST_START, EARLIEST_START + DAY) == resolve(EARLIEST_START, EARLIEST_START + DAY, BERLIN, NOW)
    with pytest.raises(ValueError, match="has no time zone"):
        resolve(date(2026, 3, 1), None, BERLIN, naive("2026-06-15"))


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2026-04-01", "2026-03-01", "start .*2026-03-31 22:00:00 UTC. is after the end .*2026-02-28 23:00:00 UTC"),
        ("2026-04-01", "2026-04-01", "nothing lies between .*give the day after as the end"),
        ("2026-06-15T12:30+00:00", None, "nothing lies between .* the end now .*an earlier start"),
        ("2026-06-15T14:30:00.000001", None, "in the future; give one before now, 2026-06-15 12:30:00 UTC"),
        ("2026-06-17", "2026-06-16", "the start 2026-06-17 .* is in the future"),
        ("2026-06-01", "2026-06-16", "the end 2026-06-16 .*latest possible end is now, 2026-06-15 12:30:00 UTC"),
        ("2026-06-01", "2026-06-15T14:30:00.000001", r"the end .*12:30:00\.000001 UTC. is in the future"),
        ("2000-01-01", "2000-02-01", "too early; the earliest possible one is 2000-01-01 00:00:00 UTC"),
        ("0206-01-01", None, r"0206-01-01 \(0205-12-31 23:06:32 UTC\) is too early"),
        ("2026-03-29T02:30", None, "does not exist in Europe/Berlin"),
    ],
)
def test_ranges_that_cannot_be_meant_are_refused(start: str, end: str | None, message: str) -> None:
    """The message says what was given, which instant that is, and what to give instead."""
    first, last = (naive(text) if "T" in text else date.fromisoformat(text) for text in (start, end or start))
    with pytest.raises(BadRange, match=message):
        resolve(first, last if end else None, BERLIN, NOW)


@pytest.mark.parametrize(("days", "told"), [(1, {"longest_days": 1}), (30, {"longest_days": 30}), (3660, {})])
def test_ranges_that_are_too_long_are_refused_by_a_microsecond(days: int, told: dict[str, int]) -> None:
    """Exactly the longest length passes, which is ten years unless told; the end that the message offers gives it."""
    end = NOW - timedelta(days=days)

    assert days * DAY == resolve(end, NOW, BERLIN, NOW, **told).length
    with pytest.raises(BadRange, match=f"longer than {days} days; .* up to 2026-06-15 12:29:59.999999 UTC"):
        resolve(end - TICK, NOW, BERLIN, NOW, **told)


def test_windows_are_the_days_and_the_parts_of_days() -> None:
    """Berlin's 23 hours are a whole day, and Apia's 29th and 31st touch."""
    asked = Span(utc("2026-03-28T12:00"), utc("2026-03-29T22:00") + TICK)

    assert [
        Window(Span(asked.start, utc("2026-03-28T23:00")), date(2026, 3, 28), whole=False),
        Window(Span(utc("2026-03-28T23:00"), utc("2026-03-29T22:00")), date(2026, 3, 29), whole=True),
        Window(Span(utc("2026-03-29T22:00"), asked.end), date(2026, 3, 30), whole=False),
    ] == windows(asked, BERLIN)
    cut = windows(Span(utc("2011-12-29T10:00"), utc("2011-12-31T10:00")), APIA)
    assert [(date(2011, 12, 29), True), (date(2011, 12, 31), True)] == [(one.day, one.whole) for one in cut]


def test_clocks_put_back_over_midnight_do_not_reopen_a_day() -> None:
    """In St. John's the 29th was shown again for an hour, one minute into the 30th, and belongs to the 30th."""
    at, zone = utc("2005-10-30T03:00"), zone_of("America/St_Johns")

    assert date(2005, 10, 29) == at.astimezone(zone).date()
    assert date(2005, 10, 30) == day_of(at, zone)
    assert [date(2005, 10, 30)] == [one.day for one in windows(Span(at, at + TICK), zone)]


@given(long_spans, zones)
@example(Span(utc("2011-12-28"), utc("2012-01-02")), APIA)
@example(Span(utc("2005-10-29"), utc("2005-11-01")), zone_of("America/St_Johns"))
def test_windows_tile_the_span(asked: Span, zone: ZoneInfo) -> None:
    """Nothing is lost or counted twice, each window lies in its day, and only the ends can be parts of days."""
    cut = windows(asked, zone)

    assert (asked.start, asked.end) == (cut[0].span.start, cut[-1].span.end)
    assert all(before.span.end == after.span.start and before.day < after.day for before, after in pairwise(cut))
    assert all(one.whole == (one.span == day_span(one.day, zone)) for one in cut)
    assert all(one.whole for one in cut[1:-1])
    assert [(one.day, one.day) for one in cut] == [
        (day_of(one.span.start, zone), day_of(one.span.end - TICK, zone)) for one in cut
    ]


@pytest.mark.parametrize(
    ("spans", "merged"),
    [
        ([], []),
        (each((0, 5), (5, 9)), each((0, 9))),
        (each((6, 9), (0, 5)), each((0, 5), (6, 9))),
        (each((0, 9), (2, 3), (8, 12)), each((0, 12))),
        (each((0, 9), (0, 9), (0, 4)), each((0, 9))),
    ],
)
def test_union_merges_what_touches(spans: list[Span], merged: list[Span]) -> None:
    """Spans that touch, overlap, nest or repeat become one; those with a gap between them do not."""
    assert merged == union(iter(spans))


@pytest.mark.parametrize(
    ("covered", "inside", "left"),
    [
        ([], [], each((10, 20))),
        (each((0, 10), (20, 30)), [], each((10, 20))),
        (each((0, 30)), each((10, 20)), []),
        (each((10, 15), (15, 20)), each((10, 20)), []),
        (each((18, 25), (5, 12)), each((10, 12), (18, 20)), each((12, 18))),
        (each((12, 14), (13, 15)), each((12, 15)), each((10, 12), (15, 20))),
        (each((10, 19)), each((10, 19)), each((19, 20))),
    ],
)
def test_gaps_are_what_is_not_covered(covered: list[Span], inside: list[Span], left: list[Span]) -> None:
    """Covered part and gaps are told apart to the instant, from any iterable."""
    assert inside == covered_part(span(10, 20), iter(covered))
    assert left == gaps(span(10, 20), iter(covered))
    assert is_covered(span(10, 20), iter(covered)) == (not left)


@given(many_spans, st.randoms())
def test_union_does_not_depend_on_order_or_repetition(spans: list[Span], random: Random) -> None:
    """The same instants give the same spans, which touch no more, and whose union is themselves."""
    merged = union(spans)

    assert merged == union(random.sample(spans, len(spans)))
    assert merged == union(merged)
    assert merged == union([*spans, *merged])
    assert all(before.end < after.start for before, after in pairwise(merged))


@given(many_spans, short_spans)
def test_gaps_and_covered_part_partition_the_span(covered: list[Span], asked: Span) -> None:
    """Each instant of the span is in exactly one of both, and in the covered part if some span contains it."""
    inside, left = covered_part(asked, covered), gaps(asked, covered)

    assert [asked] == union([*inside, *left])
    assert asked.length == sum((one.length for one in [*inside, *left]), timedelta())
    for at in (ZERO + timedelta(minutes=minute) for minute in range(40)):
        expected = asked.contains(at) and any(one.contains(at) for one in covered)
        assert expected == any(one.contains(at) for one in inside)
    assert is_covered(asked, covered) == (inside == [asked])


@given(many_spans, short_spans, st.integers(0, 60 * 10**6))
def test_splitting_a_span_changes_no_union(others: list[Span], whole: Span, ticks: int) -> None:
    """Work done in two halves covers what work done at once does."""
    middle = min(max(whole.start + TICK, whole.start + ticks * TICK), whole.end - TICK)

    assert union([*others, whole]) == union([Span(middle, whole.end), *others, Span(whole.start, middle)])


def test_a_hundred_thousand_spans_are_quick() -> None:
    """Neither separate nor nested spans take more than a pass after sorting."""
    separate = [span(2 * i, 2 * i + 1) for i in range(100_000)]
    nested = [span(i, 400_000 - i) for i in range(100_000)]
    asked = span(0, 200_000)
    began = perf_counter()

    assert len(union(reversed(separate))) == 100_000
    assert len(gaps(asked, separate)) == 100_000
    assert is_covered(asked, nested)
    assert perf_counter() - began < 10
