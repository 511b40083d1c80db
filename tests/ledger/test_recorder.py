"""Group commit: many ends share a transaction, and nobody's end is lost or spoilt by another's."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlmodel import select

import ledger.recorder as recorder_module
import ledger.steps as steps_module
from ledger import Ledger, LedgerUnavailable
from ledger.recorder import Recorder
from ledger.steps import After, Rules, StepEnd, Work
from models.lifecycle import IllegalMove, Landing, Step
from models.tables import SourceOrder
from tests.ledger.kit import RULES, STORE, Statements, bring_to, claim, done, open_intents, start

pytestmark = pytest.mark.asyncio
ORDERS = [f"1-{number}" for number in range(20)]


async def _works(ledger: Ledger) -> list[Work]:
    await bring_to(ledger, Landing.FETCHED, *ORDERS)
    await claim(ledger)
    return await start(ledger, Step.INSERT, ORDERS)


async def _landings(ledger: Ledger) -> set[str]:
    async with ledger.read() as session:
        return set(await session.exec(select(SourceOrder.landing)))


async def test_ends_at_the_same_time_share_transactions(ledger: Ledger) -> None:
    """Many ends at once are all written, each answered with its own order, in a few transactions."""
    works = await _works(ledger)
    recorder = Recorder(ledger, RULES)
    with Statements(ledger) as seen:
        afters = await asyncio.gather(*(recorder.record(done(w, Landing.INSERTED, fields=STORE)) for w in works))

    assert [after.id for after in afters] == [work.id for work in works]
    assert await _landings(ledger) == {"inserted"}
    assert await open_intents(ledger) == []
    assert len(seen) < len(ORDERS)


async def test_longest_transaction_is_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more ends than told are written in one transaction."""
    works = await _works(ledger)
    sizes = _spy(monkeypatch)
    recorder = Recorder(ledger, RULES, longest=7)
    await asyncio.gather(*(recorder.record(done(w, Landing.INSERTED, fields=STORE)) for w in works))

    assert sizes == [7, 7, 6]


def _spy(monkeypatch: pytest.MonkeyPatch, began: asyncio.Event | None = None) -> list[int]:
    sizes: list[int] = []
    real = steps_module.finish

    async def finish(ledger: Ledger, ends: list[StepEnd], rules: Rules) -> list[After]:
        sizes.append(len(ends))
        if began is not None:
            began.set()
        return await real(ledger, ends, rules)

    monkeypatch.setattr(recorder_module, "finish", finish)
    return sizes


async def test_a_failing_ledger_is_told_to_everyone_who_waits(ledger: Ledger) -> None:
    """When the transaction cannot be written, each of its ends hears so, and the next one is written again."""
    works = await _works(ledger)
    recorder = Recorder(ledger, RULES)
    async with ledger.write() as session:
        await session.execute(text("ALTER TABLE effect RENAME TO gone"))
    ends = [done(w, Landing.INSERTED, fields=STORE) for w in works]
    waiting = asyncio.gather(*(recorder.record(end) for end in ends), return_exceptions=True)
    told = await asyncio.wait_for(waiting, 20)
    assert [type(one) for one in told] == [LedgerUnavailable] * len(works)
    assert len(await open_intents(ledger)) == len(works)
    async with ledger.write() as session:
        await session.execute(text("ALTER TABLE gone RENAME TO effect"))
    afters = await asyncio.gather(*(recorder.record(end) for end in ends))

    assert not any(after.lost for after in afters)


async def test_one_bad_end_does_not_take_the_others_with_it(ledger: Ledger) -> None:
    """An end that the ledger refuses fails alone; those that shared its transaction are written."""
    works = await _works(ledger)
    recorder = Recorder(ledger, RULES)
    ends = [done(w, Landing.ACCEPTED if w is works[3] else Landing.INSERTED, fields=STORE) for w in works]
    ends[3] = done(works[3], Landing.ACCEPT_UNKNOWN)
    told = await asyncio.gather(*(recorder.record(end) for end in ends), return_exceptions=True)

    assert [index for index, one in enumerate(told) if isinstance(one, IllegalMove)] == [3]
    assert [intent.order_id for intent in await open_intents(ledger)] == [works[3].id]


async def test_a_waiter_that_goes_away_harms_nobody(ledger: Ledger) -> None:
    """A cancelled waiter's end is written all the same, and so are its neighbours'."""
    works = await _works(ledger)
    recorder = Recorder(ledger, RULES)
    waiters = [asyncio.create_task(recorder.record(done(w, Landing.INSERTED, fields=STORE))) for w in works]
    await asyncio.sleep(0)
    waiters[0].cancel()
    waiters[5].cancel()
    told = await asyncio.gather(*waiters, return_exceptions=True)

    assert [index for index, one in enumerate(told) if isinstance(one, asyncio.CancelledError)] == [0, 5]
    assert await _landings(ledger) == {"inserted"}


async def test_a_writer_that_is_stopped_leaves_nobody_waiting(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the writing itself is cancelled, those in the transaction and those behind it all hear so."""
    works = await _works(ledger)
    recorder = Recorder(ledger, RULES, longest=4)

    async def stopped(*_: object) -> list[After]:
        raise asyncio.CancelledError

    monkeypatch.setattr(recorder_module, "finish", stopped)
    waiters = [asyncio.create_task(recorder.record(done(w, Landing.INSERTED, fields=STORE))) for w in works]
    told = await asyncio.wait_for(asyncio.gather(*waiters, return_exceptions=True), 20)

    assert {type(one) for one in told} == {asyncio.CancelledError}


async def test_ends_that_come_while_one_is_written_are_next(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends that arrive during a commit are written by the same writer, in the next one."""
    works = await _works(ledger)
    began = asyncio.Event()
    sizes = _spy(monkeypatch, began)
    recorder = Recorder(ledger, RULES)

    async def late(work: Work) -> After:
        await began.wait()
        return await recorder.record(done(work, Landing.INSERTED, fields=STORE))

    first = recorder.record(done(works[0], Landing.INSERTED, fields=STORE))
    await asyncio.gather(first, *(late(work) for work in works[1:]))

    assert sizes[0] == 1
    assert sum(sizes) == len(works)
