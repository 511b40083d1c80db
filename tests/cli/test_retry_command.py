"""``crossdock retry`` and its deployment: one order, a kind of reason, an account, and nothing that is not named."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType

from cli import deployments
from flows.retry import retry_parked
from tests.cli.conftest import Run

WHY = ("--reason", "article HAT-9 made")


def state_of(run: Run, order: str) -> str:
    """Where an order stands."""
    [found] = json.loads(run("why", order, "--json").stdout)
    return str(found["state"])


@pytest.mark.parametrize(
    "named",
    [
        ("100-2",),
        ("--code", "insert.unknown_sku"),
        ("--code", "insert", "--account", "main"),
    ],
)
def test_chosen_orders_are_put_back_in_line(run: Run, books: Path, named: tuple[str, ...]) -> None:
    """By any of its numbers or by its kind of reason, the order is due again, and the reason is in its story."""
    said = run("retry", *named, *WHY).stdout
    assert "100-2" in said
    assert "1 parked orders are put back in line" in said
    assert state_of(run, "100-2") != "parked"
    assert "article HAT-9 made" in run("why", "100-2").stdout
    assert state_of(run, "../admin") == "parked"


def test_all_of_an_account_that_can_be(run: Run, books: Path) -> None:
    """An order that cannot be tried stays parked, named with the reason; the others go, and the end is not green."""
    said = run("retry", "--account", "main", *WHY, code=1).stdout
    assert "1 parked orders are put back in line" in said
    assert "1 stay parked" in said
    assert "../admin" in said
    assert "never put into a web address" in said
    assert (state_of(run, "100-2"), state_of(run, "../admin")) != ("parked", "parked")
    assert state_of(run, "../admin") == "parked"


def test_a_dry_run_names_them_only(run: Run, books: Path) -> None:
    """--dry-run lists what would be tried and leaves it parked, with nothing in its story."""
    said = run("retry", "--code", "insert", *WHY, "--dry-run").stdout
    assert "100-2" in said
    assert "would be put back in line" in said
    assert "article HAT-9" not in run("why", "100-2").stdout
    assert state_of(run, "100-2") == "parked"


def test_a_kind_is_a_whole_word(run: Run, books: Path) -> None:
    """The beginning of a code's part is no kind: nothing is put back by half a name."""
    for code in ("insert.unknown", "inser", "accept", "insert.unknown_sku.x"):
        assert "0 parked orders" in run("retry", "--code", code, *WHY).stdout
    assert state_of(run, "100-2") == "parked"


def test_what_cannot_be_meant_is_refused(run: Run, books: Path) -> None:
    """Nothing, too much, and what does not fit are refused with the reason and exit code 1; nothing changes."""
    refused: dict[tuple[str, ...], str] = {
        (): "all of them at once is never meant",
        ("100-2", "--code", "insert"): "not both",
        ("100-2", "--account", "main"): "not both",
        ("no-such",): "no order has the number",
        ("100-1",): "settled",
        ("--account", "mian"): "known accounts: main",
        ("../admin",): "never put into a web address",
    }
    for arguments, words in refused.items():
        assert words in run("retry", *arguments, *WHY, code=1).stderr
    assert state_of(run, "100-2") == "parked"


def test_a_retry_needs_a_reason(run: Run, books: Path) -> None:
    """Blanks are none, for one order as for many; leaving it out is a usage error."""
    for named in (("100-2",), ("--code", "insert")):
        assert "needs a reason" in run("retry", *named, "--reason", "  ", code=1).stderr
        run("retry", *named, code=2)
    assert state_of(run, "100-2") == "parked"


# ---------------------------------------------------------------------------- the deployment


def flowed(**parameters: Any) -> State[Any]:
    """Run the flow's body, without a Prefect server."""
    state: State[Any] = asyncio.run(retry_parked.fn(**{"reason": "article made", **parameters}))
    return state


def test_the_flow_does_the_same(run: Run, books: Path) -> None:
    """Each end has a name of its own: planned, retried, some left, refused."""
    assert flowed(code="insert", dry_run=True).name == "Dry run"
    assert state_of(run, "100-2") == "parked"
    some = flowed(account="main")
    assert (some.type, some.name) == (StateType.FAILED, "Some stay parked")
    assert "never put into a web address" in (some.message or "")
    assert state_of(run, "100-2") != "parked"
    assert (flowed(code="insert").type, flowed(code="insert").name) == (StateType.COMPLETED, "Retried")
    assert (flowed().type, flowed().name) == (StateType.FAILED, "Not retried")
    assert flowed(account="mian").name == "Not retried"


def test_the_form_describes_every_parameter() -> None:
    """What a person sees in Prefect's UI has a description for each field, and the deployment is declared."""
    schema = dict(retry_parked.parameters)["properties"]
    assert set(schema) == {"reason", "order", "code", "account", "dry_run"}
    assert all(field.get("description") for field in schema.values())
    declared = {entry.name: entry for entry in deployments.read(Path(__file__).parents[2] / "prefect.yaml")}
    assert declared["retry-parked"].entrypoint == "flows/retry.py:retry_parked"
