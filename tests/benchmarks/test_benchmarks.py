"""The benchmarks' counts and aims. Never their times: those belong to a machine."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.line import Line
from benchmarks.measure import Found
from benchmarks.table import lines_of

ROOT = Path(__file__).resolve().parents[2]


def found(**more: Any) -> Found:
    """A run in which every aim holds."""
    run = {"wall": 10.0, "cpu": 8.0, "shown": 11.0, "task_runs": 91}
    given = Found(
        orders=1000,
        naive_orders=100,
        ours=[run],
        bare=[{"wall": 6.0, "cpu": 6.0}],
        naive={"wall": 5.0, "shown": 20.0, "orders": 100},
        calls={"order": 1000, "store.create": 1000, "accept": 1000, "events": 21},
        bare_calls={"order": 1000, "store.create": 1000, "accept": 1000, "events": 21},
        quiet={"task_runs": 1, "calls": {"events": 1}},
        memory={1000: 150.0, 20000: 180.0},
    )
    return dataclasses.replace(given, **more)


def missed(given: Found) -> list[str]:
    """The lines whose aim was missed."""
    return [line.what for line in lines_of(given) if line.held is False]


def test_every_aim_held() -> None:
    """The ratios are those of the figures, and nothing is called missed."""
    lines = {line.what: line for line in lines_of(found())}
    assert missed(found()) == []
    assert lines["orders/s of the bare loop that are kept, 1000 orders"].value == "60 %"
    naive = next(line for what, line in lines.items() if what.startswith("times the orders/s of the naive way"))
    assert naive.value == "18.2"
    assert lines["a poll with nothing new: HTTP calls"] == Line(
        "a poll with nothing new: HTTP calls", "events 1", "events 1", held=True
    )


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"bare": [{"wall": 4.0, "cpu": 4.0}]}, "orders/s of the bare loop"),
        ({"naive": {"wall": 5.0, "shown": 5.0, "orders": 100}}, "times the orders/s of the naive way"),
        ({"calls": {"order": 1001, "store.create": 1000, "accept": 1000, "events": 21}}, "HTTP calls per order: order"),
        ({"calls": {"order": 1000, "store.create": 1000, "accept": 1000, "events": 22}}, "HTTP calls: pages"),
        (
            {"calls": {"order": 1000, "store.create": 1000, "accept": 1000, "events": 21, "store.find": 1}},
            "HTTP calls: anything else",
        ),
        ({"quiet": {"task_runs": 1, "calls": {"events": 2}}}, "a poll with nothing new: HTTP calls"),
        ({"quiet": {"task_runs": 4, "calls": {"events": 1}}}, "a poll with nothing new: task runs"),
        ({"memory": {1000: 150.0, 20000: 201.0}}, "peak memory"),
    ],
)
def test_a_missed_aim_is_said(more: dict[str, Any], what: str) -> None:
    """One figure beyond its aim is one line that says missed."""
    assert [line.startswith(what) for line in missed(found(**more))] == [True]


def test_a_part_alone_has_a_table() -> None:
    """What was not measured has no line."""
    assert lines_of(Found(orders=10, naive_orders=10)) == []
    assert len(lines_of(Found(orders=10, naive_orders=10, memory={1: 1.0, 2: 2.0}))) == 1


@pytest.mark.slow
def test_a_small_run_counts_right(tmp_path: Path) -> None:
    """A whole run with a few orders: every count (calls, task runs, the quiet poll) is at its minimum."""
    results = tmp_path / "results.json"
    sizes = ("--orders", "60", "--naive-orders", "5", "--repeats", "1", "--results", str(results))
    command = [sys.executable, "-m", "benchmarks", "--only", "bare", "naive", *sizes]
    subprocess.run(command, cwd=ROOT, check=True, timeout=400)
    figures = json.loads(results.read_text())["figures"]
    counted = [figure for figure in figures if figure["what"].startswith(("HTTP calls", "task runs", "a poll"))]
    assert len(counted) == 8
    assert [figure for figure in counted if not figure["held"]] == []
