"""The simulated Glopal Order API v2: events, order, accept and cancel, as the contract says, under a fault plan."""

import re
from urllib.parse import parse_qsl, quote, unquote, urlencode

from sandbox.asgi import ASGIApp, Receive, Scope, Send
from sandbox.events import FeedEvent
from sandbox.feed import Merchant, Order
from sandbox.jsontext import Json, dumps, loads
from sandbox.protocol import InFlight
from sandbox.stories import CANCELLED, READY
from sandbox.wire import Reply, TooLarge, Wire, read_body, send_reply

_EVENTS = re.compile(r"^/v2/events/([^/]+)$")
_ORDER = re.compile(r"^/v2/orders/([^/]+)/([^/]+)(?:/(accept|cancel))?$")
_DEFAULT_LIMIT = 20
_MOST = 500
_LATE_WITHIN = 5

OTHER_HOST = "http://127.0.0.1:9"
"""Where `links_other_host` points: nobody listens there."""


def _error_body(status: int, code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message}, "message": message}


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
        self.seed = seed
        self.in_flight = InFlight()
        self.event_required = event_required
        self.empty_cursor = empty_cursor
        self.missing_cursor = missing_cursor
        self._settings = (event_required, empty_cursor, missing_cursor)
        self.control: ASGIApp | None = None

    def reset(self) -> None:
        """Begin anew: no orders, no events, no faults, no traffic."""
        self.merchants = {name: Merchant(name, merchant.seed) for name, merchant in self.merchants.items()}
        self.event_required, self.empty_cursor, self.missing_cursor = self._settings
        self.wire.reset()
        self.in_flight.peak = self.in_flight.now

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
        if events is not None and scope["method"] != "GET":
            await send_reply(send, self.wire.error(405, "method_not_allowed", "Wrong method"))
        elif events is not None:
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
        merchant.feed.count_call()
        backward = "before_event_id" in given
        events = merchant.feed.page(names, start, limit, backward=backward)
        if not backward:
            events = self._without_late(merchant, events)
        for event in events:
            event.served = True
        return Reply(200, self._shaped(merchant, events, scope, [pair for pair in query if pair[0] == "event"]))

    def _start(self, merchant: Merchant, given: dict[str, str]) -> int | Reply:
        backward = "before_event_id" in given
        cursor = given.get("before_event_id", given.get("after_event_id"))
        if cursor is None:
            return -1 if self.missing_cursor else self.wire.error(400, "bad_request", "after_event_id is missing")
        if cursor == "":
            if not self.empty_cursor:
                return self.wire.error(400, "bad_request", "the cursor is not valid")
            return len(merchant.feed) if backward else -1
        place = merchant.place_of(cursor)
        return place if place is not None else self.wire.error(400, "bad_request", "no such event")

    def _without_late(self, merchant: Merchant, events: list[FeedEvent]) -> list[FeedEvent]:
        """Hold recent entries back whose successors are served now, so that they appear behind the served head."""
        if not self.wire.plan.has("events", "late_events"):
            return events
        shown = []
        for event in events[:-1]:
            new = not event.served and not event.was_hidden and merchant.feed.is_recent(event, _LATE_WITHIN)
            hit = self.wire.plan.shaping("events", merchant.store_id, "late_events") if new else None
            if hit is None:
                shown.append(event)
            else:
                merchant.feed.hide(event, int(hit.number("calls", 3)))
        return shown + events[-1:]

    def _shaped(
        self, merchant: Merchant, events: list[FeedEvent], scope: Scope, filters: list[tuple[str, str]]
    ) -> bytes:
        """The page as it goes out."""
        store_id, plan = merchant.store_id, self.wire.plan
        served = list(events)
        if len(served) > 2 and plan.shaping("events", store_id, "reordered_events") is not None:
            # The last one keeps its place: it is the caller's next cursor.
            for i in range(0, len(served) - 2, 2):
                served[i], served[i + 1] = served[i + 1], served[i]
        if served and plan.shaping("events", store_id, "unknown_event") is not None:
            served.insert(len(served) - 1, _invent(merchant, served[-1]))
        if served and plan.shaping("events", store_id, "duplicate_events") is not None:
            served.insert(0, served[0])
        base = f"http://{_host(scope)}"
        if plan.shaping("events", store_id, "links_other_host") is not None:
            base = OTHER_HOST
        ids = [event.event_id for event in served if event.event_id is not None]
        link = f"{base}/v2/events/{quote(store_id, safe='')}?" + urlencode(filters) + ("&" if filters else "")
        query = scope["query_string"].decode("latin-1")
        links = {
            "next": f"{link}after_event_id={quote(ids[-1], safe='')}" if ids else None,
            "current": f"{base}/v2/events/{quote(store_id, safe='')}" + (f"?{query}" if query else ""),
            "previous": f"{link}before_event_id={quote(ids[0], safe='')}" if ids else None,
        }
        joined = b",".join([event.encoded for event in served])
        return b'{"links":' + dumps(links) + b',"events":[' + joined + b"]}"

    def _read(self, store_id: str, order_id: str) -> Reply:
        order = self._find(store_id, order_id)
        if order is None:
            return self.wire.error(404, "not_found", "No such order")
        order.reads += 1
        stale = order.previous_status is not None and self.wire.plan.shaping("order", order_id, "stale_read")
        document = order.to_json(order.previous_status if stale else None)
        if order.story == "cancelled_during" and order.reads == 1 and order.status == READY:
            self.merchants[store_id].advance(order_id, CANCELLED)
        return Reply(200, document)

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
        reason = _reason(body)
        if reason is None:
            return self.wire.error(400, "bad_request", "Not a JSON object with a reason and nothing else")
        status, code = self.merchants[store_id].cancel(order_id, reason)
        return self._answer(order_id, store_id, status, code)

    def _answer(self, order_id: str, store_id: str, status: int, code: str) -> Reply:
        if status != 200:
            return self.wire.error(status, code, "Not possible in the order's present state")
        return Reply(200, self.merchants[store_id].orders[order_id].to_json())

    def _find(self, store_id: str, order_id: str) -> Order | None:
        merchant = self.merchants.get(store_id)
        return None if merchant is None else merchant.orders.get(order_id)


def _invent(merchant: Merchant, before: FeedEvent) -> FeedEvent:
    """Put an entry with a name from the future into the feed, for good, right before another one."""
    known = before.body if isinstance(before.body, dict) else {}
    event = FeedEvent.of({**known, "event_id": merchant.new_event_id(), "event_name": "order.x_invented_later"})
    event.served = True
    merchant.feed.insert_before(before, event)
    return event


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


def _reason(body: bytes) -> str | None:
    """The reason of a cancel call, "" without one; None when the body is not what the contract allows."""
    try:
        given = loads(body) if body.strip() else {}
    except ValueError:
        return None
    if not isinstance(given, dict) or set(given) - {"reason"}:
        return None
    reason = given.get("reason", "")
    return reason if isinstance(reason, str) else None
