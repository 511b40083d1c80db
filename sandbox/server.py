"""Run both simulated sides on loopback until told to stop."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from sandbox.control import glopal_control, store_control
from sandbox.faults import FaultPlan
from sandbox.glopal import Glopal
from sandbox.jsontext import dumps, loads
from sandbox.presets import PRESETS
from sandbox.protocol import BreakableProtocol
from sandbox.store import SandboxStore

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us, because two of them share the process."""

    def install_signal_handlers(self) -> None:
        """Nothing: `run` handles signals."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Nothing: `run` handles signals."""
        return nullcontext()


def _server(app: ASGIApp, port: int) -> _Server:
    config = uvicorn.Config(
        app,
        host=HOST,
        port=port,
        http=BreakableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        timeout_keep_alive=75,
        backlog=512,
    )
    return _Server(config)


async def run(
    glopal: Glopal, store: SandboxStore, *, glopal_port: int = 0, store_port: int = 0, state: Path | None = None
) -> None:
    """Serve both sides until SIGTERM or SIGINT, or until the parent process is gone.

    Prints one JSON line with both addresses when ready.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sent in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sent, stop.set)
    servers = [_server(glopal, glopal_port), _server(store, store_port)]
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    while not all(server.started for server in servers):
        if any(task.done() for task in tasks):
            await asyncio.gather(*tasks)
            raise SystemExit("the sandbox could not listen; is the port taken?")
        await asyncio.sleep(0.01)
    ports = [server.servers[0].sockets[0].getsockname()[1] for server in servers]
    print(json.dumps({"glopal": f"http://{HOST}:{ports[0]}", "store": f"http://{HOST}:{ports[1]}"}), flush=True)
    await _until_stopped(stop)
    glopal.wire.closing.set()
    store.wire.closing.set()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)
    if state is not None:
        save(glopal, store, state)


async def _until_stopped(stop: asyncio.Event) -> None:
    parent = os.getppid()
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), 1.0)
        except TimeoutError:
            # An orphaned sandbox would listen for ever.
            if os.getppid() != parent:
                return


def save(glopal: Glopal, store: SandboxStore, path: Path) -> None:
    """Write both books to a file, all of it or nothing."""
    state = {
        "glopal": {name: merchant.to_state() for name, merchant in glopal.merchants.items()},
        "store": store.to_state(),
    }
    fresh = path.with_suffix(".new")
    fresh.write_bytes(dumps(state))
    fresh.replace(path)


def load(glopal: Glopal, store: SandboxStore, path: Path) -> bool:
    """Take the books from a file; False when there is none."""
    if not path.exists():
        return False
    state = loads(path.read_bytes())
    for name, saved in state["glopal"].items():
        if name in glopal.merchants:
            glopal.merchants[name].load(saved)
    store.load(state["store"])
    return True


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description="A simulated Glopal and a simulated store.")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--orders", type=int, default=0, help="orders to begin with, for the first store id")
    parser.add_argument("--mix", default="demo", help="story mix of those orders")
    parser.add_argument("--hours", type=float, default=24.0, help="how far back their history reaches")
    parser.add_argument("--faults", default="none", help="demo, none, or a JSON file with rules for both sides")
    parser.add_argument("--store-id", action="append", default=[], help="merchant at Glopal; may be repeated")
    parser.add_argument("--glopal-port", type=int, default=0)
    parser.add_argument("--store-port", type=int, default=0)
    parser.add_argument("--token", default=os.environ.get("SANDBOX_GLOPAL_KEY", "GL.sandbox-key"))
    parser.add_argument("--store-token", default=os.environ.get("SANDBOX_STORE_TOKEN", "sandbox-store-token"))
    parser.add_argument("--state", type=Path, default=None, help="file that keeps the books between runs")
    return parser.parse_args(argv)


def _plans(choice: str, seed: int) -> list[FaultPlan]:
    if choice in PRESETS:
        return [PRESETS[choice](seed), PRESETS[choice](seed + 1)]
    given = loads(Path(choice).read_bytes())
    return [FaultPlan.from_json(given), FaultPlan.from_json(given)]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `python -m sandbox`."""
    given = _arguments(argv)
    store_ids = given.store_id or ["acme"]
    glopal, store = Glopal(given.token, store_ids, given.seed), SandboxStore(given.store_token)
    glopal_control(glopal)
    store_control(store)
    known = load(glopal, store, given.state) if given.state is not None else False
    if given.orders and not known:
        glopal.merchants[store_ids[0]].generate(given.seed, given.orders, given.mix, given.hours, "live")
    glopal.wire.plan, store.wire.plan = _plans(given.faults, given.seed)
    try:
        asyncio.run(run(glopal, store, glopal_port=given.glopal_port, store_port=given.store_port, state=given.state))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
