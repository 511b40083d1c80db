"""Sums of a day, or of a range, by currency, side and state: exact, and independent of the order of adding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from models.money import total_of
from reports.counting import EXPLANATIONS, LEDGER_STATES, PROVIDER_STATES, STORE_STATES, UNEXPLAINED, Counted, Place
from reports.model import CurrencyLine, Tally
from reports.words import UNUSABLE

_NOTHING = Tally(0, Decimal(0))


@dataclass(slots=True)
class _Sum:
    orders: int = 0
    total: Decimal = field(default=Decimal(0))

    def add(self, orders: int, amount: Decimal) -> None:
        self.orders += orders
        if amount:
            self.total = total_of((self.total, amount))


@dataclass(slots=True)
class _Line:
    provider: dict[str, _Sum] = field(default_factory=dict)
    ledger: dict[str, _Sum] = field(default_factory=dict)
    store: dict[str, _Sum] = field(default_factory=dict)
    explained: dict[str, _Sum] = field(default_factory=dict)
    in_base: int = 0


class DaySums:
    """Adds up orders."""

    def __init__(self) -> None:
        self.orders = 0
        self._lines: dict[str, _Line] = {}

    def add(self, counted: Counted) -> None:
        """Add one order."""
        self.orders += 1
        _place(self._line(counted.provider).provider, counted.provider)
        _place(self._line(counted.ledger).ledger, counted.ledger)
        line = self._line(counted.store)
        _place(line.store, counted.store)
        line.in_base += counted.in_base
        for currency, orders, amount in counted.adds:
            self._lines[currency].explained.setdefault(counted.because, _Sum()).add(orders, amount)

    def _line(self, place: Place) -> _Line:
        return self._lines.setdefault(place.currency, _Line())

    def lines(self) -> tuple[CurrencyLine, ...]:
        """One line for each currency, those without a usable one last."""
        return tuple(_line_of(name, self._lines[name]) for name in sorted(self._lines, key=_by_name))

    def states(self) -> dict[str, int]:
        """Orders by the ledger's state, all currencies together."""
        return {
            state: sum(line.ledger[state].orders for line in self._lines.values() if state in line.ledger)
            for state in LEDGER_STATES
        }


def _place(states: dict[str, _Sum], place: Place) -> None:
    states.setdefault(place.state, _Sum()).add(1, place.total)


def _by_name(currency: str) -> tuple[bool, str]:
    return currency == UNUSABLE, currency


def _line_of(currency: str, line: _Line) -> CurrencyLine:
    provider, store = _tallies(line.provider, PROVIDER_STATES), _tallies(line.store, STORE_STATES)
    explained = _tallies(line.explained, (*EXPLANATIONS, UNEXPLAINED))
    unexplained = explained.pop(UNEXPLAINED)
    return CurrencyLine(
        currency=currency,
        provider=provider,
        ledger=_tallies(line.ledger, LEDGER_STATES),
        store=store,
        in_base=line.in_base,
        difference=less(provider["paid"], store["live"]),
        explained=explained,
        unexplained=unexplained,
    )


def _tallies(sums: dict[str, _Sum], states: tuple[str, ...]) -> dict[str, Tally]:
    return {state: Tally(sums[state].orders, sums[state].total) if state in sums else _NOTHING for state in states}


def less(one: Tally, other: Tally) -> Tally:
    """The first less the second, exactly."""
    # A minus sign would round to the digits of the context.
    return Tally(one.orders - other.orders, total_of((one.total, other.total.copy_negate())))


def together(tallies: list[Tally]) -> Tally:
    """The sum of tallies, exactly."""
    return Tally(sum(tally.orders for tally in tallies), total_of(tally.total for tally in tallies))


def merged(lines: Iterable[CurrencyLine]) -> tuple[CurrencyLine, ...]:
    """Lines of several days added up, one for each currency, those without a usable one last."""
    by_currency: dict[str, list[CurrencyLine]] = {}
    for line in lines:
        by_currency.setdefault(line.currency, []).append(line)
    return tuple(
        CurrencyLine(
            currency=currency,
            provider=_merged([line.provider for line in same]),
            ledger=_merged([line.ledger for line in same]),
            store=_merged([line.store for line in same]),
            in_base=sum(line.in_base for line in same),
            difference=together([line.difference for line in same]),
            explained=_merged([line.explained for line in same]),
            unexplained=together([line.unexplained for line in same]),
        )
        for currency, same in sorted(by_currency.items(), key=lambda entry: _by_name(entry[0]))
    )


def _merged(sides: list[Mapping[str, Tally]]) -> dict[str, Tally]:
    return {state: together([side[state] for side in sides]) for state in sides[0]}
