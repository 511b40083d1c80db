"""`crossdock serve`: runs what is declared, and ends without leaving anything behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli.deployments import FlowLoadError
from cli.local_server import LocalServer
from cli.serve import ServeError, serve
from tests.deployments.conftest import ROOT, Api, plain_environment
from tests.deployments.test_local_server import gone

SERVE = """
import functools, pathlib, sys
from cli.serve import serve
serve(
    prefect_file=pathlib.Path(sys.argv[1]), home=pathlib.Path(sys.argv[2]), port=0, limit=2,
    api_url=sys.argv[3] or None, say=functools.partial(print, flush=True),
)
"""


class Served:
    """A running `crossdock serve`, its output kept in a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    def said(self, words: str) -> re.Match[str]:
        """Wait until the words are printed."""
        deadline = time.monotonic() + 120
        while not (found := re.search(words, self._output.read_text())):
            assert self.process.poll() is None, self._output.read_text()
            assert time.monotonic() < deadline, self._output.read_text()
            time.sleep(0.1)
        return found

    def stopped(self, how: signal.Signals) -> str:
        """End it by a signal; what it printed."""
        self.process.send_signal(how)
        self.process.wait(60)
        return self._output.read_text()


@contextmanager
def serving(project: Path, home: Path, api_url: str = "") -> Iterator[Served]:
    """A `crossdock serve` in a process of its own, ended in any case."""
    output = home.parent / "said.txt"
    command = [sys.executable, "-c", SERVE, str(project / "prefect.yaml"), str(home), api_url]
    environment = {**plain_environment(), "PYTHONPATH": str(ROOT)}
    with (
        output.open("wb") as log,
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process,
    ):
        try:
            yield Served(process, output)
        finally:
            process.terminate()


def finished(path: Path) -> str:
    """What a flow wrote, once it did."""
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.1)
    return path.read_text()


def children(pid: int) -> set[int]:
    """All processes below one."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except FileNotFoundError:  # ended meanwhile
            continue
    below, found = {pid}, set[int]()
    while below := {child for child, parent in parents.items() if parent in below}:
        found |= below
    return found


def test_run_by_hand_is_served(server: LocalServer, api: Api, project: Path, tmp_path: Path) -> None:
    """A run started through the API runs in the project's folder, and SIGTERM ends the serving cleanly."""
    with serving(project, tmp_path / "home", server.api_url) as served:
        served.said("Prefect's UI: " + re.escape(server.ui_url))
        deployment = api.deployments()["hello-by-hand"]["id"]
        parameters = {"account": "by-hand", "greeting": "ho"}
        run = api.post(f"/deployments/{deployment}/create_flow_run", {"parameters": parameters})["id"]
        refused = api.ask(
            "POST", f"/deployments/{deployment}/create_flow_run", {"parameters": {"account": "x", "greeting": "hu"}}
        )

        assert finished(project / "greeted-by-hand") == "ho"
        served.said("Finished in state Completed")
        said = served.stopped(signal.SIGTERM)

    assert served.process.returncode == 0, said
    assert "Stopped." in said
    assert api.get(f"/flow_runs/{run}")["state_type"] == "COMPLETED"
    assert refused.status_code == 409, "a value that is no choice of the form is refused at once"
    assert api.deployments()["hello-scheduled"]["paused"], "schedules rest while nobody serves"


def test_mistakes_stop_it_before_anything_starts(project: Path, tmp_path: Path) -> None:
    """A prefect.yaml with mistakes is not served."""
    file = project / "prefect.yaml"
    file.write_text(file.read_text().replace("concurrency_limit", "concurency_limit"))

    with pytest.raises(ServeError, match=r"(?s)nothing was started:.*did you mean concurrency_limit"):
        serve(prefect_file=file, home=tmp_path / "home", port=0)

    assert not (tmp_path / "home").exists()


def test_flow_that_cannot_be_loaded_is_told(server: LocalServer, api: Api, project: Path, tmp_path: Path) -> None:
    """A flow whose imports fail names the deployment and what is missing."""
    flow = project / "flows" / "hello.py"
    flow.write_text("import nothing_of_this_name\n" + flow.read_text())

    with pytest.raises(FlowLoadError, match=r"hello-scheduled: .*nothing_of_this_name.*make install"):
        serve(prefect_file=project / "prefect.yaml", home=tmp_path / "home", api_url=server.api_url)

    assert api.deployments() == {}, "the first flow could not be loaded, so nothing is registered"


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ends_with_everything_it_started(project: Path, tmp_path: Path, how: signal.Signals) -> None:
    """Stopped amid a flow run, it cancels the run, stops its server and leaves no process behind."""
    with serving(project, tmp_path / "home") as served:
        url = served.said(r"Prefect's UI: (http://127\.0\.0\.1:\d+) ")[1]
        with httpx.Client(base_url=f"{url}/api", trust_env=False) as http:
            found = http.get("/deployments/name/hello/hello-by-hand").raise_for_status().json()
            body = {"parameters": {"account": "long", "seconds": 600}}
            http.post(f"/deployments/{found['id']}/create_flow_run", json=body).raise_for_status()
        finished(project / "greeted-long")
        started = children(served.process.pid)
        said = served.stopped(how)

    assert len(started) >= 3, "guard, server and flow run"
    assert [pid for pid in started if not gone(pid)] == []
    assert served.process.returncode == 0, said
    assert said.rstrip().endswith("Stopped.")


@pytest.mark.slow
def test_killed_it_leaves_no_server(project: Path, tmp_path: Path) -> None:
    """Killed outright, its server ends all the same, and the next start works at once."""
    with serving(project, tmp_path / "home") as served:
        served.said("Prefect's UI")
        started = children(served.process.pid)
        os.kill(served.process.pid, signal.SIGKILL)
    assert [pid for pid in started if not gone(pid)] == []

    with serving(project, tmp_path / "home") as again:
        again.said("Prefect's UI")
        again.stopped(signal.SIGTERM)
    assert again.process.returncode == 0
