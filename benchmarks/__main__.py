"""``python -m benchmarks``: measure, print the table, write ``benchmarks/results.json``."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.history import FULL, SMALL, Sizes, histories
from benchmarks.measure import Found, naive_way, peaks, side_by_side
from benchmarks.table import results_of, show
from cli.local_server import LocalServer

RESULTS = Path(__file__).with_name("results.json")
PARTS = ("bare", "naive", "memory", "history")
_WIDTH = 118


def main() -> None:
    """Run what was asked for."""
    asked = _arguments()
    console = Console()
    # In a pipe there is no width to ask for, and 80 columns would break every line of the table.
    console.width = max(console.width, _WIDTH)
    found = Found(orders=asked.orders, naive_orders=asked.naive_orders)
    with tempfile.TemporaryDirectory(prefix="crossdock-bench-") as name:
        folder = Path(name)

        def say(text: str) -> None:
            console.print(f"  {text} ...", highlight=False)

        if "naive" in asked.parts:
            naive_way(found, folder, say)
        if asked.parts - {"naive"}:
            say("starting a tuned Prefect server, as crossdock serve has it")
            with LocalServer(folder / "prefect") as server:
                if "bare" in asked.parts:
                    side_by_side(found, folder, server, asked.repeats, say)
                if "memory" in asked.parts:
                    peaks(found, folder, server, (asked.memory_from, asked.memory_to), say)
                if "history" in asked.parts:
                    histories(found.history, folder, server, asked.history, say)
    show(found, console)
    asked.results.write_text(json.dumps(results_of(found), indent=1) + "\n", encoding="utf-8")
    console.print(f"Everything that was measured: {asked.results}", highlight=False, soft_wrap=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--orders", type=int, default=5000, help="orders of Crossdock and of the bare loop")
    parser.add_argument("--naive-orders", type=int, default=300, help="orders of the naive flow")
    parser.add_argument("--repeats", type=int, default=3, help="turns of Crossdock and the bare loop, one by one")
    parser.add_argument("--memory", action="store_true", help="peak memory, too; takes several minutes more")
    parser.add_argument("--memory-from", type=int, default=1000, help="orders of the small memory run")
    parser.add_argument("--memory-to", type=int, default=20000, help="orders of the large memory run")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file for everything that was measured")
    parser.add_argument(
        "--only", choices=PARTS, nargs="+", help="just these parts; the table then lacks what the others bring"
    )
    _history_arguments(parser)
    asked = parser.parse_args()
    asked.parts = set(asked.only or {"bare", "naive", "history", *(("memory",) if asked.memory else ())})
    sizes = FULL if asked.full_history else SMALL
    asked.history = Sizes(
        tuple(sorted(asked.reconciled or sizes.reconciled)),
        asked.recorded or sizes.recorded,
        asked.backfilled or sizes.backfilled,
        sizes.repeats,
    )
    return asked


def _history_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the part history")
    group.add_argument("--full-history", action="store_true", help=f"large sizes, many minutes: {FULL.words}")
    group.add_argument("--reconciled", type=int, nargs=2, help=f"orders of the reconciliations; else {SMALL.words}")
    group.add_argument("--recorded", type=int, help="events of which one day is read")
    group.add_argument("--backfilled", type=int, help="orders of the backfill and of the bare loop beside it")


if __name__ == "__main__":
    main()
