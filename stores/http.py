"""The HTTP store: any OMS behind the generic order endpoint of docs/http-order-endpoint.md.

What an answer means is decided in ``models/http_status.py``; two things are known better here, because the endpoint's
contract says so: a 503 with ``Retry-After`` and the code ``unavailable`` was sent before the effect, and a 409 on a
create that names no reason of the contract tells nothing, so the order is looked up.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from models.document import OrderDocument
from models.http_status import backoff, classify_read, classify_write
from models.ids import Reference, StoreOrderId
from models.outcome import (
    ConfigurationError,
    Done,
    Failure,
    NotYet,
    Outcome,
    OutcomeKind,
    RefusalCode,
    Refused,
    Unknown,
)
from models.settings import HttpStore
from stores.guards import document_json, refuse_unfit
from stores.http_answers import Unusable, error_detail, orders_with, parse_object, parse_order, refusal_of
from stores.http_messages import HttpWording
from stores.http_transport import Answer, Reply, Silence, Transport
from stores.protocol import StoreOrder, StoreState

T = TypeVar("T")

# Reserved by the contract for "nothing was begun". Gateways answer 503 with Retry-After, too, and prove nothing by it.
_BEFORE_EFFECT = "unavailable"
# In a path these lead to another address, whether quoted or not.
_NO_IDS = ("", ".", "..")


class HttpStoreAdapter:
    """The ``Store`` protocol over HTTP. Belongs to one event loop.

    Args:
        settings: address, environment and limits.
        token: the bearer token.
        name: the store's name in the configuration, for messages.

    Raises:
        ConfigurationError: the token cannot be sent in a header.
    """

    def __init__(self, settings: HttpStore, token: SecretStr, *, name: str = "http") -> None:
        value = token.get_secret_value()
        if not value or not value.isascii() or not value.isprintable() or " " in value:
            raise ConfigurationError(
                f"stores.{name}.token: {settings.token.where} is empty or holds blanks or characters outside ASCII; "
                "put the token there and nothing else"
            )
        self._environment = settings.environment
        self._tries = settings.limits.read_tries
        self._patience = settings.limits.retry_after_wait
        self._say = HttpWording(name, settings.base_url, settings.token.where, token)
        try:
            httpx.URL(settings.base_url)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"stores.{name}.base_url: not an address ({error})") from error
        self._transport = Transport(settings.base_url, {"Authorization": f"Bearer {value}"}, settings.limits)

    async def find(self, reference: Reference) -> Outcome[StoreOrder | None]:
        """Look the reference up. Orders that carry another one are ignored, whatever the endpoint answered."""

        def parse(answer: Answer) -> Outcome[StoreOrder | None]:
            orders = orders_with(reference, answer.body)
            live = [order for order in orders if order.state.live]
            if len(live) == 1 or len(orders) == 1:
                return Done((live or orders)[0])
            return self._say.twice(reference, orders) if orders else Done(None)

        return await self._get("/orders", {"reference": reference}, parse)

    async def find_many(self, references: Sequence[Reference]) -> dict[Reference, Outcome[StoreOrder | None]]:
        """One call for each: the contract of the endpoint looks up one reference at a time."""
        found = await asyncio.gather(*(self.find(reference) for reference in references))
        return dict(zip(references, found, strict=True))

    async def create(self, order: OrderDocument, *, hold: bool) -> Outcome[StoreOrder]:
        """Send the order once, with our reference as idempotency key."""
        unfit = refuse_unfit(order, self._environment)
        document = unfit or document_json(order)
        if isinstance(document, Refused):
            return document
        reference = order.reference
        body = f'{{"reference":{json.dumps(reference)},"hold":{json.dumps(hold)},"order":{document}}}'
        what = f"POST /orders for {reference}"
        reply = await self._transport.call(
            "POST", "/orders", content=body.encode(), headers={"Idempotency-Key": reference}
        )
        failure = self._write_failure(what, reply, order)
        if failure is not None:
            return failure
        created = self._order_in(what, reply, (200, 201))
        if isinstance(created, Unknown):
            return created
        if created.reference != reference:
            return self._say.unknown(what, "the answer is about another order")
        if (created.currency, created.total) != (order.currency, order.total):
            return self._say.conflict(created, order)
        return Done(created, already=isinstance(reply, Answer) and reply.status == 200)

    async def release(self, order_id: StoreOrderId) -> Outcome[StoreOrder]:
        """Take the hold off; the endpoint answers 409 ``order_cancelled`` when it is too late."""
        outcome = await self._act("release", order_id, b"{}")
        if isinstance(outcome, Done) and outcome.value.state not in (StoreState.OPEN, StoreState.SHIPPED):
            return self._say.unknown("release", f"the answer shows state {outcome.value.state}")
        return outcome

    async def cancel(self, order_id: StoreOrderId, reason: str) -> Outcome[StoreOrder]:
        """Cancel; an endpoint that says "already cancelled" is believed after a read."""
        content = json.dumps({"reason": reason}).encode()
        outcome = await self._act("cancel", order_id, content)
        if isinstance(outcome, Refused) and outcome.code is RefusalCode.ORDER_CANCELLED:
            there = await self.read(order_id)
            if isinstance(there, Done) and there.value and there.value.state is StoreState.CANCELLED:
                return Done(there.value, already=True)
        if isinstance(outcome, Done) and outcome.value.state is not StoreState.CANCELLED:
            return self._say.unknown("cancel", f"the answer shows state {outcome.value.state}")
        return outcome

    async def note(self, order_id: StoreOrderId, text: str) -> Outcome[None]:
        """Add a note. The answer's body is not looked at: a note changes nothing that the hub relies on."""
        if order_id in _NO_IDS:
            return self._say.bad_id()
        what = "POST /orders/…/notes"
        reply = await self._transport.call(
            "POST", f"{_path(order_id)}/notes", content=json.dumps({"text": text}).encode()
        )
        return self._write_failure(what, reply, None) or Done(None)

    async def read(self, order_id: StoreOrderId) -> Outcome[StoreOrder | None]:
        """Read one order. A 404 counts as "none" only with the contract's JSON error: a wrong address says 404, too."""

        def parse(answer: Answer) -> Outcome[StoreOrder | None]:
            order = parse_order(parse_object(answer.body).get("order"))
            if order.id != order_id:
                raise Unusable("is about another order")
            return Done(order)

        if order_id in _NO_IDS:
            return Done(None)
        return await self._get(_path(order_id), None, parse, missing=Done(None))

    async def check(self) -> Outcome[str]:
        """``GET /ping`` with the token."""

        def parse(answer: Answer) -> Outcome[str]:
            parse_object(answer.body)
            return Done(self._say.sentence("reached, and it accepted the token."))

        return await self._get("/ping", None, parse)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    async def _act(self, verb: str, order_id: StoreOrderId, content: bytes) -> Outcome[StoreOrder]:
        if order_id in _NO_IDS:
            return self._say.bad_id()
        what = f"POST /orders/…/{verb}"
        reply = await self._transport.call("POST", f"{_path(order_id)}/{verb}", content=content)
        failure = self._write_failure(what, reply, None)
        if failure is not None:
            return failure
        order = self._order_in(what, reply, (200,))
        if isinstance(order, StoreOrder):
            return Done(order) if order.id == order_id else self._say.unknown(what, "the answer is about another order")
        return order

    def _order_in(self, what: str, reply: Reply, statuses: tuple[int, ...]) -> StoreOrder | Unknown:
        """The order in a good answer to a write; anything unclear about it leaves the effect unknown."""
        if not isinstance(reply, Answer) or reply.status not in statuses:
            return self._say.unknown(what, "the answer has a status that the contract does not know", reply)
        if reply.defect is not None:
            return self._say.unknown(what, f"the answer could not be read: {reply.defect}", reply)
        try:
            return parse_order(parse_object(reply.body).get("order"))
        except Unusable as unusable:
            return self._say.unknown(what, f"the answer {unusable}", reply)

    def _write_failure(self, what: str, reply: Reply, order: OrderDocument | None) -> Failure | None:
        """The outcome of a write that did not get a good answer, or None when it did.

        Args:
            what: the call, for messages.
            reply: what came back.
            order: the order that was sent, when this was a create.
        """
        if isinstance(reply, Silence):
            if classify_write(None, sent=reply.sent).kind is OutcomeKind.NOT_YET:
                return self._say.not_yet(what, reply.what, reply)
            return self._say.unknown(what, reply.what, reply)
        code, meaning = refusal_of(reply.body)
        verdict = classify_write(reply.status)
        if verdict.kind is OutcomeKind.DONE:
            return None
        before_effect = reply.status == 503 and reply.retry_after is not None and code == _BEFORE_EFFECT
        if verdict.kind is OutcomeKind.NOT_YET or before_effect:
            return self._say.not_yet(what, f"it answered {reply.status}", reply)
        if verdict.code is None or (order is not None and reply.status == 409 and meaning is None):
            return self._say.unknown(what, f"it answered {reply.status}", reply)
        if verdict.code is RefusalCode.NOT_FOUND and (order is not None or code is None):
            # Nothing can be "not found" by a create, and without the contract's error the address itself is in doubt.
            return self._say.refused(what, RefusalCode.OTHER, reply.status, code)
        meant = meaning if meaning is not None and reply.status in (400, 409, 422) else verdict.code
        detail = error_detail(reply.body, order) if order is not None else ""
        return self._say.refused(what, meant, reply.status, code, detail)

    async def _get(
        self,
        path: str,
        params: dict[str, str] | None,
        parse: Callable[[Answer], Outcome[T]],
        *,
        missing: Outcome[T] | None = None,
    ) -> Outcome[T]:
        """A read, repeated quickly while that may help. A broken answer is "not yet" and never "none"."""
        what = f"GET {path}" if missing is None else "GET /orders/…"
        tries = 0
        while True:
            tries += 1
            reply = await self._transport.call("GET", path, params=params)
            outcome = self._judged(what, reply, parse, missing)
            if not isinstance(outcome, NotYet) or tries >= self._tries:
                return outcome
            if outcome.retry_after is None:
                await asyncio.sleep(backoff(tries, random.random()))  # noqa: S311 - jitter, no secret
            elif outcome.retry_after > self._patience:
                return outcome
            # A shorter Retry-After is waited for by the transport before the next try.

    def _judged(
        self, what: str, reply: Reply, parse: Callable[[Answer], Outcome[T]], missing: Outcome[T] | None
    ) -> Outcome[T]:
        if isinstance(reply, Silence):
            return self._say.not_yet(what, reply.what, reply)
        verdict = classify_read(reply.status)
        code, _ = refusal_of(reply.body)
        if verdict.kind is OutcomeKind.NOT_YET:
            return self._say.not_yet(what, f"it answered {reply.status}", reply)
        if verdict.code is RefusalCode.NOT_FOUND:
            if missing is not None and code is not None:
                return missing
            return self._say.refused(what, RefusalCode.OTHER, reply.status, code)
        if verdict.code is not None:
            return self._say.refused(what, verdict.code, reply.status, code)
        if reply.status != 200 or reply.defect is not None:
            return self._say.not_yet(what, f"the answer could not be read ({reply.defect or reply.status})", reply)
        try:
            return parse(reply)
        except Unusable as unusable:
            return self._say.not_yet(what, f"the answer {unusable}", reply)


def _path(order_id: StoreOrderId) -> str:
    return f"/orders/{quote(order_id, safe='')}"
