"""Runs the real flow against a real Prefect server: one flow run for each line of standard input.

Each line names the configuration; each answer names the flow run and the state in which it ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, cast

from prefect.client.schemas.objects import State

from flows.glopal import poll_glopal


async def _one(parameters: dict[str, Any]) -> dict[str, Any]:
    state = cast("State[Any]", await poll_glopal(**parameters, return_state=True))
    return {
        "id": str(state.state_details.flow_run_id),
        "name": state.name,
        "type": state.type.value,
        "message": state.message,
    }


def main() -> None:
    """Flow runs, one after the other, until the input ends."""
    print("ready", flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        os.environ["CROSSDOCK_CONFIG"] = given["config"]
        print("\n" + json.dumps(asyncio.run(_one(given["parameters"]))), flush=True)


if __name__ == "__main__":
    main()
