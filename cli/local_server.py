"""A tuned Prefect server on this machine: started, waited for, and stopped by the process id."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Self

import httpx

from cli import server_guard
from cli.server_env import client_env, server_env, server_settings

DEFAULT_PORT = 4200
_STOP_SECONDS = 25.0
_LOOK_SECONDS = 0.1
_LOG_LINES = 15
_LOCK_FILE = "server.lock"


class ServerError(RuntimeError):
    """The local Prefect server could not be started; the message says why and what to do."""


class LocalServer:
    """One Prefect server on 127.0.0.1 with a home of its own.

    Usable as a context manager, plain or async. The server ends with `stop`, and also when this process is killed.

    Args:
        home: Its PREFECT_HOME: database, leases, log. Made if missing.
        port: The port; 0 takes a free one.
        patience: Seconds that it may take to answer; the first start makes the database, some 10 s on a small machine.
        environ: The environment to start from instead of this process's.
    """

    def __init__(
        self, home: Path, port: int = 0, *, patience: float = 120.0, environ: Mapping[str, str] | None = None
    ) -> None:
        self.home = home.absolute()
        self._wanted_port = port
        self._patience = patience
        self._environ = os.environ if environ is None else environ
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def api_url(self) -> str:
        """The address of the API, for PREFECT_API_URL."""
        return f"{self.ui_url}/api"

    @property
    def ui_url(self) -> str:
        """The address that a person opens in a browser."""
        if self._port is None:
            raise ServerError("This server has no address yet: start it first.")
        return f"http://127.0.0.1:{self._port}"

    @property
    def log_file(self) -> Path:
        """Where the server writes what it has to say."""
        return self.home / "server.log"

    @property
    def pid(self) -> int | None:
        """The process id of the server's guard while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def settings(self) -> AbstractContextManager[None]:
        """Let this process, and the flow runs it starts, talk to this server."""
        return server_settings(self.api_url, self.home)

    def environment(self) -> dict[str, str]:
        """The environment with which another program talks to this server."""
        return client_env(self.api_url, self.home, self._environ)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerError: The port or the home is taken, or the server ended or stayed silent.
        """
        if self._process is not None:
            raise ServerError("This server has been started already.")
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_home()
        try:
            self._port = _usable_port(self._wanted_port)
            self._process = self._launch(self._port)
            self._wait_until_healthy(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and wait until it is gone; does nothing when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            if process.stdin:
                process.stdin.close()  # the guard sees the end of its input and stops the server
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # The guard leads a process group of its own, so this reaches it and the server, and nothing else.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.to_thread(self.stop)

    def _take_home(self) -> IO[str]:
        """One server per home: two on one SQLite file would lock each other out."""
        lock = (self.home / _LOCK_FILE).open("a+", encoding="utf-8")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            where = lock.read().strip() or "an address it has not written yet"
            lock.close()
            raise ServerError(
                f"A Crossdock server already runs on {self.home}, at {where}. Two cannot share one database. "
                "Use that one, stop it, or give this one a home of its own with --home."
            ) from error
        return lock

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        (self.home / _LOCK_FILE).write_text(f"{self.ui_url}\n", encoding="utf-8")
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with self.log_file.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, str(Path(server_guard.__file__)), *command],
                # Prefect reads prefect.toml, pyproject.toml and .env of its folder; ours are not meant for the server.
                cwd=self.home,
                env=server_env(self.home, port, self._environ),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the server afterwards
            )

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._patience
        with httpx.Client(trust_env=False, timeout=5.0) as http:
            while not _answers(http, f"{self.api_url}/health"):
                if process.poll() is not None:
                    raise ServerError(
                        f"The Prefect server ended at once with code {process.returncode}. The end of its log, "
                        f"{self.log_file}:\n{self._log_tail()}"
                    )
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"The Prefect server did not answer within {self._patience:g} s and was stopped. Is the "
                        f"machine very busy? Try again. The end of its log, {self.log_file}:\n{self._log_tail()}"
                    )
                time.sleep(_LOOK_SECONDS)

    def _log_tail(self) -> str:
        lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:])


def _answers(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).is_success
    except httpx.TransportError:  # not listening yet
        return False


def _usable_port(wanted: int) -> int:
    """The wanted port if nobody has it, or a free one for 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the server itself does: an address that only waits for old connections to fade is usable.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise ServerError(
                f"Port {wanted} is in use by another program, perhaps by another Prefect server. Stop that one, or "
                "take another port: --port 4201, or --port 0 for any free one."
            ) from error
        port: int = probe.getsockname()[1]
        return port
