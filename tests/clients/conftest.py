"""A byte-exact HTTP server on a loopback socket, a clock that tests own, and clients wired to both."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from clients.glopal import GlopalClient
from clients.limiter import Clock, forget_limiters
from models.outcome import BadDocument
from models.settings import GlopalAccount, GlopalEndpoints, Limits, Secret

KEY = "GL.canary-5f2d9c1e7a"
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
Step = bytes | Script


def http(
    status: int,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    length: int | None = None,
    reason: str = "",
) -> bytes:
    """One answer, byte for byte; ``length`` lies about the body's size."""
    head = {"Content-Type": "application/json", "Connection": "close"}
    head["Content-Length"] = str(len(body) if length is None else length)
    head |= headers or {}
    lines = [f"HTTP/1.1 {status} {reason or HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in head.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection with a RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Never answer; ends when the client hangs up."""
    await writer.wait_closed()


def then(first: bytes, after: Script) -> Script:
    """Send some bytes and go on with a script."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        await writer.drain()
        await asyncio.sleep(0.02)
        await after(writer)

    return script


async def drip(writer: asyncio.StreamWriter) -> None:
    """A body that arrives byte by byte and would take minutes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.02)


class RawServer:
    """Answers the n-th request with the n-th step and all later ones with the last."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.steps: list[Step] = [http(500)]
        self.busy = 0
        self.busiest = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"

    def answers(self, *steps: Step) -> None:
        """Begin a new script and forget the requests so far."""
        self.steps = list(steps)
        self.requests.clear()

    def target(self, index: int = -1) -> str:
        """Method and path of a request."""
        return " ".join(self.requests[index].split(b"\r\n", 1)[0].decode().split(" ")[:2])

    def body(self, index: int = -1) -> bytes:
        """The body of a request."""
        return self.requests[index].split(b"\r\n\r\n", 1)[1]

    async def start(self) -> None:
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        assert self._server is not None
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            sizes = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(sizes[0])) if sizes else b""
            step = self.steps[min(len(self.requests), len(self.steps) - 1)]
            self.requests.append(head + body)
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
            try:
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                else:
                    await step(writer)
            finally:
                self.busy -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up, which is what some tests are about
        finally:
            writer.close()


class FakeClock:
    """Virtual time: sleeping moves it and is written down."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.sleeps: list[float] = []
        self.epoch = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
        self.chance = 0.5

    def now(self) -> datetime:
        """Virtual wall clock."""
        return self.epoch + timedelta(seconds=self.at - 1000.0)

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass at once."""
        self.sleeps.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        """What the clients take."""
        return Clock(monotonic=lambda: self.at, now=self.now, sleep=self.sleep, chance=lambda: self.chance)


class Kept:
    """Stands for whoever stores unusable answers."""

    def __init__(self) -> None:
        self.all: list[tuple[str, BadDocument]] = []

    async def __call__(self, subject: str, bad: BadDocument) -> None:
        """Keep one."""
        self.all.append((subject, bad))


class Kit:
    """What the test modules need from here: tests are found, not imported."""

    http = staticmethod(http)
    reset = staticmethod(reset)
    silence = staticmethod(silence)
    then = staticmethod(then)
    drip = staticmethod(drip)
    key = KEY

    def __init__(self, server: RawServer, clock: FakeClock) -> None:
        self.server = server
        self.clock = clock
        self.kept = Kept()

    def account(self, *, limits: dict[str, Any] | None = None, **changes: Any) -> GlopalAccount:
        """An account at the server; limits and endpoints as plain values."""
        endpoints = changes.pop("endpoints", {})
        return GlopalAccount(
            **{
                "store_id": "demo",
                "base_url": self.server.url,
                "key": Secret(env="GLOPAL_KEY"),
                "store": "main",
                "base_currency": "EUR",
                "cancel_confirmed": True,
                "limits": Limits(**({"timeout": 5.0} | (limits or {}))),
                "endpoints": GlopalEndpoints(**endpoints),
                **changes,
            }
        )

    def client(self, *, limits: dict[str, Any] | None = None, **changes: Any) -> GlopalClient:
        """A client of such an account, on virtual time."""
        account = self.account(limits=limits, **changes)
        return GlopalClient(account, SecretStr(KEY), clock=self.clock.clock(), on_bad_answer=self.kept)


@pytest.fixture(autouse=True)
def _fresh_limiters() -> Iterator[None]:
    forget_limiters()
    yield
    forget_limiters()


@pytest.fixture
def fake_clock() -> FakeClock:
    """Virtual time."""
    return FakeClock()


@pytest_asyncio.fixture
async def kit(fake_clock: FakeClock) -> AsyncIterator[Kit]:
    """A running server and what belongs to it."""
    server = RawServer()
    await server.start()
    try:
        yield Kit(server, fake_clock)
    finally:
        await server.stop()
