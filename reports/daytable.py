"""The tables of a certificate's days and months: the three sides, the difference and what explains it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from reports.markup import decimals, money, number
from reports.model import Certificate, CurrencyLine, DayLine, Tally
from reports.proof import MARKS, Proof
from reports.sums import merged, together
from reports.words import count, day_text, escape

_ORDERS_AND_SUM = '<th scope="col" class="n">orders</th><th scope="col" class="n">sum</th>'
_HEAD = (
    '<thead><tr><th rowspan="2" scope="col">Day</th><th rowspan="2" scope="col">Proven and agreed?</th>'
    '<th rowspan="2" scope="col"></th><th colspan="2" scope="colgroup" class="n">Provider: paid</th>'
    '<th colspan="2" scope="colgroup" class="n">Ledger: landed</th>'
    '<th colspan="2" scope="colgroup" class="n">Store: live</th>'
    '<th rowspan="2" scope="col" class="n">Difference</th><th rowspan="2" scope="col" class="n">Explained</th>'
    f'<th rowspan="2" scope="col" class="n">Unexplained</th></tr><tr>{_ORDERS_AND_SUM * 3}</tr></thead>'
)
_MARKS = {"ok": "✓", "no": "✗"}


def day_table(certificate: Certificate) -> str:
    """A row for each day and currency; a day without orders has one, too."""
    room = decimals(certificate.total)
    bodies = [
        _body(_day_name(day, certificate), _day_verdict(day), day.orders, day.currencies, room)
        for day in certificate.days
    ]
    return f'<div class="wide"><table class="days">{_HEAD}{"".join(bodies)}</table></div>'


def month_table(certificate: Certificate) -> str:
    """The same for each month."""
    room = decimals(certificate.total)
    bodies = []
    for month, part in groupby(certificate.days, key=lambda day: f"{day.day:%Y-%m}"):
        days = list(part)
        lines = merged(line for day in days for line in day.currencies)
        bodies.append(_body(month, _month_verdict(days), sum(day.orders for day in days), lines, room))
    return f'<div class="wide"><table class="days">{_HEAD.replace(">Day<", ">Month<")}{"".join(bodies)}</table></div>'


def _day_name(day: DayLine, certificate: Certificate) -> str:
    name = escape(day_text(day.day))
    if day.proof.window.whole:
        return name
    start, end = (at.astimezone(certificate.zone) for at in (day.proof.window.span.start, day.proof.window.span.end))
    until = f"{end:%H:%M}" if end.date() == start.date() else "24:00"
    return f"{name}<br><small>{start:%H:%M} to {until} only</small>"


def _day_verdict(day: DayLine) -> str:
    standing = day.standing
    css = "no" if not standing.agrees else "ok" if standing.complete else "half"
    mark = MARKS[day.proof.proof] if day.proof.proof is not Proof.FULL else _MARKS[css]
    return f'<span class="{css}">{mark} {escape(standing.verdict)}</span>'


def _month_verdict(days: Sequence[DayLine]) -> str:
    proven = sum(day.proof.proof is Proof.FULL for day in days)
    differing, unread = (sum(getattr(day.standing, name) for day in days) for name in ("differing", "unread"))
    words = [f"{proven} of {count(len(days), 'day')} proven"]
    words += [count(differing, "difference")] if differing else []
    words += [f"{count(unread, 'order')} not compared"] if unread else []
    css = "no" if differing or unread else "ok" if proven == len(days) else "half"
    mark = _MARKS.get(css, MARKS[Proof.PARTLY if proven else Proof.NOT])
    return f'<span class="{css}">{mark} {escape(", ".join(words))}</span>'


def _body(name: str, verdict: str, orders: int, lines: Sequence[CurrencyLine], room: int) -> str:
    """One day's or month's rows, which stay together on paper."""
    span = f' rowspan="{len(lines)}"' if len(lines) > 1 else ""
    first = f'<th scope="rowgroup" class="day"{span}>{name}</th><td{span} class="says">{verdict}</td>'
    if not lines:
        none = f'<td colspan="10" class="zero">{escape(count(orders, "order"))}</td>'
        return f'<tbody class="day"><tr>{first}{none}</tr></tbody>'
    rows = [f"<tr>{first if index == 0 else ''}{_cells(line, room)}</tr>" for index, line in enumerate(lines)]
    return f'<tbody class="day">{"".join(rows)}</tbody>'


def _cells(line: CurrencyLine, room: int) -> str:
    sides = (line.provider["paid"], line.ledger["landed"], line.store["live"])
    counts = "".join(
        f'<td class="n">{number(side.orders)}</td><td class="n">{money(side.total, line.currency, room)}</td>'
        for side in sides
    )
    explained = {name: tally for name, tally in line.explained.items() if tally.orders or tally.total}
    words = ", ".join(f"{name} {tally.orders:+,}" if tally.orders else name for name, tally in explained.items())
    return (
        f"<td>{escape(line.currency)}</td>{counts}{_gap(line.difference, line, room)}"
        f"{_gap(together(list(explained.values())), line, room, words)}"
        f"{_gap(line.unexplained, line, room, alarm=True)}"
    )


def _gap(tally: Tally, line: CurrencyLine, room: int, words: str = "", *, alarm: bool = False) -> str:
    """A difference, or a part of one: its sum, and below it its orders or what it is."""
    any_of_it = bool(tally.orders or tally.total)
    css = "n alarm" if alarm and any_of_it else "n"
    below = words or (f"{tally.orders:+,} {'order' if abs(tally.orders) == 1 else 'orders'}" if tally.orders else "")
    small = f"<small>{escape(below)}</small>" if below else ""
    return f'<td class="{css}">{money(tally.total, line.currency, room)}{small}</td>'
