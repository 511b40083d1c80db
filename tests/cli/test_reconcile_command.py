"""``crossdock reconcile``: how it ends, what people and programs are shown, what it refuses, what it never says."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.glopal import poll
from flows.settle import directly
from models.settings import Settings
from sandbox.running import GLOPAL_KEY, RunningSandbox
from tasks import compare
from tasks.runtime import open_runtime
from tests.cli.conftest import Run, write_config

MIX = {"plain": 4, "cancelled_early": 1, "received": 1}
ORDERS = 6


@pytest.fixture(scope="module")
def running() -> Iterator[RunningSandbox]:
    """A Glopal."""
    with RunningSandbox() as sandbox:
        yield sandbox


async def _land() -> None:
    async with open_runtime(Settings(), "main") as runtime:
        await poll(runtime, call=directly, linger=0.0)


@pytest.fixture
def world(running: RunningSandbox, folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunningSandbox:
    """Orders of a day, landed in SQL tables by a poll."""
    running.reset()
    running.generate(ORDERS, seed=5, mix=MIX)
    path = write_config(folder, running.glopal_url)
    text = path.read_text().replace('"912"', f'"{running.store_id}"')
    path.write_text(text + "\n[accounts.main.policy]\ntask_retry_delays = []\n")
    monkeypatch.setenv("CROSSDOCK_TEST_KEY", GLOPAL_KEY)
    monkeypatch.setattr(compare, "SECOND_LOOK", 0.0)
    asyncio.run(_land())
    return running


def whole(world: RunningSandbox) -> list[str]:
    """The range from the feed's first event to what is old enough to be proven."""
    first = min(str(event["event_at"]) for event in world.feed())
    end = datetime.now(UTC) - timedelta(minutes=16)
    return ["--from", first, "--to", f"{end:%Y-%m-%dT%H:%M:%SZ}"]


def plain(world: RunningSandbox, number: int = 0) -> str:
    """One of the landed orders."""
    end = (datetime.now(UTC) - timedelta(minutes=20)).isoformat()
    old = {event["order_id"] for event in world.feed() if str(event["event_at"]) < end}
    landed = [order for order, book in world.orders().items() if book["accepts"] and order in old]
    return landed[number]


def in_store(folder: Path, order: str, changes: str) -> None:
    """A merchant changes the store order in its table."""
    with closing(sqlite3.connect(folder / "store.db")) as connection, connection:
        done = connection.execute(f"UPDATE store_orders SET {changes} WHERE reference LIKE ?", (f"%{order}",))  # noqa: S608
        assert done.rowcount == 1


def told(run: Run, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The one result that a program gets."""
    [found] = json.loads(run("reconcile", *arguments, "--json", code=code).stdout)
    return dict(found)


def secrets_of(world: RunningSandbox) -> list[str]:
    """The key, and what is known of the buyers."""
    found: list[str | None] = [GLOPAL_KEY]
    for order in world.orders():
        document = world.document(order)
        address = document.get("shipping_address") or {}
        found += [document["customer"]["email"], address.get("phone"), address.get("address1"), address.get("postcode")]
    return [text for text in found if text and len(text) > 5]


def state_of(run: Run, order: str) -> dict[str, Any]:
    """What the ledger says of an order."""
    [found] = json.loads(run("why", order, "--json").stdout)
    return dict(found)


# ---------------------------------------------------------------------------- how it ends


def test_where_all_agrees_the_command_ends_with_zero(run: Run, world: RunningSandbox) -> None:
    """All orders are compared, the range is proven, nothing is found; a program is told the same with --json."""
    result = run("reconcile", *whole(world))
    assert result.stdout.startswith("From ")
    assert f"main: Agreed: {ORDERS} orders compared." in result.stdout
    assert "finding" not in result.stdout
    assert result.stderr == ""
    # A program gets one list and nothing else: the range, the counts, the verdict and the hash.
    found = told(run, *whole(world))
    assert (found["account"], found["state"], found["ok"]) == ("main", "Agreed", True)
    assert (found["orders"], found["agreeing"], found["unread"]) == (ORDERS, ORDERS, 0)
    assert found["findings"] == [{"order": "none", "finding": "all sides agree"}]
    assert len(found["sha256"]) == 64
    assert found["from"] < found["to"]
    assert found["problems"] == []


def test_a_report_tells_and_leaves_everything_as_it_is(run: Run, world: RunningSandbox, folder: Path) -> None:
    """--only-report names order, class and what would be done, ends with 1, and parks nothing."""
    order = plain(world)
    in_store(folder, order, "state = 'cancelled'")
    result = run("reconcile", *whole(world), "--only-report", code=1)
    assert order in result.stdout
    assert "cancelled in store only" in result.stdout
    assert "would be parked" in " ".join(result.stdout.split())
    assert "main: Differences" in result.stdout
    assert state_of(run, order)["state"] == "landed"
    found = told(run, *whole(world), "--only-report", code=1)
    assert [finding["state"] for finding in found["findings"]] == ["open"]
    assert (found["parked"], found["repaired"], found["ok"]) == (0, 0, False)


def test_what_is_safe_is_repaired_and_the_rest_is_parked(run: Run, world: RunningSandbox, folder: Path) -> None:
    """One order is accepted again and one parked; the run is not green, and the next one has nothing to do."""
    again, parked = plain(world), plain(world, 1)
    world.change(again, status="READY")
    in_store(folder, parked, "total = '0.01'")
    found = told(run, *whole(world), code=1)
    assert (found["state"], found["parked"], found["findings_closed"]) == ("Parked some", 1, 1)
    assert {finding["order"]: finding["state"].split()[0] for finding in found["findings"]} == {
        again: "closed",
        parked: "open",
    }
    assert world.orders()[again]["accepts"] == 2
    assert state_of(run, parked)["parked_code"] == "insert.total_differs"
    text = run("why", parked).stdout
    assert "insert.total_differs" in text
    assert "crossdock decide" in text
    following = told(run, *whole(world))
    assert (following["state"], following["parked"], following["findings_closed"]) == (
        "Agreed but for parked orders",
        0,
        0,
    )


def test_a_total_that_is_no_number_is_that_order_s_finding(run: Run, world: RunningSandbox, folder: Path) -> None:
    """A database takes NaN for a number; it differs from what was paid, and the other orders are compared as ever."""
    order = plain(world)
    in_store(folder, order, "total = 'NaN'")
    found = told(run, *whole(world), code=1)
    assert [(finding["order"], finding["finding"]) for finding in found["findings"]] == [(order, "total differs")]
    assert "cannot be compared" in found["findings"][0]["what is different"]
    assert found["agreeing"] == ORDERS - 1


def test_orders_that_the_ledger_lost_are_named(run: Run, world: RunningSandbox, folder: Path) -> None:
    """A row that somebody deleted with all of its events comes back, and a program is told which."""
    order = plain(world)
    with closing(sqlite3.connect(folder / "ledger.db")) as connection, connection:
        [(row_id,)] = connection.execute("SELECT id FROM source_order WHERE source_order_id = ?", (order,))
        for table in ("effect", "order_document", "source_event"):
            connection.execute(f"DELETE FROM {table} WHERE order_id = ?", (row_id,))  # noqa: S608
        connection.execute("DELETE FROM source_order WHERE id = ?", (row_id,))
    found = told(run, *whole(world))
    assert found["orders_missing_in_ledger"] == [order]
    assert found["events_missing_in_ledger"] == 2
    assert (found["orders"], found["agreeing"]) == (ORDERS, ORDERS)
    assert state_of(run, order)["state"] == "landed"


def test_without_a_range_the_last_whole_days_are_meant(run: Run, world: RunningSandbox) -> None:
    """--days counts whole days of the zone back from this day's beginning; both instants are shown in UTC."""
    today = datetime.now(UTC).date()
    text = run("reconcile", "--days", "2", "--only-report", code=1).stdout
    assert text.startswith(f"From {today - timedelta(days=2)} 00:00:00 UTC to {today} 00:00:00 UTC.")
    text = run("reconcile", "--from", "2024-03-30", "--to", "2024-04-01", "--zone", "Europe/Berlin", code=1).stdout
    assert text.startswith("From 2024-03-29 23:00:00 UTC to 2024-03-31 22:00:00 UTC.")


# ---------------------------------------------------------------------------- what goes wrong


def test_a_refused_key_is_told_and_nothing_is_concluded(
    run: Run, world: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all read, exit code 1, the reason in words on standard error, and no key in it."""
    monkeypatch.setenv("CROSSDOCK_TEST_KEY", "GL.canary-secret-wrong")
    result = run("reconcile", *whole(world), code=1)
    assert "main: Not all read" in result.stdout
    assert "could not be read" in result.stderr
    assert f"{ORDERS} not read" in result.stdout
    monkeypatch.setenv("CROSSDOCK_TEST_KEY", GLOPAL_KEY)
    assert told(run, *whole(world))["state"] == "Agreed"


REFUSED = [
    (["--from", "2024-03-02", "--to", "2024-03-01"], "is after the end"),
    (["--from", "2999-01-01"], "is in the future"),
    (["--to", "2999-01-01"], "is in the future"),
    (["--from", "yesterday"], "is neither a date (2026-03-01) nor a date and time"),
    (["--zone", "Europe/Belrin"], "did you mean Europe/Berlin"),
    (["--account", "mian"], "known accounts: main"),
]


def test_what_cannot_be_meant_is_refused(run: Run, config: Path) -> None:
    """Plain words on standard error, exit code 1, nothing asked and nothing written, also for programs."""
    for arguments, words in REFUSED:
        for more in ([], ["--json"]):
            result = run("reconcile", *arguments, *more, code=1)
            assert words in result.stderr
            assert not result.stdout.startswith("[")
    assert not (config.parent / "ledger.db").exists()


def test_days_that_are_no_number_are_a_usage_error(run: Run, config: Path) -> None:
    """The command itself refuses none, too many and words."""
    for days in ("0", "4000", "some"):
        run("reconcile", "--days", days, code=2)


def test_a_missing_configuration_is_told(run: Run) -> None:
    """Without a file the command says where the example is."""
    assert "crossdock.example.toml" in run("reconcile", code=1).stderr


def test_no_buyer_and_no_key_is_ever_shown(run: Run, world: RunningSandbox, folder: Path) -> None:
    """Whatever differs, neither people nor programs are told a buyer's value or a key."""
    in_store(folder, plain(world), "state = 'cancelled'")
    world.change(plain(world, 1), remove=["items"])
    results = [run("reconcile", *whole(world), *more, code=1) for more in (["--only-report"], ["--json"])]
    secrets = secrets_of(world)
    assert len(secrets) > ORDERS
    for result in results:
        assert "document unusable" in result.stdout
        assert not [text for text in secrets if text in result.stdout + result.stderr]
