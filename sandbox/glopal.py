"""The simulated Glopal Order API v2: events, order, accept and cancel, as the contract says, under a fault plan."""

import re
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.feed import FeedEvent, Merchant
from sandbox.jsontext import Json, dumps, loads
from sandbox.protocol import InFlight
from sandbox.wire import Reply, TooLarge, Wire, read_body, send_reply

_EVENTS = re.compile(r"^/v2/events/([^/]+)$")
_ORDER = re.compile(r"^/v2/orders/([^/]+)/([^/]+)(?:/(accept|cancel))?$")
_DEFAULT_LIMIT = 20
_MOST = 500
_LATE_WITHIN = 5


def _error_body(status: int, code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message}}


class Glopal:
    """The ASGI application of one simulated Glopal host with one or more merchants.

    Args:
        token: the API key that callers must show.
        store_ids: the merchants.
        seed: for event ids.
        event_required: answer 400 when no `event` filter is given.
        empty_cursor: whether an empty `after_event_id` is taken as "from the start"; otherwise 400.
        missing_cursor: whether a first pull without `after_event_id` is taken; otherwise 400.
    """

    def __init__(
        self,
        token: str,
        store_ids: list[str],
        seed: int = 0,
        *,
        event_required: bool = False,
        empty_cursor: bool = True,
        missing_cursor: bool = True,
    ) -> None:
        self.wire = Wire(token, _error_body)
        self.merchants = {store_id: Merchant(store_id, seed) for store_id in store_ids}
        self.in_flight = InFlight()
        self.event_required = event_required
        self.empty_cursor = empty_cursor
        self.missing_cursor = missing_cursor
        self.control: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call; `/_sandbox` goes to the control plane."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/_sandbox"):
            if self.control is not None:
                await self.control(scope, receive, send)
            return
        raw = (scope.get("raw_path") or path.encode()).split(b"?")[0].decode("latin-1")
        if not self.wire.authenticated(scope):
            await send_reply(send, self.wire.error(401, "unauthorized", "Missing or wrong key"))
            return
        events, order = _EVENTS.match(raw), _ORDER.match(raw)
        if events is not None and scope["method"] == "GET":
            await self._events(scope, send, unquote(events[1]))
        elif order is not None:
            await self._order(scope, receive, send, unquote(order[1]), unquote(order[2]), order[3])
        else:
            await send_reply(send, self.wire.error(404, "not_found", "No such path"))

    async def _events(self, scope: Scope, send: Send, store_id: str) -> None:
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        await self.wire.answer(scope, send, "events", store_id, lambda: self._page(store_id, query, scope))

    async def _order(
        self, scope: Scope, receive: Receive, send: Send, store_id: str, order_id: str, action: str | None
    ) -> None:
        method = "GET" if action is None else "POST"
        if scope["method"] != method:
            await send_reply(send, self.wire.error(405, "method_not_allowed", "Wrong method"))
            return
        if action is None:
            await self.wire.answer(scope, send, "order", order_id, lambda: self._read(store_id, order_id))
            return
        try:
            body = await read_body(receive)
        except TooLarge:
            await send_reply(send, self.wire.error(413, "too_large", "Body too large"))
            return
        act = self._accept if action == "accept" else self._cancel
        await self.wire.answer(scope, send, action, order_id, lambda: act(store_id, order_id, body))

    def _page(self, store_id: str, query: list[tuple[str, str]], scope: Scope) -> Reply:
        merchant = self.merchants.get(store_id)
        if merchant is None:
            return self.wire.error(404, "not_found", "No such store")
        names = [value for name, value in query if name == "event"]
        given = dict(query)
        if self.event_required and not names:
            return self.wire.error(400, "bad_request", "event is required")
        try:
            limit = min(_MOST, int(given.get("limit", _DEFAULT_LIMIT)))
        except ValueError:
            limit = 0
        if limit < 1:
            return self.wire.error(400, "bad_request", "limit is not a number above zero")
        start = self._start(merchant, given)
        if isinstance(start, Reply):
            return start
        for event in merchant.feed:
            event.hidden_for = max(0, event.hidden_for - 1)
        events = self._slice(merchant, names, start, limit, "before_event_id" in given)
        return Reply(200, dumps(self._shaped(merchant, store_id, events, scope)))

    def _start(self, merchant: Merchant, given: dict[str, str]) -> int | Reply:
        cursor = given.get("before_event_id", given.get("after_event_id"))
        if cursor is None:
            return -1 if self.missing_cursor else self.wire.error(400, "bad_request", "after_event_id is missing")
        if cursor == "":
            return -1 if self.empty_cursor else self.wire.error(400, "bad_request", "after_event_id is not valid")
        place = merchant.place_of(cursor)
        return place if place is not None else self.wire.error(400, "bad_request", "no such event")

    def _slice(self, merchant: Merchant, names: list[str], start: int, limit: int, backward: bool) -> list[FeedEvent]:
        wanted: list[FeedEvent] = []
        feed = merchant.feed
        places = range(start - 1, -1, -1) if backward else range(start + 1, len(feed))
        for place in places:
            event = feed[place]
            name = event.body.get("event_name")
            if event.hidden_for or (names and isinstance(name, str) and name.startswith(_KNOWN) and name not in names):
                continue
            if not backward and not event.served and not event.was_hidden and len(feed) - place <= _LATE_WITHIN:
                hit = self.wire.plan.shaping("events", merchant.store_id, "late_events")
                if hit is not None:
                    event.hidden_for, event.was_hidden = int(hit.number("calls", 3)), True
                    continue
            wanted.append(event)
            if len(wanted) == limit:
                break
        for event in wanted:
            event.served = True
        return wanted[::-1] if backward else wanted

    def _shaped(self, merchant: Merchant, store_id: str, events: list[FeedEvent], scope: Scope) -> Json:
        shaping = self.wire.plan.shaping
        bodies: list[dict[str, Any]] = [event.body for event in events]
        if len(bodies) > 1 and shaping("events", store_id, "reordered_events") is not None:
            for i in range(0, len(bodies) - 2, 2):
                bodies[i], bodies[i + 1] = bodies[i + 1], bodies[i]
        if bodies and shaping("events", store_id, "unknown_event") is not None:
            odd = {
                **bodies[-1],
                "event_id": merchant.new_event_id(),
                "event_name": "order.x_invented_later",
            }
            place = merchant.place_of(str(bodies[-1]["event_id"]))
            merchant.append_raw(odd, before_end=len(merchant.feed) - (place or 0))
            bodies.insert(len(bodies) - 1, odd)
        if bodies and shaping("events", store_id, "duplicate_events") is not None:
            bodies.insert(0, bodies[0])
        base = f"http://{_host(scope)}"
        if shaping("events", store_id, "links_other_host") is not None:
            base = "http://127.0.0.1:9"
        last = bodies[-1]["event_id"] if bodies else None
        link = f"{base}/v2/events/{store_id}?after_event_id="
        return {
            "links": {"next": f"{link}{last}" if last else None, "current": f"{link}", "previous": None},
            "events": bodies,
        }

    def _read(self, store_id: str, order_id: str) -> Reply:
        order = self._find(store_id, order_id)
        if order is None:
            return self.wire.error(404, "not_found", "No such order")
        order.reads += 1
        document = order.to_json()
        if order.previous_status is not None and self.wire.plan.shaping("order", order_id, "stale_read") is not None:
            document["status"] = order.previous_status
        if order.story == "cancelled_during" and order.reads == 1 and order.status == "READY":
            self.merchants[store_id].advance(order_id, "CANCELLED")
        return Reply(200, dumps(document))

    def _accept(self, store_id: str, order_id: str, body: bytes) -> Reply:
        order = self._find(store_id, order_id)
        if order is None:
            return self.wire.error(404, "not_found", "No such order")
        external = _external(body)
        if external is None:
            order.accept_calls += 1
            return self.wire.error(422, "invalid_body", "external.order_id and external.order_number are required")
        status, code = self.merchants[store_id].accept(order_id, external)
        return self._answer(order_id, store_id, status, code)

    def _cancel(self, store_id: str, order_id: str, body: bytes) -> Reply:
        if self._find(store_id, order_id) is None:
            return self.wire.error(404, "not_found", "No such order")
        try:
            given = loads(body) if body.strip() else {}
        except ValueError:
            return self.wire.error(400, "bad_request", "Not JSON")
        reason = str(given.get("reason", "")) if isinstance(given, dict) else ""
        status, code = self.merchants[store_id].cancel(order_id, reason)
        return self._answer(order_id, store_id, status, code)

    def _answer(self, order_id: str, store_id: str, status: int, code: str) -> Reply:
        if status != 200:
            return self.wire.error(status, code, "Not possible in the order's present state")
        return Reply(200, dumps(self.merchants[store_id].orders[order_id].to_json()))

    def _find(self, store_id: str, order_id: str) -> Any:
        merchant = self.merchants.get(store_id)
        return None if merchant is None else merchant.orders.get(order_id)


_KNOWN = ("order.received", "order.ready", "order.cancelled", "return.")


def _host(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"host":
            return bytes(value).decode("latin-1")
    return "127.0.0.1"


def _external(body: bytes) -> dict[str, str] | None:
    try:
        given = loads(body)
    except ValueError:
        return None
    external = given.get("external") if isinstance(given, dict) and set(given) == {"external"} else None
    if not isinstance(external, dict) or set(external) != {"order_id", "order_number"}:
        return None
    fine = all(isinstance(value, str) and 1 <= len(value) <= 64 for value in external.values())
    return {key: str(value) for key, value in external.items()} if fine else None
