"""One call on the wire: authenticate, meet the fault plan, do the effect, answer (or not)."""

import asyncio
import hmac
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from sandbox.asgi import Receive, Scope, Send
from sandbox.faults import FaultPlan, Hit
from sandbox.jsontext import Json, dumps, loads
from sandbox.protocol import Breaker
from sandbox.shaping import drop_field, with_unknown_fields
from sandbox.traffic import Traffic

MAX_REQUEST_BODY = 32 * 1024 * 1024
"""Bytes of a request body; a longer one is answered 413."""

_HTML = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Something went wrong</h1></body></html>"
_CHUNK = 1024 * 1024


@dataclass(slots=True)
class Reply:
    """An answer before the fault plan has had its say."""

    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    content_type: bytes = b"application/json"


class TooLarge(Exception):
    """The request body is longer than `MAX_REQUEST_BODY`."""


Effect = Callable[[], Reply]
ErrorBody = Callable[[int, str, str], Json]


class Wire:
    """The pipeline that every hot call of one simulated side goes through.

    Args:
        token: the bearer token that callers must show.
        error_body: makes the side's error document from (status, code, message).
    """

    def __init__(self, token: str, error_body: ErrorBody) -> None:
        self.plan = FaultPlan()
        self.traffic = Traffic()
        self.closing = asyncio.Event()
        self._authorization = f"Bearer {token}".encode()
        self._error_body = error_body

    def reset(self) -> None:
        """Forget the fault plan and the traffic."""
        self.plan, self.traffic = FaultPlan(), Traffic()

    def error(self, status: int, code: str, message: str, retry_after: float | None = None) -> Reply:
        """An error answer in this side's own form."""
        reply = Reply(status, dumps(self._error_body(status, code, message)))
        if retry_after is not None:
            reply.headers.append((b"retry-after", str(math.ceil(retry_after)).encode()))
        return reply

    def authenticated(self, scope: Scope) -> bool:
        """Whether the call shows the right bearer token."""
        for name, value in scope["headers"]:
            if name == b"authorization":
                return hmac.compare_digest(value, self._authorization)
        return False

    async def answer(self, scope: Scope, send: Send, endpoint: str, key: str, effect: Effect) -> None:
        """Serve one call under the fault plan.

        Args:
            scope: the ASGI scope, with the breaker that `BreakableProtocol` puts in.
            send: the ASGI send.
            endpoint: name for counters and rules.
            key: order id or reference that rules and caps go by.
            effect: does what was asked, in one go, and returns the honest answer.
        """
        traffic, plan = self.traffic, self.plan
        traffic.arrive(endpoint, key)
        reply: Reply | None
        if not plan.rules:
            honest = effect()
            traffic.leave(endpoint, str(honest.status))
            await send_reply(send, honest)
            return
        outcome = "cancelled"
        try:
            slow = plan.shaping(endpoint, key, "slow")
            if slow is not None:
                await self._pause(slow.number("seconds", 0.5))
            hit = plan.breaking(endpoint, key)
            if hit is None:
                shaped = self._shaped(endpoint, key, effect())
                outcome, reply = str(shaped.status), shaped
            else:
                outcome, reply = await self._broken(scope, send, endpoint, key, hit, effect)
        finally:
            # Counted before the last byte leaves, so that a caller's next call never meets its own last one.
            traffic.leave(endpoint, outcome)
        if reply is not None:
            await send_reply(send, reply)

    async def _broken(
        self, scope: Scope, send: Send, endpoint: str, key: str, hit: Hit, effect: Effect
    ) -> tuple[str, Reply | None]:
        """Spoil the call; a reply that is still to be sent comes back."""
        if hit.kind in ("429", "429_bare"):
            return "429", self._too_many(endpoint, key, hit)
        numbered = hit.status_and_effect
        if numbered is not None:
            status, with_effect = numbered
            if with_effect:
                effect()
            wait = hit.params.get("retry_after")
            if wait is not None:
                self.traffic.ask_to_wait(endpoint, key, float(wait))
            return str(status), self.error(status, "server_error", "Something went wrong", wait)
        if hit.kind.startswith(("timeout_", "reset_")):
            return await self._unanswered(scope, hit, effect)
        if hit.kind == "huge":
            if hit.flag("effect", False):
                effect()
            await _send_huge(send, int(hit.number("size_mb", 50)), hit.flag("chunked", True))
            return "huge", None
        if hit.kind == "html":
            if hit.flag("effect", False):
                effect()
            status = int(hit.number("status", 200))
            return f"{status}_html", Reply(status, _HTML, content_type=b"text/html; charset=utf-8")
        return await self._garbled(scope, send, hit, effect())

    def _too_many(self, endpoint: str, key: str, hit: Hit) -> Reply:
        reply = self.error(429, "too_many_requests", "Too many requests")
        if hit.kind == "429":
            wait = hit.number("retry_after", 1)
            if hit.flag("http_date", False):
                instant = math.ceil(time.time() + wait)
                wait = instant - time.time()
                value = formatdate(instant, usegmt=True)
            else:
                value = str(math.ceil(wait))
                wait = math.ceil(wait)
            reply.headers.append((b"retry-after", value.encode()))
            self.traffic.ask_to_wait(endpoint, key, wait)
        return reply

    async def _unanswered(self, scope: Scope, hit: Hit, effect: Effect) -> tuple[str, None]:
        if hit.kind.endswith("_after"):
            effect()
        breaker: Breaker = scope["sandbox.breaker"]
        if hit.kind.startswith("timeout_"):
            await self._pause(hit.number("seconds", 1.0))
            breaker.close()
            return "timeout", None
        breaker.reset()
        return "reset", None

    async def _garbled(self, scope: Scope, send: Send, hit: Hit, reply: Reply) -> tuple[str, Reply | None]:
        """Do the effect, then spoil its good answer."""
        if hit.kind == "cut_body":
            await _send_half(send, reply)
            # The half must have left before the reset throws the rest away.
            await asyncio.sleep(0.02)
            breaker: Breaker = scope["sandbox.breaker"]
            breaker.reset()
            return "cut", None
        if hit.kind == "broken_json":
            reply.body = reply.body[: max(1, len(reply.body) * 2 // 3)] + b',,"'
            return f"{reply.status}_broken", reply
        reply.content_type = hit.text("content_type", "text/plain; charset=utf-8").encode()
        return f"{reply.status}_wrong_type", reply

    def _shaped(self, endpoint: str, key: str, reply: Reply) -> Reply:
        if reply.status >= 300 or not reply.body or not self.plan.shapes(endpoint):
            return reply
        missing = self.plan.shaping(endpoint, key, "missing_field")
        unknown = self.plan.shaping(endpoint, key, "unknown_fields")
        if missing is None and unknown is None:
            return reply
        document = loads(reply.body)
        if missing is not None:
            document = drop_field(document, missing.params.get("field"), endpoint)
        if unknown is not None:
            document = with_unknown_fields(document)
        reply.body = dumps(document)
        return reply

    async def _pause(self, seconds: float) -> None:
        """Wait, but never longer than until the sandbox closes."""
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return


async def read_body(receive: Receive) -> bytes:
    """Read a whole request body.

    Raises:
        TooLarge: the body is longer than `MAX_REQUEST_BODY`.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_REQUEST_BODY:
            raise TooLarge
    return b"".join(parts)


async def send_reply(send: Send, reply: Reply) -> None:
    """Send an answer as it stands."""
    headers = [(b"content-type", reply.content_type), (b"content-length", str(len(reply.body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers + reply.headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _send_half(send: Send, reply: Reply) -> None:
    headers = [(b"content-type", reply.content_type), (b"content-length", str(len(reply.body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})


async def _send_huge(send: Send, megabytes: int, chunked: bool) -> None:
    """Stream a valid JSON document of the given size without holding it."""
    opening, closing, chunk = b'{"padding":"', b'"}', b"x" * _CHUNK
    headers = [(b"content-type", b"application/json")]
    if not chunked:
        headers.append((b"content-length", str(len(opening) + len(closing) + megabytes * _CHUNK).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": opening, "more_body": True})
    for _ in range(megabytes):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": closing})
