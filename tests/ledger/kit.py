"""Short words for the ledger's tests: events, orders, and one step of an order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import event as sql_event
from sqlalchemy import text
from sqlmodel import col, select

from ledger import Ledger
from ledger.events import record_page
from ledger.leases import Claimed, claim_due
from ledger.steps import After, Rules, StepEnd, Work, begin, finish, story
from models.glopal import GlopalEvent, UnreadableEvent
from models.ids import AccountKey
from models.lifecycle import Landing, SourceStatus, Step
from models.outcome import OutcomeKind
from models.tables import Effect, OpenIntent, SourceOrder

ACCOUNT = AccountKey("glopal", "live", "912")
RULES = Rules(import_on="ready", deadline=timedelta(hours=72), first_probe=timedelta(seconds=5))
HOLDING = Rules(import_on="received", deadline=timedelta(hours=72), first_probe=timedelta(seconds=5))
NAMES = {"RECEIVED": "order.received", "READY": "order.ready", "CANCELLED": "order.cancelled"}

_accounts = itertools.count(1)
_events = itertools.count(1)


def new_account() -> AccountKey:
    """An account that no other test or example uses."""
    return AccountKey("glopal", "live", f"acc{next(_accounts)}")


def an_event(order: str = "100-1", name: str = "order.ready", event_id: str | None = None) -> GlopalEvent:
    """One event as the client reads it."""
    event_id = event_id or f"E{next(_events):08d}"
    return GlopalEvent(event_id, name, order, None, "", f'{{"event_id": "{event_id}"}}')


async def record(ledger: Ledger, *events: GlopalEvent | UnreadableEvent, rules: Rules = RULES) -> None:
    """Record a page of the test's usual account, without moving its cursor."""
    await record_page(ledger, ACCOUNT, events, rules)


async def ready(ledger: Ledger, *orders: str) -> None:
    """Make orders that Glopal says are READY."""
    await record(ledger, *(an_event(order) for order in orders))


async def row_of(ledger: Ledger, order: str = "100-1", key: AccountKey = ACCOUNT) -> SourceOrder:
    """An order's row as it is now."""
    async with ledger.read() as session:
        query = select(SourceOrder).where(SourceOrder.source_order_id == order, SourceOrder.account == key.account)
        return (await session.exec(query)).one()


async def id_of(ledger: Ledger, order: str = "100-1") -> int:
    """The id of an order's row."""
    row_id = (await row_of(ledger, order)).id
    assert row_id is not None
    return row_id


async def effects_of(ledger: Ledger, order: str = "100-1") -> list[Effect]:
    """An order's story."""
    row_id = await id_of(ledger, order)
    async with ledger.read() as session:
        return await story(session, row_id)


async def open_intents(ledger: Ledger) -> list[OpenIntent]:
    """All effects whose end is not recorded."""
    async with ledger.read() as session:
        return list(await session.exec(select(OpenIntent).order_by(col(OpenIntent.order_id))))


async def claim(ledger: Ledger, limit: int = 100, rules: Rules = RULES) -> list[Claimed]:
    """Take what is due."""
    return await claim_due(ledger, ACCOUNT, limit=limit, import_on=rules.import_on, first_probe=rules.first_probe)


async def start(ledger: Ledger, step: Step, orders: Iterable[str] = ("100-1",), rules: Rules = RULES) -> list[Work]:
    """Begin a step of orders that this ledger holds already."""
    wanted = list(orders)
    async with ledger.read() as session:
        ids = await session.exec(select(SourceOrder.id).where(col(SourceOrder.source_order_id).in_(wanted)))
        return await begin(ledger, sorted(row_id for row_id in ids if row_id is not None), step, rules)


async def end(ledger: Ledger, *ends: StepEnd, rules: Rules = RULES) -> list[After]:
    """Record how steps ended."""
    return await finish(ledger, ends, rules)


def done(work: Work, landing: Landing | None = None, **more: Any) -> StepEnd:
    """The step was done."""
    return StepEnd(work, OutcomeKind.DONE, "done", landing=landing, **more)


def unknown(work: Work, landing: Landing, **more: Any) -> StepEnd:
    """Nobody knows."""
    return StepEnd(work, OutcomeKind.UNKNOWN, "no answer came", landing=landing, **more)


def not_yet(work: Work, **more: Any) -> StepEnd:
    """It certainly did not happen."""
    return StepEnd(work, OutcomeKind.NOT_YET, "the connection was refused", **more)


def refused(work: Work, code: str = "insert.unknown_sku", **more: Any) -> StepEnd:
    """The other side said no."""
    reason = "the store does not know SKU X-1"
    return StepEnd(work, OutcomeKind.REFUSED, reason, park=(code, reason), **more)


STORE = {"store_order_id": "7001", "store_order_number": "000092", "store_state": "open"}
_FETCHED = {"document_status": "READY", "base_total": Decimal(10), "base_currency": "EUR"}


async def bring_to(ledger: Ledger, landing: Landing, *orders: str) -> list[After]:
    """Take fresh READY orders along the usual road to ``landing`` and leave them free for the next claim."""
    orders = orders or ("100-1",)
    await ready(ledger, *orders)
    road: Sequence[tuple[Step, Landing, dict[str, Any]]] = (
        (Step.FETCH, Landing.FETCHED, {"fields": dict(_FETCHED)}),
        (Step.INSERT, Landing.INSERTED, {"fields": dict(STORE)}),
        (Step.ACCEPT, Landing.ACCEPTED, {"told_status": SourceStatus.ACCEPTED}),
    )
    afters: list[After] = []
    await claim(ledger)
    for step, reached, more in road:
        if (await row_of(ledger, orders[0])).landing == landing.value:
            break
        works = await start(ledger, step, orders)
        afters = await end(ledger, *(done(work, reached, **more) for work in works))
    async with ledger.write() as session:
        await session.execute(text("UPDATE source_order SET lease_owner = NULL, lease_until = NULL"))
    return afters


async def take(ledger: Ledger, step: Step, order: str = "100-1", rules: Rules = RULES) -> Work:
    """Claim what is due and begin a step of one order."""
    await claim(ledger, rules=rules)
    [work] = await start(ledger, step, [order], rules)
    return work


class Statements:
    """Counts what is sent to a ledger's database."""

    def __init__(self, ledger: Ledger) -> None:
        self.seen: list[str] = []
        self._engine = ledger.engine.sync_engine

    def __enter__(self) -> list[str]:
        """Begin to count."""
        sql_event.listen(self._engine, "before_cursor_execute", self._count)
        return self.seen

    def __exit__(self, *_: object) -> None:
        """Stop."""
        sql_event.remove(self._engine, "before_cursor_execute", self._count)

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self.seen.append(statement)
