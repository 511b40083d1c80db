"""Through a real Prefect server: named ends, named task runs, task retries, bounded numbers, and nothing private."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.local_server import LocalServer
from tests.trust.conftest import Worlds
from tests.trust.tally import TALLY
from tests.trust.world import CANARIES, ENVIRONMENT, KEY_ENV, TOKEN_ENV, World

ROOT = Path(__file__).parents[2]


class Prefect:
    """A server, a process that makes flow runs, and the questions to ask afterwards.

    Args:
        server: the running server.
        folder: where configurations go.
    """

    def __init__(self, server: LocalServer, folder: Path) -> None:
        self._folder = folder
        self._http = httpx.Client(base_url=server.api_url, trust_env=False, timeout=30.0)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment = {**plain, **_only_prefect(server.environment()), **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
        environment |= {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2"}
        self._log = (folder / "runner.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.trust.prefect_runner"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._line("ready")

    def _line(self, beginning: str) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(beginning):
                return line
        raise AssertionError((self._folder / "runner.log").read_text()[-3000:])

    def run(self, world: World, **parameters: Any) -> dict[str, Any]:
        """One flow run; its id and the state in which it ended."""
        config = self._folder / "crossdock.toml"
        config.write_text(_configuration(world))
        TALLY.polls += 1
        assert self._process.stdin is not None
        self._process.stdin.write(
            json.dumps({"config": str(config), "parameters": {"account": "main", **parameters}}) + "\n"
        )
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._line("{"))
        return found

    def ask(self, what: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """The answer of a filter route, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self._http.post(f"/{what}/filter", json={**body, "limit": 200, "offset": len(found)})
            answer.raise_for_status()
            page = answer.json()
            found += page
            if len(page) < 200:
                return found

    def task_runs(self, run: dict[str, Any], least: int = 1) -> list[dict[str, Any]]:
        """The flow run's task runs, once the server has taken in that all of them ended, and so many at least."""
        ended: list[dict[str, Any]] = []
        for _ in range(300):
            before, ended = ended, self.ask("task_runs", {"flow_runs": {"id": {"any_": [run["id"]]}}})
            final = all(found["state_type"] in ("COMPLETED", "FAILED", "CRASHED") for found in ended)
            if len(ended) >= least and final and len(ended) == len(before):
                return ended
            time.sleep(0.2)
        raise AssertionError(f"the server never showed the end of {ended}")

    def everything(self) -> str:
        """All that a person can see in the UI, as text."""
        seen = [self.ask(what, {}) for what in ("flow_runs", "task_runs", "artifacts", "logs")]
        events = self._http.post("/events/filter", json={"limit": 50})
        events.raise_for_status()
        page = events.json()
        seen.append(page["events"])
        while page.get("next_page"):
            page = self._http.get(page["next_page"]).json()
            seen.append(page["events"])
        return json.dumps(seen, ensure_ascii=False)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()
        self._http.close()


def _only_prefect(environment: dict[str, str]) -> dict[str, str]:
    ours = ("PREFECT_LOGGING", "PREFECT_PROFILE")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


def _configuration(world: World) -> str:
    limits = "{ timeout = 3.0, read_tries = 1 }"
    return f"""
[ledger]
url = "{world.url}"

[accounts.main]
store_id = "{world.sandbox.store_id}"
base_url = "{world.sandbox.glopal_url}"
key = {{ env = "{KEY_ENV}" }}
store = "shop"
base_currency = "EUR"
cancel_confirmed = true
limits = {limits}
policy = {{ probe_delays = [0.2, 0.6], backoff_first = 0.2, backoff_longest = 1.0, task_retry_delays = [0.1, 0.1] }}

[stores.shop]
kind = "http"
base_url = "{world.sandbox.store_url}"
token = {{ env = "{TOKEN_ENV}" }}
limits = {limits}
"""


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """A tuned local server and a process that makes flow runs against it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    with LocalServer(tmp_path_factory.mktemp("prefect"), environ=plain) as server:
        made = Prefect(server, tmp_path_factory.mktemp("runner"))
        yield made
        made.stop()


@pytest.mark.asyncio
async def test_quiet_runs_are_named_shown_and_small(worlds: Worlds, prefect: Prefect) -> None:
    """A run with few orders shows each by name and ends Settled; one with nothing new makes one call and two tasks."""
    world = await worlds.fresh()
    ids = world.sandbox.generate(3)
    run = prefect.run(world)
    assert (run["name"], run["type"]) == ("Settled", "COMPLETED")
    names = {found["name"] for found in prefect.task_runs(run, least=10)}
    expected = {f"{step} {order_id}" for order_id in ids for step in ("fetch", "insert", "accept")}
    assert names == expected | {"record events of main"}
    [shown] = prefect.ask("flow_runs", {"flow_runs": {"id": {"any_": [run["id"]]}}})
    assert shown["name"] == "main: 6 new events, 3 inserted, 3 accepted"
    artifacts = prefect.ask("artifacts", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    assert {found["key"] for found in artifacts} >= {"orders-main", "summary-main"}

    before = world.sandbox.books()["traffic"]["calls"]
    run = prefect.run(world)
    assert (run["name"], run["type"]) == ("Nothing new", "COMPLETED")
    assert len(prefect.task_runs(run)) <= 3
    after = world.sandbox.books()["traffic"]["calls"]
    assert after == {**before, "events": before["events"] + 1}
    await world.check()


@pytest.mark.asyncio
async def test_task_retries_are_prefects_own_and_visible(worlds: Worlds, prefect: Prefect) -> None:
    """A store that says "not yet" twice and then works shows one insert task run with three tries that completed."""
    world = await worlds.fresh()
    [order_id] = world.sandbox.generate(1)
    world.fault("store.create", "429_bare", times=2)
    run = prefect.run(world)
    [insert] = [found for found in prefect.task_runs(run, least=4) if found["name"] == f"insert {order_id}"]
    assert (insert["state_type"], insert["run_count"]) == ("COMPLETED", 3)
    assert run["name"] == "Settled"
    assert len((await world.check()).live(order_id)) == 1


@pytest.mark.asyncio
async def test_whatever_was_left_is_never_green(worlds: Worlds, prefect: Prefect) -> None:
    """Parked orders, an outage and an unreadable feed each end a run in a named state that is not green."""
    world = await worlds.fresh()
    world.sandbox.generate(2, mix={"plain": 1, "poison_unknown_sku": 1})
    run = prefect.run(world)
    assert (run["name"], run["type"]) == ("Parked some", "FAILED")
    assert "1 parked" in run["message"]

    world = await worlds.fresh()
    world.sandbox.generate(1)
    world.sandbox.store("outage", on=True)
    run = prefect.run(world)
    assert (run["name"], run["type"]) == ("Unfinished", "FAILED")
    insert = next(found for found in prefect.task_runs(run, least=3) if found["name"].startswith("insert "))
    assert (insert["state_type"], insert["run_count"]) == ("FAILED", 3)
    world.sandbox.store("outage", on=False)
    world.fault("events", "html")
    run = prefect.run(world)
    assert (run["name"], run["type"]) == ("Feed not read", "FAILED")
    await world.check()


@pytest.mark.asyncio
async def test_busy_run_stays_small(worlds: Worlds, prefect: Prefect) -> None:
    """However many orders are due, a run stays under 150 task runs, and says what it did."""
    world = await worlds.fresh()
    world.sandbox.generate(45, mix={"plain": 13, "cancelled_ready": 1, "poison_total": 1})
    run = prefect.run(world)
    tasks = prefect.task_runs(run, least=30)
    assert len(tasks) < 150
    assert run["name"] == "Parked some"
    assert {found["state_type"] for found in tasks} == {"COMPLETED"}
    await world.calm()


@pytest.mark.asyncio
async def test_nothing_private_in_anything_prefect_shows(worlds: Worlds, prefect: Prefect) -> None:
    """No secret and no buyer in any parameter, name, state, artifact, log or event of all these runs."""
    world = await worlds.fresh()
    ids = world.sandbox.generate(3, mix={"plain": 1, "poison_total": 1, "poison_out_of_stock": 1})
    world.fault("order", "broken_json", times=1)
    prefect.run(world)
    await asyncio.sleep(1.5)  # logs and events are sent in batches
    text = prefect.everything()
    buyers = [value for order_id in ids for value in world._buyer(order_id)]
    assert ids[0] in text
    found = [canary for canary in (*CANARIES, *buyers) if canary in text]
    assert not found, f"S10: {found} shown by Prefect"
    log = (prefect._folder / "runner.log").read_text()
    assert not [canary for canary in (*CANARIES, *buyers) if canary in log]
    TALLY.invariants["S10"] += 1
