"""``crossdock orders``: where every order stands, newest first. No buyer in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.table import Table

from cli import console, words
from cli.ledger_access import account_names, open_ledger
from clients.redaction import redact
from ledger.policy import bucket_of, count_open
from ledger.queries import list_orders
from ledger.rows import step_of
from models.ids import AccountKey
from models.lifecycle import ImportOn, Landing, SourceStatus, Step
from models.outcome import ConfigurationError
from models.settings import Settings
from models.tables import SourceOrder
from models.time import to_text


async def orders(settings: Settings, *, account: str | None, only: str | None, limit: int, as_json: bool) -> None:
    """List orders.

    Raises:
        ConfigurationError: there is no such account, or the ledger is not as it must be.
    """
    key = None
    if account is not None:
        if account not in settings.accounts:
            known = ", ".join(sorted(settings.accounts)) or "none"
            raise ConfigurationError(f"there is no account {account!r} in the configuration; known accounts: {known}")
        key = settings.accounts[account].key_of
    names = account_names(settings)
    async with open_ledger(settings) as ledger:
        rows = await list_orders(ledger, key=key, only=only, limit=limit)
        keys = [key] if key is not None else list(names)
        counts: dict[str, int] = {}
        for one in keys:
            for bucket, number in (await count_open(ledger, one)).items():
                counts[bucket] = counts.get(bucket, 0) + number
        now = ledger.clock()
    found = [(row, *_standing(row, names, settings)) for row in rows]
    if as_json:
        console.say_json([_json_of(row, name, bucket, step) for row, name, bucket, step in found])
        return
    _print(found, counts, now, limit)


def _standing(row: SourceOrder, names: dict[AccountKey, str], settings: Settings) -> tuple[str, str, Step | None]:
    name = names.get(row.key)
    import_on: ImportOn = settings.accounts[name].import_on if name else "ready"
    bucket = bucket_of(
        Landing(row.landing),
        SourceStatus(row.source_status),
        parked=row.parked_at is not None,
        settled=row.settled_at is not None,
        closed=row.closed_at is not None,
    )
    return name or str(row.key), bucket, step_of(row, import_on)


def _json_of(row: SourceOrder, name: str, bucket: str, step: Step | None) -> dict[str, Any]:
    def when(value: datetime | None) -> str | None:
        return to_text(value) if value is not None else None

    return {
        "order": row.source_order_id,
        "reference": row.reference,
        "account": name,
        "source_status": row.source_status,
        "landing": row.landing,
        "state": bucket,
        "store_order_id": row.store_order_id,
        "store_order_number": row.store_order_number,
        "currency": row.currency,
        "total": None if row.total is None else str(row.total),
        "next_step": step.value if step else None,
        "due_at": when(row.due_at),
        "deadline_at": when(row.deadline_at),
        "parked_code": row.parked_code,
        "parked_reason": redact(row.parked_reason) if row.parked_reason else None,
        "first_seen_at": when(row.first_seen_at),
        "settled_at": when(row.settled_at),
    }


Found = tuple[SourceOrder, str, str, Step | None]


def _print(found: list[Found], counts: dict[str, int], now: datetime, limit: int) -> None:
    if not found:
        console.say("No orders.")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("order", "account", "provider", "state", "store order", "total"):
            table.add_column(column, no_wrap=True, justify="right" if column == "total" else "left")
        table.add_column("next, or why it waits", overflow="fold")
        for row, name, bucket, step in found:
            total = f"{row.total} {row.currency}" if row.total is not None else ""
            cells = (row.source_order_id, name, row.source_status, bucket, row.store_order_number or "", total)
            table.add_row(*(console.cell(text) for text in cells), console.cell(_comes_next(row, step, now)))
        console.out().print(table)
    shown = ", ".join(f"{number} {bucket}" for bucket, number in sorted(counts.items()))
    console.say(f"\n{sum(counts.values())} orders in all: {shown or 'none'}.")
    if len(found) == limit:
        console.say(f"Only the newest {limit} are shown; --limit shows more.")


def _comes_next(row: SourceOrder, step: Step | None, now: datetime) -> str:
    if row.parked_at is not None:
        return redact(row.parked_reason or "")
    if step is None:
        return ""
    due = "" if row.due_at is None or row.due_at <= now else f", {words.away(row.due_at, now)}"
    return words.STEPS[step] + due
