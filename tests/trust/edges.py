"""The hub's edges: every call to the provider, to the store and every ledger transaction, before and after.

A simulated kill stops a run at one crossing, and from then on nothing of that run reaches the outside any more: no
tidy ``finally`` writes to the ledger, no call in flight reports back. What it left behind is what SIGKILL would leave.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal, cast

from sqlmodel.ext.asyncio.session import AsyncSession

from clients.glopal import GlopalClient
from ledger import LedgerUnavailable
from stores.protocol import Store
from tasks.runtime import Runtime

Mode = Literal["kill", "locked", "meanwhile"]
_CLIENT = frozenset({"events", "order", "accept", "cancel"})
_STORE = frozenset({"find", "create", "release", "cancel", "read"})


BUYER_IN_A_BUG = "canary-buyer.example"


class Killed(BaseException):
    """The process is gone. Not an ``Exception``: no handler of the hub may live through it."""


class Edges:
    """Counts the crossings of one run and breaks one of them.

    Args:
        at: number of the crossing to break, from 1; None with no ``where`` breaks nothing.
        where: name of the crossing to break, e.g. ``after store.create``; its first one.
        mode: ``kill`` ends the run there; ``locked`` lets that one ledger transaction fail and goes on; ``meanwhile``
            holds the run there while something else happens.
        meanwhile: what happens while the run is held.
        bug: name of a call, e.g. ``store.create``, and a word: the call fails with an error that nobody expected
            whenever it is about something that has the word in it.
    """

    def __init__(
        self,
        at: int | None = None,
        *,
        where: str | None = None,
        mode: Mode = "kill",
        meanwhile: Callable[[], Awaitable[object]] | None = None,
        bug: tuple[str, str] | None = None,
    ) -> None:
        self.bug = bug
        self.at = at
        self.meanwhile = meanwhile
        self.where = where
        self.mode = mode
        self.crossings: list[str] = []
        self.broken: str | None = None
        self.dead = False

    async def cross(self, name: str) -> None:
        """Pass an edge.

        Raises:
            Killed: the run ends here, or ended before.
            LedgerUnavailable: the ledger does not take this one transaction.
        """
        if self.dead:
            raise Killed(name)
        self.crossings.append(name)
        hit = self.at == len(self.crossings) or (self.broken is None and self.where == name)
        if not hit or (self.mode == "locked" and not name.startswith(("before ledger.", "before read."))):
            return
        self.broken = name
        if self.mode == "meanwhile":
            if self.meanwhile is not None:
                # A task of its own has a context of its own, as another process would.
                await asyncio.ensure_future(self.meanwhile())
            return
        if self.mode == "locked":
            raise LedgerUnavailable(
                "the ledger was locked by another writer for over 30 s; the run can be started again"
            )
        self.dead = True
        raise Killed(name)

    def attach(self, runtime: Runtime) -> None:
        """Put the edges around an open runtime."""
        runtime.client = cast("GlopalClient", _Side(self, "glopal", runtime.client, _CLIENT))
        runtime.store = cast("Store", _Side(self, "store", runtime.store, _STORE))
        for verb, label in (("write", "ledger"), ("read", "read")):
            setattr(runtime.ledger, verb, self._around(getattr(runtime.ledger, verb), label))

    def _around(
        self, transaction: Callable[[], AbstractAsyncContextManager[AsyncSession]], label: str
    ) -> Callable[[], AbstractAsyncContextManager[AsyncSession]]:
        @asynccontextmanager
        async def crossed() -> AsyncIterator[AsyncSession]:
            name = f"{label}.{_verb()}"
            await self.cross(f"before {name}")
            async with transaction() as session:
                yield session
                # Leaving the block commits; a process that is gone by now does not.
                await self.cross(f"inside {name}")
            await self.cross(f"after {name}")

        return crossed


class _Side:
    """One side's connection with its calls counted."""

    def __init__(self, edges: Edges, name: str, inner: Any, calls: frozenset[str]) -> None:
        self._edges = edges
        self._name = name
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in self._calls:
            return found

        async def crossed(*args: Any, **given: Any) -> Any:
            await self._edges.cross(f"before {self._name}.{name}")
            bug = self._edges.bug
            if bug is not None and bug[0] == f"{self._name}.{name}" and bug[1] in str(args):
                raise RuntimeError(f"a bug of ours, with a buyer in its words: {BUYER_IN_A_BUG}")
            answer = await found(*args, **given)
            await self._edges.cross(f"after {self._name}.{name}")
            return answer

        return crossed


def _verb() -> str:
    """The function that opened the transaction, found on the stack, and the step that it is about."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.parent.name in ("ledger", "tasks", "flows") and path.name != "engine.py":
            return frame.f_code.co_name.lstrip("_") + _step(frame)
        frame = frame.f_back
    return "unknown"


def _step(frame: FrameType) -> str:
    given = frame.f_locals
    if frame.f_code.co_name == "begin":
        return f"({given['step'].value})"
    if frame.f_code.co_name == "finish" and given["ends"]:
        return f"({given['ends'][0].work.step.value})"
    return ""


async def last_breath(before: set[asyncio.Task[Any]]) -> None:
    """Wait until every task of a killed run has met its end at some edge."""
    # A task of a dead process has nobody who would ask for its end.
    asyncio.get_running_loop().set_exception_handler(_only_the_living)
    left = asyncio.all_tasks() - before
    if left:
        await asyncio.wait(left, timeout=10.0)


def _only_the_living(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)
