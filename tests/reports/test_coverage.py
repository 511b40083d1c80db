"""The coverage map: which days are proven, by what, why not, in a terminal, as a picture and as a page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.ranges import Span, gaps, is_covered, union
from reports.coverage import CoverageMap, as_dict, coverage_map, html_page, svg, text
from reports.facts import Proven
from reports.proof import Proof, find_gaps
from tests.reports.kit import BERLIN, NOW, SPAN, START, certificate, proven

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def example(**changes: object) -> CoverageMap:
    """From the last days of February to the third of April, with a hole, a part and a future."""
    span = Span(START - 3 * DAY, START + 33 * DAY)
    known = [
        proven(Span(START - 2 * DAY, START + 5 * DAY)),
        proven(Span(START + 5 * DAY, START + 9.5 * DAY), "live"),
        proven(Span(START + 11 * DAY, START + 40 * DAY), "live"),
    ]
    early = {Span(START - 9 * DAY, START - 2 * DAY): "the feed begins later"}
    given = {"made_at": START + 31 * DAY, "margin": timedelta(minutes=15), "reasons": early} | changes
    return coverage_map("main", span, BERLIN, known, **given)  # type: ignore[arg-type]


def test_a_terminal_shows_a_month_a_line() -> None:
    """One mark a day, the days outside of the range as dots, a legend, and why what is missing is missing."""
    assert text(example()) == [
        "main: 34 of 37 days proven complete",
        "2026-02-26 00:00 +0100 to 2026-04-03 01:00 +0200 (Europe/Berlin)",
        "",
        "         1    6    11   16   21   26   31",
        "2026-02  ·························□■■     2 of 3 proven",
        "2026-03  ■■■■■■■■■◧□■■■■■■■■■■■■■■■■■■■■  29 of 31 proven",
        "2026-04  ■■■···························   3 of 3 proven",
        "",
        "■ proven  ◧ partly proven  □ not proven  · not over yet, or outside of the range",
        "2026-02-26 00:00 +0100 to 2026-02-27 00:00 +0100: the feed begins later",
        "2026-03-10 12:00 +0100 to 2026-03-12 00:00 +0100: no proof recorded",
    ]


def test_days_that_are_not_over_are_dots() -> None:
    """The future is not proven and nobody's fault; today is proven in part."""
    now = START + 20 * DAY + 6 * HOUR
    span = Span(START, START + 25 * DAY)
    drawn = coverage_map("main", span, BERLIN, [proven(Span(START, now - HOUR))], made_at=now, margin=HOUR)

    assert text(drawn)[4] == "2026-03  ■■■■■■■■■■■■■■■■■■■■◧··········  20 of 25 proven"
    assert [gap.reason for gap in drawn.gaps] == ["younger than the safety margin of 60 minutes", "not over yet"]
    assert [gap.reason for gap in drawn.days[20].gaps] == [
        "younger than the safety margin of 60 minutes",
        "not over yet",
    ]


def test_many_gaps_are_cut() -> None:
    """A terminal shows forty gaps and says how many more there are."""
    holes = [proven(Span(START + number * HOUR, START + number * HOUR + HOUR / 2)) for number in range(60)]
    lines = text(coverage_map("main", Span(START, START + 60 * HOUR), BERLIN, holes, made_at=NOW))

    assert lines[-1] == "and 20 gaps more"


def test_what_proved_a_day_is_told() -> None:
    """A day names all that proved it, and a day that nothing proved names nothing."""
    days = {day.window.day.isoformat(): day for day in example().days}

    assert days["2026-03-05"].by == ("backfill",)
    assert days["2026-03-06"].by == ("live",)
    assert days["2026-02-26"].by == ()
    assert "the feed begins later" in days["2026-02-26"].gaps[0].reason


def test_a_program_reads_the_same() -> None:
    """The map as values has the days, what is proven of them, by what, and the gaps."""
    values = as_dict(example())

    assert (values["proven_days"], values["complete"], values["zone"]) == (34, False, "Europe/Berlin")
    assert values["days"][0] | {"gaps": None} == {
        "day": "2026-02-26",
        "from": "2026-02-25T23:00:00.000000Z",
        "to": "2026-02-26T23:00:00.000000Z",
        "whole_day": True,
        "proof": "not proven",
        "proven_by": [],
        "gaps": None,
    }
    assert len(values["gaps"]) == 2
    assert not values["days"][-1]["whole_day"]


def test_the_picture_is_a_file_of_its_own() -> None:
    """It has its own colours for light and dark, a square for each day with what is known of it, and loads nothing."""
    picture = svg(example())
    root = ET.fromstring(picture)  # noqa: S314 - our own text
    titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]

    assert titles[0] == "main: 34 of 37 days proven complete"
    assert "Tue 2026-03-10: partly proven by live (no proof recorded)" in titles
    assert "prefers-color-scheme:dark" in picture
    assert picture.count("http") == 1
    assert "xmlns" not in svg(example(), inline=True)


def test_the_page_says_why() -> None:
    """The page has the picture and each gap with its reason, and nothing that is loaded."""
    written = html_page(example())

    assert "the feed begins later" in written
    assert "http" not in written.replace("http-equiv", "")
    whole = coverage_map("<b>", SPAN, BERLIN, [proven()], made_at=NOW)
    assert "Every part of the range is proven complete." in html_page(whole)
    assert "<b>" not in html_page(whole)


def test_a_day_that_the_calendar_skips_is_a_dot() -> None:
    """Samoa had no 30 December 2011: nothing of it has to be proven."""
    apia = ZoneInfo("Pacific/Apia")
    span = Span(datetime(2011, 12, 29, 10, tzinfo=UTC), datetime(2011, 12, 31, 10, tzinfo=UTC))
    drawn = coverage_map("main", span, apia, [proven(span)], made_at=NOW)

    assert "2011-12  ····························■·■  2 of 2 proven" in text(drawn)


def test_map_and_certificate_agree() -> None:
    """Both tell the same of the same days."""
    known = [proven(Span(START + DAY, START + 8.5 * DAY)), proven(Span(START + 9 * DAY, SPAN.end))]
    drawn = coverage_map("main", SPAN, BERLIN, known, made_at=NOW, margin=HOUR)
    made = certificate(intervals=known, margin=HOUR)

    assert drawn.days == tuple(day.proof for day in made.days)
    assert drawn.gaps == made.gaps


moments = st.integers(min_value=0, max_value=30 * 24).map(lambda hours: START - DAY + hours * HOUR)
spans = st.builds(lambda start, hours: Span(start, start + hours * HOUR), moments, st.integers(1, 200))


@given(
    st.lists(spans, max_size=6),
    st.dictionaries(spans, st.sampled_from(["a", "b", "c"]), max_size=4),
    moments,
    st.integers(0, 50),
)
def test_gaps_are_exactly_what_is_not_proven(
    known: list[Span], reasons: dict[Span, str], now: datetime, margin: int
) -> None:
    """Whatever the reasons are, the gaps and what is proven make up the range, and no two gaps overlap."""
    intervals: list[Proven] = [proven(each) for each in known]
    found = find_gaps(SPAN, intervals, now, margin * HOUR, reasons)
    open_parts = [gap.span for gap in found]

    assert union(open_parts) == gaps(SPAN, known)
    assert all(one.end <= two.start for one, two in pairwise(open_parts))
    for gap in found:
        given_reasons = {reason for where, reason in reasons.items() if where.overlap(gap.span)}
        assert (gap.reason in given_reasons) == bool(given_reasons)


@given(st.lists(spans, max_size=6))
def test_a_day_is_proven_when_nothing_of_it_is_missing(known: list[Span]) -> None:
    """Each day's proof is that of its part of the range, whatever intervals it is made of."""
    drawn = coverage_map("main", SPAN, BERLIN, [proven(each) for each in known], made_at=NOW)

    for day in drawn.days:
        assert (day.proof is Proof.FULL) == is_covered(day.window.span, known)
        assert (day.proof is Proof.NOT) == (gaps(day.window.span, known) == [day.window.span])
        assert bool(day.by) == (day.proof is not Proof.NOT)


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("b", "a")])
def test_the_first_reason_wins(first: str, second: str) -> None:
    """Where two given reasons hold, the one that was given first is told."""
    both = {SPAN: first, Span(START, START + DAY): second}

    assert [first] == [gap.reason for gap in find_gaps(SPAN, [], NOW, HOUR, both)]


def test_many_reasons_are_cut() -> None:
    """A verdict stays one sentence however many reasons there are."""
    each = {Span(START + number * DAY, START + (number + 1) * DAY): f"reason {number}" for number in range(30)}
    made = certificate(intervals=[], reasons=each)

    assert "(reason 0, reason 1, reason 2 and 27 other reasons)" in made.standing.verdict
