"""What a run shows in the Prefect UI: one table, one markdown summary, a progress artifact, events, and a named end.

No buyer and no secret in any of it: orders are named by their ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect import get_client, get_run_logger
from prefect.artifacts import (
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.schemas.objects import State, StateType
from prefect.events import emit_event
from prefect.runtime import flow_run

from flows.settle import FOUND, Tally
from ledger.notices import Told
from ledger.queries import Parked
from tasks.events import Pulled

STEP_WORDS = {
    "fetch": "read at the provider",
    "insert": "written into the store",
    "insert_held": "written into the store on hold",
    "release": "released in the store",
    "accept": "accepted at the provider",
    "cancel_store": "cancelled in the store",
    "cancel_source": "cancelled at the provider",
    "close": "closed as cancelled",
    "probe_insert": "unanswered creates looked up in the store",
    "found": "of these found there, so not created again",
    "check_accept": "unclear accepts re-read",
    "check_source_cancel": "unclear cancels re-read",
    "adopt": "accepted elsewhere, compared",
}
MOST_ROWS = 300


@dataclass
class RunReport:
    """Everything that the artifacts and the final state are made of."""

    account: str
    pulled: Pulled | None
    tally: Tally
    buckets: dict[str, int] = field(default_factory=dict)
    parked: list[Parked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    feed_problem: str | None = None
    stopped: list[str] = field(default_factory=list)
    http_calls: dict[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """Everything that makes a run less than finished, in plain words."""
        found = [*self.stopped, *dict.fromkeys(self.tally.problems)]
        if self.feed_problem:
            found.insert(0, f"the feed could not be read: {self.feed_problem}")
        if self.pulled is not None:
            if self.pulled.problem:
                found.append(self.pulled.problem)
            if self.pulled.cursor_reset:
                found.append("Glopal rejected the stored cursor; the whole feed was read again, nothing was done twice")
            found += [f"not readable, kept as received: {entry}" for entry in self.pulled.bad]
        return found


class ProgressBar:
    """The run's progress artifact; a quiet run has none, because it is over at once."""

    def __init__(self, key: str, least: int = 31) -> None:
        self._key = key
        self._least = least
        self._id: UUID | None = None
        self._shown = -1

    async def __call__(self, rested: int, total: int) -> None:
        """Show how many of ``total`` orders came to rest."""
        if total < self._least or flow_run.id is None:
            return
        percent = int(100 * rested / total)
        if percent == self._shown:
            return
        self._shown = percent
        text = f"{rested} of {total} due orders"
        if self._id is None:
            self._id = await acreate_progress_artifact(progress=percent, key=self._key, description=text)
        else:
            await aupdate_progress_artifact(self._id, progress=percent, description=text)


def tell(told: list[Told]) -> bool:
    """Emit a Prefect event for all that a person must hear about; False outside of a flow run, where nobody hears."""
    if flow_run.id is None:
        return False
    for news in told:
        emit_event(
            event=news.event,
            resource={
                "prefect.resource.id": f"crossdock.order.{news.account.replace('/', '.')}.{news.source_order_id}",
                "prefect.resource.name": f"order {news.source_order_id}",
            },
            payload={
                "account": news.account,
                "order": news.source_order_id,
                "code": news.code,
                "reason": news.reason,
            },
        )
    return True


def rows_of(report: RunReport) -> list[dict[str, Any]]:
    """The table: counts of every outcome first, then each parked order with its reason."""
    rows: list[dict[str, Any]] = []
    pulled = report.pulled
    if pulled is not None:
        rows.append(_row("this run", "new events recorded", pulled.new))
        if pulled.kept:
            rows.append(_row("this run", "events kept without effect (unknown names, returns)", pulled.kept))
        if pulled.unreadable:
            rows.append(_row("this run", "events not readable, kept as received", pulled.unreadable))
    for step, words in STEP_WORDS.items():
        if report.tally.done[step]:
            rows.append(_row("this run", words, report.tally.done[step]))
    for words, number in (
        ("newly parked", len(set(report.tally.parked))),
        ("to be tried again later", len(report.tally.waiting)),
        ("outcome unknown, looked up later", len(report.tally.unknown)),
        ("left for the next run", report.tally.left),
        ("taken over by another run", report.tally.lost),
    ):
        if number:
            rows.append(_row("this run", words, number))
    rows += [_row("all orders", name, number) for name, number in sorted(report.buckets.items())]
    rows.append(_row("all orders", "total", sum(report.buckets.values())))
    rows += [
        _row("parked", entry.source_order_id, f"{entry.code}: {_reason(entry)}") for entry in report.parked[:MOST_ROWS]
    ]
    if len(report.parked) > MOST_ROWS:
        rows.append(_row("parked", "more", len(report.parked) - MOST_ROWS))
    return rows


def _row(part: str, what: str, value: object) -> dict[str, Any]:
    return {"part": part, "what": what, "value": value}


def summary_of(report: RunReport) -> str:
    """The markdown summary."""
    lines = [f"# {report.account}: {headline(report)}", ""]
    if report.problems:
        lines += ["## What went wrong", "", *(f"- {cell(problem)}" for problem in report.problems), ""]
    lines += ["## Where every order stands", "", "| | orders |", "|---|---|"]
    lines += [f"| {name} | {number} |" for name, number in sorted(report.buckets.items())]
    lines += [f"| **total** | **{sum(report.buckets.values())}** |", ""]
    if report.parked:
        lines += [
            "## Waiting for a person",
            "",
            "The deployment `decide` (retry, cancel or settle) moves one on; `crossdock why ORDER` tells its story.",
            "",
            "| order | since (UTC) | why |",
            "|---|---|---|",
        ]
        lines += [
            f"| {cell(p.source_order_id)} | {p.since:%Y-%m-%d %H:%M} | {cell(_reason(p))} (`{p.code}`) |"
            for p in report.parked[:MOST_ROWS]
        ]
        lines.append("")
    calls = ", ".join(f"{name} {number}" for name, number in sorted(report.http_calls.items())) or "none"
    lines.append(f"Calls to the provider in this run: {calls}. Task runs: {report.tally.task_runs}.")
    return "\n".join(lines)


def _reason(parked: Parked) -> str:
    """The reason without the order's id, which stands beside it."""
    return parked.reason.removeprefix(f"order {parked.source_order_id}: ")


def cell(text: str) -> str:
    """Text for a markdown table; what came from outside cannot break it."""
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def headline(report: RunReport) -> str:
    """What the run did, in a few words: the name of the flow run and of its final state's message."""
    done = report.tally.done
    inserted = done["insert"] + done["insert_held"] + done[FOUND]
    words = [
        (report.pulled.new if report.pulled else 0, "new events"),
        (inserted, "inserted"),
        (done["accept"] + done["check_accept"], "accepted"),
        (done["close"] + done["cancel_source"], "cancelled"),
        (len(set(report.tally.parked)), "parked"),
        (report.tally.unfinished, "unfinished"),
    ]
    said = [f"{number} {word}" for number, word in words if number]
    if report.feed_problem:
        said.insert(0, "feed not read")
    if not said and report.pulled is not None and report.pulled.busy:
        return "feed busy in another run"
    return ", ".join(said) or "nothing new"


async def publish(report: RunReport, slug: str) -> None:
    """Write the run's two artifacts and name the run after what it did."""
    if flow_run.id is None:
        return
    logger = get_run_logger()
    logger.info("%s", headline(report))
    for problem in report.problems:
        logger.warning("%s", problem)
    for entry in (entry for entry in report.parked if entry.id in set(report.tally.parked)):
        logger.warning("parked: order %s: %s", entry.source_order_id, entry.reason)
    await acreate_table_artifact(table=rows_of(report), key=f"orders-{slug}", description=headline(report))
    await acreate_markdown_artifact(markdown=summary_of(report), key=f"summary-{slug}", description=headline(report))
    await name_run(f"{report.account}: {headline(report)}")


async def name_run(name: str) -> None:
    """Name the flow run after what it did; what that is, is only known at its end."""
    if flow_run.id is not None:
        async with get_client() as client:
            await client.update_flow_run(UUID(flow_run.id), name=name[:200])


def final_state(report: RunReport) -> State[dict[str, Any]]:
    """The named end. A run that skipped, parked or could not finish anything is never green."""
    message = headline(report)
    if report.problems:
        message += ". " + "; ".join(report.problems[:3])
    if report.feed_problem:
        return State(type=StateType.FAILED, name="Feed not read", message=message)
    if report.pulled is not None and report.pulled.busy:
        busy = "the feed is being read by another run, or by one that was killed a moment ago; the next run reads it"
        return State(type=StateType.FAILED, name="Feed busy", message=f"{message}. {busy}")
    if report.stopped:
        return State(type=StateType.FAILED, name="Stopped", message=message)
    if report.tally.parked or (report.pulled is not None and report.pulled.unreadable):
        return State(type=StateType.FAILED, name="Parked some", message=message)
    if report.tally.unfinished or report.problems:
        return State(type=StateType.FAILED, name="Unfinished", message=message)
    if any(told.event != "crossdock.order.parked" for told in report.told):
        return State(type=StateType.FAILED, name="Late orders", message=message)
    return State(type=StateType.COMPLETED, name="Settled" if report.tally.claimed else "Nothing new", message=message)
