"""``crossdock backfill``: as the deployment ``backfill``, but from here, so that Prefect may be down."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect.client.schemas.objects import StateType
from rich.table import Table

from cli import console
from flows.backfill import Asked, Mode, run_account
from flows.backfill_plan import Plan, duration, rows_of
from flows.backfill_report import Result
from flows.range_form import Range, names_of, read_range, read_when
from flows.settle import unaided
from models.outcome import ConfigurationError
from models.ranges import BadRange
from models.settings import Settings
from models.time import to_text, utc_now

MOST_ROWS = 62


def range_of(start: str, end: str | None, zone: str) -> Range:
    """The range of the command line.

    Raises:
        ConfigurationError: it cannot be meant; nothing was done.
    """
    try:
        return read_range(read_when(start), read_when(end) if end else None, zone, utc_now())
    except BadRange as error:
        raise ConfigurationError(f"the range cannot be used: {error}") from None


def run_backfill(  # noqa: PLR0913 - one for each option of the command
    settings: Settings,
    start: str,
    end: str | None,
    zone: str,
    accounts: list[str],
    *,
    mode: Mode,
    dry_run: bool,
    batch: int | None,
    calls_per_second: float | None,
    as_json: bool,
) -> int:
    """Do it; 0 when all of the range is proven and settled.

    Raises:
        CrossdockError: the range or an account cannot be meant, or a side cannot be opened.
    """
    wanted = range_of(start, end, zone)
    chosen = names_of(settings, accounts)
    if not as_json:
        console.say(f"From {wanted.span.start:%Y-%m-%d %H:%M:%S} UTC to {wanted.span.end:%Y-%m-%d %H:%M:%S} UTC.")
    asked = Asked(mode, dry_run, batch, calls_per_second)
    results = [asyncio.run(_one(settings, name, wanted, asked, as_json=as_json)) for name in chosen]
    if as_json:
        console.say_json([_json_of(result) for result in results])
    return int(any(result.state[0] is not StateType.COMPLETED for result in results))


async def _one(settings: Settings, name: str, wanted: Range, asked: Asked, *, as_json: bool) -> Result:
    with console.progress() as bar:
        task = bar.add_task(f"{name}: reading the feed", total=100)

        def shown(percent: float, text: str) -> None:
            bar.update(task, description=f"{name}: {text}", completed=percent)

        def planned(plan: Plan, resumed: bool) -> None:
            if not as_json:
                _show_plan(plan, resumed=resumed, dry_run=asked.dry_run)

        result = await run_account(settings, name, wanted, asked, call=unaided, planned=planned, shown=shown)
    if not as_json:
        _show_result(result)
    return result


def _show_plan(plan: Plan, *, resumed: bool, dry_run: bool) -> None:
    if resumed:
        console.say(f"{plan.account}: this backfill was begun before and is gone on with.")
    rows = rows_of(plan)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in rows[0]:
        table.add_column(column.replace("_", " "), justify="left" if column in ("day", "read") else "right")
    shown = rows if len(rows) <= MOST_ROWS else [*rows[: MOST_ROWS - 1], rows[-1]]
    for row in shown:
        table.add_row(*(console.cell(str(value)) for value in row.values()))
    console.out().print(table)
    if len(shown) < len(rows):
        console.say(f"{len(rows) - len(shown)} more days are in the total and not shown.")
    console.say(f"{plan.account}: {plan}.")
    told = "would follow" if dry_run else "follow"
    console.say(
        f"{plan.calls_made} calls were made to plan this; about {plan.calls} {told}, in about {duration(plan.seconds)}."
    )
    for text in [*plan.not_provable[:20], *plan.impossible[:20]]:
        console.say(f"  {text}")


def _show_result(result: Result) -> None:
    for text in [*result.problems, *result.stopped, *dict.fromkeys(result.tally.problems), *result.bad[:20]]:
        console.complain(f"{result.account}: {text}")
    for span in result.not_proven[:20]:
        console.say(f"{result.account}: not proven complete: {span}")
    for text in dict.fromkeys(result.why_not):
        console.say(f"  {text}")
    if not result.dry_run:
        console.say(f"{result.account}: {result.state[1]}: {result}.")


def _json_of(result: Result) -> dict[str, Any]:
    plan = result.plan
    return {
        "account": result.account,
        "state": result.state[1],
        "ok": result.state[0] is StateType.COMPLETED,
        "from": to_text(result.span.start) if result.span else None,
        "to": to_text(result.span.end) if result.span else None,
        "resumed": result.resumed,
        "plan": None if plan is None else {"days": rows_of(plan), "calls_made": plan.calls_made, "calls": plan.calls},
        "new_events": result.new_events,
        "done": dict(result.tally.done),
        "parked": len(set(result.tally.parked)),
        "unfinished": result.unfinished,
        "not_proven": [{"from": to_text(span.start), "to": to_text(span.end)} for span in result.not_proven],
        "why_not": result.why_not,
        "problems": [*result.problems, *result.stopped, *result.tally.problems],
        "orders": result.buckets,
    }
