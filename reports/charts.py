"""The charts of a certificate, each with its numbers written into it, a title and a description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from reports import svg as draw
from reports.counting import LEDGER_STATES
from reports.model import LANDING_TIMES, OPEN_AGES, OPEN_STATES, Certificate, CurrencyLine, DayLine, Tally
from reports.proof import Proof
from reports.words import count, grouped, local

CLASSES = {
    "landed": "landed",
    "cancelled": "cancelled",
    "parked": "parked",
    "under way": "under-way",
    "outcome unknown": "unknown",
    "waiting": "waiting",
    "closed": "closed",
    "other": "other",
    "missing": "missing",
}
_WIDE, _HALF = 1056, 508
_MOST_BARS = 100
_MOST_CURRENCIES = 12


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar of stacked parts."""

    label: str
    title: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class _Frame:
    """The area that bars are drawn in."""

    left: float
    top: float
    width: float
    height: float
    most: int

    def y(self, value: float) -> float:
        """Where a value stands."""
        return self.top + self.height * (1 - value / self.most)


def bar_unit(certificate: Certificate) -> str:
    """What one bar of the chart of states stands for."""
    return _bars(certificate.days)[1]


def states_chart(certificate: Certificate) -> str:
    """Orders by the ledger's state over time: a bar a day, or a week or month of a long range."""
    bars, unit = _bars(certificate.days)
    totals = {state: sum(bar.parts[state] for bar in bars) for state in LEDGER_STATES}
    shown = [state for state in LEDGER_STATES if totals[state]]
    legend = _legend({state: f"{state} {totals[state]:,}" for state in shown}, _WIDE)
    top = legend[1] + 22
    scale = draw.ticks(max((bar.total for bar in bars), default=0))
    frame = _Frame(44, top, _WIDE - 44, 210, scale[-1])
    parts = [legend[0], *_grid(frame, scale), *_stacks(frame, bars, shown)]
    words = ", ".join(f"{totals[state]:,} {state}" for state in shown) or "no orders"
    return draw.picture(
        "states", (_WIDE, top + 210 + 30), f"Orders by state, a bar for each {unit}", f"{words}.", parts
    )


def _bars(days: Sequence[DayLine]) -> tuple[list[_Bar], str]:
    """The days as bars, grouped so that there are not too many, and what one bar stands for."""
    if len(days) <= _MOST_BARS:
        unit, first = "day", {day.day: day.day for day in days}
    elif len(days) <= 7 * _MOST_BARS:
        unit, first = "week", {day.day: day.day - timedelta(days=day.day.weekday()) for day in days}
    else:
        unit, first = "month", {day.day: day.day.replace(day=1) for day in days}
    sums: dict[date, dict[str, int]] = {}
    for day in days:
        parts = sums.setdefault(first[day.day], dict.fromkeys(LEDGER_STATES, 0))
        for state, number in day.by_state.items():
            parts[state] += number
    name = {"day": "", "week": "week of ", "month": "month of "}[unit]
    return [_bar(f"{name}{begin}", begin, parts) for begin, parts in sums.items()], unit


def _bar(name: str, begin: date, parts: Mapping[str, int]) -> _Bar:
    words = ", ".join(f"{number:,} {state}" for state, number in parts.items() if number) or "no orders"
    return _Bar(f"{begin:%Y-%m-%d}", f"{name}: {words}", parts)


def _grid(frame: _Frame, scale: Sequence[int]) -> list[str]:
    parts = []
    for value in scale:
        y = frame.y(value)
        parts.append(draw.line(frame.left, y, frame.left + frame.width, y, "axis" if value == 0 else "grid"))
        parts.append(draw.text(frame.left - 8, y + 4, f"{value:,}", "label quiet", "end"))
    return parts


def _stacks(frame: _Frame, bars: Sequence[_Bar], states: Sequence[str]) -> list[str]:
    slot = frame.width / max(1, len(bars))
    width = min(48.0, slot * (0.78 if slot > 6 else 0.9))
    middles = [frame.left + slot * (index + 0.5) for index in range(len(bars))]
    drawn = []
    for bar, middle in zip(bars, middles, strict=True):
        at, shapes = 0, []
        for state in states:
            number = bar.parts.get(state, 0)
            if number:
                high = frame.height * number / frame.most
                # A gap of one unit between parts tells them apart without their colours; thin parts need all they have.
                inner = high - 1 if high > 3 and at else high
                shapes.append(draw.rect(middle - width / 2, frame.y(at + number), width, inner, CLASSES[state]))
                at += number
        drawn.append(draw.group(shapes, bar.title) if shapes else "")
    numbers = [f"{bar.total:,}" for bar in bars]
    if all(draw.text_width(words, 11) <= slot for words in numbers):
        drawn += [
            draw.text(middle, frame.y(bar.total) - 5, words, "label small", "middle")
            for middle, bar, words in zip(middles, bars, numbers, strict=True)
        ]
    return [*drawn, *_day_labels(frame, bars, middles)]


def _day_labels(frame: _Frame, bars: Sequence[_Bar], middles: Sequence[float]) -> list[str]:
    """As many dates as fit below the bars: the first in full, then month and day, the year again where it changes."""
    drawn, year, free = [], "", 0.0
    for bar, at in zip(bars, middles, strict=True):
        words = bar.label if bar.label[:4] != year else bar.label[5:]
        half = draw.text_width(words) / 2
        middle = min(max(at, half), frame.left + frame.width - half)
        if middle - half < free:
            continue
        drawn.append(draw.text(middle, frame.top + frame.height + 18, words, "label quiet", "middle"))
        year, free = bar.label[:4], middle + half + 14
    return drawn


def _legend(words: Mapping[str, str], width: float) -> tuple[str, float]:
    """Colour and words of each part, in as many lines as they need, and how high that is."""
    parts, x, y = [], 0.0, 12.0
    for state, label in words.items():
        wide = 18 + draw.text_width(label) + 16
        if x and x + wide > width:
            x, y = 0.0, y + 20
        parts += [draw.rect(x, y - 10, 12, 12, CLASSES.get(state, state), radius=2), draw.text(x + 18, y, label)]
        x += wide
    return "".join(parts), y + 6


def landing_chart(certificate: Certificate) -> str:
    """How long orders took from READY to accepted."""
    series = certificate.series.landing_time
    done, waiting = sum(series[:-1]), series[-1]
    words = f"{count(done, 'order')} accepted, {waiting:,} not yet"
    rows = [
        (label, number, "parked" if label == LANDING_TIMES[-1] else "landed")
        for label, number in zip(LANDING_TIMES, series, strict=True)
    ]
    return _columns("landing", "Time from READY to accepted", words, rows)


def _columns(name: str, title: str, words: str, rows: Sequence[tuple[str, int, str]]) -> str:
    """Plain columns with their numbers above them."""
    height, slot = 180, _HALF / len(rows)
    most = max(1, *(number for _, number, _ in rows))
    frame = _Frame(0, 24, _HALF, height, most)
    parts = [draw.line(0, frame.y(0), _HALF, frame.y(0), "axis")]
    for index, (label, number, css) in enumerate(rows):
        middle = slot * (index + 0.5)
        # One order among thousands must be seen, too.
        high = max(height * number / most, 2 if number else 0)
        parts += [
            draw.rect(middle - slot * 0.36, frame.y(0) - high, slot * 0.72, high, css),
            draw.text(middle, frame.y(0) - high - 6, f"{number:,}", "label" if number else "label quiet", "middle"),
            *_two_lines(middle, frame.y(0) + 18, label),
        ]
    told = ", ".join(f"{label}: {number:,}" for label, number, _ in rows)
    return draw.picture(name, (_HALF, height + 64), title, f"{words}. {told}.", parts)


def _two_lines(x: float, y: float, label: str) -> list[str]:
    """A label below a column, its unit on a line of its own."""
    amount, _, unit = label.rpartition(" ")
    return [draw.text(x, y, amount, "label quiet", "middle"), draw.text(x, y + 14, unit, "label quiet", "middle")]


def ages_chart(certificate: Certificate) -> str:
    """How old the orders are that are not settled."""
    ages = certificate.series.open_ages
    states = [state for state in OPEN_STATES if any(ages[state])]
    open_now = sum(sum(ages[state]) for state in states)
    legend = _legend({state: f"{state} {sum(ages[state]):,}" for state in states}, _HALF)
    bars = [
        _Bar(label, label, {state: ages[state][index] for state in states}) for index, label in enumerate(OPEN_AGES)
    ]
    most, slot, top = max(1, *(bar.total for bar in bars)), _HALF / len(bars), (legend[1] if states else 0) + 24
    frame = _Frame(0, top, _HALF, 204 - top, most)
    parts = [legend[0], draw.line(0, frame.y(0), _HALF, frame.y(0), "axis")]
    for index, bar in enumerate(bars):
        middle, at = slot * (index + 0.5), 0
        for state in states:
            number = bar.parts[state]
            shape = (middle - slot * 0.36, frame.y(at + number), slot * 0.72, frame.height * number / most)
            if number:
                parts.append(draw.rect(*shape, CLASSES[state], f"{bar.label}: {number:,} {state}"))
            at += number
        css = "label" if bar.total else "label quiet"
        parts += [
            draw.text(middle, frame.y(bar.total) - 6, f"{bar.total:,}", css, "middle"),
            *_two_lines(middle, frame.y(0) + 18, bar.label),
        ]
    if not open_now:
        parts.append(draw.text(_HALF / 2, frame.y(0) - 60, "Nothing is open.", "label quiet", "middle"))
    words = ", ".join(f"{bar.label}: {bar.total:,}" for bar in bars)
    return draw.picture(
        "ages", (_HALF, 244), "Age of what is open", f"{count(open_now, 'order')} open. {words}.", parts
    )


def amounts_chart(certificate: Certificate) -> str:
    """What was paid, has landed and is live, side by side, each currency on a scale of its own."""
    lines = sorted(certificate.total, key=lambda line: -max(tally.orders for _, _, tally in _three(line)))
    shown = lines[:_MOST_CURRENCIES]
    parts, y = [], 4.0
    for line in shown:
        parts += _currency_bars(line, y)
        y += 3 * 18 + 14
    if more := len(lines) - len(shown):
        parts.append(draw.text(0, y + 10, f"… and {count(more, 'currency', 'currencies')} more, above", "label quiet"))
        y += 18
    if not shown:
        parts.append(draw.text(0, 16, "No orders.", "label quiet"))
        y = 28
    told = "; ".join(_three_words(line) for line in shown)
    return draw.picture("amounts", (_WIDE, y), "Amounts by currency", told or "No orders.", parts)


def _currency_bars(line: CurrencyLine, y: float) -> list[str]:
    """The three sides of one currency on its own scale."""
    wide = _WIDE - 480
    most = max(abs(tally.total) for _, _, tally in _three(line)) or Decimal(1)
    parts = [draw.text(0, y + 30, line.currency, "label strong")]
    for name, css, tally in _three(line):
        share = float(max(Decimal(0), tally.total) / most)
        words = f"{grouped(tally.total, line.currency)}  ({count(tally.orders, 'order')})"
        parts += [
            draw.text(130, y + 11, name, "label quiet", "end"),
            draw.rect(140, y, wide, 13, "track", radius=2),
            draw.rect(140, y, wide * share, 13, css, radius=2),
            draw.text(wide + 152, y + 11, words),
        ]
        y += 18
    return parts


def _three_words(line: CurrencyLine) -> str:
    sides = ", ".join(f"{name} {grouped(tally.total, line.currency)}" for name, _, tally in _three(line))
    return f"{line.currency}: {sides}"


def _three(line: CurrencyLine) -> list[tuple[str, str, Tally]]:
    return [
        ("provider, paid", "provider", line.provider["paid"]),
        ("ledger, landed", "ledger", line.ledger["landed"]),
        ("store, live", "store", line.store["live"]),
    ]


def coverage_strip(certificate: Certificate) -> str:
    """One strip from the range's start to its end: what is proven complete, and what is not."""
    span, zone = certificate.span, certificate.zone

    def x(at: datetime) -> float:
        return _WIDE * ((at - span.start) / span.length)

    parts = [draw.rect(0, 4, _WIDE, 22, "proven", "proven complete", 3)]
    for gap in certificate.gaps:
        where = f"{local(gap.span.start, zone)} to {local(gap.span.end, zone)}: {gap.reason}"
        # A gap of a minute in a year must be seen, too.
        parts.append(
            draw.rect(x(gap.span.start), 4, max(2.5, x(gap.span.end) - x(gap.span.start)), 22, "unproven", where)
        )
    long = len(certificate.days) > _MOST_BARS
    starts = [day.proof.window for day in certificate.days if not long or day.day.day == 1]
    places = [x(window.span.start) for window in starts]
    words = [
        f"{at.day:%Y-%m}" if long else f"{at.day:%m-%d}" if index else f"{at.day}" for index, at in enumerate(starts)
    ]
    widths = [draw.text_width(label) for label in words]
    middles = [place + width / 2 for place, width in zip(places, widths, strict=True)]
    for index in draw.spaced(middles, widths, 22):
        if places[index] + widths[index] <= _WIDE:
            parts.append(draw.line(places[index], 26, places[index], 32, "axis"))
            parts.append(draw.text(places[index], 46, words[index], "label quiet"))
    kinds = {proof: sum(day.proof.proof is proof for day in certificate.days) for proof in Proof}
    told = ", ".join(f"{count(number, 'day')} {proof.value}" for proof, number in kinds.items() if number)
    return draw.picture("strip", (_WIDE, 52), "What is proven complete", f"{told}.", parts)
