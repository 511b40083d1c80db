"""``crossdock decide``: as the deployment ``decide``, but straight into the ledger, so that Prefect may be down."""

from __future__ import annotations

import asyncio

from cli.ledger_access import open_ledger
from flows.operate import check_words, take_decision
from ledger.decisions import Decision
from models.settings import Settings


def run_decide(settings: Settings, order: str, decision: Decision, reason: str, *, dry_run: bool) -> str:
    """Take a decision, and say what follows.

    Raises:
        CannotDecide: it does not fit; nothing was changed.
        CrossdockError: the ledger is not there or not as it must be.
    """
    check_words(order, decision, reason)
    return asyncio.run(_decide(settings, order, decision, reason, dry_run=dry_run))


async def _decide(settings: Settings, order: str, decision: Decision, reason: str, *, dry_run: bool) -> str:
    async with open_ledger(settings) as ledger:
        decided = await take_decision(ledger, settings, order, decision, reason, dry_run=dry_run)
    return f"{str(decided)[0].upper()}{str(decided)[1:]}."
