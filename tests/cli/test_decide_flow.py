"""The flow behind the deployment ``decide``: the same decision, checked again, told in its state."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType

from cli import deployments
from flows.operate import LONGEST_REASON, decide
from tests.cli.conftest import Run


def decided(**parameters: Any) -> State[Any]:
    """Run the flow's body, without a Prefect server."""
    state: State[Any] = asyncio.run(decide.fn(**parameters))
    return state


def test_the_flow_writes_the_decision(run: Run, books: Path) -> None:
    """A retry through the deployment ends completed and is in the order's story."""
    state = decided(order="100-2", decision="retry", reason="article made")
    assert (state.type, state.name) == (StateType.COMPLETED, "Decided")
    assert "article made" in run("why", "100-2").stdout


def test_a_dry_run_of_the_flow_writes_nothing(run: Run, books: Path) -> None:
    """The state says what would follow; the order stays parked."""
    state = decided(order="100-2", decision="retry", reason="x", dry_run=True)
    assert state.name == "Dry run"
    assert "written into the store" in (state.message or "")
    assert json.loads(run("why", "100-2", "--json").stdout)[0]["state"] == "parked"


@pytest.mark.parametrize(
    ("parameters", "why_not"),
    [
        ({"order": " "}, "no order was named"),
        ({"reason": "\t"}, "needs a reason"),
        ({"reason": "x" * (LONGEST_REASON + 1)}, "at most"),
        ({"decision": "ship"}, "no decision"),
        ({"order": "no-such"}, "no order has the number"),
        ({"order": "100-1"}, "settled"),
    ],
)
def test_what_the_form_lets_through_is_checked_again(books: Path, parameters: dict[str, str], why_not: str) -> None:
    """A decision that cannot be taken ends failed, with the reason, and changes nothing."""
    state = decided(**{"order": "100-2", "decision": "retry", "reason": "x", **parameters})
    assert (state.type, state.name) == (StateType.FAILED, "Not decided")
    assert why_not in (state.message or "")


def test_the_form_describes_and_bounds_every_parameter() -> None:
    """What a person sees in Prefect's UI: a description for each field, a choice for the decision."""
    schema = decide.parameters.model_dump() if hasattr(decide.parameters, "model_dump") else dict(decide.parameters)
    properties = schema["properties"]
    assert set(properties) == {"order", "decision", "reason", "dry_run"}
    assert all(field.get("description") for field in properties.values())
    assert properties["decision"]["enum"] == ["retry", "cancel", "settle"]


def test_a_deployment_of_the_flow_is_declared() -> None:
    """prefect.yaml offers the decision by hand."""
    declared = {entry.name: entry for entry in deployments.read(Path(__file__).parents[2] / "prefect.yaml")}
    assert declared["decide"].entrypoint == "flows/operate.py:decide"
    assert not declared["decide"].schedules
