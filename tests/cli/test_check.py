"""``crossdock check``: one list of what is right, doubtful and wrong, with what to do."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import KEY, FakeGlopal, Run, write_config


def findings(run: Run, code: int = 0) -> dict[str, dict[str, Any]]:
    """The findings by what was looked at."""
    said = json.loads(run("check", "--json", code=code).stdout)
    assert said["ok"] == (code == 0)
    return {entry["what"]: entry for entry in said["findings"]}


@pytest.fixture
def answering(folder: Path, glopal: FakeGlopal, monkeypatch: pytest.MonkeyPatch) -> FakeGlopal:
    """A configuration whose Glopal answers."""
    monkeypatch.setenv("CROSSDOCK_TEST_KEY", KEY)
    write_config(folder, glopal.url)
    return glopal


def test_all_is_well(run: Run, answering: FakeGlopal) -> None:
    """Both sides answer: no error, and the two reminders about what is assumed."""
    found = findings(run)
    assert {entry["level"] for entry in found.values()} == {"ok", "warn"}
    assert [what for what, entry in found.items() if entry["level"] == "warn"] == [
        "accounts.main.endpoints.accept",
        "accounts.main.cancel_confirmed",
    ]
    assert "Ready, with 2 warning(s)" in run("check").stdout


def test_the_reminders_go_away_once_confirmed(run: Run, folder: Path, answering: FakeGlopal) -> None:
    """Writing the accept call into the file confirms it, also where it is the assumed one."""
    accept = 'accept = "/v2/orders/{store_id}/{order_id}/accept"'
    write_config(folder, answering.url, f"cancel_confirmed = true\n[accounts.main.endpoints]\n{accept}")
    assert {entry["level"] for entry in findings(run).values()} == {"ok"}


def test_a_looking_check_makes_no_ledger(run: Run, folder: Path, answering: FakeGlopal) -> None:
    """Before the first run there is no ledger, and the check does not make one."""
    assert "not there yet" in findings(run)["ledger"]["found"]
    assert not (folder / "ledger.db").exists()


def test_configuration_mistakes_are_the_findings(run: Run, folder: Path) -> None:
    """A file that cannot be used gives its mistakes, one finding each."""
    write_config(folder, "http://orders.example", 'base_curency = "EUR"')
    found = findings(run, code=1)
    assert {"accounts.main.base_url", "accounts.main.base_curency"} == set(found)


def test_a_missing_secret_is_named_by_its_variable(run: Run, folder: Path, glopal: FakeGlopal) -> None:
    """The variable to set is named."""
    write_config(folder, glopal.url)
    found = findings(run, code=1)["accounts.main.key"]
    assert "CROSSDOCK_TEST_KEY is not set" in found["found"]
    assert "export CROSSDOCK_TEST_KEY" in found["do"]


def test_a_wrong_key_is_told_apart_from_a_silent_glopal(run: Run, answering: FakeGlopal) -> None:
    """Refused credentials name the place of the key."""
    answering.status = 401
    assert "CROSSDOCK_TEST_KEY" in findings(run, code=1)["accounts.main"]["do"]


def test_a_silent_glopal_is_an_error_that_says_orders_wait(run: Run, config: Path) -> None:
    """Nobody listens: an error, in words."""
    found = findings(run, code=1)["accounts.main"]
    assert found["level"] == "error"
    assert "orders wait" in found["do"]


@pytest.mark.parametrize(("off", "level", "code"), [(2, None, 0), (90, "warn", 0), (-900, "error", 1)])
def test_the_clock_is_compared(run: Run, answering: FakeGlopal, off: int, level: str | None, code: int) -> None:
    """Half a minute apart is doubtful, five minutes are wrong."""
    answering.clock_off = timedelta(seconds=off)
    found = findings(run, code=code).get("accounts.main clock")
    assert (found["level"] if found else None) == level


def test_a_ledger_that_was_changed_by_hand_is_found(run: Run, books: Path, folder: Path, answering: FakeGlopal) -> None:
    """The chained stories tell when a line was changed behind the ledger's back."""
    assert "complete and unchanged" in findings(run)["ledger proof"]["found"]
    with sqlite3.connect(books) as connection:
        connection.execute("UPDATE effect SET detail = 'never happened' WHERE kind = 'accept' AND phase = 'outcome'")
    connection.close()
    assert "does not follow" in findings(run, code=1)["ledger proof"]["found"]


def test_a_ledger_of_another_release_is_an_error(run: Run, books: Path, answering: FakeGlopal) -> None:
    """Tables of an unknown version are not touched; check, orders and migrate say so."""
    with sqlite3.connect(books) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert "version 9999" in findings(run, code=1)["ledger"]["found"]
    assert "update Crossdock" in run("orders", code=1).stderr
    assert "version 9999" in run("migrate", code=1).stderr


def test_a_ledger_that_cannot_be_opened_is_an_error(run: Run, folder: Path, answering: FakeGlopal) -> None:
    """A file that is no database is told without a traceback."""
    (folder / "ledger.db").write_bytes(b"this is no database" * 100)
    assert findings(run, code=1)["ledger"]["level"] == "error"
    assert "check ledger.url" in run("orders", code=1).stderr


def test_migrate_makes_the_tables_once(run: Run, config: Path, folder: Path) -> None:
    """The first run makes them, the second finds them."""
    assert "from none to version" in run("migrate").stdout
    assert "nothing to do" in run("migrate").stdout
    assert "0 orders in all" in run("orders").stdout
