"""Starts hub processes quickly: everything is imported once, and each process is a fork of that.

Reads one JSON object a line from standard input and answers each with the id of a process that makes one poll:

    config   the crossdock.toml of the process
    ahead    seconds by which its clock is ahead
    log      file that takes everything it logs
    result   file that takes what the run did, once it ended
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flows.glopal import poll
from flows.report import final_state, rows_of
from flows.settle import directly
from models.settings import Settings
from models.time import utc_now
from tasks.runtime import open_runtime


async def one_poll(given: dict[str, Any]) -> dict[str, Any]:
    """One poll as a run of the schedule makes it, Prefect's part left out."""
    ahead = timedelta(seconds=given["ahead"])

    def clock() -> datetime:
        return utc_now() + ahead

    async with open_runtime(Settings(), "main", clock=clock) as runtime:
        report = await poll(runtime, call=directly, linger=given.get("linger", 0.0))
    state = final_state(report)
    busy = report.pulled is not None and report.pulled.busy
    return {"state": state.name, "rows": rows_of(report), "busy": busy, "done": dict(report.tally.done)}


def live(given: dict[str, Any]) -> None:
    """The life of one process."""
    os.environ["CROSSDOCK_CONFIG"] = given["config"]
    logging.basicConfig(filename=given["log"], level=logging.DEBUG, force=True)
    result = Path(given["result"])
    try:
        said: dict[str, Any] = asyncio.run(one_poll(given))
    except Exception as error:  # noqa: BLE001 - told to the test
        said = {"error": f"{type(error).__name__}: {error}"}
    fresh = result.with_suffix(".new")
    fresh.write_text(json.dumps(said, default=str))
    fresh.replace(result)


def main() -> None:
    """Fork a process for each line until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        given = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                live(given)
                status = 0
            finally:
                os._exit(status)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
