"""The uvicorn protocol that lets an application break its connection on purpose.

ASGI has no way to say "reset this connection", and a simulated failure must be a real one on the wire. The protocol
puts a `Breaker` into the scope under `sandbox.breaker`. It also counts requests in flight from their first byte, which
an application cannot do: a handler that never waits only ever sees itself.
"""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_MUCH = 64 * 1024
# Linger on, zero seconds: close() then sends RST instead of FIN and drops what is still unsent.
_LINGER_ZERO = struct.pack("ii", 1, 0)


class InFlight:
    """Number of requests that have begun to arrive and are not answered yet."""

    def __init__(self) -> None:
        self.now = 0
        self.peak = 0

    def enter(self) -> None:
        """Count a request in."""
        self.now += 1
        self.peak = max(self.peak, self.now)

    def leave(self) -> None:
        """Count a request out."""
        self.now -= 1


class Breaker:
    """Breaks one client connection.

    Args:
        transport: the connection's transport.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def reset(self) -> None:
        """Send a TCP reset; the client sees its connection torn down."""
        connection = self._transport.get_extra_info("socket")
        if connection is not None and not self._transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._transport.abort()

    def close(self) -> None:
        """Close in an orderly way, without an answer."""
        self._transport.close()


class JoiningTransport:
    """A transport that sends what is written in one go together: an answer's head and body are one packet, not two.

    Args:
        inner: the connection's own transport.
        loop: the running loop.
    """

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Keep data until the loop's next turn, or until there is much of it."""
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size > _MUCH:
            self._flush()

    def close(self) -> None:
        """Close once everything written is sent."""
        self._flush()
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _flush(self) -> None:
        if self._parts:
            data, self._parts, self._size = b"".join(self._parts), [], 0
            self._inner.write(data)


class BreakableProtocol(H11Protocol):
    """`H11Protocol` with a `Breaker` in every scope and a count of requests in flight."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection and prepare its breaker."""
        super().connection_made(JoiningTransport(transport, self.loop))  # type: ignore[arg-type]
        breaker = Breaker(transport)
        inner = self.app
        # A middleware may stand around the application, so the count is looked for on the configured one.
        self._in_flight: InFlight = getattr(self.config.app, "in_flight", None) or InFlight()
        self._busy = False

        async def with_breaker(scope: Any, receive: Any, send: Any) -> None:
            scope["sandbox.breaker"] = breaker
            await inner(scope, receive, send)

        self.app = with_breaker

    def data_received(self, data: bytes) -> None:
        """Take bytes in, counting a request from its first one. The control plane's own calls are not counted."""
        # After an early answer, such as 401, the rest of that request's body still comes in: no new request.
        new = not self._busy and repr(self.conn.their_state) == "IDLE"
        if new and b" /_sandbox" not in data[:24]:
            self._busy = True
            self._in_flight.enter()
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Count the request out."""
        self._count_out()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a request that will never be answered out."""
        self._count_out()
        super().connection_lost(exc)

    def _count_out(self) -> None:
        if self._busy:
            self._busy = False
            self._in_flight.leave()
