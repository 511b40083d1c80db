"""``crossdock demo``: from an empty folder to reconciled orders, with the real flows on a real Prefect server."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli import console, demo_report
from cli.demo_world import DemoError, DemoOptions, World
from cli.local_server import LocalServer

if TYPE_CHECKING:
    from cli.demo_run import Work

__all__ = ["DemoError", "DemoOptions", "run_demo"]

_KINDS = {"embedded": "SQL tables", "http": "a store over HTTP"}


def run_demo(options: DemoOptions) -> int:
    """Run the demo; 0 only when every book agrees.

    Raises:
        DemoError: the folder cannot be used, or the orders do not come to rest.
        ServerError: the Prefect server did not start.
    """
    began = time.monotonic()
    say: Callable[[str], None] = (lambda _: None) if options.as_json else console.say
    world = World(options)
    again = world.mark["runs"] > 0
    _introduce(world, again, say)
    with _prefect(world) as server, world.running():
        started = time.monotonic() - began
        say(f"Prefect's UI: {server.ui_url}")
        try:
            work, task_runs = _work(world, server)
        except KeyboardInterrupt:
            console.complain("Stopped. Running the demo again goes on where it stopped.")
            raise
        world.remember(runs=world.mark["runs"] + 1)
        work.seconds = {"starting": started, **work.seconds, "in all": time.monotonic() - began}
        prefect = {"ui": server.ui_url, "task_runs": task_runs, "flow_runs": work.polls * len(world.accounts)}
        report = demo_report.json_of(work, world, prefect)
        if options.as_json:
            console.say_json(report)
        else:
            demo_report.show(work, world)
            _conclude(report, world, again)
        if options.keep:
            _keep(world, server)
    return 0 if report["ok"] else 1


def _introduce(world: World, again: bool, say: Callable[[str], None]) -> None:
    where = ", ".join(f"{a.orders} into {_KINDS[a.kind]} (account {a.name})" for a in world.accounts)
    say(f"{world.options.orders} simulated orders: {where}. Faults: {world.options.faults}.")
    if again:
        say("They were landed by an earlier run, so nothing should be left to do; --fresh starts over.")
    say(f"Starting a simulated Glopal and a Prefect server in {world.folder} ...")


@contextmanager
def _prefect(world: World) -> Iterator[LocalServer]:
    """A Prefect server in force, with the flows loaded while it starts."""
    server = LocalServer(world.folder / "prefect")
    try:
        with ThreadPoolExecutor(1) as pool, console.progress() as bar:
            bar.add_task("Prefect starts (the first time some 15 s)", total=None)
            starting = pool.submit(server.start)
            importlib.import_module("cli.demo_run")
            starting.result()
        with server.settings():
            yield server
    finally:
        server.stop()


def _work(world: World, server: LocalServer) -> tuple[Work, int]:
    """Land everything and compare; also how many task runs the server shows."""
    from cli.demo_run import Demo, quiet, recorded_task_runs  # noqa: PLC0415 - loads Prefect

    quiet()
    with console.progress() as bar:
        task = bar.add_task("landing", total=None)

        def shown(words: str, rested: int, total: int) -> None:
            bar.update(task, description=words, completed=rested, total=total)

        async def everything() -> tuple[Work, int]:
            work = await Demo(world, shown).run()
            return work, await recorded_task_runs(server.api_url)

        return asyncio.run(everything())


def _conclude(report: dict[str, Any], world: World, again: bool) -> None:
    prefect = report["prefect"]
    console.say(
        f"Prefect shows {prefect['flow_runs']} flow runs of this run, and {prefect['task_runs']} task runs in all."
    )
    if not report["ok"]:
        console.say(f"\nNOT ALL BOOKS AGREE. See: crossdock --config {_short(world)} orders")
        return
    if again and not report["inserts"] and not report["accepts"]:
        console.say("\nAll books agree, and running it again changed nothing: 0 inserts, 0 accepts.")
    else:
        console.say("\nAll books agree.")
    console.say(f"Look around: crossdock --config {_short(world)} orders     (and: why ORDER)")
    if not world.options.keep:
        console.say("To see it in Prefect's UI: crossdock demo --keep     (make demo KEEP=1)")


def _short(world: World) -> str:
    try:
        return str(world.config.relative_to(world.config.cwd()))
    except ValueError:  # it lies elsewhere
        return str(world.config)


def _keep(world: World, server: LocalServer) -> None:
    """Leave everything running until Ctrl-C."""
    err = console.complain if world.options.as_json else console.say
    err(f"\nKept running until Ctrl-C. Prefect's UI: {server.ui_url}/runs")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        err("Stopping.")
