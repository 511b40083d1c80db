"""One declaration, two ways to deploy it: `prefect deploy --all` and `crossdock serve` register the same."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from cli.bootstrap import bootstrap
from cli.deployments import DeclarationError, read, schedule_of
from cli.local_server import LocalServer
from cli.serve import _runner, register
from tests.deployments.conftest import ROOT, Api

# What a person would notice; ids, times and what only workers need are left out.
SAME = (
    *("name", "description", "tags", "parameters", "parameter_openapi_schema", "enforce_parameter_schema"),
    *("paused", "entrypoint", "version"),
)
DEPLOY = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]


def deploy(server: LocalServer, folder: Path) -> None:
    """Run the real command as a script would: no terminal, no input."""
    environment = {**server.environment(), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        DEPLOY, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def serve_once(server: LocalServer, folder: Path) -> None:
    """Register what `crossdock serve` registers."""

    async def run() -> None:
        await register(_runner(1, lambda: None), read(folder / "prefect.yaml"))

    with server.settings(), chdir(folder):
        asyncio.run(run())


def substance(api: Api) -> dict[str, dict[str, Any]]:
    """The deployments by name, without what changes from one registration to the next."""
    found = {}
    for name, deployment in api.deployments().items():
        found[name] = {key: deployment[key] for key in SAME}
        found[name]["limit"] = deployment["global_concurrency_limit"]["limit"]
        found[name]["options"] = deployment["concurrency_options"]
        found[name]["schedules"] = [
            {key: schedule[key] for key in ("slug", "schedule", "active", "parameters")}
            for schedule in deployment["schedules"]
        ]
    return found


def automation_of(api: Api, name: str) -> list[dict[str, Any]]:
    """The automations that start a deployment, ids left out."""
    related = api.get(f"/automations/related-to/prefect.deployment.{api.deployments()[name]['id']}")
    return [{"name": automation["name"], "trigger": {**automation["trigger"], "id": ""}} for automation in related]


@pytest.fixture
def prepared(server: LocalServer) -> LocalServer:
    """The server with its work pool."""
    with server.settings():
        bootstrap()
    return server


def test_own_declaration_deploys_and_is_served_alike(prepared: LocalServer, api: Api) -> None:
    """Our prefect.yaml really deploys without a terminal, twice alike, and `crossdock serve` registers the same."""
    deploy(prepared, ROOT)

    found = substance(api)
    assert {"poll-glopal", "poll-glopal-manual"} <= set(found)
    poll = found["poll-glopal"]
    assert [schedule["slug"] for schedule in poll["schedules"]] == ["every-minute"]
    assert poll["schedules"][0]["schedule"]["timezone"] == "UTC"
    assert (poll["limit"], poll["options"]) == (1, {"collision_strategy": "CANCEL_NEW", "grace_period_seconds": 60})
    assert {"crossdock", "glopal"} <= set(poll["tags"])
    assert poll["parameters"] == {"account": "main"}
    assert poll["enforce_parameter_schema"] is True
    assert found["poll-glopal-manual"]["schedules"] == []

    ids = {name: found["id"] for name, found in api.deployments().items()}
    deploy(prepared, ROOT)
    assert substance(api) == found, "a second deploy changes nothing"
    assert {name: found["id"] for name, found in api.deployments().items()} == ids, "and makes no doubles"

    api.forget_deployments()
    serve_once(prepared, ROOT)
    serve_once(prepared, ROOT)

    assert _without_versions(found) == _without_versions(substance(api)), "serving registers the same"


def test_triggers_and_pull_steps_are_declared_once(prepared: LocalServer, api: Api, project: Path) -> None:
    """A trigger becomes the same automation either way; a worker is told the folder that was deployed from."""
    deploy(prepared, project)
    deployed = automation_of(api, "hello-scheduled")
    steps = api.deployments()["hello-by-hand"]["pull_steps"]
    api.forget_deployments()
    serve_once(prepared, project)

    assert deployed
    assert deployed == automation_of(api, "hello-scheduled")
    assert [{"prefect.deployments.steps.set_working_directory": {"directory": str(project)}}] == steps


@pytest.mark.slow
def test_worker_runs_a_deployment(prepared: LocalServer, api: Api, project: Path, tmp_path: Path) -> None:
    """A real worker in another folder takes a run from the pool and finishes it."""
    deploy(prepared, project)
    deployment = api.deployments()["hello-by-hand"]["id"]
    run = api.post(f"/deployments/{deployment}/create_flow_run", {"parameters": {"account": "worker"}})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "crossdock", "--run-once"]
    environment = {**prepared.environment(), "PREFECT_WORKER_PREFETCH_SECONDS": "0"}
    subprocess.run(command, cwd=elsewhere, env=environment, stdin=subprocess.DEVNULL, check=True, capture_output=True)

    assert api.get(f"/flow_runs/{run['id']}")["state_type"] == "COMPLETED"
    assert (project / "greeted-worker").read_text() == "hi"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read .* in Crossdock's folder"),
        ("deployments: [", "is no valid YAML"),
        ("deployments: {}", "has no list of deployments"),
        ("deployments: [{name: a}]", "lacks its name or entrypoint"),
    ],
)
def test_unreadable_declaration_is_told(tmp_path: Path, text: str | None, words: str) -> None:
    """What cannot be read at all says what to do."""
    if text is not None:
        (tmp_path / "prefect.yaml").write_text(text)

    with pytest.raises(DeclarationError, match=words):
        read(tmp_path / "prefect.yaml")


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ({"cron": "*/5 * * * *", "timezone": "UTC", "day_or": False}, "CronSchedule"),
        ({"interval": 90, "timezone": "UTC", "anchor_date": "2026-01-01T00:00:00Z"}, "IntervalSchedule"),
        ({"interval": "PT6H", "timezone": "UTC"}, "IntervalSchedule"),
        ({"rrule": "FREQ=DAILY;BYHOUR=3", "timezone": "Europe/Prague"}, "RRuleSchedule"),
    ],
)
def test_every_kind_of_schedule_is_understood(spec: dict[str, Any], kind: str) -> None:
    """Cron, interval and rrule become Prefect's schedules, slug and parameters kept."""
    found = schedule_of({**spec, "slug": "now-and-then", "active": False, "parameters": {"limit": 1}})

    assert kind == type(found.schedule).__name__
    assert (found.slug, found.active, found.parameters) == ("now-and-then", False, {"limit": 1})


def _without_versions(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A version is what the folder's git or files say, and means nothing here."""
    return {name: {**deployment, "version": None} for name, deployment in found.items()}
