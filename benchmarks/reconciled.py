"""A reconciliation as it is run in earnest: the flow reconcile, known to the server, its statements counted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from benchmarks.child import Stopwatch, answer
from benchmarks.statements import Statements
from flows.reconcile import reconcile
from tasks.compare import CHUNK


async def reconciled(asked: dict[str, Any]) -> dict[str, Any]:
    """Reconcile once and say what came of it."""
    start, end = datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"])
    statements = Statements()
    watch = Stopwatch()
    state = await reconcile(start, end, accounts=[asked["account"]], return_state=True)
    ran = watch.read()
    return {
        **ran,
        "state": state.name,
        "said": state.message,
        "chunk": CHUNK,
        "statements": statements.found(),
    }


if __name__ == "__main__":
    answer(reconciled)
