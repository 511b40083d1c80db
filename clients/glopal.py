"""Glopal's Order API: events, one order, accept, cancel.

Events and the order are documented; accept and cancel exist, but their paths, bodies and status codes are assumed and
stand in ``GlopalEndpoints`` (overridable per account). So nothing here trusts a status code of theirs further than its
class: a 2xx counts only when the body agrees or there is none, and whatever is unclear is read again by the caller.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from clients.limiter import Clock
from clients.messages import Wording
from clients.redaction import redact, register_secret
from clients.transport import Call, OnBadAnswer, ServerClock, Transport
from models.glopal import EventPage, OrderHead, load_json, parse_order, parse_page
from models.ids import is_safe_source_id
from models.outcome import BadDocument, ConfigurationError, Done, Outcome, RefusalCode, Refused
from models.settings import GlopalAccount

_EXTERNAL = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
_KEY = re.compile(r"[!-~]+")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
# The shipping API wants at least this many characters for its order reference (contract, G20).
_SHORTEST_NUMBER = 3
_CURSOR_REJECTED = frozenset({400, 409, 410, 422})
_ACCEPTED = frozenset({"ACCEPTED", "COMPLETED"})


@dataclass(frozen=True, slots=True)
class RawPage:
    """One page of events: the bytes as received and what they say."""

    raw: bytes = field(repr=False)
    page: EventPage = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawOrder:
    """One order document: the bytes as received, their SHA-256 in hex, and the documented head."""

    raw: bytes = field(repr=False)
    sha256: str
    head: OrderHead = field(repr=False)


@dataclass(frozen=True, slots=True)
class AcceptedOrder:
    """What Glopal confirmed.

    Attributes:
        order_id: Glopal's order id.
        status: ``ACCEPTED`` or ``COMPLETED``; empty when Glopal answered without a body.
        raw: the order document of the answer, empty without one.
        warning: what a person should know although the order was accepted, or None.
    """

    order_id: str
    status: str
    store_order_id: str
    store_order_number: str
    raw: bytes = field(default=b"", repr=False)
    warning: str | None = None


class GlopalClient:
    """One Glopal account. An async context manager, for the loop on which it was opened.

    Args:
        account: address, identifier, endpoint table and limits.
        key: the account's API key. It is registered for redaction and never shown.
        clock: time and chance; tests pass their own.
        on_bad_answer: called with a subject (``events`` or ``order …``) and the bytes of every answer that could not be
            used, so that these can be kept. What it raises reaches the caller.

    Raises:
        ConfigurationError: the key cannot be used; nothing was sent.
    """

    def __init__(
        self,
        account: GlopalAccount,
        key: SecretStr,
        *,
        clock: Clock | None = None,
        on_bad_answer: OnBadAnswer | None = None,
    ) -> None:
        register_secret(key)
        _check_key(account, key)
        self._account = account
        self._transport = Transport(
            base_url=account.base_url,
            headers={"Authorization": f"Bearer {key.get_secret_value()}"},
            limits=account.limits,
            wording=Wording("Glopal", account.store_id, account.key.where),
            clock=clock or Clock(),
            on_bad_answer=on_bad_answer,
        )

    def __repr__(self) -> str:
        return f"GlopalClient({self._account.store_id!r})"

    @property
    def calls(self) -> Counter[str]:
        """HTTP requests made so far by endpoint name (``events``, ``order``, ``accept``, ``cancel``)."""
        return self._transport.calls

    @property
    def server_clock(self) -> ServerClock:
        """Glopal's clock against ours, by its last answer."""
        return self._transport.server_clock

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._transport.aclose()

    async def events(self, after: str | None, limit: int | None = None, before: str | None = None) -> Outcome[RawPage]:
        """One page of events.

        The page's ``links`` are never followed; the caller pages with ``page.cursor``.

        Args:
            after: the last event id seen; None for the first pull.
            limit: events per page; None for the account's ``page_size``, and Glopal's own size without one.
            before: pages backwards from this event id, or from the feed's end when it is empty; not together with
                ``after``. The page's events come oldest first in any case.

        Returns:
            ``Refused(CONFLICT)`` when Glopal does not take the cursor. It is never reset here: that would read the
            whole feed again, or skip what lies between.
        """
        if after and before is not None:
            raise ValueError("after and before exclude each other")
        names = self._account.endpoints
        if before is not None:
            return self._cursor_checked(await self._page([(names.before_param, before)], limit))
        if after:
            return self._cursor_checked(await self._page([(names.after_param, after)], limit))
        outcome = await self._page([], limit)
        # The published sample sends an empty cursor on the first pull, the reference says it must be valid (G6).
        first_pull_refused = isinstance(outcome, Refused) and outcome.code in (
            RefusalCode.CONFLICT,
            RefusalCode.INVALID_ORDER,
            RefusalCode.OTHER,
        )
        return await self._page([(names.after_param, "")], limit) if first_pull_refused else outcome

    async def order(self, order_id: str) -> Outcome[RawOrder]:
        """The order document as it is now at Glopal."""
        unsafe = self._unsafe(order_id)
        if unsafe is not None:
            return unsafe
        call = Call("order", f"order {order_id}", "GET", self._url(self._account.endpoints.order, order_id))
        return await self._transport.read(call, lambda raw: _read_order(raw, order_id))

    async def accept(self, order_id: str, store_order_id: str, store_order_number: str) -> Outcome[AcceptedOrder]:
        """Tell Glopal which store order this became. Sent once; read the order again when it is ``Unknown``."""
        unsafe = self._unsafe(order_id) or _unfit_external(order_id, store_order_id, store_order_number)
        if unsafe is not None:
            return unsafe
        table = self._account.endpoints
        values = {
            "store_id": self._account.store_id,
            "order_id": order_id,
            "store_order_id": store_order_id,
            "store_order_number": store_order_number,
        }
        body = _json(render(table.accept_body, values))
        call = Call("accept", f"order {order_id}", table.accept_method, self._url(table.accept, order_id), body)
        ours = AcceptedOrder(order_id, "", store_order_id, store_order_number, warning=_warning(store_order_number))
        return await self._transport.write(call, lambda status, raw: _accepted(status, raw, ours))

    async def cancel(self, order_id: str, reason: str) -> Outcome[None]:
        """Cancel at Glopal, which refunds the buyer in full: not to be undone.

        Off until the account says ``cancel_confirmed``, because path and body are assumed. Sent once.
        """
        unsafe = self._unsafe(order_id)
        if unsafe is not None:
            return unsafe
        if not self._account.cancel_confirmed:
            return Refused(
                RefusalCode.OTHER,
                f"cancel (order {order_id}) was not sent: Glopal's cancel call is assumed and not confirmed for "
                f"account {self._account.store_id}. The order stays as it is at Glopal; cancel it in Glopal's "
                "Merchant Account, or check the endpoint table with Glopal and set cancel_confirmed = true.",
            )
        table = self._account.endpoints
        values = {"store_id": self._account.store_id, "order_id": order_id, "reason": reason}
        body = _json(render(table.cancel_body, values))
        call = Call("cancel", f"order {order_id}", table.cancel_method, self._url(table.cancel, order_id), body)
        return await self._transport.write(call, lambda status, raw: _cancelled(status, raw, order_id))

    async def check(self) -> Outcome[str]:
        """One read that proves address and key; ``server_clock`` then tells whether our clock is right."""
        outcome = await self.events(None, limit=1 if self._account.page_size is not None else None)
        if not isinstance(outcome, Done):
            return outcome
        count = len(outcome.value.page.events)
        return Done(
            f"Glopal answered at {self._account.base_url} for store {self._account.store_id}: key accepted, "
            f"{count} event{'' if count == 1 else 's'} on the first page, {self.server_clock}"
        )

    async def _page(self, cursor: list[tuple[str, str]], limit: int | None) -> Outcome[RawPage]:
        names = self._account.endpoints
        query = [(names.event_param, event) for event in self._account.events] + cursor
        size = limit if limit is not None else self._account.page_size
        if size is not None:
            query.append((names.limit_param, str(size)))
        url = self._url(names.events)
        call = Call("events", "", "GET", f"{url}?{urlencode(query)}" if query else url)
        return await self._transport.read(call, _read_page)

    def _cursor_checked(self, outcome: Outcome[RawPage]) -> Outcome[RawPage]:
        if not isinstance(outcome, Refused) or outcome.status not in _CURSOR_REJECTED:
            return outcome
        return Refused(
            RefusalCode.CONFLICT,
            f"Glopal events, account {self._account.store_id}: the stored cursor was rejected by Glopal (status "
            f"{outcome.status}). No event was skipped and the cursor was left where it is; new orders wait. "
            "Check the paging names in the endpoint table; if they are right, the event has left Glopal's feed: "
            "start a backfill, which reads the feed from the start and drops what is known.",
            outcome.status,
        )

    def _url(self, template: str, order_id: str = "") -> str:
        values = {"store_id": quote(self._account.store_id, safe=""), "order_id": quote(order_id, safe="")}
        return self._account.base_url + str(render(template, values))

    def _unsafe(self, order_id: str) -> Refused | None:
        if is_safe_source_id(order_id) and not order_id.endswith("\n"):
            return None
        shown = redact(ascii(order_id[:64]))
        return Refused(
            RefusalCode.INVALID_ORDER,
            f"order {shown}: this is no order id that may stand in an address (letters, digits and single - only), so "
            "Glopal was not called. The order cannot be landed as it is; ask Glopal about the event that named it.",
        )


def render(template: object, values: dict[str, str]) -> object:
    """Fill ``{name}`` in every string of a template. One pass, so a value with braces in it stays what it is.

    Names without a value, keys, numbers and null stay as they are.
    """
    if isinstance(template, str):
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), template)
    if isinstance(template, dict):
        return {key: render(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [render(value, values) for value in template]
    return template


def _json(body: object) -> bytes | None:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode() if body else None


def _read_page(raw: bytes) -> RawPage:
    try:
        return RawPage(raw, parse_page(raw))
    except (BadDocument, RecursionError, ArithmeticError) as error:
        raise _document_error(raw, error, "the answer has no list of events") from None


def _read_order(raw: bytes, order_id: str) -> RawOrder:
    try:
        head = parse_order(raw, order_id)
    except (BadDocument, RecursionError, ArithmeticError) as error:
        raise _document_error(raw, error, "the answer is not an order document") from None
    return RawOrder(raw, hashlib.sha256(raw).hexdigest(), head)


_DOCUMENT_WORDS = {
    "wrong_order": "the answer is the document of another order",
    "missing_field": "the document has no status",
    "absurd": "the document is nested deeper than any order",
}


def _document_error(raw: bytes, error: Exception, otherwise: str) -> BadDocument:
    """The same fault in words that hold nothing of the document, and told apart: not JSON, or JSON of a wrong shape."""
    code = error.code if isinstance(error, BadDocument) else "unreadable"
    if code != "unreadable":
        return BadDocument(code, _DOCUMENT_WORDS.get(code, otherwise))
    try:
        load_json(raw, "answer")
    except (BadDocument, RecursionError, ArithmeticError):
        what = "HTML" if raw.lstrip()[:1] == b"<" else "not JSON"
        return BadDocument("unreadable", f"the answer is {what} ({len(raw)} bytes)")
    return BadDocument("wrong_shape", otherwise)


def _accepted(status: int, raw: bytes, ours: AcceptedOrder) -> Done[AcceptedOrder] | None:
    if status == 202:  # taken in, not done: only reading the order again can tell
        return None
    if not raw.strip():
        return Done(ours)
    try:
        head = _read_order(raw, ours.order_id).head
    except BadDocument:
        return None
    same = (head.external_order_id, head.external_order_number) == (ours.store_order_id, ours.store_order_number)
    if head.status not in _ACCEPTED or not same:
        return None
    return Done(
        AcceptedOrder(ours.order_id, head.status, ours.store_order_id, ours.store_order_number, raw, ours.warning)
    )


def _cancelled(status: int, raw: bytes, order_id: str) -> Done[None] | None:
    if status == 202:
        return None
    if not raw.strip():
        return Done(None)
    try:
        return Done(None) if _read_order(raw, order_id).head.status == "CANCELLED" else None
    except BadDocument:
        return None


def _warning(number: str) -> str | None:
    if len(number) >= _SHORTEST_NUMBER:
        return None
    return (
        f"store order number {number} has fewer than {_SHORTEST_NUMBER} characters; Glopal's shipping API may not take "
        "it as a reference. Give the store a longer number format before the next orders."
    )


def _unfit_external(order_id: str, store_order_id: str, number: str) -> Refused | None:
    for name, value in (("store order id", store_order_id), ("store order number", number)):
        if not _EXTERNAL.fullmatch(value):
            return Refused(
                RefusalCode.INVALID_ORDER,
                f"accept (order {order_id}) was not sent: the {name} has to be 1 to 64 printable ASCII characters "
                "without blanks at its ends. The order stays READY at Glopal; change the store's numbering, then "
                "retry the order.",
            )
    return None


def _check_key(account: GlopalAccount, key: SecretStr) -> None:
    value = key.get_secret_value()
    if not _KEY.fullmatch(value):
        trouble = "is empty" if not value else "has a blank, a line break or a character beyond ASCII in it"
        raise ConfigurationError(
            f"{account.key.where}: the key of Glopal account {account.store_id} {trouble}. Nothing was sent; "
            "put the key there exactly as Glopal issued it."
        )
