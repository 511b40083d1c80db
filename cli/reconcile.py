"""``crossdock reconcile``: as the deployment ``reconcile``, but from here, so that Prefect may be down."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect.client.schemas.objects import StateType
from rich.table import Table

from cli import console
from flows.range_form import Range, names_of, read_when
from flows.reconcile import Reconciled, range_of, rows_of, run_reconcile
from flows.settle import unaided
from ledger import LedgerUnavailable
from models.outcome import ConfigurationError
from models.ranges import BadRange
from models.settings import Settings
from models.time import to_text
from tasks.runtime import open_runtime

MOST_ROWS = 50


def run_reconcile_command(
    settings: Settings,
    start: str | None,
    end: str | None,
    days: int,
    zone: str,
    accounts: list[str],
    *,
    repair: bool,
    as_json: bool,
) -> int:
    """Reconcile; 0 when all sides agree and all of the range is proven.

    Raises:
        CrossdockError: the range or an account cannot be meant, or a side cannot be opened.
    """
    try:
        wanted = range_of(read_when(start) if start else None, read_when(end) if end else None, zone, days)
    except BadRange as error:
        raise ConfigurationError(f"the range cannot be used: {error}") from None
    if not as_json:
        console.say(f"From {wanted.span.start:%Y-%m-%d %H:%M:%S} UTC to {wanted.span.end:%Y-%m-%d %H:%M:%S} UTC.")
    done = [asyncio.run(_one(settings, name, wanted, repair=repair)) for name in names_of(settings, accounts)]
    if as_json:
        console.say_json([_json_of(one, wanted) for one in done])
    else:
        for one in done:
            _show(one)
    return int(any(one.state[0] is not StateType.COMPLETED for one in done))


async def _one(settings: Settings, name: str, wanted: Range, *, repair: bool) -> Reconciled:
    with console.progress() as bar:
        bar.add_task(f"{name}: comparing", total=None)
        try:
            async with open_runtime(settings, name) as runtime:
                return await run_reconcile(runtime, wanted, repair=repair, call=unaided)
        except (ConfigurationError, LedgerUnavailable) as error:
            # The other accounts are reconciled all the same.
            return Reconciled(name, stopped=[str(error)])


def _show(done: Reconciled) -> None:
    rows = [row for row in rows_of(done) if row.get("state") == "open"]
    if rows:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("order", "finding", "since (UTC)", "what is done", "what is different"):
            table.add_column(column, overflow="fold", no_wrap=column == "order")
        for row in rows[:MOST_ROWS]:
            table.add_row(
                *(console.cell(str(row[column])) for column in row if column != "state"),
            )
        console.out().print(table)
        if len(rows) > MOST_ROWS:
            console.say(f"and {len(rows) - MOST_ROWS} more; crossdock report writes them all.")
    for text in [*done.stopped, *done.compared.problems, *dict.fromkeys(done.compared.tally.problems)]:
        console.complain(f"{done.account}: {text}")
    if done.certificate is not None:
        console.say(f"{done.account}: {done.certificate.standing.verdict}")
    console.say(f"{done.account}: {done.state[1]}: {done}.")


def _json_of(done: Reconciled, wanted: Range) -> dict[str, Any]:
    compared, certificate = done.compared, done.certificate
    return {
        "account": done.account,
        "state": done.state[1],
        "ok": done.state[0] is StateType.COMPLETED,
        "from": to_text(wanted.span.start),
        "to": to_text(wanted.span.end),
        "orders": compared.orders,
        "agreeing": compared.agreeing,
        "events_missing_in_ledger": compared.new_events,
        "orders_missing_in_ledger": compared.restored,
        "repaired": len(compared.repaired),
        "parked": len(compared.parked),
        "findings_closed": compared.closed,
        "unread": compared.unread,
        "findings": rows_of(done),
        "verdict": certificate.standing.verdict if certificate else None,
        "sha256": certificate.sha256 if certificate else None,
        "problems": [*done.stopped, *compared.problems, *compared.tally.problems],
    }
