"""The tuned local server: its settings exist, its errors help, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prefect.settings import Settings
from prefect.settings.legacy import _get_settings_fields

from cli import server_guard
from cli.local_server import LocalServer, ServerError
from cli.server_env import CLIENT, TUNED, client_env, server_env
from tests.deployments.conftest import Api, plain_environment


def gone(pid: int, patience: float = 30.0) -> bool:
    """Whether a process ends within some time; one that waits to be collected counts as ended."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_every_setting_is_known_to_prefect() -> None:
    """No name in our environment is one that this Prefect would ignore."""
    names = {*TUNED, *CLIENT, *server_env(Path("/home"), 1, {}), *client_env("http://x/api", Path("/home"), {})}

    assert {"DO_NOT_TRACK"} == names - set(_get_settings_fields(Settings))


def test_person_overrides_the_tuning_but_not_the_address() -> None:
    """PostgreSQL or another batch size can be set from outside; another server's address and profile cannot leak in."""
    batch = "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE"
    base = {batch: "7", "PREFECT_API_URL": "http://elsewhere/api", "PREFECT_PROFILE": "elsewhere", "PATH": "/bin"}

    found = server_env(Path("/somewhere"), 4300, base)

    assert (found[batch], found["PATH"], found["PREFECT_API_URL"]) == ("7", "/bin", "http://127.0.0.1:4300/api")
    assert "PREFECT_PROFILE" not in found


def test_server_runs_as_tuned(api: Api) -> None:
    """The running server has what we asked for."""
    found = api.get("/admin/settings")["server"]

    assert found["services"]["task_run_recorder"]["batch_size"] == 100
    assert found["concurrency"]["lease_storage"].endswith("filesystem")
    assert {"events", "flow_runs"} == set(found["services"]["db_vacuum"]["enabled"])
    assert found["analytics_enabled"] is False


def test_home_is_taken(server: LocalServer) -> None:
    """A second server on one home is refused, and told where the first one is."""
    with pytest.raises(ServerError, match=f"already runs on .* at {server.ui_url}"):
        LocalServer(server.home).start()


def test_port_is_taken(tmp_path: Path) -> None:
    """A port in use is named, with a way out; the home is free again afterwards."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for _ in range(2):
            with pytest.raises(ServerError, match=f"Port {port} is in use .* --port 0"):
                LocalServer(tmp_path, port).start()


def test_server_that_cannot_start_tells_why(tmp_path: Path) -> None:
    """When the server ends at once, its own last words are in the message."""
    environment = {**plain_environment(), "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "many"}

    with pytest.raises(ServerError, match=r"(?s)ended at once with code .*server\.log.*many"):
        LocalServer(tmp_path, environ=environment).start()


def test_stopping_twice_and_before_the_start_is_fine(tmp_path: Path) -> None:
    """Stop does nothing when nothing runs."""
    server = LocalServer(tmp_path)
    server.stop()
    server.stop()

    assert server.pid is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_guard_ends_its_program_when_its_starter_is_gone(tmp_path: Path, how: signal.Signals) -> None:
    """However the starter ends, the guarded program ends too."""
    note = tmp_path / "pid"
    guarded = f"import os, time, pathlib; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(300)"
    command = [sys.executable, str(Path(server_guard.__file__)), sys.executable, "-c", guarded]
    starter = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen({command!r}, stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", starter]) as process:
        while not (note.exists() and note.read_text()):
            time.sleep(0.05)
        os.kill(process.pid, how)

    assert gone(int(note.read_text()))


def test_guard_passes_the_exit_code_on() -> None:
    """A program that ends by itself ends the guard with its code."""
    command = [sys.executable, str(Path(server_guard.__file__)), sys.executable, "-c", "raise SystemExit(7)"]

    with subprocess.Popen(command, stdin=subprocess.PIPE) as guard:
        assert guard.wait(60) == 7
