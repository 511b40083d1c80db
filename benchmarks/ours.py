"""The whole job as it is run in earnest: the flow poll_glopal, its ledger on disk, its tasks known to the server."""

from __future__ import annotations

from typing import Any

from benchmarks.child import Stopwatch, answer
from benchmarks.shown import until_still
from flows.glopal import poll_glopal


async def ours(asked: dict[str, Any]) -> dict[str, Any]:
    """Poll once and say what came of it."""
    watch = Stopwatch()
    state = await poll_glopal(asked["account"], return_state=True)
    ran = watch.read()
    if not state.is_completed():
        raise RuntimeError(f"the flow ended as {state.name}: {state.message}")
    task_runs, ago = await until_still(str(state.state_details.flow_run_id))
    return {**ran, "shown": watch.read()["wall"] - ago, "task_runs": task_runs, "said": state.message}


if __name__ == "__main__":
    answer(ours)
