"""One tuned local server for all tests of the deployments, and a small project to deploy."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.local_server import LocalServer

ROOT = Path(__file__).parents[2]

FLOW = '''
import asyncio
from pathlib import Path
from typing import Literal

from prefect import flow


@flow(name="hello")
async def hello(account: str, seconds: float = 0.0, greeting: Literal["hi", "ho"] = "hi") -> None:
    """Greets an account.

    Args:
        account: Whom.
    """
    Path(f"greeted-{account}").write_text(greeting)
    await asyncio.sleep(seconds)
'''

DECLARATION = """
name: small
build:
  - prefect.deployments.steps.run_shell_script: {id: this-folder, script: pwd, stream_output: false}
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "{{ this-folder.stdout }}"}
deployments:
  - name: hello-scheduled
    entrypoint: flows/hello.py:hello
    description: Greets once a year.
    tags: [small]
    parameters: {account: main}
    enforce_parameter_schema: true
    schedules:
      - {slug: yearly, cron: "0 0 1 1 *", timezone: Europe/Prague}
    concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW, grace_period_seconds: 60}
    work_pool: {name: crossdock}
    triggers:
      - expect: [crossdock.test.greet]
        match: {prefect.resource.id: "crossdock.test.*"}
        parameters: {account: triggered}
  - name: hello-by-hand
    entrypoint: flows/hello.py:hello
    description: Greets when asked.
    tags: [small, manual]
    schedules: []
    concurrency_limit: {limit: 1, collision_strategy: CANCEL_NEW, grace_period_seconds: 60}
    work_pool: {name: crossdock}
"""


class Api:
    """The few questions that the tests ask the server, over plain HTTP."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.api_url, trust_env=False, timeout=30.0)

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One answer; asked again while the server's database is busy (503), as Prefect's own client does."""
        tries = 40
        while (answer := self.http.request(method, path, json=body)).status_code == 503 and tries:
            tries -= 1
            time.sleep(0.5)
        return answer

    def post(self, path: str, body: object = None) -> Any:
        """The JSON answer of a POST."""
        answer = self.ask("POST", path, {} if body is None else body).raise_for_status()
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        return self.ask("GET", path).raise_for_status().json()

    def delete(self, path: str) -> None:
        """Delete something."""
        self.ask("DELETE", path).raise_for_status()

    def deployments(self) -> dict[str, dict[str, Any]]:
        """All deployments by name."""
        return {found["name"]: found for found in self.post("/deployments/filter")}

    def forget_deployments(self) -> None:
        """Delete all deployments, and the automations that would outlive them."""
        for found in self.deployments().values():
            self.delete(f"/automations/owned-by/prefect.deployment.{found['id']}")
            self.delete(f"/deployments/{found['id']}")

    def automations(self) -> dict[str, dict[str, Any]]:
        """All automations by name; two of one name fail."""
        found = self.post("/automations/filter")
        named = {automation["name"]: automation for automation in found}
        assert len(found) == len(named), f"doubles among {sorted(automation['name'] for automation in found)}"
        return named


def plain_environment() -> dict[str, str]:
    """The environment without what a person has set for Prefect."""
    return {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A tuned server with a home of its own."""
    with LocalServer(tmp_path_factory.mktemp("prefect"), environ=plain_environment()) as running:
        yield running


@pytest.fixture
def api(server: LocalServer) -> Iterator[Api]:
    """The server's API; deployments are gone afterwards."""
    asking = Api(server)
    yield asking
    asking.forget_deployments()
    asking.http.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with one flow and a prefect.yaml that is right."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "hello.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(textwrap.dedent(DECLARATION))
    return tmp_path
