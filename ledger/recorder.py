"""Group commit: outcomes of orders that end at about the same time share one transaction.

Every order's outcome is still recorded by itself and is on disk before its task goes on; what is shared is the cost of
the commit. While one transaction is being written, the outcomes that arrive wait for the next one.
"""

from __future__ import annotations

import asyncio

from ledger.engine import Ledger, LedgerUnavailable
from ledger.steps import After, Rules, StepEnd, finish

_Waiter = tuple[StepEnd, asyncio.Future[After]]


class Recorder:
    """Collects step ends and writes them together.

    Args:
        ledger: where to.
        rules: the account's scheduling rules.
        longest: most ends in one transaction.
    """

    def __init__(self, ledger: Ledger, rules: Rules, longest: int = 200) -> None:
        self._ledger = ledger
        self._rules = rules
        self._longest = longest
        self._waiting: list[_Waiter] = []
        self._writer: asyncio.Task[None] | None = None

    async def record(self, end: StepEnd) -> After:
        """Write one step end; returns once it is committed.

        Raises:
            LedgerUnavailable: it could not be written; the open intent stays and will be looked into.
        """
        future: asyncio.Future[After] = asyncio.get_running_loop().create_future()
        self._waiting.append((end, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        # A cancelled flow must not tear a commit apart that others wait for, too.
        return await asyncio.shield(future)

    async def _write(self) -> None:
        while self._waiting:
            # One turn of the loop lets the outcomes that are ready now join this transaction.
            await asyncio.sleep(0)
            batch, self._waiting = self._waiting[: self._longest], self._waiting[self._longest :]
            await self._commit(batch)

    async def _commit(self, batch: list[_Waiter]) -> None:
        try:
            afters = await finish(self._ledger, [end for end, _ in batch], self._rules)
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, LedgerUnavailable) and len(batch) > 1:
                # One end cannot be written (a bug of ours). It must not take the others with it.
                for waiter in batch:
                    await self._commit([waiter])
                return
            if not isinstance(error, Exception):
                batch, self._waiting = batch + self._waiting, []
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), after in zip(batch, afters, strict=True):
            if not future.done():
                future.set_result(after)
