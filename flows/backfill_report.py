"""What a backfill shows: its plan before it does anything, its pace while it works, what it proved at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run

from flows.backfill_plan import Plan, duration, rows_of, words_of
from flows.reconcile_orders import Compared
from flows.report import cell, name_run
from flows.settle import FOUND, Tally
from models.ranges import Span


@dataclass
class Result:
    """What one account's backfill came to."""

    account: str
    span: Span | None = None
    plan: Plan | None = None
    tally: Tally = field(default_factory=Tally)
    resumed: bool = False
    refused: bool = False
    new_events: int = 0
    unreadable: int = 0
    bad: list[str] = field(default_factory=list)
    not_proven: list[Span] = field(default_factory=list)
    why_not: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    buckets: dict[str, int] = field(default_factory=dict)
    under_way: int = 0
    compared: Compared | None = None
    dry_run: bool = False

    def __str__(self) -> str:
        if self.refused:
            return self.problems[0]
        if self.dry_run:
            return f"dry run: {self.plan or self.problems[0]}"
        done = self.tally.done
        words = [
            (self.new_events, "new events"),
            (done["insert"] + done["insert_held"] + done[FOUND], "inserted"),
            (done["accept"] + done["check_accept"], "accepted"),
            (done["cancel_store"] + done["close"] + done["cancel_source"], "cancelled"),
            (len(set(self.tally.parked)), "parked"),
            (self.unfinished, "unfinished"),
        ]
        said = ", ".join(f"{number} {word}" for number, word in words if number) or "nothing was missing"
        return said + ("" if not self.not_proven else "; not all of the range is proven complete")

    @property
    def unfinished(self) -> int:
        """Orders that did not come to rest: left by this run, or of the range and held by a process that was killed."""
        return max(self.tally.unfinished, self.under_way)

    @property
    def state(self) -> tuple[StateType, str]:
        """The kind and name of the end. One that skipped, parked or could not prove anything is never green."""
        if self.refused:
            return StateType.FAILED, "Refused"
        if self.problems or self.stopped:
            return StateType.FAILED, "Stopped"
        if self.dry_run:
            return StateType.COMPLETED, "Dry run"
        if self.tally.parked or self.unreadable or (self.compared and self.compared.parked):
            return StateType.FAILED, "Parked some"
        if self.unfinished or self.tally.problems or (self.compared and self.compared.unread):
            return StateType.FAILED, "Unfinished"
        if self.not_proven:
            return StateType.FAILED, "Proven in part"
        return StateType.COMPLETED, "Proven"


def final_state(results: list[Result]) -> State[dict[str, Any]]:
    """The run's end: the worst of its accounts'."""
    order = ["Refused", "Stopped", "Parked some", "Unfinished", "Proven in part", "Dry run", "Proven"]
    worst = min(results, key=lambda result: order.index(result.state[1]))
    kind, name = worst.state
    said = [f"{result.account}: {result}" if result.account else str(result) for result in results]
    said += [problem for result in results for problem in [*result.problems, *result.stopped] if not result.refused]
    return State(type=kind, name=name, message="; ".join(said))


Shown = Callable[[float, str], None]


class Pace:
    """The progress artifact of a backfill: how much of it is done, orders a second, and the time left.

    Args:
        account: its name.
        legs: parts of the range that are to be read.
        orders: orders that the plan expects to be settled.
        shown: told the same as the artifact, for a terminal: percent done, and words.
    """

    def __init__(self, account: str, legs: int, orders: int, shown: Shown | None = None) -> None:
        self._also = shown
        self._key = f"backfill-{account}"
        self._legs, self._orders = legs, orders
        self._began = time.monotonic()
        self._done = 0
        self._leg, self._label = 0, ""
        self._id: UUID | None = None
        self._shown = ""

    async def orders_done(self, rested: int, total: int) -> None:
        """``rested`` of ``total`` due orders came to rest."""
        self._done, self._orders = rested, total
        await self._show()

    async def leg_done(self, number: int, label: str) -> None:
        """A part of the range is recorded and proven."""
        self._leg, self._label = number, label
        await self._show()

    async def done(self) -> None:
        """All of it is."""
        self._leg = self._legs
        await self._show(finished=True)

    def words(self, *, finished: bool = False) -> tuple[float, str]:
        """Percent done, and the same in words."""
        seconds = max(time.monotonic() - self._began, 0.001)
        share = 1.0
        if not finished:
            parts = [(self._leg, self._legs), (min(self._done, self._orders), self._orders)]
            shares = [done / whole for done, whole in parts if whole]
            share = sum(shares) / len(shares) if shares else 1.0
        text = f"{self._leg} of {self._legs} parts proven" + (f" (up to {self._label})" if self._label else "")
        if self._done:
            text += (
                f", {self._done} of about {max(self._orders, self._done)} orders, {self._done / seconds:.1f} a second"
            )
        if 0.02 < share < 1:
            text += f", about {duration(seconds / share - seconds)} left"
        return 100 * share, text

    async def _show(self, *, finished: bool = False) -> None:
        percent, text = self.words(finished=finished)
        if text == self._shown:
            return
        self._shown = text
        if self._also is not None:
            self._also(percent, text)
        if flow_run.id is None:
            return
        if self._id is None:
            self._id = await acreate_progress_artifact(progress=percent, key=self._key, description=text)
        else:
            await aupdate_progress_artifact(self._id, progress=percent, description=text)


async def say(text: str) -> None:
    """A line in the run's log."""
    if flow_run.id is not None:
        get_run_logger().info("%s", text)


async def publish_plan(plan: Plan, *, dry_run: bool, resumed: bool) -> None:
    """The plan as a table and in words, before anything is done."""
    if flow_run.id is None:
        return
    text = words_of(plan, dry_run=dry_run)
    if resumed:
        text += "\n\nThis backfill was begun before and is gone on with."
    await say(f"plan for {plan.account}: {plan}")
    await acreate_table_artifact(table=rows_of(plan), key=f"plan-{plan.account}", description=str(plan)[:200])
    await acreate_markdown_artifact(markdown=text, key=f"plan-summary-{plan.account}", description=str(plan)[:200])
    if dry_run:
        await name_run(f"{plan.account}: dry run, {plan}")


async def publish_result(result: Result) -> None:
    """What was done, what is proven, and what is not and why."""
    if flow_run.id is None:
        return
    name = result.state[1]
    await say(f"{result.account}: {name}: {result}")
    lines = [f"# {result.account}: {name}", "", f"{result}.", ""]
    if result.span is not None:
        lines += [f"Range: {result.span}.", ""]
    trouble = [*result.problems, *result.stopped, *dict.fromkeys(result.tally.problems), *result.bad]
    if trouble:
        lines += ["## What went wrong", "", *(f"- {cell(text)}" for text in trouble[:50]), ""]
    if result.not_proven:
        lines += ["## Not proven complete", "", *(f"- {span}" for span in result.not_proven[:50]), ""]
        lines += [f"- {cell(text)}" for text in result.why_not[:50]]
        lines.append("")
    lines += ["## Where every order stands", "", "| | orders |", "|---|---|"]
    lines += [f"| {bucket} | {number} |" for bucket, number in sorted(result.buckets.items())]
    if result.tally.parked:
        lines += ["", "Parked orders wait for a person: `crossdock orders --only parked`, `crossdock why ORDER`."]
    await acreate_markdown_artifact(
        markdown="\n".join(lines), key=f"backfill-result-{result.account}", description=f"{name}: {result}"[:200]
    )
    await name_run(f"{result.account}: {result}")
