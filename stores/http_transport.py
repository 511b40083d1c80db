"""One HTTP call to a merchant's order endpoint: bounded in time and size, paced, and honest about whether it was sent.

No proxy or credential is taken from the environment, no redirect is followed, and nothing is retried here.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from models.http_status import parse_http_date, parse_retry_after
from models.settings import Limits
from models.time import utc_now

# An idle connection is dropped before common servers drop it: a request that meets their close has an unknown outcome.
_KEEP_IDLE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose status was read.

    Attributes:
        status: the HTTP status.
        body: the whole body, or empty when there is a ``defect``.
        retry_after: seconds, as the other side asked.
        defect: what is wrong with the body, in words; None when all of it arrived.
    """

    status: int
    body: bytes = field(default=b"", repr=False)
    retry_after: float | None = None
    defect: str | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer.

    Attributes:
        what: what happened, in words.
        sent: False only when it is certain that not one byte of the request left.
        retry_after: seconds until the connection's hold ends, when that is why nothing was sent.
    """

    what: str
    sent: bool
    retry_after: float | None = None


Reply = Answer | Silence


class Pace:
    """Slots, spacing and the hold that a ``Retry-After`` puts on the whole connection. Belongs to one event loop."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._spacing = 0.0 if limits.per_second is None else 1.0 / limits.per_second
        self._patience = limits.retry_after_wait
        self._next = float("-inf")
        self._held_until = float("-inf")

    def hold(self, seconds: float) -> None:
        """Let no call begin for ``seconds``. A longer hold that is already set stays."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    async def wait(self) -> float | None:
        """Wait for the hold to end and for a turn.

        Returns:
            None when the call may begin; the seconds left when the hold is longer than ``limits.retry_after_wait``.
        """
        turn: float | None = None
        while True:
            now = self._clock()
            remaining = self._held_until - now
            if remaining > self._patience:
                return remaining
            if remaining <= 0:
                if turn is None:
                    turn = max(self._next, now)
                    self._next = turn + self._spacing
                if turn <= now:
                    return None
            # A hold that is set while this call waits for its turn concerns it as well.
            await self._sleep(max(remaining, 0.0 if turn is None else turn - now))

    async def __aenter__(self) -> Self:
        """Take a slot."""
        await self._slots.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the slot back."""
        self._slots.release()


@functools.cache
def _certificates() -> ssl.SSLContext:
    """The public certificate authorities; reading them takes longer than a call, so it is done once."""
    return httpx.create_ssl_context(trust_env=False)


class Transport:
    """Speaks to one order endpoint.

    Args:
        base_url: the endpoint's address without a final slash.
        headers: sent with every request; holds the token.
        limits: concurrency, rate, time and size.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], limits: Limits) -> None:
        self._base_url = base_url
        self._limits = limits
        self._pace = Pace(limits)
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "crossdock",
            **headers,
        }
        # One connection each: a pool looks at all of its connections twice a call, and with sixteen of them that is a
        # third of what a call costs. Bare transports, because they follow nothing, keep no cookies and read no
        # environment: a token goes to the address it was given for.
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make one call.

        Args:
            method: e.g. ``POST``.
            path: beginning with a slash, quoted already.
            params: query parameters.
            content: JSON bytes.
            headers: besides those of every request.
        """
        async with self._pace as pace:
            held = await pace.wait()
            if held is not None:
                return Silence("the store asked to be left alone", sent=False, retry_after=held)
            http = self._idle.pop() if self._idle else self._connection()
            try:
                request = httpx.Request(
                    method,
                    self._base_url + path,
                    params=params,
                    content=content,
                    headers={
                        **self._headers,
                        **(headers or {}),
                        **({"Content-Type": "application/json"} if content is not None else {}),
                    },
                )
                reply = await self._exchange(http, request)
            finally:
                self._idle.append(http)
            if isinstance(reply, Answer) and reply.status in (429, 503) and reply.retry_after is not None:
                pace.hold(reply.retry_after)
            return reply

    async def aclose(self) -> None:
        """Close every connection."""
        while self._idle:
            await self._idle.pop().aclose()

    def _connection(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=_KEEP_IDLE_SECONDS)
        return httpx.AsyncHTTPTransport(verify=_certificates(), trust_env=False, limits=limits)

    async def _exchange(self, http: httpx.AsyncHTTPTransport, request: httpx.Request) -> Reply:
        began = asyncio.Event()

        async def trace(step: str, info: Mapping[str, Any]) -> None:  # noqa: ARG001 - httpcore's signature
            if step.endswith("send_request_headers.started"):
                began.set()

        # The one time limit is the hard one around the whole call; httpx's own would start anew with each chunk.
        request.extensions = {"trace": trace}
        head: httpx.Response | None = None
        try:
            async with asyncio.timeout(self._limits.timeout):
                head = await http.handle_async_request(request)
                return await self._read(head)
        except TimeoutError:
            what = f"no complete answer within {self._limits.timeout:g} s"
        except (httpx.HTTPError, httpx.StreamError) as error:
            what = f"the connection failed ({type(error).__name__})"
        finally:
            if head is not None:
                await head.aclose()
        if head is not None:
            return _answer(head, b"", what)
        return Silence(what, sent=began.is_set())

    async def _read(self, head: httpx.Response) -> Answer:
        """Read the body up to the limit. A compressed one is not unpacked: it could unfold to any size."""
        limit = self._limits.max_body
        if head.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
            return _answer(head, b"", "it was compressed although that was not accepted")
        body = bytearray()
        async for chunk in head.aiter_raw():
            body += chunk
            if len(body) > limit:
                return _answer(head, b"", f"it was larger than {limit} bytes")
        return _answer(head, bytes(body), None)


def _answer(head: httpx.Response, body: bytes, defect: str | None) -> Answer:
    wish = head.headers.get("retry-after")
    if wish is None:
        return Answer(head.status_code, body, None, defect)
    now = parse_http_date(head.headers.get("date")) or utc_now()
    return Answer(head.status_code, body, parse_retry_after(wish, now), defect)
