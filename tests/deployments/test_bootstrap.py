"""The bootstrap: everything once, however often it runs, and a parked order really reaches a person."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.blocks.system import Secret

from cli.bootstrap import (
    NEWS,
    NOTIFY_AUTOMATION,
    WORK_POOL,
    ZOMBIE_AUTOMATION,
    BootstrapError,
    bootstrap,
    zombie_automation,
)
from cli.local_server import LocalServer
from cli.server_env import server_settings
from tests.deployments.conftest import Api


@pytest.fixture
def inbox() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A listener on loopback that keeps what it is sent."""
    received: queue.Queue[dict[str, Any]] = queue.Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Listener) as listener:
        thread = threading.Thread(target=listener.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listener.server_port}/hook", received
        listener.shutdown()
        thread.join()


@pytest.fixture
def block(server: LocalServer, inbox: tuple[str, Any]) -> str:
    """A notification block that sends to the listener."""
    with server.settings():
        message = {"subject": "{{subject}}", "body": "{{body}}"}
        CustomWebhookNotificationBlock(name="orders", url=inbox[0], json_data=message).save("orders", overwrite=True)
    return "custom-webhook/orders"


def everything(api: Api) -> str:
    """Pool and automations, as the server has them."""
    pools = [pool for pool in api.post("/work_pools/filter") if pool["name"] == WORK_POOL]
    kept = [{key: pool[key] for key in ("id", "type", "base_job_template", "concurrency_limit")} for pool in pools]
    return json.dumps([kept, api.automations()], sort_keys=True)


def test_second_time_changes_nothing(server: LocalServer, api: Api, block: str) -> None:
    """Run twice, the pool and the automations are what they were, to the id."""
    with server.settings():
        bootstrap(block)
        first = everything(api)
        assert bootstrap(block) == []

    assert first == everything(api)
    assert '"concurrency_limit": 8' in first
    assert {ZOMBIE_AUTOMATION, NOTIFY_AUTOMATION} <= set(api.automations())


def test_changed_automation_is_mended_in_place(server: LocalServer, api: Api) -> None:
    """An automation that someone edited is brought back under its id; one switched off stays off."""
    with server.settings():
        bootstrap()
        there = api.automations()[ZOMBIE_AUTOMATION]
        edited = {key: there[key] for key in ("name", "description", "trigger", "actions")}
        edited["trigger"] = {**there["trigger"], "within": 3600}
        api.ask("PUT", f"/automations/{there['id']}", body={**edited, "enabled": False}).raise_for_status()

        assert [f"updated the automation {ZOMBIE_AUTOMATION!r}"] == bootstrap()

    mended = api.automations()[ZOMBIE_AUTOMATION]
    assert (there["id"], False, 90) == (mended["id"], mended["enabled"], mended["trigger"]["within"])
    api.ask("PATCH", f"/automations/{there['id']}", body={"enabled": True}).raise_for_status()


def test_doubles_are_removed(server: LocalServer, api: Api) -> None:
    """Two automations of our name, made by hand, become one."""
    with server.settings():
        bootstrap()
        api.post("/automations/", zombie_automation().model_dump(mode="json"))
        assert [f"removed a second automation {ZOMBIE_AUTOMATION!r}"] == bootstrap()

    assert ZOMBIE_AUTOMATION in api.automations()


def test_notification_goes_with_its_setting(server: LocalServer, api: Api, block: str) -> None:
    """Without a block in the settings there is no notification automation."""
    with server.settings():
        bootstrap(block)
        assert NOTIFY_AUTOMATION in api.automations()
        bootstrap(None)

    assert NOTIFY_AUTOMATION not in api.automations()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orders", "is not like slack-webhook/orders"),
        ("slack-webhook/nobody", "has no block 'slack-webhook/nobody'.*Make it in the UI"),
        ("secret/plain", "is no notification block"),
    ],
)
def test_wrong_block_is_told(server: LocalServer, name: str, words: str) -> None:
    """A block that cannot notify is refused, rather than found out when an order is parked."""
    with server.settings():
        Secret(value="x").save("plain", overwrite=True)
        with pytest.raises(BootstrapError, match=words):
            bootstrap(name)


def test_missing_server_is_told(tmp_path: Path) -> None:
    """Without a server the message says how to get one."""
    with (
        server_settings("http://127.0.0.1:9/api", tmp_path),
        pytest.raises(BootstrapError, match=r"does not answer.*crossdock serve"),
    ):
        bootstrap()


@pytest.mark.parametrize("event", sorted(NEWS))
def test_news_reaches_a_person(
    server: LocalServer, api: Api, block: str, inbox: tuple[str, queue.Queue[dict[str, Any]]], event: str
) -> None:
    """An event about an order is sent on, with order, account and reason, and nothing else of its payload."""
    with server.settings():
        bootstrap(block)
    payload = {"order": "GL-4711", "account": "glopal/live/1", "code": "refused", "reason": "SKU A-1 is unknown"}

    # The server takes up a new automation a moment after it is made; until then its events reach nobody.
    message = None
    for _ in range(30):
        emit(api, event, "crossdock.order.glopal.live.1.GL-4711", {**payload, "buyer": "CANARY-BUYER"})
        with suppress(queue.Empty):
            message = inbox[1].get(timeout=3)
            break
    assert message is not None

    assert f"Crossdock: order GL-4711 {NEWS[event]}" == message["subject"]
    assert "Order GL-4711 of account glopal/live/1" in message["body"]
    assert "Reason: SKU A-1 is unknown" in message["body"]
    assert "CANARY" not in json.dumps(message)


@pytest.mark.slow
def test_dead_run_is_crashed_and_a_named_end_is_not(server: LocalServer, api: Api) -> None:
    """Silence marks a run as crashed; a run that ended in a state with a name of its own stays as it ended."""
    with server.settings():
        bootstrap()
    real = api.automations()[ZOMBIE_AUTOMATION]
    quick = zombie_automation(timedelta(seconds=10)).model_dump(mode="json", exclude={"owner_resource"})
    api.ask("PUT", f"/automations/{real['id']}", body=quick).raise_for_status()
    flow = api.post("/flows/", {"name": "zombie"})["id"]
    dead, ended = (
        api.post("/flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING", "name": "Running"}})["id"]
        for _ in range(2)
    )
    for run in (dead, ended):
        emit(api, "prefect.flow-run.heartbeat", f"prefect.flow-run.{run}", {})
    set_state = {"state": {"type": "COMPLETED", "name": "Parked some"}, "force": True}
    api.post(f"/flow_runs/{ended}/set_state", set_state)

    wait_for_state(api, dead, "CRASHED")

    state = api.get(f"/flow_runs/{ended}")["state"]
    assert (state["type"], state["name"]) == ("COMPLETED", "Parked some")
    api.delete(f"/automations/{real['id']}")


def wait_for_state(api: Api, run: str, state: str) -> None:
    """Wait until a flow run has a state."""
    deadline = time.monotonic() + 90
    while api.get(f"/flow_runs/{run}")["state_type"] != state:
        assert time.monotonic() < deadline, f"{run} never became {state}"
        time.sleep(0.5)


def emit(api: Api, event: str, resource: str, payload: dict[str, str]) -> None:
    """Emit one event, as Prefect's client would."""
    body = {
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": {"prefect.resource.id": resource},
        "payload": payload,
        "id": str(uuid4()),
    }
    api.ask("POST", "/events", body=[body]).raise_for_status()
