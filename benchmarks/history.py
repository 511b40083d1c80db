"""The measurements with a history: reconcile what was landed long ago, read one day out of many, backfill a month."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from benchmarks import child
from benchmarks.stage import STORE_ID, Say, Stage, configured, more_calls, stage
from cli.local_server import LocalServer
from models.ids import AccountKey
from sandbox.running import RunningSandbox

RECONCILED_DAYS = 30
HISTORY_DAYS = 90
BACKFILLED_DAYS = 30
# What is written before the sandbox has an address.
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Sizes:
    """How much history is made.

    Attributes:
        reconciled: orders of the reconciliations, the smaller number first.
        recorded: events of which one day is read.
        backfilled: orders of the backfill, and of the bare loop beside it.
        repeats: turns of the backfill and the bare loop.
    """

    reconciled: tuple[int, ...]
    recorded: int
    backfilled: int
    repeats: int = 1

    @property
    def words(self) -> str:
        """All of them, for the help."""
        return (
            f"{' and '.join(map(str, self.reconciled))} orders reconciled, {self.recorded} events recorded, "
            f"{self.backfilled} orders backfilled"
        )


SMALL = Sizes((500, 2000), 20_000, 1000)
FULL = Sizes((10_000, 100_000), 500_000, 5000, 3)


@dataclass
class Reconciled:
    """One reconciliation and the bare loop beside it."""

    orders: int
    events: int
    days: int
    run: dict[str, Any]
    bare: dict[str, Any]
    calls: dict[str, int]


@dataclass
class OneDay:
    """One day in the middle of a recorded history: its events, and the calls of each run that read it."""

    recorded: int
    events: int
    orders: int
    dry_run: dict[str, int] = field(default_factory=dict)
    backfill: dict[str, int] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    reconcile: dict[str, int] = field(default_factory=dict)


@dataclass
class Backfilled:
    """A backfill of a month of orders beside the bare loop, turn by turn."""

    orders: int
    ours: list[dict[str, Any]] = field(default_factory=list)
    bare: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class History:
    """Everything that was measured."""

    reconciled: list[Reconciled] = field(default_factory=list)
    day: OneDay | None = None
    backfilled: Backfilled | None = None


def histories(found: History, folder: Path, server: LocalServer, sizes: Sizes, say: Say) -> None:
    """Measure all of it."""
    for orders in sizes.reconciled:
        found.reconciled.append(_reconcile(folder / f"reconcile-{orders}", server, orders, say))
    found.day = _one_day(folder / "day", server, sizes.recorded, say)
    found.backfilled = Backfilled(sizes.backfilled)
    for turn in range(sizes.repeats):
        _backfill(found.backfilled, folder, server, turn, say)


def _reconcile(folder: Path, server: LocalServer, orders: int, say: Say) -> Reconciled:
    end = _midnight()
    start = end - timedelta(days=RECONCILED_DAYS)
    say(f"making {orders} orders that are landed already")
    with landed_stage(folder, server, orders, start, end) as (place, made):
        say(f"reconciling {orders} orders")
        run = place.measured("reconciled", server, start=start.isoformat(), end=end.isoformat())
        calls = place.calls()
        _all_agree(folder, run, orders)
        say(f"bare loop, reading {orders} orders")
        key = AccountKey("glopal", "live", STORE_ID)
        asked = {
            **place.addresses,
            "database": str(folder / "store.db"),
            "prefix": key.reference(""),
            "chunk": run["chunk"],
        }
        bare = child.run("benchmarks.bare_reads", asked, os.environ, folder / "bare_reads.log")
        if bare["orders"] != orders or bare["found"] != orders:
            raise RuntimeError(f"the bare loop read {bare['orders']} orders and found {bare['found']} in the store")
    return Reconciled(orders, made["events"], RECONCILED_DAYS, run, bare, calls)


def _all_agree(folder: Path, run: dict[str, Any], orders: int) -> None:
    """A time of something else than asked for says nothing."""
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        agreed = ledger.execute("SELECT count(*) FROM source_order WHERE reconciled_at IS NOT NULL").fetchone()[0]
        findings = ledger.execute("SELECT count(*) FROM finding").fetchone()[0]
    if run["state"] != "Agreed" or agreed != orders or findings:
        raise RuntimeError(f"{agreed} of {orders} orders agree, {findings} findings; {run['state']}: {run['said']}")


def _one_day(folder: Path, server: LocalServer, recorded: int, say: Say) -> OneDay:
    end = _midnight()
    start = end - timedelta(days=HISTORY_DAYS)
    first = start + timedelta(days=HISTORY_DAYS // 2)
    last = first + timedelta(days=1)
    say(f"making {recorded} recorded events")
    only = [first.isoformat(), last.isoformat()]
    with landed_stage(folder, server, recorded // 2, start, end, only=only) as (place, made):
        events, orders = _of_day(folder, first, last)
        found = OneDay(made["events"], events, orders)
        asked = {"start": only[0], "end": only[1]}

        def calls_of_run(name: str, wanted: str, **more: Any) -> dict[str, int]:  # noqa: ANN401 - JSON
            before = place.calls()
            run = place.measured(name, server, **asked, **more)
            if run["state"] != wanted:
                raise RuntimeError(f"{name} ended as {run['state']}: {run['said']}")
            return more_calls(place.calls(), before)

        say(f"one day of {recorded} recorded events: dry run, backfill, the same again, reconcile")
        found.dry_run = calls_of_run("backfilled", "Dry run", dry_run=True)
        found.backfill = calls_of_run("backfilled", "Proven")
        found.again = calls_of_run("backfilled", "Proven")
        found.reconcile = calls_of_run("reconciled", "Agreed")
    return found


def _of_day(folder: Path, first: datetime, last: datetime) -> tuple[int, int]:
    """The day's events, and the orders that they speak of, in the ledger."""
    query = "SELECT count(*), count(DISTINCT order_id) FROM source_event WHERE event_at >= ? AND event_at < ?"
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        events, orders = ledger.execute(query, [f"{at:%Y-%m-%dT%H:%M:%S}" for at in (first, last)]).fetchone()
    return events, orders


def _backfill(found: Backfilled, folder: Path, server: LocalServer, turn: int, say: Say) -> None:
    hours = 24.0 * BACKFILLED_DAYS
    with stage(folder / f"backfill-{turn}", found.orders, hours) as place:
        say(f"backfill of {BACKFILLED_DAYS} days, {found.orders} orders ({turn + 1})")
        first = place.sandbox.feed()[0]["event_at"]
        end = datetime.now(UTC) - timedelta(minutes=16)
        run = place.measured("backfilled", server, start=first, end=end.isoformat())
        if run["state"] != "Proven":
            raise RuntimeError(f"the backfill ended as {run['state']}: {run['said']}")
        found.ours.append(run)
    with stage(folder / f"bare-backfill-{turn}", found.orders, hours) as place:
        say(f"bare loop, {found.orders} orders ({turn + 1})")
        found.bare.append(place.bare())


@contextmanager
def landed_stage(
    folder: Path,
    server: LocalServer,
    orders: int,
    start: datetime,
    end: datetime,
    *,
    only: list[str] | None = None,
) -> Iterator[tuple[Stage, dict[str, Any]]]:
    """A sandbox with a history that ledger and embedded store have already; see ``benchmarks.past``.

    It is made in a process of its own, so that what it takes is gone before anything is measured.
    """
    folder.mkdir(parents=True)
    state = folder / "sandbox.json"
    asked = {"orders": orders, "start": start.isoformat(), "end": end.isoformat(), "only": only, "state": str(state)}
    made = child.run("benchmarks.past", asked, configured(folder, server, _NOWHERE, None), folder / "past.log")
    sandbox = RunningSandbox(store_ids=(STORE_ID,), state=state).start()
    try:
        yield Stage(folder, sandbox, embedded=True), made
    finally:
        # Nobody wants its books afterwards.
        sandbox.kill()
        for name in ("sandbox.json", "ledger.db", "store.db"):
            (folder / name).unlink(missing_ok=True)


def _midnight() -> datetime:
    """The end of the last day but one: what is young is never proven complete."""
    yesterday: date = datetime.now(UTC).date() - timedelta(days=1)
    return datetime.combine(yesterday, time(), UTC)
