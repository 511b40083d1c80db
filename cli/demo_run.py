"""The demo's work: poll with the real flows until nothing is left to do, let late things happen, read all books."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from prefect.client.schemas.objects import State
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler
from sqlalchemy import func
from sqlmodel import col, select

from cli.demo_books import AccountBooks, LedgerLine, Verdict, verdicts_of
from cli.demo_proof import prove
from cli.demo_world import DemoAccount, DemoError, World
from clients.redaction import redact
from flows.glopal import poll_glopal
from ledger import Ledger
from ledger.policy import bucket_of, count_open
from ledger.queries import broken_chains, event_buckets, list_orders, next_due
from ledger.rows import step_of
from models.lifecycle import Landing, SourceStatus
from models.settings import Settings
from models.tables import Effect, SourceOrder
from models.time import utc_now
from tasks.runtime import ready_ledger

# As often as the schedule would: a healthy demo needs about ten polls of each account.
_MOST_POLLS = 60
_LONGEST_SECONDS = 300.0
_LOOK_SECONDS = 0.5
_QUIET_SECONDS = 1.0
# Two flow runs created in the same moment meet on Prefect's SQLite database, and its client then waits for seconds.
_APART_SECONDS = 0.4
_OPEN = ("under way", "outcome unknown")

Shown = Callable[[str, int, int], None]


@dataclass(slots=True)
class Work:
    """What the demo did in this run."""

    started: datetime
    polls: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    happened: dict[str, int] = field(default_factory=dict)
    inserts: int = 0
    accepts: int = 0
    cancels: int = 0
    unknown: int = 0
    retried: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    books: list[AccountBooks] = field(default_factory=list)
    pages: list[Path] = field(default_factory=list)


def quiet() -> None:
    """Keep the flow runs' logs for Prefect's UI and off this terminal, which shows a progress bar."""
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.CRITICAL)


class Demo:
    """One run of the demo in a prepared world, against the Prefect server in force.

    Args:
        world: the simulated sides.
        shown: told what is going on: words, orders at rest, orders in all.
    """

    def __init__(self, world: World, shown: Shown) -> None:
        self.world = world
        self.shown = shown
        self.settings = Settings()
        self.work = Work(started=utc_now())
        self._deadline = time.monotonic() + _LONGEST_SECONDS

    async def run(self) -> Work:
        """Do it all.

        Raises:
            DemoError: it does not come to rest.
        """
        ledger = await ready_ledger(self.settings)
        try:
            await self._phase(ledger, "landing")
            if not self.world.mark.get("happened"):
                self.work.happened = self.world.sandbox.happen()
                self.world.remember(happened=True)
                await self._phase(ledger, "late changes")
            began = time.monotonic()
            await self._compare(ledger)
            await self._count(ledger)
            self.world.calm_down()
            self.shown("certifying", 0, 1)
            keys = {name: account.key_of for name, account in self.settings.accounts.items()}
            proof = await prove(ledger, keys, self.work.books, self.world.folder / "certificates")
            self.work.verdicts.append(proof.verdict)
            self.work.pages = proof.pages
            self.work.seconds["comparing"] = time.monotonic() - began
        finally:
            await ledger.dispose()
            await _flush()
        return self.work

    async def _phase(self, ledger: Ledger, name: str) -> None:
        """Poll every account until nothing is left to do."""
        began = time.monotonic()
        watching = asyncio.create_task(self._watch(ledger, name))
        try:
            while await self._poll_all(ledger):
                await self._wait(ledger)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        self.work.seconds[name] = time.monotonic() - began

    async def _poll_all(self, ledger: Ledger) -> bool:
        """One poll of every account, as the schedule would start them; whether another one is needed."""
        if self.work.polls >= _MOST_POLLS or time.monotonic() > self._deadline:
            left = ", ".join(f"{number} {name}" for name, number in sorted((await self._buckets(ledger)).items()))
            raise DemoError(
                f"After {self.work.polls} polls the orders have not come to rest: {left}. Look with crossdock "
                f"--config {self.world.config} orders --only open; running the demo again goes on where it stopped."
            )
        before = await self._events(ledger)
        self.work.polls += 1
        states: list[State[Any]] = await asyncio.gather(
            *(_poll(account, number * _APART_SECONDS) for number, account in enumerate(self.world.accounts))
        )
        crashed = [state for state in states if state.name in ("Failed", "Crashed")]
        if crashed:
            raise DemoError(f"A flow run ended {crashed[0].name}: {redact(crashed[0].message or '')}")
        if any(state.name == "Feed not read" for state in states) or await self._events(ledger) != before:
            return True
        buckets = await self._buckets(ledger)
        return any(buckets.get(name) for name in _OPEN)

    async def _wait(self, ledger: Ledger) -> None:
        """Until the next order is due, but not long: the feed may have been what failed."""
        longest = self.settings.accounts["main"].policy.backoff_longest
        now = ledger.clock()
        waits = [
            (due - now).total_seconds()
            for account in self.settings.accounts.values()
            if (due := await next_due(ledger, account.key_of, timedelta(seconds=longest))) is not None
        ]
        await asyncio.sleep(min(max(min(waits, default=_QUIET_SECONDS), 0.1), longest))

    async def _buckets(self, ledger: Ledger) -> dict[str, int]:
        found: dict[str, int] = {}
        for account in self.settings.accounts.values():
            for name, number in (await count_open(ledger, account.key_of)).items():
                found[name] = found.get(name, 0) + number
        return found

    async def _events(self, ledger: Ledger) -> int:
        counts = [await event_buckets(ledger, account.key_of) for account in self.settings.accounts.values()]
        return sum(sum(count.values()) for count in counts)

    async def _watch(self, ledger: Ledger, name: str) -> None:
        """Show how many orders are at rest, until cancelled."""
        total = sum(account.orders for account in self.world.accounts)
        while True:
            buckets = await self._buckets(ledger)
            open_now = sum(buckets.get(bucket, 0) for bucket in _OPEN)
            words = f"{name}: poll {self.work.polls}"
            self.shown(words, sum(buckets.values()) - open_now, total)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _compare(self, ledger: Ledger) -> None:
        """Read every book at its source and compare."""
        for account in self.world.accounts:
            key = self.settings.accounts[account.name].key_of
            self.work.books.append(
                AccountBooks(
                    name=account.name,
                    glopal=self.world.glopal_lines(account),
                    store=self.world.store_lines(account),
                    ledger=await self._ledger_lines(ledger, account),
                    reference=key.reference,
                )
            )
        self.work.verdicts = verdicts_of(self.work.books)
        proof = Verdict("every order's story in the ledger is complete and unchanged")
        proof.looked_at = sum(len(books.ledger) for books in self.work.books)
        proof.against = [text async for text in broken_chains(ledger)]
        self.work.verdicts.append(proof)

    async def _ledger_lines(self, ledger: Ledger, account: DemoAccount) -> list[LedgerLine]:
        settings = self.settings.accounts[account.name]
        rows = await list_orders(ledger, key=settings.key_of, limit=1_000_000)
        lines = []
        for row in rows:
            bucket = bucket_of(
                Landing(row.landing),
                SourceStatus(row.source_status),
                parked=row.parked_at is not None,
                settled=row.settled_at is not None,
                closed=row.closed_at is not None,
            )
            if bucket == "waiting for the provider" and step_of(row, settings.import_on) is not None:
                bucket = "under way"
            lines.append(
                LedgerLine(
                    order=row.source_order_id,
                    reference=row.reference,
                    bucket=bucket,
                    store_id=row.store_order_id,
                    store_number=row.store_order_number,
                    parked_code=row.parked_code,
                    parked_reason=redact(row.parked_reason) if row.parked_reason else None,
                )
            )
        return lines

    async def _count(self, ledger: Ledger) -> None:
        """Count this run's effects from what they left in the ledger."""
        since, work = self.work.started, self.work
        async with ledger.read() as session:
            for name, moment in (("inserts", SourceOrder.inserted_at), ("accepts", SourceOrder.accepted_at)):
                query = select(func.count()).select_from(SourceOrder).where(col(moment) >= since)
                setattr(work, name, int((await session.exec(query)).one()))
            ends = (
                select(Effect.kind, Effect.outcome, func.count())
                .where(col(Effect.at) >= since, Effect.phase == "outcome")
                .group_by(col(Effect.kind), col(Effect.outcome))
            )
            for kind, outcome, number in await session.exec(ends):
                if outcome == "unknown":
                    work.unknown += int(number)
                elif outcome == "not_yet":
                    work.retried += int(number)
                elif outcome == "done" and kind == "cancel_store":
                    work.cancels += int(number)


async def _poll(account: DemoAccount, delay: float) -> State[Any]:
    """One flow run, begun after a moment."""
    await asyncio.sleep(delay)
    state: State[Any] = await poll_glopal(account=account.name, return_state=True)
    return state


async def _flush() -> None:
    """Send what logs and events wait to be sent, before the server is stopped."""
    await APILogHandler.aflush()
    await asyncio.to_thread(EventsWorker.drain_all, timeout=10)


async def recorded_task_runs(api_url: str, patience: float = 15.0) -> int:
    """How many task runs the server shows, once it has recorded all that it was told."""
    end, last, seen = time.monotonic() + patience, -1, 0
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        while time.monotonic() < end and seen < 3:
            answer = await http.post(f"{api_url}/task_runs/count", json={})
            count = int(answer.json())
            seen, last = (seen + 1 if count == last else 0), count
            await asyncio.sleep(_LOOK_SECONDS)
    return last
