"""The demo from an empty folder, over sockets and a real Prefect server; and again, with nothing left to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli.demo_world import DemoError, DemoOptions, World, accounts_of
from sandbox.running import GLOPAL_KEY, STORE_TOKEN
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
CANARIES = (GLOPAL_KEY, STORE_TOKEN, "canary-buyer.example", "+999555")


def options(folder: Path, **change: Any) -> DemoOptions:
    """A small demo."""
    chosen = {"orders": 20, "seed": 7, "store": "both", "faults": "demo", "folder": folder, **change}
    return DemoOptions(**chosen)


def test_the_orders_are_shared_out_without_losing_one() -> None:
    """Whatever the kind of store, all orders have an account."""
    for store in ("both", "embedded", "http"):
        for number in (1, 3, 4, 200):
            accounts = accounts_of(options(Path("x"), store=store, orders=number))
            assert sum(account.orders for account in accounts) == number


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    """Not even --fresh empties a folder that holds something else."""
    kept = tmp_path / "precious.txt"
    kept.write_text("x")
    for fresh in (False, True):
        with pytest.raises(DemoError, match="no demo of ours"):
            World(options(tmp_path, fresh=fresh))
    assert kept.exists()


def test_a_demo_with_other_choices_is_not_mixed_up(tmp_path: Path) -> None:
    """The folder remembers its choices; --fresh forgets them."""
    World(options(tmp_path))
    with pytest.raises(DemoError, match="orders 20, seed 7"):
        World(options(tmp_path, seed=8))
    World(options(tmp_path, seed=8, fresh=True))


def test_a_wrong_choice_is_told_without_a_traceback(run: Run, tmp_path: Path) -> None:
    """The command ends with 1 and says what to do."""
    World(options(tmp_path / "demo"))
    said = run("demo", "--folder", str(tmp_path / "demo"), "--orders", "30", code=1)
    assert "--fresh" in said.stderr


def demo(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command as a person does; its exit code and standard output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSDOCK_", "PREFECT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", "--folder", str(folder), "--orders", "40", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert not [canary for canary in CANARIES if canary in said]
    assert "Traceback" not in said, said
    return done.returncode, done.stdout


@pytest.mark.slow
def test_the_demo_lands_everything_and_the_second_run_changes_nothing(tmp_path: Path) -> None:
    """All books agree after the first run; the second one inserts and accepts nothing and leaves no process behind."""
    folder = tmp_path / "demo"
    code, said = demo(folder, "--json")
    first = json.loads(said)
    assert code == 0, first["checks"]
    assert first["ok"]
    assert first["inserts"] > 0
    assert first["accepts"] > 0
    assert first["faults"]
    assert sum(first["books"]["glopal"].values()) == sum(first["books"]["ledger"].values()) == 40
    code, said = demo(folder)
    assert code == 0
    assert "0 inserts, 0 accepts" in said
    assert "✗" not in said
    database = folder / "prefect" / "prefect.db"
    held = b"".join(file.read_bytes() for file in folder.glob("prefect/prefect.db*"))
    assert database.stat().st_size
    assert not [canary for canary in CANARIES if canary.encode() in held], (
        "Prefect's database holds a secret or a buyer"
    )


@pytest.mark.slow
def test_a_demo_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Kill -9 in the middle of landing: the next run finds out what had happened, and all books agree."""
    folder = tmp_path / "demo"
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "demo", "--folder", str(folder), "--orders", "40"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as running:
        while not _landing(folder) and running.poll() is None:
            time.sleep(0.1)
        running.send_signal(signal.SIGKILL)
    code, said = demo(folder, "--json")
    assert code == 0, said
    assert json.loads(said)["ok"]


def _landing(folder: Path) -> bool:
    """Whether store orders are being made just now."""
    database = folder / "store.db-wal"
    return database.exists() and database.stat().st_size > 100_000
