"""``crossdock retry``: as the deployment ``retry-parked``, but straight into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cli.ledger_access import open_ledger
from flows.retry import Retried, retry
from models.settings import Settings


def run_retry(
    settings: Settings,
    reason: str,
    order: str,
    code: str,
    account: str,
    *,
    dry_run: bool,
    say: Callable[[str], None],
) -> int:
    """Put the chosen parked orders back in line; 1 when some of them stay parked.

    Raises:
        CannotDecide: nothing or too much was named.
        CrossdockError: no such account, or the ledger is not as it must be.
    """

    async def work() -> Retried:
        async with open_ledger(settings) as ledger:
            return await retry(ledger, settings, reason, order=order, code=code, account=account, dry_run=dry_run)

    done = asyncio.run(work())
    for name in done.orders:
        say(f"  {name}")
    for text in done.kept:
        say(f"  stays parked: {text}")
    say(f"{done}.")
    return int(bool(done.kept))
