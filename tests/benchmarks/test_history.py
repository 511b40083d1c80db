"""The counts and aims of the benchmarks with a history. Never their times."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.history import Backfilled, History, OneDay, Reconciled
from benchmarks.history_lines import lines_of_history
from benchmarks.measure import Found
from benchmarks.table import lines_of, results_of

ROOT = Path(__file__).resolve().parents[2]


def statements(orders: int, *, first: int = 8, feed: int = 500) -> list[dict[str, Any]]:
    """The statements of a run with a task for each 500 orders: of the first of these, and of the feed, as given."""
    tasks = [{"task": "compare-orders", "orders": 500, "ledger": 8, "store": 1} for _ in range(orders // 500)]
    tasks[0]["ledger"] = first
    pages = {"task": "check-feed", "orders": 0, "ledger": feed, "store": 0}
    return [*tasks, pages, {"task": "flow", "orders": 0, "ledger": 11 + 3 * orders // 1000, "store": 0}]


def reconciled(orders: int, **more: Any) -> Reconciled:
    """A reconciliation in which every aim holds; ``more`` changes its run or its calls."""
    run = {"wall": orders / 500, "cpu": orders / 600, "peak_mb": 200.0, "chunk": 500, "statements": statements(orders)}
    bare = {"wall": orders / 1000, "cpu": orders / 1000}
    calls = {"order": orders, "events": 2 * orders // 100 + 60} | more.pop("calls", {})
    return Reconciled(orders, 2 * orders, 30, run | more, bare, calls)


def history(**more: Any) -> History:
    """All three parts, with every aim held."""
    pages = {"events": 60}
    day = OneDay(500_000, 5600, 2800, pages, pages, {}, {**pages, "order": 2800})
    given = History(
        reconciled=[reconciled(1000), reconciled(10_000)],
        day=day,
        backfilled=Backfilled(5000, ours=[{"wall": 10.0, "cpu": 8.0}], bare=[{"wall": 6.0, "cpu": 6.0}]),
    )
    return dataclasses.replace(given, **more)


def day(**more: Any) -> dict[str, Any]:
    """A change of the day's runs."""
    found = history().day
    assert found is not None
    return {"day": dataclasses.replace(found, **more)}


def runs(**more: Any) -> dict[str, Any]:
    """A change of the larger reconciliation."""
    return {"reconciled": [reconciled(1000), reconciled(10_000, **more)]}


def missed(given: History) -> list[str]:
    """The lines whose aim was missed."""
    return [line.what for line in lines_of_history(given) if line.held is False]


def test_every_aim_held() -> None:
    """The figures are those of the runs, and nothing is called missed."""
    lines = {line.what: line for line in lines_of_history(history())}
    assert missed(history()) == []
    assert lines["reconcile: times the CPU time for 10 times as many orders"].value == "10.0"
    assert lines["reconcile: SQL statements for up to 500 orders, ledger + store"].value == "8 + 1"
    assert lines["reconcile: SQL statements for the certificate, each further 1000 orders"].value == "3.0"
    assert lines["reconcile: orders/s of the bare loop that are kept, 10000 orders"].value == "50 %"
    assert lines["one day (5600 events) of 500000 events: pages asked for by a dry run"].aim == "at most 68"
    assert lines["backfill of 30 days: orders/s of the bare loop that are kept, 5000 orders"].value == "60 %"


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (runs(peak_mb=301.0), "reconcile: peak memory"),
        (runs(cpu=22.0), "reconcile: times the CPU time"),
        (runs(statements=statements(10_000, first=9)), "reconcile: SQL statements for up to 500 orders"),
        (runs(statements=statements(10_000, feed=800)), "reconcile: SQL statements for a page"),
        (runs(calls={"order": 10_001}), "reconcile: reads at the provider"),
        (runs(calls={"events": 331}), "reconcile: pages of the feed"),
        (runs(calls={"accept": 1}), "reconcile: HTTP calls of any other kind"),
        (day(dry_run={"events": 69}), "one day (5600 events) of 500000 events: pages asked for by a dry run"),
        (day(backfill={"events": 69}), "the same by the backfill"),
        (day(backfill={"events": 60, "order": 1}), "one day: HTTP calls of any other kind"),
        (day(reconcile={"events": 69, "order": 2800}), "the same by a reconciliation"),
        (day(reconcile={"events": 60, "order": 2801}), "that reconciliation: reads"),
        (day(again={"events": 4}), "that backfill once more"),
        ({"backfilled": Backfilled(5000, [{"wall": 3.0, "cpu": 3.0}], [{"wall": 1.0, "cpu": 1.0}])}, "backfill of 30"),
    ],
)
def test_a_missed_aim_is_said(more: dict[str, Any], what: str) -> None:
    """One figure beyond its aim is one line that says missed."""
    assert [line for line in missed(history(**more)) if line.startswith(what)] != []


def test_a_part_alone_has_its_lines() -> None:
    """What was not measured has no line."""
    assert lines_of_history(History()) == []
    assert all(line.what.startswith(("reconcile", "the same")) for line in lines_of_history(History([reconciled(500)])))


def test_a_short_backfill_has_no_aim() -> None:
    """The parts of the range weigh too much there."""
    short = History(backfilled=Backfilled(500, [{"wall": 3.0, "cpu": 3.0}], [{"wall": 1.0, "cpu": 1.0}]))
    assert [line.held for line in lines_of_history(short)] == [None, None]


def test_the_table_has_them_all() -> None:
    """The lines stand in the table, and the figures in the results file."""
    found = Found(orders=10, naive_orders=10, history=history())
    assert lines_of(found) == lines_of_history(history())
    assert json.loads(json.dumps(results_of(found)))["measured"]["history"]["day"]["events"] == 5600


@pytest.mark.slow
def test_a_small_run_counts_right(tmp_path: Path) -> None:
    """A whole run with few orders: all agree, and every count (statements, reads, pages, other calls) is at its aim."""
    results = tmp_path / "results.json"
    sizes = ("--reconciled", "520", "1040", "--recorded", "6000", "--backfilled", "40", "--results", str(results))
    command = [sys.executable, "-m", "benchmarks", "--only", "history", *sizes]
    subprocess.run(command, cwd=ROOT, check=True, timeout=400)
    figures = json.loads(results.read_text())["figures"]
    timed = "reconcile: times the CPU time"
    counted = [figure for figure in figures if figure["held"] is not None and not figure["what"].startswith(timed)]
    assert len(counted) == 13
    assert [figure for figure in counted if not figure["held"]] == []
