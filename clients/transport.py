"""One way of calling a provider: limits, time, size, redaction, and one of the four outcomes for everything.

    read   retried quickly inside the call (``limits.read_tries``), because it has no effect
    write  sent once; what is not clear is ``Unknown`` and the caller looks before anything else is done

Neither raises for what the other side did. ``models.http_status`` decides what a status means; this module adds time,
bodies and waiting. Redirects and links are never followed: a key goes to the configured address and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import TracebackType
from typing import Self, TypeVar

import httpx

from clients.body import KEPT_OF_TOO_LARGE, Received, read_body
from clients.limiter import AccountLimiter, Clock, Held, limiter_for
from clients.messages import Wording
from clients.redaction import install_log_redaction
from models.http_status import (
    backoff,
    classify_read,
    classify_write,
    machine_code,
    never_sent,
    parse_http_date,
    parse_retry_after,
)
from models.outcome import BadDocument, Done, NotYet, Outcome, OutcomeKind, RefusalCode, Refused, Unknown
from models.settings import Limits

T = TypeVar("T")
OnBadAnswer = Callable[[str, BadDocument], Awaitable[None]]

log = logging.getLogger(__name__)

# Many servers drop idle connections after 5 s; giving up ours earlier keeps a write from being sent into a dying one,
# which would end as unknown.
_KEEPALIVE_EXPIRY = 4.0
# Connecting, TLS and the wait for a connection must together end before the hard limit does, so that a call which was
# never sent is known as such: 1/3 + 1/3 + 1/4 < 1.
_CONNECT_SHARE, _POOL_SHARE = 1 / 3, 1 / 4
_PASSING_FAULTS = frozenset({"unreadable", "cut"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        endpoint: its name in the endpoint table, e.g. ``accept``; counted and shown.
        subject: what it is about, e.g. ``order 310678-936140``; empty when the endpoint says it all.
        method: HTTP method.
        url: absolute address. It is never shown.
        body: JSON bytes, or None for a request without a body.
    """

    endpoint: str
    subject: str
    method: str
    url: str
    body: bytes | None = None

    @property
    def where(self) -> str:
        """Endpoint and subject as they stand in messages."""
        return f"{self.endpoint} ({self.subject})" if self.subject else self.endpoint


@dataclass(frozen=True, slots=True)
class Answer:
    """What one try brought. ``status`` is None when there was no answer; ``failure`` then says why in a word."""

    status: int | None
    body: bytes = b""
    size: int = 0
    defect: str | None = None
    retry_after: float | None = None
    failure: str = ""
    sent: bool = True


@dataclass(frozen=True, slots=True)
class _Again:
    what: str
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class ServerClock:
    """The other side's clock against ours, by the ``Date`` of its last answer (whole seconds).

    Attributes:
        skew: seconds that this machine is ahead (negative: behind); None when the answer carried no usable date.
    """

    skew: float | None

    @property
    def wrong(self) -> bool:
        """Whether the clocks differ by more than a request's travel time and HTTP's whole seconds explain."""
        return self.skew is not None and abs(self.skew) > 5.0

    def __str__(self) -> str:
        if self.skew is None:
            return "the server's clock is not known"
        if not self.wrong:
            return "clock agrees with the server's"
        side = "ahead of" if self.skew > 0 else "behind"
        return f"this machine's clock is {abs(self.skew):.0f} s {side} the server's; set it by NTP"


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    # Loading the certificates takes tens of milliseconds, so all clients of the process share one context.
    return httpx.create_ssl_context(trust_env=False)


class Transport:
    """Calls one account at one address. Open it with ``async with`` on the loop that uses it.

    Attributes:
        calls: HTTP requests made, by endpoint name, every try counted.
    """

    def __init__(
        self,
        *,
        base_url: str,
        headers: Mapping[str, str],
        limits: Limits,
        wording: Wording,
        clock: Clock,
        on_bad_answer: OnBadAnswer | None = None,
    ) -> None:
        install_log_redaction()
        self.calls: Counter[str] = Counter()
        self._base_url = base_url
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "crossdock", **headers}
        self._limits = limits
        # Reading and writing end with the hard limit around the whole call.
        ours = httpx.Timeout(None, connect=limits.timeout * _CONNECT_SHARE, pool=limits.timeout * _POOL_SHARE)
        self._timeouts = ours.as_dict()
        self._wording = wording
        self._clock = clock
        self._on_bad_answer = on_bad_answer
        # One connection each: a pool looks at all of its connections twice a call, and with sixteen of them that is a
        # third of what a call costs. Bare transports, because they follow nothing, keep no cookies and read no
        # environment: a key goes to the address it was given for.
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._open = False
        self._limiter: AccountLimiter | None = None
        self._date_seen: tuple[str | None, datetime] | None = None

    def __repr__(self) -> str:
        return f"Transport({self._wording.service}, account={self._wording.account!r})"

    @property
    def server_clock(self) -> ServerClock:
        """The clock comparison of the last answer."""
        date, seen_at = self._date_seen or (None, None)
        server = parse_http_date(date)
        return ServerClock(None if server is None or seen_at is None else (seen_at - server).total_seconds())

    async def __aenter__(self) -> Self:
        self._limiter = limiter_for(self._base_url, self._wording.account, self._limits, self._clock)
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connections."""
        self._open = False
        while self._idle:
            await self._idle.pop().aclose()

    async def read(self, call: Call, parse: Callable[[bytes], T]) -> Outcome[T]:
        """Make a call without effect, with quick retries.

        Args:
            call: the request.
            parse: turns the body of a 2xx into the value. It raises ``BadDocument``: ``unreadable`` and ``cut`` are
                taken for passing faults and tried again, any other code is final.
        """
        patience = self._limits.retry_after_wait
        tries = 0
        while True:
            try:
                patience -= await self._entered.enter(patience)
            except Held as held:
                return NotYet(self._wording.held(call.where, held.remaining), held.remaining)
            tries += 1
            answer = await self._once(call)
            end = await self._judge_read(call, answer, parse)
            if not isinstance(end, _Again):
                return end
            wish = end.retry_after
            if tries >= self._limits.read_tries or (wish is not None and wish > patience):
                return NotYet(self._wording.not_yet(call.where, end.what, tries, wish), wish, end.status)
            log.info("%s: %s, try %d", call.where, end.what, tries)
            if not wish:  # a real wish is a hold of the account, and enter() waits for it
                await self._pause(tries, end.status)

    async def write(self, call: Call, confirm: Callable[[int, bytes], Done[T] | None]) -> Outcome[T]:
        """Make a call with an effect, once.

        Args:
            call: the request.
            confirm: judges status and body of a 2xx; None means that it does not prove the effect.
        """
        try:
            await self._entered.enter(self._limits.retry_after_wait)
        except Held as held:
            return NotYet(self._wording.held(call.where, held.remaining), held.remaining)
        answer = await self._once(call)
        verdict = classify_write(answer.status, sent=answer.sent)
        what = _what(answer)
        if verdict.kind is OutcomeKind.NOT_YET:
            return NotYet(
                self._wording.not_yet(call.where, what, 1, answer.retry_after), answer.retry_after, answer.status
            )
        if verdict.code is not None and answer.status is not None:
            return self._refused(call, answer.status, verdict.code, answer.body)
        if verdict.kind is OutcomeKind.DONE and answer.status is not None:
            done = confirm(answer.status, answer.body) if answer.defect is None else None
            if done is not None:
                return done
            what = f"the answer (status {answer.status}) does not confirm it"
            await self._keep(call, answer.defect or "unconfirmed", what, answer)
        return Unknown(self._wording.unknown(call.where, what), answer.status)

    @property
    def _entered(self) -> AccountLimiter:
        if self._limiter is None:
            raise RuntimeError("the client is used with `async with`")
        return self._limiter

    async def _once(self, call: Call) -> Answer:
        """One request. Its time begins here, after the wait for our own limiter, and covers the whole body."""
        self.calls[call.endpoint] += 1
        received = Received()
        failure, sent = "", True
        try:
            async with asyncio.timeout(self._limits.timeout):
                await self._exchange(call, received)
        except (httpx.RequestError, OSError) as error:  # asyncio's TimeoutError is an OSError
            # Kept as a word: the error's own text may hold the address, and with it a key.
            failure, sent = type(error).__name__, not never_sent(error)
        finally:
            self._entered.leave()
        if received.status is None:
            return Answer(None, failure=failure, sent=sent)
        if failure:
            received.defect = received.defect or "cut"
        wish = self._note_headers(received)
        return Answer(received.status, received.body, _size_of(received), received.defect, wish)

    async def _exchange(self, call: Call, received: Received) -> None:
        if not self._open:
            raise RuntimeError("the client is used with `async with`")
        http = self._idle.pop() if self._idle else self._connection()
        try:
            headers = self._headers if call.body is None else {**self._headers, "Content-Type": "application/json"}
            extensions = {"timeout": self._timeouts}
            request = httpx.Request(call.method, call.url, content=call.body, headers=headers, extensions=extensions)
            response = await http.handle_async_request(request)
            try:
                received.status = response.status_code
                received.retry_after = response.headers.get("retry-after")
                received.date = response.headers.get("date")
                # Of an error only a short code is wanted; a whole page of HTML is not read for it.
                limit = self._limits.max_body if response.is_success else min(self._limits.max_body, KEPT_OF_TOO_LARGE)
                await read_body(response, received, limit)
            finally:
                await response.aclose()
        finally:
            self._idle.append(http)

    def _connection(self) -> httpx.AsyncHTTPTransport:
        limits = httpx.Limits(max_connections=1, keepalive_expiry=_KEEPALIVE_EXPIRY)
        return httpx.AsyncHTTPTransport(verify=_tls(), trust_env=False, limits=limits)

    def _note_headers(self, received: Received) -> float | None:
        """Take the clock and a Retry-After from an answer; the latter holds the whole account."""
        now = self._clock.now()
        self._date_seen = (received.date, now)  # read only when somebody asks: dates are slow to parse
        if received.retry_after is None or received.status is None or received.status < 400:
            return None
        wish = parse_retry_after(received.retry_after, parse_http_date(received.date) or now)
        if wish:
            self._entered.hold(wish)
        return wish

    async def _judge_read(self, call: Call, answer: Answer, parse: Callable[[bytes], T]) -> Outcome[T] | _Again:
        verdict = classify_read(answer.status)
        if verdict.quick_retry:
            return _Again(_what(answer), answer.status, answer.retry_after)
        status = answer.status or 0
        if verdict.code is RefusalCode.BAD_ANSWER:
            what = f"it answered with a redirect (status {status}), which is never followed"
            await self._keep(call, "redirect", what, answer)
            return Refused(RefusalCode.BAD_ANSWER, self._wording.bad_answer(call.where, what), status)
        if verdict.code is not None:
            return self._refused(call, status, verdict.code, answer.body)
        if answer.defect is None:
            try:
                return Done(parse(answer.body))
            except BadDocument as bad:
                fault, what = bad.code, bad.message
        else:
            fault, what = answer.defect, _defect_text(answer, self._limits.max_body)
        await self._keep(call, fault, what, answer)
        if fault in _PASSING_FAULTS:
            return _Again(what, status)
        return Refused(RefusalCode.BAD_ANSWER, self._wording.bad_answer(call.where, what), status)

    async def _pause(self, tries: int, status: int | None) -> None:
        delay = backoff(tries, self._clock.chance())
        if status == 429:  # too many calls are too many calls of the account, not of this one order
            self._entered.hold(delay)
        await self._clock.sleep(delay)

    def _refused(self, call: Call, status: int, code: RefusalCode, body: bytes) -> Refused:
        return Refused(code, self._wording.refused(call.where, status, code, machine_code(body)), status)

    async def _keep(self, call: Call, code: str, message: str, answer: Answer) -> None:
        """Hand an unusable answer's bytes to whoever stores them."""
        log.info("%s: %s", call.where, message)
        if self._on_bad_answer is not None:
            bad = BadDocument(code, f"{call.where}: {message}", answer.body, answer.size)
            await self._on_bad_answer(call.subject or call.endpoint, bad)


def _size_of(received: Received) -> int:
    if received.defect == "too_large" and received.declared is not None:
        return max(received.declared, received.size)
    return received.size


def _what(answer: Answer) -> str:
    if answer.status is not None:
        return f"it answered with status {answer.status}"
    if not answer.sent:
        return f"no connection ({answer.failure})"
    return f"no answer in time ({answer.failure})" if "Timeout" in answer.failure else f"no answer ({answer.failure})"


def _defect_text(answer: Answer, limit: int) -> str:
    if answer.defect == "too_large":
        return f"the answer has {answer.size} bytes or more, the limit is {limit} (limits.max_body)"
    if answer.defect == "cut":
        return f"the answer broke off after {answer.size} bytes"
    return "the answer is not compressed as it says"
