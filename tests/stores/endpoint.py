"""A merchant's order endpoint on a loopback socket: the documented contract in small, and any bytes a test wants."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from models.ids import Reference

TOKEN = "GL.canary-store-token-7f3a"

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
Step = bytes | Script


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)


def http(status: int, body: object = b"", *, length: int | None = None, headers: dict[str, str] | None = None) -> bytes:
    """One answer, byte for byte. What is not bytes becomes JSON; ``length`` lies about the body's size."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"content-type": "application/json", "content-length": str(len(raw) if length is None else length)}
    head |= headers or {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + raw


def error(status: int, code: str, **more: str) -> bytes:
    """An error answer of the contract."""
    return http(status, {"error": {"code": code, "message": "free text of canary-buyer.example", **more}})


REFERENCE = Reference("glopal.live.shop.1")
PAGE = {"content-type": "text/html"}
HTML = http(500, b"<html>canary-buyer.example</html>", headers=PAGE)


def shown(**changes: object) -> dict[str, object]:
    """An order as an endpoint shows it; the one that ``an_order()`` makes, unless changed."""
    order = {"id": "1", "number": "N-1", "reference": REFERENCE, "state": "open", "currency": "EUR", "total": "24.68"}
    return {**order, **changes}


def then_close(step: Step) -> Step:
    """Bytes that are followed by the end of the connection; a script as it is."""

    async def script(writer: asyncio.StreamWriter) -> None:
        assert isinstance(step, bytes)
        writer.write(step)
        await writer.drain()
        writer.close()

    return script if isinstance(step, bytes) else step


async def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection with a RST."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Never answer; ends when the client hangs up."""
    while not writer.transport.is_closing():  # noqa: ASYNC110 - a transport has no event for it
        await asyncio.sleep(0.01)


@dataclass
class Endpoint:
    """The server. ``steps`` are played instead of the contract, first in first out.

    Attributes:
        books: what the merchant really has, by order id.
        effect_first: whether a played step comes after the contract's effect on the books.
        busiest: most requests that were open at once.
    """

    books: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    effect_first: bool = False
    delay: float = 0.0
    ids: Callable[[int], str] = str
    requests: list[Request] = field(default_factory=list)
    busiest: int = 0
    port: int = 0
    _open: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """What a merchant would configure as base_url."""
        return f"http://127.0.0.1:{self.port}/shop"

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Hang up on everybody."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                self._open += 1
                self.busiest = max(self.busiest, self._open)
                try:
                    if self.delay:
                        await asyncio.sleep(self.delay)
                    await self._answer(request, writer)
                finally:
                    self._open -= 1
        except ConnectionError:
            pass  # the client hung up on purpose
        finally:
            writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        step = self.steps.pop(0) if self.steps else None
        good = self._contract(request) if step is None or self.effect_first else b""
        if step is None:
            writer.write(good)
        elif isinstance(step, bytes):
            writer.write(step)
        else:
            await step(writer)
        if not writer.transport.is_closing():
            await writer.drain()

    def _contract(self, request: Request) -> bytes:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return error(401, "bad_token")
        url = urlsplit(request.target)
        steps = [unquote(step) for step in url.path.removeprefix("/shop/").split("/")]
        match request.method, steps:
            case "GET", ["ping"]:
                return http(200, {"ok": True})
            case "GET", ["orders"]:
                wanted = parse_qs(url.query)["reference"][0]
                return http(200, {"orders": [o for o in self.books.values() if o["reference"] == wanted]})
            case "POST", ["orders"]:
                return self._create(request)
            case _, [_, order_id, *verb] if order_id in self.books:
                return self._act(self.books[order_id], verb, request)
        return error(404, "not_found")

    def _create(self, request: Request) -> bytes:
        sent = request.json
        assert request.headers["idempotency-key"] == sent["reference"] == sent["order"]["reference"]
        money = {"currency": sent["order"]["currency"], "total": sent["order"]["total"]}
        for order in self.books.values():
            if order["reference"] == sent["reference"]:
                same = {key: order[key] for key in money} == money
                return http(200, {"order": order}) if same else error(409, "reference_conflict")
        order_id = self.ids(len(self.books) + 1)
        state = "held" if sent["hold"] else "open"
        order = {"id": order_id, "number": f"N-{len(self.books) + 1}", "reference": sent["reference"], "state": state}
        self.books[order_id] = {**order, **money}
        return http(201, {"order": self.books[order_id]})

    def _act(self, order: dict[str, Any], verb: list[str], request: Request) -> bytes:
        match verb, order["state"]:
            case ["release"], "cancelled":
                return error(409, "order_cancelled")
            case ["release"], "held":
                order["state"] = "open"
            case ["cancel"], "shipped":
                return error(409, "already_shipped")
            case ["cancel"], _:
                order["state"] = "cancelled"
            case ["notes"], _:
                order.setdefault("notes", []).append(request.json["text"])
                return http(201, {})
        return http(200, {"order": order})


async def _read(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:]) if name}
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
