"""The sums of the whole range: a row for each side's state, two columns for each currency, and the difference below."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reports.counting import EXPLANATIONS, LEDGER_STATES, PROVIDER_STATES, STORE_STATES, UNEXPLAINED
from reports.markup import money, number
from reports.model import CurrencyLine, Tally
from reports.words import escape

_ORDERS_AND_SUM = '<th scope="col" class="n first">orders</th><th scope="col" class="n">sum</th>'
_Pick = Callable[[CurrencyLine], Tally]


def sums_table(lines: Sequence[CurrencyLine]) -> str:
    """A table of some currencies side by side."""
    names = "".join(f'<th colspan="2" scope="colgroup" class="n">{escape(line.currency)}</th>' for line in lines)
    head = f'<thead><tr><th rowspan="2" class="name"></th>{names}</tr><tr>{_ORDERS_AND_SUM * len(lines)}</tr></thead>'
    rows = [
        *_side("Provider", lines, [(state, _provider(state)) for state in PROVIDER_STATES], "paid"),
        *_side("Ledger", lines, [(state, _ledger(state)) for state in LEDGER_STATES], "landed"),
        *_side("Store", lines, [(state, _store(state)) for state in STORE_STATES], "live"),
        _in_base(lines),
        _title("Paid at the provider less live in the store", lines),
        _row("difference", lines, lambda line: line.difference, "sum"),
        *_rows([(name, _explained(name)) for name in EXPLANATIONS], lines, "explained: "),
        _row(UNEXPLAINED, lines, lambda line: line.unexplained, "sum"),
    ]
    return f'<div class="wide"><table class="sums">{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _provider(state: str) -> _Pick:
    return lambda line: line.provider[state]


def _ledger(state: str) -> _Pick:
    return lambda line: line.ledger[state]


def _store(state: str) -> _Pick:
    return lambda line: line.store[state]


def _explained(name: str) -> _Pick:
    return lambda line: line.explained[name]


def _side(name: str, lines: Sequence[CurrencyLine], states: Sequence[tuple[str, _Pick]], main: str) -> list[str]:
    return [_title(name, lines), *_rows(states, lines, main=main)]


def _title(name: str, lines: Sequence[CurrencyLine]) -> str:
    return f'<tr class="side"><th colspan="{1 + 2 * len(lines)}" scope="rowgroup">{escape(name)}</th></tr>'


def _rows(
    picks: Sequence[tuple[str, _Pick]], lines: Sequence[CurrencyLine], before: str = "", main: str = ""
) -> list[str]:
    """The rows in which anything stands, and the main one."""
    return [
        _row(f"{before}{name}", lines, pick)
        for name, pick in picks
        if name == main or any(pick(line).orders or pick(line).total for line in lines)
    ]


def _row(name: str, lines: Sequence[CurrencyLine], pick: _Pick, css: str = "") -> str:
    cells = []
    for line in lines:
        tally = pick(line)
        alarm = " alarm" if name == UNEXPLAINED and (tally.orders or tally.total) else ""
        cells.append(f'<td class="n first">{number(tally.orders)}</td>')
        cells.append(f'<td class="n{alarm}">{money(tally.total, line.currency)}</td>')
    return f'<tr class="{css}"><th scope="row" class="name">{escape(name)}</th>{"".join(cells)}</tr>'


def _in_base(lines: Sequence[CurrencyLine]) -> str:
    """How many store orders count with another currency's amount than their own."""
    if not any(line.in_base for line in lines):
        return ""
    cells = "".join(f'<td class="n first">{number(line.in_base)}</td><td></td>' for line in lines)
    return f'<tr><th scope="row" class="name">of these kept in the merchant&#x27;s currency</th>{cells}</tr>'
