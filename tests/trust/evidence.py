"""What the checker reads: the sandbox's two books, the feed, the ledger's rows. Nothing of the hub's memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlmodel import col, select

from ledger import Ledger
from models.lifecycle import Landing
from models.tables import BadAnswer, Effect, FeedCursor, OpenIntent, SourceEvent, SourceOrder
from sandbox.running import RunningSandbox


@dataclass
class Evidence:
    """Everything at one moment.

    Attributes:
        glopal: the provider's books by order id.
        store: store orders by our reference, in the order in which they were made.
        feed: event ids in the feed's order.
        late: those of them that came into the feed behind others: the cursor may have passed them before they came.
        rows: the ledger's order rows by order id.
        lines: effect lines by row id, oldest first.
        events: recorded events by event id.
        cursor: the live cursor.
        intents: open intents by row id.
        bad: answers that were kept as unusable.
    """

    glopal: dict[str, dict[str, Any]]
    store: dict[str, list[dict[str, Any]]]
    feed: list[str]
    late: set[str]
    rows: dict[str, SourceOrder]
    lines: dict[int, list[Effect]]
    events: dict[str, SourceEvent]
    cursor: str | None
    intents: dict[int, OpenIntent]
    bad: list[BadAnswer] = field(default_factory=list)

    def live(self, order_id: str) -> list[dict[str, Any]]:
        """The live store orders of a source order."""
        row = self.rows.get(order_id)
        orders = self.store.get(row.reference, []) if row is not None else []
        return [order for order in orders if order["state"] != "cancelled"]

    def story(self, order_id: str) -> list[Effect]:
        """The effect lines of an order."""
        row = self.rows.get(order_id)
        return self.lines.get(row.id or 0, []) if row is not None else []


async def gather(sandbox: RunningSandbox, ledger: Ledger, late: Iterable[str] = ()) -> Evidence:
    """Read everything; ``late`` names events that the test itself put behind others."""
    glopal, store, feed = sandbox.books(), sandbox.store_books(), sandbox.feed()
    by_reference: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for order in store["orders"].values():
        by_reference[order["reference"]].append(order)
    lines: dict[int, list[Effect]] = defaultdict(list)
    async with ledger.read() as session:
        rows = {row.source_order_id: row for row in await session.exec(select(SourceOrder))}
        for line in await session.exec(select(Effect).order_by(col(Effect.order_id), col(Effect.seq))):
            lines[line.order_id].append(line)
        events = {event.event_id: event for event in await session.exec(select(SourceEvent))}
        cursor = (await session.exec(select(FeedCursor.cursor))).one_or_none()
        intents = {intent.order_id: intent for intent in await session.exec(select(OpenIntent))}
        bad = list(await session.exec(select(BadAnswer)))
    return Evidence(
        glopal=glopal["merchants"][sandbox.store_id]["orders"],
        store=dict(by_reference),
        feed=[_id_of(event) for event in feed if _id_of(event) and not _not_asked_for(event)],
        late={*late, *(_id_of(event) for event in feed if event["was_hidden"] or _invented(event))},
        rows=rows,
        lines=dict(lines),
        events=events,
        cursor=cursor,
        intents=intents,
        bad=bad,
    )


def _id_of(event: dict[str, Any]) -> str:
    return str(event.get("event_id", ""))


def _not_asked_for(event: dict[str, Any]) -> bool:
    return str(event.get("event_name")).startswith("return.")


def _invented(event: dict[str, Any]) -> bool:
    return "invented" in str(event.get("event_name"))


@dataclass
class Insert:
    """What the lines say about an order's place in the store, replayed one by one.

    Attributes:
        state: none, open, unknown, live or gone.
        missed: searches that found nothing since it became unknown.
    """

    state: str = "none"
    missed: int = 0

    def take(self, line: Effect) -> None:
        """Follow one line."""
        if line.kind in ("insert", "insert_held"):
            self.missed = 0
            ends = {"done": "live", "unknown": "unknown", "refused": "none", "not_yet": "none"}
            self.state = "open" if line.phase == "intent" else ends[line.outcome or ""]
        elif (
            line.kind in ("found", "adopt") and line.outcome == "done"
        ) or "the store has a live order" in line.detail:
            self.state = "live"
        elif line.kind == "probe":
            self.missed += 1
            self.state = "none" if line.outcome == "done" else "unknown"
        elif (line.kind, line.phase, line.outcome) == ("cancel_store", "outcome", "done") or (
            line.kind == "park" and "is cancelled in the store" in line.detail
        ):
            self.state = "gone"


def landing_of(row: SourceOrder) -> Landing:
    """A row's landing as its type."""
    return Landing(row.landing)


async def count(ledger: Ledger, table: str) -> int:
    """How many rows a table has, asked in plain SQL."""
    async with ledger.read() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())  # noqa: S608 - ours
