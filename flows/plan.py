"""Dry runs: what a poll would do now. Reads the provider and the ledger and writes to neither."""

from __future__ import annotations

from collections import Counter
from typing import Any

from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run

from flows.report import name_run
from ledger.cursor import read_cursor
from ledger.queries import due_steps, known_events
from models.glopal import GlopalEvent
from models.outcome import Done, error_for
from tasks.runtime import Runtime

MOST_PAGES = 500


async def plan(runtime: Runtime, limit: int | None) -> State[dict[str, Any]]:
    """Say what a poll would do, order by order.

    Raises:
        EffectFailed: the feed could not be read.
    """
    events, whole = await _new_events(runtime)
    most = limit or 1000
    steps = await due_steps(runtime.ledger, runtime.key, runtime.rules.import_on, most)
    rows: list[dict[str, Any]] = [
        {"order": event.order_id, "would": f"record {event.event_name}, then decide"} for event in events[:1000]
    ]
    rows += [{"order": order, "would": step.value} for order, step, _ in steps]
    counts = Counter(step.value for _, step, _ in steps)
    words = ", ".join(f"{number} to {name}" for name, number in sorted(counts.items()))
    message = f"dry run: {len(events)} new events, {words or 'nothing due'}"
    if not whole:
        message += f"; the feed goes on after {MOST_PAGES} pages, which were not read"
    if len(steps) == most:
        message += f"; more than {most} orders are due, the rest is not listed"
    if flow_run.id is not None:
        await acreate_table_artifact(
            table=rows or [{"order": "none", "would": "nothing"}], key=f"plan-{runtime.name}", description=message
        )
    await name_run(f"{runtime.name}: {message}")
    return State(type=StateType.COMPLETED, name="Dry run", message=message)


async def _new_events(runtime: Runtime) -> tuple[list[GlopalEvent], bool]:
    """What the feed has and the ledger has not, and whether the feed was read to its end."""
    after = await read_cursor(runtime.ledger, runtime.key)
    found: list[GlopalEvent] = []
    for _ in range(MOST_PAGES):
        outcome = await runtime.client.events(after)
        if not isinstance(outcome, Done):
            raise error_for(outcome, f"events of {runtime.name}")
        page = outcome.value.page
        entries = [entry for entry in page.events if isinstance(entry, GlopalEvent)]
        known = await known_events(runtime.ledger, runtime.key, [entry.event_id for entry in entries])
        found += [entry for entry in entries if entry.event_id not in known]
        if page.cursor is None or page.cursor == after:
            return found, True
        after = page.cursor
    return found, False
