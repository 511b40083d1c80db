"""CSV by RFC 4180: commas, CRLF, quotes where needed. Read back, it gives the very facts that were written."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from models.ranges import Span
from models.time import to_text
from reports.canon import FIELDS, Unreadable, fact_of, record_of
from reports.counting import EXPLANATIONS, LEDGER_STATES, PROVIDER_STATES, STORE_STATES
from reports.facts import OrderFact
from reports.model import Certificate, CurrencyLine, DayLine, Tally
from reports.words import amount_text

# What a spreadsheet takes for the beginning of a formula. The apostrophe itself is among them, so that reading back
# takes away exactly what writing added.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
_SIDES = ("source", "ledger", "store")
_YES = {True: "true", False: "false"}


def text_cell(text: str) -> str:
    """A text that no spreadsheet runs as a formula. Amounts don't go through here: a minus sign is theirs."""
    return f"'{text}" if text.startswith(_FORMULA) else text


class _Echo:
    """Gives each row back instead of keeping it."""

    def write(self, text: str) -> str:
        return text


def _rows(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    writer = csv.writer(_Echo(), lineterminator="\r\n")
    for row in rows:
        yield str(writer.writerow(row))


def orders_csv(facts: Iterable[OrderFact], span: Span | None = None) -> Iterator[str]:
    """Every order with all of its fields, line by line.

    Args:
        facts: the orders.
        span: leave out those of which the provider first spoke outside of it.
    """
    yield from _rows([_columns()])
    kept = (fact for fact in facts if span is None or span.contains(fact.first_event_at))
    yield from _rows(_order_row(fact) for fact in kept)


def _columns() -> list[str]:
    names: list[str] = []
    for name in FIELDS[OrderFact]:
        names.append(name)
        if name in _SIDES:
            names += [f"{name}.{part}" for part in _parts(name)]
    return names


def _parts(side: str) -> Iterable[str]:
    return FIELDS[_side_type(side)]


def _side_type(side: str) -> type:
    return next(kind for kind in FIELDS if kind.__name__ == f"{side.title()}Side")


def _order_row(fact: OrderFact) -> list[str]:
    row: list[str] = []
    for name, value in record_of(fact).items():
        if name not in _SIDES:
            row.append(_cell(OrderFact, name, value))
            continue
        # Whether the side is known at all, because a side that is not known is no side full of nothing.
        row.append(_YES[value is not None])
        kind = _side_type(name)
        row += [_cell(kind, part, value.get(part)) if value is not None else "" for part in FIELDS[kind]]
    return row


def _cell(kind: type, name: str, value: object) -> str:
    if FIELDS[kind][name] is bool:
        return _YES[value is True]
    if value is None:
        return ""
    return text_cell(str(value)) if FIELDS[kind][name] is str else str(value)


def read_orders_csv(lines: Iterable[str]) -> Iterator[OrderFact]:
    """The facts of what ``orders_csv`` wrote.

    Raises:
        Unreadable: a column or a row is none of ours. The message names the line.
    """
    reader = csv.reader(lines, strict=True)
    columns = _columns()
    try:
        # An older file may lack a column that a later release added; its cells are then empty.
        header = next(reader, [])
        known = "order" in header and len(set(header)) == len(header) and set(header) <= set(columns)
        _check(known, f"the columns are {', '.join(columns)}")
        for row in reader:
            _check(len(row) == len(header), f"{len(row)} cells instead of {len(header)}")
            yield fact_of(_record(dict.fromkeys(columns, "") | dict(zip(header, row, strict=True))))
    except (Unreadable, csv.Error) as error:
        raise Unreadable(f"line {reader.line_num}: {error}") from None


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Unreadable(otherwise)


def _record(cells: dict[str, str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name in FIELDS[OrderFact]:
        if name not in _SIDES:
            record[name] = _value(OrderFact, name, cells[name])
        elif cells[name] == "true":
            kind = _side_type(name)
            record[name] = {part: _value(kind, part, cells[f"{name}.{part}"]) for part in FIELDS[kind]}
        else:
            record[name] = None
    return record


def _value(kind: type, name: str, cell: str) -> str | bool | None:
    hint = FIELDS[kind][name]
    if hint is str:
        return cell.removeprefix("'")
    if hint is bool:
        return cell == "true"
    return cell or None


def days_csv(certificate: Certificate) -> str:
    """One line for each day and currency; a day without orders has one, too."""
    rows = [_DAY_COLUMNS]
    for day in certificate.days:
        lines: Sequence[CurrencyLine | None] = day.currencies or (None,)
        rows += [[*_day_cells(certificate, day), *_sum_cells(line)] for line in lines]
    return "".join(_rows(rows))


def _day_cells(certificate: Certificate, day: DayLine) -> list[str]:
    span, standing = day.proof.window.span, day.standing
    return [
        text_cell(certificate.account),
        text_cell(certificate.key),
        day.day.isoformat(),
        to_text(span.start),
        to_text(span.end),
        _YES[day.proof.window.whole],
        day.proof.proof.value,
        _YES[standing.complete],
        _YES[standing.agrees],
        str(standing.differing),
        str(standing.unread),
        str(standing.findings),
        text_cell(standing.verdict),
        str(day.orders),
    ]


def _sum_cells(line: CurrencyLine | None) -> list[str]:
    if line is None:
        return ["", *("0" for _ in _SUM_COLUMNS[1:])]
    cells = [line.currency]
    for _, tally in _named(line):
        cells += [str(tally.orders), amount_text(tally.total, line.currency)]
    return [*cells, str(line.in_base)]


def _named(line: CurrencyLine) -> Iterator[tuple[str, Tally]]:
    """Every tally of a line with the name of its columns."""
    for side, states in (("provider", line.provider), ("ledger", line.ledger), ("store", line.store)):
        yield from ((f"{side} {state}", tally) for state, tally in states.items())
    yield "difference", line.difference
    yield from ((f"explained {name}", tally) for name, tally in line.explained.items())
    yield "unexplained", line.unexplained


def _two(names: Iterable[str]) -> list[str]:
    return [f"{name.replace(' ', '_')}_{what}" for name in names for what in ("orders", "sum")]


_SUM_COLUMNS = [
    "currency",
    *_two(f"provider {state}" for state in PROVIDER_STATES),
    *_two(f"ledger {state}" for state in LEDGER_STATES),
    *_two(f"store {state}" for state in STORE_STATES),
    *_two(["difference"]),
    *_two(f"explained {name}" for name in EXPLANATIONS),
    *_two(["unexplained"]),
    "store_orders_in_base_currency",
]
_DAY_COLUMNS = [
    *"account key day from to whole_day proof complete agrees differing not_compared open_findings verdict".split(),
    "day_orders",
    *_SUM_COLUMNS,
]
