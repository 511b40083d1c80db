"""Tables of HTML: every text is escaped, numbers stand right and their decimal points below each other."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from models.currencies import EXPONENTS
from reports.model import CurrencyLine
from reports.words import escape, grouped

Column = str | tuple[str, str]


def section(title: str, body: str) -> str:
    """A part of a page; its body is markup."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def cell(words: str, css: str = "") -> str:
    """A cell of text."""
    return f'<td class="{css}">{escape(words)}</td>' if css else f"<td>{escape(words)}</td>"


def row(*cells: str, css: str = "") -> str:
    """A row of cells, which are markup."""
    return f'<tr class="{css}">{"".join(cells)}</tr>' if css else f"<tr>{''.join(cells)}</tr>"


def head(columns: Iterable[Column]) -> str:
    """The head of a table: names, or names with a class."""
    named = [(column, "") if isinstance(column, str) else column for column in columns]
    cells = "".join(f'<th scope="col" class="{css}">{escape(name)}</th>' for name, css in named)
    return f"<thead><tr>{cells}</tr></thead>"


def table(columns: Iterable[Column], rows: Iterable[str]) -> str:
    """A whole table; the rows are markup."""
    return f'<div class="wide"><table>{head(columns)}<tbody>{"".join(rows)}</tbody></table></div>'


def number(value: int) -> str:
    """A count; zero is quiet."""
    return f"{value:,}" if value else '<span class="zero">0</span>'


def money(amount: Decimal, currency: str, decimals: int = 0) -> str:
    """An amount; zero is quiet and short.

    Args:
        amount: in ``currency``.
        currency: by which it has decimals.
        decimals: room is left for as many, so that the points of several currencies stand below each other.
    """
    words = escape(grouped(amount, currency)) if amount else "0"
    _, point, fraction = words.partition(".")
    missing = max(decimals, EXPONENTS.get(currency, 0)) - len(fraction)
    room = f"<i>{'' if point else '.'}{'0' * missing}</i>" if missing > 0 else ""
    return f"{words}{room}" if amount else f'<span class="zero">{words}</span>{room}'


def decimals(lines: Iterable[CurrencyLine]) -> int:
    """How many decimals a column of these currencies must have room for."""
    return max((EXPONENTS.get(line.currency, 0) for line in lines), default=0)
