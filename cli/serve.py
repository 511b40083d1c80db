"""``crossdock serve``: a tuned local Prefect server and the deployments of prefect.yaml, without a worker.

Everything ends with it. On SIGINT and SIGTERM the running flow runs are cancelled, the schedules paused and the server
stopped. After a kill -9 the server is stopped by its guard; a flow run under way ends by itself once its server
is gone, and the next poll goes on where the ledger says it stopped.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.bootstrap import prepare
from cli.deployments import DECLARATION, Deployment, read
from cli.lint_prefect import lint
from cli.local_server import DEFAULT_PORT, LocalServer
from cli.server_env import HEARTBEAT_SECONDS, server_settings

if TYPE_CHECKING:
    from prefect.runner import Runner

DEFAULT_HOME = Path(".crossdock/prefect")
# Flow runs at once on one machine: a poller per account and a few by hand. Without a limit Prefect starts any number.
DEFAULT_LIMIT = 8
# How often new runs are looked for; Prefect's 10 s make a run started by hand look dead.
_QUERY_SECONDS = 3.0


class ServeError(RuntimeError):
    """The deployments cannot be served; the message says what to do."""


def serve(
    *,
    prefect_file: Path = Path(DECLARATION),
    home: Path = DEFAULT_HOME,
    port: int = DEFAULT_PORT,
    limit: int = DEFAULT_LIMIT,
    notify_block: str | None = None,
    api_url: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the declared deployments until SIGINT or SIGTERM comes.

    Args:
        prefect_file: The declaration; its folder is where the flows run.
        home: The local server's PREFECT_HOME.
        port: The local server's port; 0 takes a free one.
        limit: How many flow runs at once.
        notify_block: The notification block for parked orders, as in `crossdock.toml`.
        api_url: A Prefect server that runs already; None starts a local one.
        say: Takes each line for the person.

    Raises:
        ServeError: prefect.yaml has mistakes.
        FlowLoadError: A flow in it cannot be loaded.
        ServerError: The local server could not be started.
        BootstrapError: The server could not be prepared.
    """
    root, home = prefect_file.absolute().parent, home.absolute()
    mistakes = lint(prefect_file)
    if mistakes:
        raise ServeError("The deployments have mistakes, so nothing was started:\n" + "\n".join(mistakes))
    declared = read(prefect_file)
    with _prefect(api_url, home, port, say) as ui_url, chdir(root):
        asyncio.run(_serve(declared, limit, notify_block, partial(_ready, say, ui_url, declared)))
        say("Flow runs are cancelled, schedules paused; stopping the server.")
    say("Stopped.")


@contextmanager
def _prefect(api_url: str | None, home: Path, port: int, say: Callable[[str], None]) -> Iterator[str]:
    """A Prefect server in force, ours or another; the address of its UI."""
    if api_url is not None:
        with server_settings(api_url, home):
            yield "{0.scheme}://{0.netloc}".format(urlsplit(api_url))
        return
    say("Starting a Prefect server on this machine (the first time some 15 s) ...")
    with LocalServer(home, port) as server, server.settings():
        yield server.ui_url


def _ready(say: Callable[[str], None], ui_url: str, declared: Sequence[Deployment]) -> None:
    for deployment in declared:
        when = ", ".join(str(schedule.get("slug")) for schedule in deployment.schedules) or "by hand"
        say(f"  {deployment.name:24} {when}")
    say(f"Prefect's UI: {ui_url}   (Ctrl-C stops everything)")


async def _serve(
    declared: Sequence[Deployment], limit: int, notify_block: str | None, ready: Callable[[], None]
) -> None:
    """Prepare the server, register the deployments, run what is due, until asked to stop."""
    from prefect.logging.handlers import APILogHandler  # noqa: PLC0415 - slow to import

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await prepare(notify_block)
    runner = _runner(limit, lambda: loop.call_soon_threadsafe(stop.set))
    await register(runner, declared)
    ready()
    running = asyncio.create_task(runner.start())
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        await _stop(runner, running)
        await APILogHandler.aflush()  # or the last lines would be sent to a server that is gone


async def register(runner: Runner, declared: Sequence[Deployment]) -> None:
    """Register the declared deployments with the server, for this runner to run.

    Raises:
        FlowLoadError: A flow cannot be loaded; those before it are registered.
    """
    for deployment in declared:
        await runner.aadd_deployment(await asyncio.to_thread(deployment.to_runner))


def _runner(limit: int, on_sigterm: Callable[[], object]) -> Runner:
    from prefect.runner import Runner  # noqa: PLC0415 - slow to import

    class ServingRunner(Runner):
        """Prefect's runner, which on SIGTERM lets us stop it rather than leaving in the middle."""

        def handle_sigterm(self, *_args: object, **_kwargs: object) -> None:
            on_sigterm()

    return ServingRunner(
        name="crossdock",
        # Schedules of a machine that is off would pile up missed runs, all started at once when it is on again.
        pause_on_shutdown=True,
        limit=limit,
        query_seconds=_QUERY_SECONDS,
        heartbeat_seconds=HEARTBEAT_SECONDS,
    )


async def _stop(runner: Runner, running: asyncio.Task[None]) -> None:
    """Stop the runner if it still runs; an error that ended it is raised here."""
    if not running.done() and runner.started:
        await runner.astop()
    elif not running.done():
        running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        if not running.cancelled():  # it is we who were cancelled, not the runner
            raise
