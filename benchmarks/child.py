"""What a measured process is told and what it says: JSON in its first argument, one JSON line on standard output."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# Among a run's statements, the name of those that belong to none of its tasks.
OF_THE_FLOW = "flow"

Job = Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]]


class ChildFailed(RuntimeError):
    """A measured process ended with an error; the message holds the end of its log."""


def answer(job: Job) -> None:
    """Run ``job`` with the first argument and print what it found, with CPU seconds and peak memory."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    found = asyncio.run(job(asked))
    found["peak_mb"] = _peak_bytes() / 1e6
    print(json.dumps(found), flush=True)


def _peak_bytes() -> int:
    """The most memory that this program had. Linux counts its starter into ``ru_maxrss``, so the kernel is asked."""
    status = Path("/proc/self/status")
    if status.exists():
        words = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(words.split()[1]) * 1024
    # macOS counts in bytes, others in KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class Stopwatch:
    """Wall and CPU seconds of this process (all of its threads) since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Both, as they stand."""
        return {"wall": time.perf_counter() - self._wall, "cpu": time.process_time() - self._cpu}


def run(module: str, asked: Mapping[str, Any], environment: Mapping[str, str], log: Path) -> dict[str, Any]:
    """Run ``python -m module`` and return what it said.

    Raises:
        ChildFailed: it ended with an error.
    """
    path = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    with log.open("w", encoding="utf-8") as words:
        done = subprocess.run(
            [sys.executable, "-m", module, json.dumps(dict(asked))],
            env={**environment, "PYTHONPATH": path},
            # Prefect reads prefect.toml and .env of its folder; none of them belongs to a measurement.
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
        raise ChildFailed(f"{module} ended with code {done.returncode}:\n{tail}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
