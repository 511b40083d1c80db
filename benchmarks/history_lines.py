"""The table's lines of the measurements with a history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

from benchmarks.calls import PAGE_SIZE
from benchmarks.child import OF_THE_FLOW
from benchmarks.history import BACKFILLED_DAYS, Backfilled, History, OneDay, Reconciled
from benchmarks.line import Line, at_most, percents, said

MOST_MB = 300.0
# A chunk's statements are the same in number; so are those of a page of the feed and of a thousand certified orders.
MOST_A_CHUNK = 12
MOST_A_PAGE = 3.0
MOST_A_THOUSAND = 6.0
# Beyond the pages that have the day's events: to find the place, to prove it, and what lies around the day on them.
MORE_PAGES_A_DAY = 4
MORE_PAGES = 12
MOST_AGAIN = 3
# With fewer orders the thirty parts of the range weigh more than the orders in them.
AIMED_FROM = 5000
# Longer by more than this than the orders are more is not linear any more.
MOST_GROWTH = 1.3


def lines_of_history(history: History) -> list[Line]:
    """Every figure that was measured."""
    lines: list[Line] = []
    if history.reconciled:
        lines += _of_reconciled(history.reconciled)
    if history.day is not None:
        lines += _of_day(history.day)
    if history.backfilled is not None and history.backfilled.ours:
        lines += _of_backfilled(history.backfilled)
    return lines


def _of_reconciled(runs: Sequence[Reconciled]) -> Iterator[Line]:
    small, large = runs[0], runs[-1]
    peak = large.run["peak_mb"]
    yield Line(
        f"reconcile: peak memory of the flow process, {small.orders} and {large.orders} orders",
        f"{small.run['peak_mb']:.0f} and {peak:.0f} MB",
        f"under {MOST_MB:.0f} MB",
        peak < MOST_MB,
    )
    if len(runs) > 1:
        yield from _growth(small, large)
    yield Line(
        f"reconcile: orders/s of the bare loop that are kept, {large.orders} orders",
        percents([large.bare["wall"] / large.run["wall"]]),
    )
    yield Line("the same by CPU time of the process", percents([large.bare["cpu"] / large.run["cpu"]]))
    yield from _statements(small, large)
    yield from _calls(large)


def _growth(small: Reconciled, large: Reconciled) -> Iterator[Line]:
    """By CPU time: what else the machine did in the minutes between the two runs would decide by the clock."""
    more = large.orders / small.orders
    grown = large.run["cpu"] / small.run["cpu"]
    yield Line(
        f"reconcile: times the CPU time for {more:g} times as many orders",
        f"{grown:.1f}",
        f"at most {MOST_GROWTH * more:g}",
        grown <= MOST_GROWTH * more,
    )
    yield Line("the same by the clock", f"{large.run['wall'] / small.run['wall']:.1f}")


def _statements(small: Reconciled, large: Reconciled) -> Iterator[Line]:
    chunks = sorted({each for run in (small, large) for each in _of_chunks(run.run)})
    size = large.run["chunk"]
    yield Line(
        f"reconcile: SQL statements for up to {size} orders, ledger + store",
        " or ".join(f"{ledger:g} + {store:g}" for ledger, store in chunks),
        f"always the same, at most {MOST_A_CHUNK}",
        len(chunks) == 1 and sum(chunks[0]) <= MOST_A_CHUNK,
    )
    feed = _total(large.run, "check-feed") / large.calls["events"]
    yield Line(
        "reconcile: SQL statements for a page of the feed",
        f"{feed:.1f}",
        f"at most {MOST_A_PAGE:g}",
        feed <= MOST_A_PAGE,
    )
    if large.orders > small.orders:
        further = _total(large.run, OF_THE_FLOW) - _total(small.run, OF_THE_FLOW)
        each = 1000 * further / (large.orders - small.orders)
        yield Line(
            "reconcile: SQL statements for the certificate, each further 1000 orders",
            f"{each:.1f}",
            f"at most {MOST_A_THOUSAND:g}",
            each <= MOST_A_THOUSAND,
        )


def _of_chunks(run: dict[str, Any]) -> Iterator[tuple[float, float]]:
    """Statements for a chunk on both databases, of every task that compared orders."""
    for task in run["statements"]:
        if task["task"] == "compare-orders":
            chunks = -(-task["orders"] // run["chunk"])
            yield task["ledger"] / chunks, task["store"] / chunks


def _total(run: dict[str, Any], name: str) -> int:
    return sum(int(task["ledger"] + task["store"]) for task in run["statements"] if task["task"] == name)


def _calls(run: Reconciled) -> Iterator[Line]:
    each = run.calls.get("order", 0) / run.orders
    yield Line("reconcile: reads at the provider per order", f"{each:g}", "1", each == 1)
    pages = run.calls.get("events", 0)
    yield at_most(
        f"reconcile: pages of the feed for {run.events} events of {run.days} days",
        pages,
        run.days * (_pages(run.events / run.days) + MORE_PAGES_A_DAY),
    )
    yield _others("reconcile", run.calls)


def _of_day(day: OneDay) -> Iterator[Line]:
    most = _pages(day.events) + MORE_PAGES
    which = f"one day ({day.events} events) of {day.recorded} events"
    yield at_most(f"{which}: pages asked for by a dry run", day.dry_run.get("events", 0), most)
    yield at_most("the same by the backfill", day.backfill.get("events", 0), most)
    yield at_most("the same by a reconciliation", day.reconcile.get("events", 0), most)
    yield at_most("that backfill once more: HTTP calls", sum(day.again.values()), MOST_AGAIN)
    read = day.reconcile.get("order", 0)
    yield Line("that reconciliation: reads at the provider", f"{read}", f"{day.orders}", read == day.orders)
    together: dict[str, int] = {}
    for calls in (day.dry_run, day.backfill, day.reconcile):
        together |= {name: together.get(name, 0) + count for name, count in calls.items()}
    # Every order of the day is landed, so only the reconciliation reads any.
    yield _others("one day", {**together, "order": together.get("order", 0) - read})


def _of_backfilled(found: Backfilled) -> Iterator[Line]:
    rates = [bare["wall"] / ours["wall"] for ours, bare in zip(found.ours, found.bare, strict=True)]
    cpu = [bare["cpu"] / ours["cpu"] for ours, bare in zip(found.ours, found.bare, strict=True)]
    what = f"backfill of {BACKFILLED_DAYS} days: orders/s of the bare loop that are kept, {found.orders} orders"
    if found.orders < AIMED_FROM:
        yield Line(what, percents(rates))
    else:
        yield Line(what, percents(rates), "at least 50 %", median(rates) >= 0.5)
    yield Line("the same by CPU time of the process", percents(cpu))


def _others(what: str, calls: dict[str, int]) -> Line:
    known = {"order", "events"} if what == "reconcile" else {"events"}
    others = {name: count for name, count in calls.items() if count and name not in known}
    return Line(f"{what}: HTTP calls of any other kind", said(others), "none", not others)


def _pages(events: float) -> int:
    """Pages that so many events fill."""
    return -(-int(events) // PAGE_SIZE)
