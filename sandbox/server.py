"""Run both simulated sides on loopback until told to stop."""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import uvicorn

from sandbox.asgi import ASGIApp
from sandbox.control import glopal_control, store_control
from sandbox.faults import FaultPlan
from sandbox.feed import Merchant
from sandbox.glopal import Glopal
from sandbox.jsontext import dump, loads
from sandbox.presets import PRESETS
from sandbox.protocol import BreakableProtocol
from sandbox.store import SandboxStore
from sandbox.stories import StoryError

HOST = "127.0.0.1"
GLOPAL_TOKEN = "GL.sandbox-key"  # noqa: S105 - a made-up key for the simulated Glopal
STORE_TOKEN = "sandbox-store-token"  # noqa: S105 - a made-up token for the simulated store
_LOOK_FOR_PARENT_EVERY = 0.5
_LAST_WORDS = 1


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us, because two of them share the process."""

    def install_signal_handlers(self) -> None:
        """Nothing: `run` handles signals."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Nothing: `run` handles signals."""
        return nullcontext()


def _server(app: ASGIApp) -> _Server:
    config = uvicorn.Config(
        app,
        http=BreakableProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        timeout_keep_alive=75,
        # A caller that stalls in the middle of an answer must not keep the books from being written.
        timeout_graceful_shutdown=_LAST_WORDS,
    )
    return _Server(config)


def _listen(port: int) -> socket.socket:
    # Named as TCP, because asyncio switches Nagle's delay off only for sockets that say so.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(512)
        return listening
    except OSError as error:
        listening.close()
        raise SystemExit(f"sandbox: cannot listen on {HOST}:{port}: {error.strerror}") from error


async def run(
    glopal: Glopal,
    store: SandboxStore,
    *,
    glopal_port: int = 0,
    store_port: int = 0,
    state: Path | None = None,
    parent: int | None = None,
) -> None:
    """Serve both sides until SIGTERM or SIGINT, or until the parent process is gone.

    Prints one JSON line with both addresses when ready.

    Args:
        glopal: the simulated Glopal.
        store: the simulated store.
        glopal_port: 0 for a free one.
        store_port: 0 for a free one.
        state: file to write the books to at the end.
        parent: process id of who started us; None for whoever is our parent now.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sent in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sent, stop.set)
    sockets = [_listen(glopal_port), _listen(store_port)]
    servers = [_server(glopal), _server(store)]
    tasks = [
        asyncio.create_task(server.serve(sockets=[listening]))
        for server, listening in zip(servers, sockets, strict=True)
    ]
    await _started(servers, tasks)
    ports = [listening.getsockname()[1] for listening in sockets]
    print(json.dumps({"glopal": f"http://{HOST}:{ports[0]}", "store": f"http://{HOST}:{ports[1]}"}), flush=True)
    await _until_stopped(stop, os.getppid() if parent is None else parent)
    glopal.wire.closing.set()
    store.wire.closing.set()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)
    if state is not None:
        save(glopal, store, state)


async def _started(servers: list[_Server], tasks: list[asyncio.Task[None]]) -> None:
    while not all(server.started for server in servers):
        if any(task.done() for task in tasks):
            await asyncio.gather(*tasks)
            raise SystemExit("sandbox: a server ended before it began")
        await asyncio.sleep(0.01)


async def _until_stopped(stop: asyncio.Event, parent: int) -> None:
    while not stop.is_set():
        # An orphaned sandbox would listen for ever.
        if os.getppid() != parent:
            return
        try:
            await asyncio.wait_for(stop.wait(), _LOOK_FOR_PARENT_EVERY)
        except TimeoutError:
            continue


def save(glopal: Glopal, store: SandboxStore, path: Path) -> None:
    """Write both books to a file, all of it or nothing."""
    state = {
        "glopal": {name: merchant.to_state() for name, merchant in glopal.merchants.items()},
        "store": store.to_state(),
    }
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as out:
        dump(state, out)
    fresh.replace(path)


def load(glopal: Glopal, store: SandboxStore, path: Path) -> bool:
    """Take the books from a file; False when there is none."""
    if not path.exists():
        # Said at the start rather than at the end, when the books would be lost.
        path.parent.mkdir(parents=True, exist_ok=True)
        return False
    try:
        state = loads(path.read_bytes())
        for name, saved in state["glopal"].items():
            # Also a merchant that was not asked for today: what is not loaded would be lost with the next save.
            glopal.merchants.setdefault(name, Merchant(name, glopal.seed)).load(saved)
        store.load(state["store"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SystemExit(
            f"sandbox: {path} is no state file of a sandbox ({error!r}); remove it to begin anew"
        ) from error
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
    parser.add_argument("--token", default=GLOPAL_TOKEN, help=f"API key of the simulated Glopal ({GLOPAL_TOKEN})")
    parser.add_argument("--store-token", default=STORE_TOKEN, help=f"token of the simulated store ({STORE_TOKEN})")
    parser.add_argument("--parent", type=int, default=None, help="end when this is no longer our parent process")
    parser.add_argument("--state", type=Path, default=None, help="file that keeps the books between runs")
    return parser.parse_args(argv)


def _plans(choice: str, seed: int) -> list[FaultPlan]:
    if choice in PRESETS:
        return [PRESETS[choice](seed), PRESETS[choice](seed + 1)]
    try:
        given = loads(Path(choice).read_bytes())
        return [FaultPlan.from_json(given), FaultPlan.from_json(given)]
    except (OSError, ValueError) as error:
        raise SystemExit(f"sandbox: no fault plan can be read from {choice}: {error}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `python -m sandbox`."""
    given = _arguments(argv)
    # Asked first: if our parent ends while we make orders, we must notice it.
    parent = os.getppid() if given.parent is None else given.parent
    store_ids = given.store_id or ["acme"]
    glopal, store = Glopal(given.token, store_ids, given.seed), SandboxStore(given.store_token)
    glopal_control(glopal)
    store_control(store)
    known = load(glopal, store, given.state) if given.state is not None else False
    if given.orders and not known:
        try:
            glopal.merchants[store_ids[0]].generate(given.seed, given.orders, given.mix, given.hours, "live")
        except StoryError as error:
            raise SystemExit(f"sandbox: {error}") from error
    glopal.wire.plan, store.wire.plan = _plans(given.faults, given.seed)
    serving = run(
        glopal,
        store,
        glopal_port=given.glopal_port,
        store_port=given.store_port,
        state=given.state,
        parent=parent,
    )
    try:
        asyncio.run(serving)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
