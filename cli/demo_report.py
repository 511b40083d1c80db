"""What the demo shows at its end: the books side by side, what was in the way, and whether all agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from cli import console, words
from cli.demo_books import AccountBooks, LedgerLine, standing

if TYPE_CHECKING:
    from cli.demo_run import Work
    from cli.demo_world import World

_MOST_AGAINST = 10


def parked_lines(books: Sequence[AccountBooks]) -> list[tuple[str, LedgerLine]]:
    """Every parked order with its account, by reason."""
    found = [(account.name, line) for account in books for line in account.ledger if line.bucket == "parked"]
    return sorted(found, key=lambda entry: (entry[1].parked_code or "", entry[1].order))


def json_of(work: Work, world: World, prefect: dict[str, Any]) -> dict[str, Any]:
    """The report for a program."""
    return {
        "ok": all(verdict.holds for verdict in work.verdicts),
        "run": world.mark["runs"],
        "orders": sum(account.orders for account in world.accounts),
        "inserts": work.inserts,
        "accepts": work.accepts,
        "store_cancels": work.cancels,
        "unknown_outcomes": work.unknown,
        "not_yet_outcomes": work.retried,
        "polls": work.polls,
        "happened_later": work.happened,
        "books": standing(work.books),
        "parked": [
            {"account": name, "order": line.order, "code": line.parked_code, "reason": line.parked_reason}
            for name, line in parked_lines(work.books)
        ],
        "faults": world.faults(),
        "http_calls": world.calls(),
        "checks": [
            {"says": verdict.says, "holds": verdict.holds, "looked_at": verdict.looked_at, "against": verdict.against}
            for verdict in work.verdicts
        ],
        "certificates": [str(path) for path in work.pages],
        "seconds": {name: round(seconds, 1) for name, seconds in work.seconds.items()},
        "prefect": prefect,
    }


def show(work: Work, world: World) -> None:
    """The report for a person."""
    _show_books(work)
    _show_parked(work)
    _show_trouble(work, world)
    _show_verdicts(work)
    for path in work.pages:
        console.say(f"  certificate: {path}")
    seconds = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in work.seconds.items())
    console.say(f"\nThis run: {work.inserts} inserts, {work.accepts} accepts, {work.cancels} store orders cancelled.")
    console.say(f"Time: {seconds}.")


def _show_books(work: Work) -> None:
    sides = standing(work.books)
    table = Table(title="Where every order stands, by each side's own books", title_justify="left")
    for column in ("Glopal", "the stores", "Crossdock's ledger"):
        table.add_column(column)
    columns = [_lines(sides[side]) for side in ("glopal", "store", "ledger")]
    for row in range(max(len(column) for column in columns)):
        table.add_row(*(console.cell(column[row] if row < len(column) else "") for column in columns))
    table.add_section()
    table.add_row(*(console.cell(f"{sum(sides[side].values()):>4} in all") for side in ("glopal", "store", "ledger")))
    console.say("")
    console.out().print(table)


def _lines(counts: dict[str, int]) -> list[str]:
    return [f"{number:>4} {name}" for name, number in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))]


def _show_parked(work: Work) -> None:
    parked = parked_lines(work.books)
    if not parked:
        return
    table = Table(title=f"{len(parked)} orders wait for a person, each with its reason", title_justify="left")
    for column in ("order", "account", "why"):
        table.add_column(column, overflow="fold")
    for name, line in parked:
        table.add_row(console.cell(line.order), console.cell(name), console.cell(_why(line)))
    console.say("")
    console.out().print(table)
    told = parked[-1][1]
    console.say(f"What to do, for example about {told.order}: {words.advice(told.parked_code or '')}")


def _why(line: LedgerLine) -> str:
    reason = (line.parked_reason or "").removeprefix(f"order {line.order}: ")
    return f"{reason} [{line.parked_code}]"


def _show_trouble(work: Work, world: World) -> None:
    faults = world.faults()
    kinds = ", ".join(f"{number} {name}" for name, number in faults.items())
    later = ", ".join(f"{number} {name}" for name, number in work.happened.items() if number)
    lines = [
        ("faults injected", f"{sum(faults.values())} in {sum(world.calls().values())} calls: {kinds or 'none'}"),
        (
            "outcome unknown",
            work.unknown and f"{work.unknown} calls; each was looked into before anything else was done",
        ),
        ("not yet possible", work.retried and f"{work.retried} calls, tried again"),
        ("later at Glopal", later),
    ]
    table = Table(title="What was in the way", title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        if text:
            table.add_row(console.cell(f"  {name}"), console.cell(text))
    console.say("")
    console.out().print(table)


def _show_verdicts(work: Work) -> None:
    console.say("")
    for verdict in work.verdicts:
        mark = "✓" if verdict.holds else "✗"
        console.out().print(console.cell(f"{mark} {verdict.says} ({verdict.looked_at})"), soft_wrap=True)
        for text in verdict.against[:_MOST_AGAINST]:
            console.say(f"    {text}")
        if len(verdict.against) > _MOST_AGAINST:
            console.say(f"    and {len(verdict.against) - _MOST_AGAINST} more")
