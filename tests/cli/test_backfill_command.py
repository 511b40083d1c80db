"""``crossdock backfill``: what it refuses and how, what it shows, what it gives to programs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType

from cli import deployments
from flows.backfill import backfill as backfill_flow
from sandbox.running import GLOPAL_KEY, RunningSandbox
from tests.cli.conftest import Run, write_config

ORDERS = 4


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    """A Glopal with two days of history."""
    with RunningSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def world(running: RunningSandbox, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunningSandbox:
    """A fresh history, and a configuration whose orders land in SQL tables."""
    running.reset()
    running.generate(ORDERS, seed=5, hours=48)
    path = write_config(folder, running.glopal_url)
    path.write_text(path.read_text().replace('"912"', f'"{running.store_id}"'))
    monkeypatch.setenv("CROSSDOCK_TEST_KEY", GLOPAL_KEY)
    return running


def day(ago: int) -> str:
    """The date so many days ago, in UTC."""
    return f"{datetime.now(UTC).date() - timedelta(days=ago)}"


def recent() -> list[str]:
    """A range that has all of the history and is old enough to be proven."""
    end = datetime.now(UTC) - timedelta(minutes=16)
    return ["--from", day(3), "--to", f"{end:%Y-%m-%dT%H:%M:%SZ}"]


def told(run: Run, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The one result that a program gets."""
    result = run("backfill", *arguments, "--json", code=code)
    assert GLOPAL_KEY not in result.stdout + result.stderr
    [found] = json.loads(result.stdout)
    return dict(found)


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2024-03-02", "--to", "2024-03-01"], "is after the end"),
        (["--from", "2024-03-01", "--to", "2024-03-01"], "nothing lies between"),
        (["--from", "2999-01-01"], "is in the future"),
        (["--from", "2024-03-01", "--to", "2999-01-01"], "leave the end out"),
        (["--from", "1926-03-01", "--to", "2024-03-01"], "is too early"),
        (["--from", "2000-01-01", "--to", "2020-01-01"], "is longer than"),
        (["--from", "2024-03-01", "--zone", "Europe/Belrin"], "did you mean Europe/Berlin"),
        (["--from", "2024-03-01", "--zone", ""], "the time zone is empty"),
        (["--from", "2024-10-27T02:30", "--zone", "Europe/Berlin"], "happens twice in"),
        (["--from", "2024-03-31T02:30", "--to", "2024-04-01", "--zone", "Europe/Berlin"], "does not exist in"),
        (["--from", "yesterday"], "is neither a date (2026-03-01) nor a date and time"),
        (["--from", "2024-02-30"], "is neither a date"),
        (["--from", "2024-03-01", "--account", "mian"], "known accounts: main"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused(run: Run, config: Path, arguments: list[str], words: str) -> None:
    """Told in plain words with exit code 1, before anything is asked or written, also in a dry run and for programs."""
    for more in ([], ["--dry-run"], ["--json"]):
        result = run("backfill", *arguments, *more, code=1)
        assert words in result.stderr
        assert result.stdout == ""
    assert not (config.parent / "ledger.db").exists()


def test_what_is_no_number_or_mode_is_a_usage_error(run: Run, config: Path) -> None:
    """Batch sizes, rates and modes that cannot be are refused by the command itself."""
    for wrong in (["--batch", "0"], ["--calls-per-second", "0"], ["--mode", "all"], ["--batch", "many"]):
        run("backfill", "--from", "2024-03-01", *wrong, code=2)
    run("backfill", code=2)
    assert not (config.parent / "ledger.db").exists()


def test_a_glopal_that_does_not_answer_is_told(run: Run, config: Path) -> None:
    """Nothing proven, exit code 1, the reason in words and that it can be started again."""
    path = config
    path.write_text(path.read_text() + "\n[accounts.main.limits]\ntimeout = 0.5\nread_tries = 1\n")
    path.write_text(path.read_text() + "\n[accounts.main.policy]\ntask_retry_delays = []\n")
    result = run("backfill", "--from", "2024-03-01", "--to", "2024-03-02", code=1)
    assert "the feed could not be read" in result.stderr
    assert "Start it again: it goes on where it stopped" in result.stderr
    assert "not proven complete: 2024-03-01 00:00:00 UTC to 2024-03-02 00:00:00 UTC" in result.stdout


# ---------------------------------------------------------------------------- what it shows


def test_the_two_instants_are_shown_first(run: Run, world: RunningSandbox) -> None:
    """A date is the first moment of that day in the zone that was named; both are shown in UTC before anything else."""
    text = run("backfill", "--from", "2024-03-30", "--to", "2024-04-01", "--zone", "Europe/Berlin", code=1).stdout
    assert text.startswith("From 2024-03-29 23:00:00 UTC to 2024-03-31 22:00:00 UTC.")
    assert "2024-03-30" in text
    assert "the feed begins at" in text


def test_a_backfill_lands_and_proves_the_range(run: Run, world: RunningSandbox) -> None:
    """A person sees the plan by day, what it costs, and how it ended; a second run finds nothing missing."""
    text = run("backfill", *recent(), code=1).stdout
    assert f"{ORDERS} inserted, {ORDERS} accepted" in text
    for shown in (day(2), "total", "calls were made to plan this", "to insert"):
        assert shown in text
    assert {order["status"] for order in world.orders().values()} == {"ACCEPTED"}
    assert "nothing was missing" in run("backfill", *recent(), code=1).stdout


def test_a_program_gets_json(run: Run, world: RunningSandbox) -> None:
    """One object for each account, whose numbers are those of the books; a proven range is ok and costs no call."""
    first = told(run, *recent(), code=1)
    assert (first["account"], first["new_events"]) == ("main", 2 * ORDERS)
    assert first["done"] == {"fetch": ORDERS, "insert": ORDERS, "accept": ORDERS}
    assert first["orders"] == {"landed": ORDERS}
    assert first["plan"]["days"][-1]["to insert"] == ORDERS
    assert [gap["from"] for gap in first["not_proven"]] == [first["from"]]
    assert "the feed begins at" in first["why_not"][0]
    begins = first["not_proven"][0]["to"]
    end = f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    again = told(run, "--from", begins, "--to", end)
    assert (again["ok"], again["state"], again["plan"]["calls_made"]) == (True, "Proven", 0)
    assert (again["done"], again["not_proven"], again["problems"]) == ({}, [], [])


def test_a_dry_run_writes_nothing(run: Run, world: RunningSandbox, folder: Path) -> None:
    """Without a ledger it says so and makes none; with one it plans, and leaves both sides and the ledger alone."""
    assert "a dry run makes none" in run("backfill", *recent(), "--dry-run", code=1).stderr
    assert not (folder / "ledger.db").exists()
    run("migrate")
    found = told(run, *recent(), "--dry-run")
    assert (found["state"], found["ok"], found["done"], found["new_events"]) == ("Dry run", True, {}, 0)
    assert found["plan"]["days"][-1]["to insert"] == ORDERS
    assert "would follow" in run("backfill", *recent(), "--dry-run").stdout
    assert {order["reads"] for order in world.orders().values()} == {0}
    assert "0 orders in all" in run("orders").stdout
    assert not (folder / "store.db").exists() or json.loads(run("orders", "--json").stdout) == []


def test_refresh_reads_every_order_again(run: Run, world: RunningSandbox) -> None:
    """A second run that refreshes reads each order once more and changes nothing."""
    told(run, *recent(), code=1)
    reads = sum(order["reads"] for order in world.orders().values())
    found = told(run, *recent(), "--mode", "refresh", "--batch", "2", "--calls-per-second", "500", code=1)
    assert found["state"] == "Proven in part"
    assert sum(order["reads"] for order in world.orders().values()) == reads + ORDERS
    assert {order["accepts"] for order in world.orders().values()} == {1}


# ---------------------------------------------------------------------------- the deployment


def test_the_flow_refuses_in_the_same_words(config: Path) -> None:
    """A range or an account that cannot be meant ends the flow run failed, with the reason, before anything is read."""
    for parameters, words in (
        ({"start": "2024-03-02", "end": "2024-03-01"}, "is after the end"),
        ({"start": "2024-03-01", "zone": "Europe/Belrin"}, "did you mean Europe/Berlin"),
        ({"start": "2024-03-01", "accounts": ["mian"]}, "known accounts: main"),
    ):
        given: dict[str, Any] = {
            name: date.fromisoformat(str(value)) if name in ("start", "end") else value
            for name, value in parameters.items()
        }
        state: State[Any] = asyncio.run(backfill_flow.fn(**given))
        assert (state.type, state.name) == (StateType.FAILED, "Refused")
        assert words in (state.message or "")
    assert not (config.parent / "ledger.db").exists()


def test_the_form_describes_every_parameter() -> None:
    """What a person sees in Prefect's UI has a description for each field, both modes to choose from."""
    schema = dict(backfill_flow.parameters)["properties"]
    assert set(schema) == {"start", "end", "zone", "accounts", "mode", "dry_run", "batch", "calls_per_second"}
    assert all(field.get("description") for field in schema.values())
    assert schema["mode"]["enum"] == ["fill gaps", "refresh"]
    declared = {entry.name: entry for entry in deployments.read(Path(__file__).parents[2] / "prefect.yaml")}
    assert declared["backfill"].entrypoint == "flows/backfill.py:backfill"
    assert not declared["backfill"].schedules
