"""``crossdock why ORDER``: one order's story in plain words. Orders have numbers here; nothing of the buyer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.table import Table
from sqlmodel import col, select

from cli import console, words
from cli.ledger_access import account_names, open_ledger
from clients.redaction import redact
from ledger import Ledger
from ledger.policy import bucket_of
from ledger.queries import Story, find_orders, story_of
from ledger.rows import step_of
from models.lifecycle import UNKNOWN, ImportOn, Landing, SourceStatus, Step
from models.outcome import ConfigurationError
from models.settings import Settings
from models.tables import OrderRecord, SourceOrder
from models.time import to_text


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a story. ``order`` breaks ties between things of the same instant: events, documents, effects."""

    at: datetime
    order: tuple[int, int]
    what: str


@dataclass(slots=True)
class Told:
    """An order's story, ready to print."""

    row: SourceOrder
    account: str
    bucket: str
    step: Step | None
    now: datetime
    timeline: list[Moment] = field(default_factory=list)
    can_do: list[str] = field(default_factory=list)


async def why(settings: Settings, wanted: str, *, as_json: bool) -> None:
    """Tell one order's story, or list the orders that share the number.

    Raises:
        ConfigurationError: the ledger has no order by that number, or the ledger is not as it must be.
    """
    async with open_ledger(settings) as ledger:
        rows = await find_orders(ledger, wanted)
        if not rows:
            raise ConfigurationError(
                f"no order has the number {wanted!r}: not as the provider's id, the store's id or number, or our "
                "reference. Look at crossdock orders; if it is new, the next poll brings it"
            )
        told = [await tell(ledger, settings, row) for row in rows]
    if as_json:
        console.say_json([json_of(entry) for entry in told])
    elif len(told) == 1:
        _print(told[0])
    else:
        _print_list(wanted, told)


async def tell(ledger: Ledger, settings: Settings, row: SourceOrder) -> Told:
    """One order's story."""
    name = account_names(settings).get(row.key)
    import_on: ImportOn = settings.accounts[name].import_on if name else "ready"
    story = await story_of(ledger, row)
    told = Told(
        row=row,
        account=name or f"{row.key} (not in the configuration any more)",
        bucket=bucket_of(
            Landing(row.landing),
            SourceStatus(row.source_status),
            parked=row.parked_at is not None,
            settled=row.settled_at is not None,
            closed=row.closed_at is not None,
        ),
        step=step_of(row, import_on),
        now=ledger.clock(),
    )
    told.timeline = sorted(_moments(story) + await _documents(ledger, row), key=lambda m: (m.at, m.order))
    told.can_do = _can_do(told)
    return told


def _moments(story: Story) -> list[Moment]:
    found = []
    for number, event in enumerate(story.events):
        happened = f", which happened {words.moment(event.event_at)}" if event.event_at else ""
        note = f" ({event.note})" if event.note else ""
        kept = "" if event.bucket == "applied" else f"; kept, it changes nothing{note}"
        text = f"the provider told {event.event_name or 'something unreadable'}{happened}{kept}"
        found.append(Moment(event.recorded_at, (0, number), text))
    for number, bad in enumerate(story.bad_answers):
        text = f"an answer could not be used and was kept as received ({bad.size} bytes): {bad.reason}"
        found.append(Moment(bad.received_at, (1, number), text))
    for line in story.effects:
        text = words.line_of(line.phase, line.kind, line.outcome, line.detail)
        found.append(Moment(line.at, (3, line.seq), text))
    return found


async def _documents(ledger: Ledger, row: SourceOrder) -> list[Moment]:
    """When documents were read. What stands in them is the buyer's and is not loaded."""
    async with ledger.read() as session:
        query = (
            select(OrderRecord.id, OrderRecord.received_at, OrderRecord.sha256, col(OrderRecord.canonical).is_not(None))
            .where(OrderRecord.order_id == row.id)
            .order_by(col(OrderRecord.id))
        )
        return [
            Moment(
                at,
                (2, number or 0),
                f"read its document at the provider (SHA-256 {digest[:12]}…)"
                + (", and its amounts add up" if usable else ""),
            )
            for number, at, digest, usable in await session.exec(query)
        ]


def _can_do(told: Told) -> list[str]:
    row, order = told.row, told.row.source_order_id
    if row.parked_at is not None:
        todo = [words.advice(row.parked_code or "")]
        if row.parked_code != "bad_id":
            todo.append(f'then: crossdock decide {order} retry --reason "…"')
            theirs = row.source_status in (SourceStatus.ACCEPTED, SourceStatus.COMPLETED, SourceStatus.CANCELLED)
            if Landing(row.landing) is not Landing.ACCEPTED and not theirs:
                todo.append(f'or:   crossdock decide {order} cancel --reason "…"')
        if Landing(row.landing) not in UNKNOWN:
            todo.append(f'or, once you have put both sides right: crossdock decide {order} settle --reason "…"')
        return todo
    if row.settled_at is not None:
        return ["nothing; it is finished"]
    if told.step is None:
        return ["nothing; the provider speaks next"]
    return ["nothing; the next poll goes on with it"]


def next_words(told: Told) -> str:
    """What comes next and when."""
    row = told.row
    if told.step is not None:
        when = "at the next poll" if row.due_at is None or row.due_at <= told.now else words.away(row.due_at, told.now)
        busy = row.lease_until is not None and row.lease_until > told.now
        return f"{words.STEPS[told.step]}, {'a run is at it now' if busy else when}"
    if row.parked_at is not None:
        return "it waits for a person"
    if row.settled_at is not None:
        return "nothing; it is settled"
    return "it waits for the provider to say more"


def deadline_words(told: Told) -> str | None:
    """By when it must be landed, while that still matters."""
    row = told.row
    if row.deadline_at is None or row.settled_at is not None or Landing(row.landing) is Landing.CANCELLED:
        return None
    past = " (past; the failure policy was applied)" if row.deadline_applied_at else ""
    return f"{words.moment(row.deadline_at)}, {words.away(row.deadline_at, told.now)}{past}"


def json_of(told: Told) -> dict[str, Any]:
    """The story for a program."""
    row = told.row

    def when(value: datetime | None) -> str | None:
        return to_text(value) if value is not None else None

    return {
        "order": row.source_order_id,
        "reference": row.reference,
        "account": told.account,
        "source_status": row.source_status,
        "landing": row.landing,
        "state": told.bucket,
        "store_order_id": row.store_order_id,
        "store_order_number": row.store_order_number,
        "store_state": row.store_state,
        "currency": row.currency,
        "total": None if row.total is None else str(row.total),
        "parked_code": row.parked_code,
        "parked_reason": redact(row.parked_reason) if row.parked_reason else None,
        "parked_at": when(row.parked_at),
        "next_step": told.step.value if told.step else None,
        "next": next_words(told),
        "due_at": when(row.due_at),
        "deadline_at": when(row.deadline_at),
        "settled_at": when(row.settled_at),
        "attempts": row.attempts,
        "timeline": [{"at": to_text(moment.at), "what": redact(moment.what)} for moment in told.timeline],
        "can_do": told.can_do,
    }


def _print(told: Told) -> None:
    row = told.row
    amount = f", {row.total} {row.currency}" if row.total is not None else ""
    console.say(f"Order {row.source_order_id} of account {told.account}{amount}")
    number = f" (store order {row.store_order_number}, id {row.store_order_id})" if row.store_order_number else ""
    facts = [
        ("State", f"{told.bucket}: {words.LANDINGS[Landing(row.landing)]}{number}"),
        ("Provider", f"{words.STATUSES[SourceStatus(row.source_status)]}"),
        ("Why it waits", f"{redact(row.parked_reason or '')} [{row.parked_code}]" if row.parked_at else None),
        ("Next", next_words(told)),
        ("Deadline", deadline_words(told)),
        ("Reference", row.reference),
    ]
    for name, text in facts:
        if text:
            console.say(f"  {name + ':':14}{text}")
    console.say("\nWhat happened:")
    for moment in told.timeline:
        console.say(f"  {words.moment(moment.at)}  {redact(moment.what)}")
    console.say("\nWhat you could do:")
    for line in told.can_do:
        console.say(f"  {line}")


def _print_list(wanted: str, told: list[Told]) -> None:
    table = Table(title=None, box=None, pad_edge=False)
    for column in ("account", "order", "reference", "state", "store order"):
        table.add_column(column, overflow="fold")
    for entry in told:
        row = entry.row
        cells = (entry.account, row.source_order_id, row.reference, entry.bucket, row.store_order_number or "")
        table.add_row(*(console.cell(text) for text in cells))
    console.say(f"{len(told)} orders have the number {wanted}. Ask again with one of these references:")
    console.out().print(table)
