"""The sandbox as a process: its state file, its end, its neighbours."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.glopal import Glopal
from sandbox.running import GLOPAL_KEY, RunningSandbox
from sandbox.server import load, main, save
from sandbox.store import SandboxStore
from tests.sandbox.kit import Box

ROOT = Path(__file__).parents[2]
OURS = {"models", "ledger", "clients", "stores", "tasks", "flows", "cli", "benchmarks", "tests", "receiver"}


def test_imports_nothing_of_the_hub() -> None:
    """No file of the sandbox imports a package of the hub, in whatever form."""
    found = set()
    for path in (ROOT / "sandbox").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name} imports from a relative place"
                found.add(str(node.module))
            elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {
                "__import__",
                "import_module",
            }:
                raise AssertionError(f"{path.name} imports by a computed name")
    assert {name.split(".")[0] for name in found} & OURS == set()
    assert {"fastapi", "uvicorn"} < {name.split(".")[0] for name in found}


def books_of(box: Box) -> Any:
    """Both books and the feed, without the traffic."""
    glopal, store = box.running.books(), box.running.store_books()
    return glopal["merchants"], {name: store[name] for name in ("orders", "live", "duplicates")}, box.running.feed()


def test_books_outlive_a_restart(tmp_path: Path, http: httpx.Client) -> None:
    """After an orderly end the state file holds every book, document, event and switch, and the next start takes it."""
    state = tmp_path / "new folder" / "sandbox.json"
    with RunningSandbox(orders=45, mix="all", state=state) as running:
        box = Box(running, http)
        accepted, cancelled = running.generate(2, seed=9)
        box.order(accepted)
        box.accept(accepted)
        box.cancel(cancelled)
        running.inject(["rubbish"])
        box.fault("events", "late_events", times=1, params={"calls": 1000})
        box.feed()
        box.create("r-1", hold=True)
        box.create("r-2")
        box.running.store("delete", reference="r-1")
        box.store("POST", "/orders/so_000002/notes", json={"text": "x"})
        box.store("POST", "/orders/so_000002/cancel", json={"reason": "why"})
        running.store("settings", idempotent=False)
        running.store("fix-sku", sku="UNKNOWN-1")
        before, documents = books_of(box), [running.document(order_id) for order_id in running.orders()]
    assert sum(event["hidden"] for event in before[2]) == 1
    with RunningSandbox(orders=45, mix="all", state=state) as running:
        box = Box(running, http)
        assert books_of(box) == before
        assert [running.document(order_id) for order_id in running.orders()] == documents
        assert box.book(cancelled)["refunds"][0]["amount"] == box.book(cancelled)["total"]
        assert box.accept(accepted, store_order="93").status_code == 409
        assert box.create("r-2").status_code == 201, "the switch is kept"
        assert box.create("r-3", sku="UNKNOWN-1").status_code == 201
        assert box.shop().keys() == {"so_000002", "so_000003", "so_000004"}
        assert set(running.generate(2, seed=9)).isdisjoint({accepted, cancelled})
        known = {event.get("event_id") for event in before[2]}
        assert all(event.get("event_id") not in known for event in running.feed()[len(before[2]) :])
    assert not state.with_name(state.name + ".new").exists()


def test_a_merchant_that_was_not_asked_for_is_kept(tmp_path: Path) -> None:
    """A merchant of the state file is kept although today's start does not name it."""
    state, store = tmp_path / "sandbox.json", SandboxStore("token")
    first = Glopal("key", ["first", "second"])
    [order_id] = first.merchants["second"].generate(1, 1, "plain", 1, "live")
    save(first, store, state)
    for _ in range(2):
        later = Glopal("key", ["first"])
        assert load(later, store, state)
        save(later, store, state)
        assert list(later.merchants["second"].orders) == [order_id]


def test_killed_like_a_power_cut(tmp_path: Path) -> None:
    """A killed sandbox writes nothing, the last state stays what it was, and the helper can be started again."""
    state = tmp_path / "sandbox.json"
    running = RunningSandbox(orders=1, state=state)
    with running:
        [order_id] = running.orders()
    before = state.read_bytes()
    running.start()
    running.generate(5)
    running.kill()
    assert state.read_bytes() == before
    assert [order["order_id"] for order in json.loads(before)["glopal"]["acme"]["orders"]] == [order_id]


def test_sigterm_leaves_nothing_behind(tmp_path: Path, http: httpx.Client) -> None:
    """SIGTERM ends the process, with calls held and answers half read, and frees both ports."""
    running = RunningSandbox(orders=1, state=tmp_path / "sandbox.json").start()
    box, pid = Box(running, http), running.pid
    ports = [int(url.rsplit(":", 1)[1]) for url in (running.glopal_url, running.store_url)]
    running.faults([{"where": "order", "kind": "timeout_after", "params": {"seconds": 600}}, {"kind": "huge"}])
    with pytest.raises(httpx.ReadTimeout):
        box.order(next(iter(running.orders())), timeout=0.1)
    with box.http.stream("GET", f"{running.glopal_url}/v2/events/acme", headers=box.glopal_headers):
        running.stop()
    assert (tmp_path / "sandbox.json").exists(), "it ended in order and was not killed"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    with pytest.raises(RuntimeError, match="not running"):
        running.books()


def test_an_orphan_ends_by_itself(tmp_path: Path) -> None:
    """A sandbox whose parent is killed notices it and ends, state written."""
    state = tmp_path / "sandbox.json"
    parent = (
        "import sys, time\nfrom pathlib import Path\nfrom sandbox.running import RunningSandbox\n"
        "running = RunningSandbox(state=Path(sys.argv[1])).start()\n"
        "print(running.pid, running.glopal_url, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent, str(state)], stdout=subprocess.PIPE, text=True, cwd=ROOT) as p:
        assert p.stdout is not None
        _, url = p.stdout.readline().split()
        p.kill()
    until_gone(url, state)
    assert json.loads(state.read_bytes())["store"]["orders"] == []


def until_gone(url: str, state: Path) -> None:
    """Wait until nobody listens and the state is written; the test's own patience ends after a minute."""
    port = int(url.rsplit(":", 1)[1])
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if state.exists():
                return
        time.sleep(0.1)
    raise AssertionError("the orphan still listens")


def test_starts_that_cannot_be(tmp_path: Path, running: RunningSandbox) -> None:
    """A start that cannot be ends with a sentence that names the trouble, and touches no state file."""
    broken, plan = tmp_path / "state.json", tmp_path / "plan.json"
    broken.write_text("{")
    plan.write_text('[{"kind": "nonsense"}]')
    taken = running.glopal_url.rsplit(":", 1)[1]
    for arguments, words in (
        (["--glopal-port", taken], f"cannot listen on 127.0.0.1:{taken}"),
        (["--state", str(broken)], "is no state file of a sandbox"),
        (["--faults", str(plan)], "unknown kind 'nonsense'"),
        (["--faults", str(tmp_path / "nothing")], "no fault plan can be read"),
        (["--orders", "1", "--mix", "nonsense"], "unknown mix 'nonsense'"),
    ):
        with pytest.raises(SystemExit, match=words):
            main(arguments)
    assert broken.read_text() == "{"
    with pytest.raises(RuntimeError, match="did not start"):
        RunningSandbox(glopal_port=int(taken)).start()


def test_started_by_hand(tmp_path: Path, http: httpx.Client) -> None:
    """By hand it takes its keys from options or the environment and a fault plan from a file, and ends on SIGINT."""
    plan = tmp_path / "plan.json"
    plan.write_text('{"seed": 1, "rules": [{"where": "store.ping", "kind": "html", "times": 1}]}')
    environment = {**os.environ, "SANDBOX_GLOPAL_KEY": "one", "SANDBOX_STORE_TOKEN": "two"}
    arguments = [sys.executable, "-m", "sandbox", "--faults", str(plan), "--store-token", "three"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        events, ping = f"{addresses['glopal']}/v2/events/acme", f"{addresses['store']}/ping"
        assert http.get(events, headers={"Authorization": "Bearer one"}).status_code == 200
        assert http.get(events, headers={"Authorization": f"Bearer {GLOPAL_KEY}"}).status_code == 401
        answers = [http.get(ping, headers={"Authorization": "Bearer three"}) for _ in range(2)]
        assert [answer.headers["content-type"] for answer in answers] == [
            "text/html; charset=utf-8",
            "application/json",
        ]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
