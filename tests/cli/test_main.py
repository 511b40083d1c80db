"""The command as a whole: help, usage, exit codes, what is imported when."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

COMMANDS = ["demo", "sandbox", "serve", "bootstrap", "lint", "migrate", "check", "why", "orders", "decide"]


def test_help_lists_every_command(run: Run) -> None:
    """Each command has a line of its own."""
    text = run("--help").stdout
    assert [name for name in COMMANDS if f" {name} " not in text] == []


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "sandbox"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    """--help of a command works in an empty folder."""
    assert "Usage:" in run(command, "--help").stdout


def test_help_imports_nothing_slow() -> None:
    """The help does not wait for Prefect, SQLAlchemy or pydantic."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print([name for name in ('prefect', 'sqlalchemy', 'pydantic', 'fastapi', 'httpx') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_usage_error_has_exit_code_two(run: Run) -> None:
    """Unknown commands and options are usage errors."""
    run("orders", "--no-such-option", code=2)
    run("no-such-command", code=2)


@pytest.mark.parametrize("command", [["orders"], ["why", "1"], ["migrate"], ["serve"], ["bootstrap"]])
def test_a_missing_configuration_is_told_by_every_command(run: Run, command: list[str]) -> None:
    """Without a file each command says where the example is and ends with 1."""
    assert "crossdock.example.toml" in run(*command, code=1).stderr


def test_the_configuration_can_be_named(run: Run, books: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config names another file."""
    other = folder / "other.toml"
    (folder / "crossdock.toml").rename(other)
    monkeypatch.setenv("CROSSDOCK_CONFIG", "")
    assert "6 orders in all" in run("--config", str(other), "orders").stdout


def test_lint_tells_mistakes_and_ends_with_one(run: Run, folder: Path) -> None:
    """A mistyped key of prefect.yaml is found; the shipped file has none."""
    bad = folder / "prefect.yaml"
    bad.write_text("deployments:\n  - name: x\n    entrypont: flows/glopal.py:poll_glopal\n")
    assert "entrypont" in run("lint", str(bad), code=1).stderr
    shipped = Path(__file__).parents[2] / "prefect.yaml"
    assert "no mistakes" in run("lint", str(shipped)).stdout
