"""Break the hub on purpose, one small way at a time, and see which trust test turns red.

Never touches the tree that it stands in: each mutant is a change to a copy. Run it by hand:

    python -m tests.trust.mutants            all of them, as the table of mutants.md
    python -m tests.trust.mutants NAME …     only these
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.trust.mutant_list import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".crossdock", "__pycache__", ".*_cache", "*.db", "*.egg-info")
_PATIENCE = 600


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: the first red test, or None when it lived."""

    mutant: Mutant
    red: str | None


@contextmanager
def copy_of_tree() -> Iterator[Path]:
    """A copy of the tree that may be broken."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT, symlinks=True)
        yield copy


def judge(mutant: Mutant) -> Verdict:
    """Break a copy and run the tests that should notice.

    Raises:
        ValueError: the mutant does not fit the source any more.
    """
    with copy_of_tree() as copy:
        for edit in mutant.edits:
            problem = edit.problem(copy)
            if problem is not None:
                raise ValueError(f"{mutant.name}: {problem}")
            edit.make(copy)
        tests = [f"tests/trust/{name}" for name in mutant.tests.split()]
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "--tb=line",
            "--show-capture=no",
            "-p",
            "no:cacheprovider",
        ]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        ended = subprocess.run(
            [*command, *tests],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
        red = re.search(r"^(?:FAILED|ERROR) \S*?(test_\w+\.py::.+?)(?: - .*)?$", ended.stdout, re.MULTILINE)
        if red is None and ended.returncode not in (0, 5):
            return Verdict(mutant, f"(exit code {ended.returncode})")
        return Verdict(mutant, red[1] if red else None)


def row(verdict: Verdict) -> str:
    """A verdict as a line of the table."""
    mutant = verdict.mutant
    red = f"`{verdict.red}`" if verdict.red else "**it lives**"
    return f"| {mutant.breaks} | {mutant.name} | {mutant.what} | {red} |"


def main(names: Sequence[str]) -> int:
    """Judge mutants and print the table; 1 when one lives."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    print("| | Mutant | What is broken | The first test that turns red |\n|---|---|---|---|", flush=True)
    alive = 0
    for mutant in chosen:
        verdict = judge(mutant)
        alive += verdict.red is None
        print(row(verdict), flush=True)
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
