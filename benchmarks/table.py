"""Ratios out of what was measured, the aims beside them, and the table for people."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.history_lines import lines_of_history
from benchmarks.line import Line, percents, said
from benchmarks.measure import Found

MOST_TASK_RUNS = 150
MOST_GROWTH_MB = 50.0


def lines_of(found: Found) -> list[Line]:
    """Every figure that was asked for."""
    lines: list[Line] = []
    if found.ours:
        lines += _beside_bare(found)
    if found.naive and found.ours:
        lines += _beside_naive(found)
    if found.ours:
        lines += _per_order(found)
    if found.memory:
        lines.append(_memory(found))
    return lines + lines_of_history(found.history)


def _beside_bare(found: Found) -> list[Line]:
    rates = [bare["wall"] / ours["wall"] for ours, bare in zip(found.ours, found.bare, strict=True)]
    cpu = [bare["cpu"] / ours["cpu"] for ours, bare in zip(found.ours, found.bare, strict=True)]
    return [
        Line(
            f"orders/s of the bare loop that are kept, {found.orders} orders",
            percents(rates),
            "at least 50 %",
            median(rates) >= 0.5,
        ),
        Line("the same by CPU time of the process", percents(cpu)),
    ]


def _beside_naive(found: Found) -> list[Line]:
    naive = found.naive["shown"] / found.naive["orders"]
    factor = naive / (median(run["shown"] for run in found.ours) / found.orders)
    ran = (found.naive["wall"] / found.naive["orders"]) / (median(run["wall"] for run in found.ours) / found.orders)
    return [
        Line(
            f"times the orders/s of the naive way, until every task run is shown ({found.naive_orders} orders there)",
            f"{factor:.1f}",
            "at least 5",
            factor >= 5,
        ),
        Line("the same until the flow ends, while the server is still behind", f"{ran:.1f}"),
    ]


def _per_order(found: Found) -> list[Line]:
    wanted = {"order": 1, "store.create": 1, "accept": 1}
    lines = []
    for name, least in wanted.items():
        each = found.calls.get(name, 0) / found.orders
        lines.append(Line(f"HTTP calls per order: {name}", f"{each:g}", f"{least}", each == least))
    pages, least = found.calls.get("events", 0), found.bare_calls.get("events", 0)
    lines.append(Line("HTTP calls: pages of events", f"{pages}", f"{least}", pages <= least))
    other = sum(found.calls.values()) - pages - sum(found.calls.get(name, 0) for name in wanted)
    lines.append(Line("HTTP calls: anything else", f"{other}", "0", other == 0))
    runs = max(run["task_runs"] for run in found.ours)
    lines.append(Line("task runs of the flow run", f"{runs}", f"under {MOST_TASK_RUNS}", runs < MOST_TASK_RUNS))
    each_cpu = median(run["cpu"] for run in found.ours) / found.orders
    total = median(run["cpu"] for run in found.ours)
    lines.append(Line("CPU of the flow process, and per order", f"{total:.1f} s, {1000 * each_cpu:.1f} ms"))
    quiet, calls = found.quiet, found.quiet["calls"]
    lines.append(Line("a poll with nothing new: HTTP calls", said(calls), "events 1", calls == {"events": 1}))
    few = quiet["task_runs"] <= 3
    lines.append(Line("a poll with nothing new: task runs", f"{quiet['task_runs']}", "at most 3", few))
    return lines


def _memory(found: Found) -> Line:
    least, most = min(found.memory), max(found.memory)
    growth = found.memory[most] - found.memory[least]
    return Line(
        f"peak memory of the flow process, {least} to {most} orders",
        f"{growth:+.0f} MB ({found.memory[least]:.0f} to {found.memory[most]:.0f})",
        f"under {MOST_GROWTH_MB:.0f} MB",
        growth < MOST_GROWTH_MB,
    )


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ("prefect", "httpx", "sqlalchemy", "pydantic")
    return {
        "cpus": os.cpu_count(),
        "memory_gib": round(memory),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def results_of(found: Found) -> dict[str, Any]:
    """The contents of the results file."""
    return {"machine": machine(), "figures": [asdict(line) for line in lines_of(found)], "measured": asdict(found)}


def show(found: Found, console: Console) -> None:
    """Print the table."""
    here = machine()
    table = Table(title=f"{here['cpus']} CPUs, {here['memory_gib']} GiB, Python {here['python']}", title_justify="left")
    table.add_column("measured in one run on this machine", overflow="fold")
    table.add_column("found", justify="right")
    table.add_column("aim", justify="right")
    table.add_column("")
    for line in lines_of(found):
        mark = {True: "[green]held[/]", False: "[red]missed[/]", None: ""}[line.held]
        table.add_row(line.what, line.value, line.aim, mark)
    console.print(table)
