"""Runs one program and ends it when its starter is gone, however that one ended.

`LocalServer` starts ``python server_guard.py PROGRAM ARGUMENTS…`` with a pipe as standard input and keeps the other
end. A starter that stops closes it; one that is killed has it closed by the system. Either way the guard reads the end
of the file and ends the program: no server is left behind by a kill -9. Standard library only, so that it is small.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from types import FrameType

_GRACE_SECONDS = 15.0
_LOOK_SECONDS = 0.2


def main(command: list[str]) -> int:
    """Run a command until it ends, standard input ends, or a signal comes; its exit code."""
    asked: list[int] = []

    def note(signal_number: int, _frame: FrameType | None) -> None:
        asked.append(signal_number)

    signal.signal(signal.SIGTERM, note)
    signal.signal(signal.SIGINT, note)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
        while child.poll() is None and not asked:
            readable, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
            if readable and not os.read(sys.stdin.fileno(), 1):
                break
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
        return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
