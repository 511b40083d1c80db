"""The measurements: each runs processes on fresh stages and returns plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.history import History
from benchmarks.stage import Say, more_calls, newcomers_server, stage
from cli.local_server import LocalServer


@dataclass
class Found:
    """Everything that was measured, as it goes into the results file."""

    orders: int
    naive_orders: int
    ours: list[dict[str, Any]] = field(default_factory=list)
    bare: list[dict[str, Any]] = field(default_factory=list)
    naive: dict[str, Any] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    bare_calls: dict[str, int] = field(default_factory=dict)
    quiet: dict[str, Any] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)
    history: History = field(default_factory=History)


def side_by_side(found: Found, folder: Path, server: LocalServer, repeats: int, say: Say) -> None:
    """Ours and the bare loop in turn, each on a sandbox of its own; then a poll that finds nothing new."""
    for turn in range(repeats):
        with stage(folder / f"ours-{turn}", found.orders) as place:
            say(f"Crossdock, {found.orders} orders ({turn + 1} of {repeats})")
            found.ours.append(place.ours(server))
            found.calls = place.calls()
            if turn == repeats - 1:
                say("Crossdock, nothing new")
                found.quiet = place.ours(server)
                found.quiet["calls"] = more_calls(place.calls(), found.calls)
        with stage(folder / f"bare-{turn}", found.orders) as place:
            say(f"bare loop, {found.orders} orders ({turn + 1} of {repeats})")
            found.bare.append(place.bare())
            found.bare_calls = place.calls()


def naive_way(found: Found, folder: Path, say: Say) -> None:
    """The naive flow against a server with Prefect's own settings."""
    say("starting a Prefect server with Prefect's defaults")
    with newcomers_server(folder / "defaults") as server, stage(folder / "naive", found.naive_orders) as place:
        say(f"naive Prefect, {found.naive_orders} orders")
        found.naive = place.naive(server)


def peaks(found: Found, folder: Path, server: LocalServer, sizes: tuple[int, ...], say: Say) -> None:
    """Peak memory of the flow process at several numbers of orders, each in a fresh process."""
    for size in sizes:
        with stage(folder / f"memory-{size}", size) as place:
            say(f"peak memory, {size} orders")
            found.memory[size] = place.ours(server)["peak_mb"]
