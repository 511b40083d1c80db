"""A backfill as it is run in earnest: the flow backfill, its ledger on disk, its tasks known to the server."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from benchmarks.child import Stopwatch, answer
from flows.backfill import backfill


async def backfilled(asked: dict[str, Any]) -> dict[str, Any]:
    """Backfill once and say what came of it."""
    start, end = datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"])
    watch = Stopwatch()
    state = await backfill(
        start, end, accounts=[asked["account"]], dry_run=asked.get("dry_run", False), return_state=True
    )
    return {**watch.read(), "state": state.name, "said": state.message}


if __name__ == "__main__":
    answer(backfilled)
