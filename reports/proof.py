"""Which parts of a range are proven complete, and why the others are not: by gap, and day by day."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from models.ranges import Span, Window, covered_part, gaps, windows
from reports.facts import Proven
from reports.words import count, length

NO_PROOF = "no proof recorded"
NOT_YET = "not over yet"
_MOST_REASONS = 3


class Proof(StrEnum):
    """How much of a day is proven complete, in the words of every report."""

    FULL = "proven"
    PARTLY = "partly proven"
    NOT = "not proven"
    FUTURE = "not over yet"


MARKS = {Proof.FULL: "■", Proof.PARTLY: "◧", Proof.NOT: "□", Proof.FUTURE: "·"}


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval that is not proven complete, and why."""

    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class DayProof:
    """What is known of one day, or of the part of it that lies in the range.

    Attributes:
        window: the day, and which part of it lies in the range.
        proof: how much of that part is proven.
        by: what proved it, e.g. live and backfill.
        gaps: what is not proven of it.
    """

    window: Window
    proof: Proof
    by: tuple[str, ...]
    gaps: tuple[Gap, ...]


def find_gaps(
    span: Span,
    proven: Iterable[Proven],
    now: datetime,
    margin: timedelta = timedelta(0),
    reasons: Mapping[Span, str] | None = None,
) -> tuple[Gap, ...]:
    """What of ``span`` is not proven, in order, each with its reason.

    A given reason holds for the part of a gap that its own span contains; the first one given wins. What has none is
    in the future, younger than the safety margin, or simply not recorded as proven.
    """
    known = list((reasons or {}).items())
    if now < span.end:
        known.append((Span(max(now, span.start), span.end), NOT_YET))
    if margin > timedelta(0):
        known.append((Span(now - margin, now), f"younger than the safety margin of {length(margin)}"))
    found: list[Gap] = []
    for gap in gaps(span, (entry.span for entry in proven)):
        found += _with_reasons(gap, known)
    return tuple(found)


def _with_reasons(gap: Span, known: Sequence[tuple[Span, str]]) -> list[Gap]:
    """Cut a gap where its reason changes."""
    rest, found = [gap], []
    for where, reason in known:
        found += [Gap(part, reason) for piece in rest for part in covered_part(piece, [where])]
        rest = [part for piece in rest for part in gaps(piece, [where])]
    found += [Gap(part, NO_PROOF) for part in rest]
    found.sort(key=lambda part: part.span.start)
    merged: list[Gap] = []
    for part in found:
        if merged and merged[-1].reason == part.reason and merged[-1].span.end == part.span.start:
            part = Gap(Span(merged.pop().span.start, part.span.end), part.reason)  # noqa: PLW2901 - grown
        merged.append(part)
    return merged


def day_proofs(
    span: Span, zone: ZoneInfo, proven: Iterable[Proven], missing: Sequence[Gap], now: datetime
) -> tuple[DayProof, ...]:
    """Each day of ``span`` in the zone, with its share of the gaps."""
    days = windows(span, zone)
    starts = [day.span.start for day in days]
    by: list[set[str]] = [set() for _ in days]
    open_parts: list[list[Gap]] = [[] for _ in days]
    for entry in proven:
        for number in _touched(starts, entry.span):
            if days[number].span.overlap(entry.span):
                by[number].add(entry.by)
    for gap in missing:
        for number in _touched(starts, gap.span):
            if part := days[number].span.overlap(gap.span):
                open_parts[number].append(Gap(part, gap.reason))
    return tuple(
        DayProof(day, _proof(day, parts, now), tuple(sorted(names)), tuple(parts))
        for day, names, parts in zip(days, by, open_parts, strict=True)
    )


def _touched(starts: Sequence[datetime], span: Span) -> range:
    """The numbers of the days that a span may reach into."""
    return range(max(0, bisect_right(starts, span.start) - 1), bisect_left(starts, span.end))


def _proof(day: Window, parts: Sequence[Gap], now: datetime) -> Proof:
    if not parts:
        return Proof.FULL
    if day.span.start >= now:
        return Proof.FUTURE
    return Proof.NOT if sum((part.span.length for part in parts), timedelta(0)) == day.span.length else Proof.PARTLY


def reasons_of(parts: Iterable[Gap]) -> str:
    """The first few reasons in words, each once."""
    reasons = list(dict.fromkeys(part.reason for part in parts))
    more = len(reasons) - _MOST_REASONS
    return ", ".join(reasons[:_MOST_REASONS]) + (f" and {count(more, 'other reason')}" if more > 0 else "")
