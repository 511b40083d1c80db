"""Asks the Prefect server which task runs of a flow run it shows as completed."""

from __future__ import annotations

import asyncio
import time

import httpx
from prefect.settings import get_current_settings

_PATIENCE = 300.0
# Longer than any interval at which the server writes what it was told.
_STILL = 6.0


async def until_shown(flow_run_id: str, wanted: int) -> None:
    """Wait until ``wanted`` task runs of the flow run read COMPLETED.

    Raises:
        TimeoutError: the server did not show them all in time: it lost some.
    """
    end = time.monotonic() + _PATIENCE
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        while (shown := await _shown(http, flow_run_id)) < wanted:
            if time.monotonic() > end:
                raise TimeoutError(f"the server shows {shown} of {wanted} task runs")
            await asyncio.sleep(0.1)


async def until_still(flow_run_id: str) -> tuple[int, float]:
    """Wait until no more task runs appear; returns how many are shown, and how many seconds ago the last came."""
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        seen, since = -1, time.monotonic()
        while time.monotonic() - since < _STILL:
            shown = await _shown(http, flow_run_id)
            if shown != seen:
                seen, since = shown, time.monotonic()
            await asyncio.sleep(0.1)
        return seen, time.monotonic() - since


async def _shown(http: httpx.AsyncClient, flow_run_id: str) -> int:
    asked = {
        "flow_runs": {"id": {"any_": [flow_run_id]}},
        "task_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
    }
    answer = await http.post(f"{get_current_settings().api.url}/task_runs/count", json=asked)
    return int(answer.raise_for_status().json())
