"""A Glopal of a few lines whose every answer a test writes itself, for what the sandbox is too well-behaved to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[str], bytes]


@dataclass
class Tiny:
    """A listening server and what it was asked.

    Attributes:
        answer: makes the body of a 200 from the request's target.
        asked: the targets of all requests, in order.
        url: where it listens.
    """

    answer: Answer
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1].decode()
            self.asked.append(target)
            body = self.answer(target)
            lines = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(lines.encode() + b"Connection: close\r\n\r\n" + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the caller left early, as it may
        finally:
            writer.close()


@asynccontextmanager
async def tiny(answer: Answer) -> AsyncIterator[Tiny]:
    """A server on a free loopback port."""
    made = Tiny(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


def page(events: list[dict[str, object]], next_link: str | None = None) -> bytes:
    """A page of the feed as the contract prints it."""
    return json.dumps({"links": {"next": next_link, "current": None, "previous": None}, "events": events}).encode()


def event(number: int, order_id: str = "100200-300400", name: str = "order.received") -> dict[str, object]:
    """One event."""
    return {
        "event_id": f"EVENT{number:011d}",
        "event_name": name,
        "event_at": "2026-01-01T00:00:00.000Z",
        "order_id": order_id,
        "external": {"order_id": None, "order_number": None},
        "entity_id": None,
    }
