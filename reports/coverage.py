"""The coverage map: which days of an account are proven complete, by what, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from models.ranges import Span
from models.time import require_utc, to_text
from reports import svg as draw
from reports.canon import span_record
from reports.facts import Proven
from reports.page import document
from reports.proof import MARKS, DayProof, Gap, Proof, day_proofs, find_gaps, reasons_of
from reports.style import CHART_STYLE
from reports.words import count, day_text, escape, plain, span_text, utc

_CELL, _LEFT, _TOP, _RIGHT = 22, 76, 40, 120
_CLASSES = {Proof.FULL: "proven", Proof.PARTLY: "partly", Proof.NOT: "unproven", Proof.FUTURE: "future"}
_LEGEND = {**{proof: proof.value for proof in Proof}, Proof.FUTURE: "not over yet, or outside of the range"}
_MOST_GAPS = 40


@dataclass(frozen=True, slots=True)
class CoverageMap:
    """What of a range is proven complete, day by day.

    Attributes:
        account: the account's name in the settings.
        span: the range.
        zone: in whose days it is told.
        made_at: when.
        days: each day of the range.
        gaps: what is not proven, and why.
    """

    account: str
    span: Span
    zone: ZoneInfo
    made_at: datetime
    days: tuple[DayProof, ...]
    gaps: tuple[Gap, ...]

    @property
    def proven_days(self) -> int:
        """How many days are proven as far as they lie in the range."""
        return sum(day.proof is Proof.FULL for day in self.days)


def coverage_map(
    account: str,
    span: Span,
    zone: ZoneInfo,
    proven: Sequence[Proven],
    *,
    made_at: datetime,
    margin: timedelta = timedelta(0),
    reasons: Mapping[Span, str] | None = None,
) -> CoverageMap:
    """Draw the map of an account.

    Args:
        account: its name in the settings.
        span: the range.
        zone: in whose days it is told.
        proven: the proven intervals.
        made_at: now.
        margin: how young an event may be and still be missing without anybody's fault.
        reasons: why gaps are gaps, by any spans that contain them; the map knows the other reasons itself.
    """
    now = require_utc(made_at)
    missing = find_gaps(span, proven, now, margin, reasons)
    return CoverageMap(account, span, zone, now, day_proofs(span, zone, proven, missing, now), missing)


def text(coverage: CoverageMap) -> list[str]:
    """The map as lines for a terminal: a line a month, a mark a day, then the legend and what is not proven."""
    lines = [plain(_title(coverage)), f"{span_text(coverage.span, coverage.zone)} ({coverage.zone.key})", "", _RULER]
    for month, days in _months(coverage.days):
        marks = {day.window.day.day: MARKS[day.proof] for day in days}
        row = "".join(marks.get(number, " " if number > _last_day(month) else "·") for number in range(1, 32))
        lines.append(f"{month:%Y-%m}  {row}  {_proven_of(days)}")
    lines += ["", "  ".join(f"{MARKS[proof]} {words}" for proof, words in _LEGEND.items())]
    lines += [plain(f"{span_text(gap.span, coverage.zone)}: {gap.reason}") for gap in coverage.gaps[:_MOST_GAPS]]
    if (more := len(coverage.gaps) - _MOST_GAPS) > 0:
        lines.append(f"and {count(more, 'gap')} more")
    return lines


_RULER = " " * 9 + "".join(f"{number:<5}" for number in (1, 6, 11, 16, 21, 26)) + "31"


def _title(coverage: CoverageMap) -> str:
    days = count(len(coverage.days), "day")
    return f"{coverage.account}: {coverage.proven_days:,} of {days} proven complete"


def _months(days: Iterable[DayProof]) -> list[tuple[date, list[DayProof]]]:
    return [(month, list(part)) for month, part in groupby(days, key=lambda day: day.window.day.replace(day=1))]


def _last_day(month: date) -> int:
    return ((month + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day


def _proven_of(days: Sequence[DayProof]) -> str:
    return f"{sum(day.proof is Proof.FULL for day in days)} of {len(days)} proven"


def as_dict(coverage: CoverageMap) -> dict[str, Any]:
    """The map as JSON values."""
    return {
        "account": coverage.account,
        "zone": coverage.zone.key,
        **span_record(coverage.span),
        "made_at": to_text(coverage.made_at),
        "proven_days": coverage.proven_days,
        "complete": not coverage.gaps,
        "days": [
            {
                "day": day.window.day.isoformat(),
                **span_record(day.window.span),
                "whole_day": day.window.whole,
                "proof": day.proof.value,
                "proven_by": list(day.by),
                "gaps": [{**span_record(gap.span), "reason": gap.reason} for gap in day.gaps],
            }
            for day in coverage.days
        ],
        "gaps": [{**span_record(gap.span), "reason": gap.reason} for gap in coverage.gaps],
    }


def svg(coverage: CoverageMap, *, inline: bool = False) -> str:
    """The map as a picture: a row a month, a square a day.

    Args:
        coverage: the map.
        inline: for a page that has the styles already; by default the picture is a file of its own.
    """
    months = _months(coverage.days)
    parts = [
        draw.text(_LEFT + (number - 0.5) * _CELL, _TOP - 10, str(number), "label quiet", "middle")
        for number in (1, 5, 10, 15, 20, 25, 31)
    ]
    for row, (month, days) in enumerate(months):
        y = _TOP + row * _CELL
        parts.append(draw.text(_LEFT - 12, y + _CELL * 0.68, f"{month:%Y-%m}", "label", "end"))
        parts += _month_cells(month, days, y)
        parts.append(draw.text(_LEFT + 31 * _CELL + 12, y + _CELL * 0.68, _proven_of(days), "label quiet"))
    height = _TOP + len(months) * _CELL + 34
    parts.append(_legend(height - 12))
    size = (_LEFT + 31 * _CELL + _RIGHT, height)
    style = "" if inline else f"{CHART_STYLE}svg{{background:var(--paper)}}"
    return draw.picture("coverage", size, _title(coverage), _description(coverage), parts, style)


def _month_cells(month: date, days: Sequence[DayProof], y: float) -> list[str]:
    known = {day.window.day.day: day for day in days}
    cells = []
    for number in range(1, _last_day(month) + 1):
        x = _LEFT + (number - 1) * _CELL
        day = known.get(number)
        if day is None:
            cells.append(draw.rect(x + 8, y + 8, 6, 6, "future", radius=3))
            continue
        title = f"{day_text(day.window.day)}: {_day_words(day)}"
        if day.proof is Proof.PARTLY:
            inner = draw.rect(x + 2, y + 2, (_CELL - 4) / 2, _CELL - 4, "proven")
            cells.append(draw.group([draw.rect(x + 2, y + 2, _CELL - 4, _CELL - 4, "unproven"), inner], title))
        elif day.proof is Proof.FUTURE:
            cells.append(draw.rect(x + 8, y + 8, 6, 6, "future", title, 3))
        else:
            cells.append(draw.rect(x + 2, y + 2, _CELL - 4, _CELL - 4, _CLASSES[day.proof], title))
    return cells


def _day_words(day: DayProof) -> str:
    by = f" by {' and '.join(day.by)}" if day.by else ""
    return f"{day.proof.value}{by}" + (f" ({reasons_of(day.gaps)})" if day.gaps else "")


def _legend(y: float) -> str:
    parts, x = [], float(_LEFT)
    for proof, words in _LEGEND.items():
        if proof is Proof.FUTURE:
            parts.append(draw.rect(x + 3, y - 8, 6, 6, "future", radius=3))
        else:
            parts.append(draw.rect(x, y - 11, 12, 12, "proven" if proof is Proof.FULL else "unproven"))
        if proof is Proof.PARTLY:
            parts.append(draw.rect(x, y - 11, 6, 12, "proven"))
        parts.append(draw.text(x + 18, y, words))
        x += 18 + draw.text_width(words) + 18
    return "".join(parts)


def _description(coverage: CoverageMap) -> str:
    kinds = {proof: sum(day.proof is proof for day in coverage.days) for proof in Proof}
    return ", ".join(f"{count(number, 'day')} {proof.value}" for proof, number in kinds.items() if number)


def html_page(coverage: CoverageMap) -> str:
    """The map as a page of its own that loads nothing."""
    rows = "".join(
        f"<tr><td>{escape(span_text(gap.span, coverage.zone))}</td><td>{escape(gap.reason)}</td></tr>"
        for gap in coverage.gaps
    )
    gaps = (
        f"<h2>Not proven, and why</h2><table><thead><tr><th>From and to</th><th>Why</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if rows
        else "<h2>Nothing is missing</h2><p>Every part of the range is proven complete.</p>"
    )
    return document(
        f"Coverage of {coverage.account}",
        f"<header><p class='kind'>Coverage map</p><h1>{escape(coverage.account)}</h1>"
        f"<p>{escape(span_text(coverage.span, coverage.zone))} ({escape(coverage.zone.key)}); "
        f"that is {escape(utc(coverage.span.start))} to {escape(utc(coverage.span.end))}. "
        f"Made {escape(utc(coverage.made_at))}.</p></header>"
        f"<p class='verdict'>{escape(_title(coverage))}</p><figure>{svg(coverage, inline=True)}</figure>{gaps}",
    )
