"""The simulated store behind the generic HTTP order endpoint, with its own books and the same faults."""

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.asgi import ASGIApp, Receive, Scope, Send
from sandbox.jsontext import Json, dumps, loads
from sandbox.protocol import InFlight
from sandbox.wire import Reply, TooLarge, Wire, read_body, send_reply

_ONE = re.compile(r"^/orders/([^/]+)(?:/(release|cancel|notes))?$")
_OUTAGE_WAIT = 1
_NAMES = {None: "store.read", "release": "store.release", "cancel": "store.cancel", "notes": "store.note"}


def _error_body(status: int, code: str, message: str) -> Json:
    return {"error": {"code": code, "message": message}}


@dataclass(slots=True)
class StoreOrder:
    """One order in the store."""

    id: str
    number: str
    reference: str
    state: str
    currency: str
    total: str
    skus: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    created: float = 0.0
    lookups: int = 0
    cancel_reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The order as the endpoint gives it."""
        return {
            "id": self.id,
            "number": self.number,
            "reference": self.reference,
            "state": self.state,
            "currency": self.currency,
            "total": self.total,
        }

    def book(self) -> dict[str, Any]:
        """The order's line in the books."""
        return {**self.to_json(), "skus": self.skus, "notes": len(self.notes), "cancel_reason": self.cancel_reason}


class SandboxStore:
    """The ASGI application of the simulated store.

    Args:
        token: the bearer token that callers must show.
    """

    def __init__(self, token: str) -> None:
        self.wire = Wire(token, _error_body)
        self.in_flight = InFlight()
        self.orders: dict[str, StoreOrder] = {}
        self.by_reference: dict[str, list[str]] = {}
        self.numbers = 0
        self.idempotent = True
        self.outage = False
        self.fixed_skus: set[str] = set()
        self.control: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call; `/_sandbox` goes to the control plane."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/_sandbox"):
            if self.control is not None:
                await self.control(scope, receive, send)
            return
        if self.outage:
            traffic = self.wire.traffic
            traffic.arrive("store.outage", "")
            traffic.ask_to_wait("store.outage", "", _OUTAGE_WAIT)
            traffic.leave("store.outage", "503")
            await send_reply(send, self.wire.error(503, "unavailable", "Closed for repairs", _OUTAGE_WAIT))
            return
        if not self.wire.authenticated(scope):
            await send_reply(send, self.wire.error(401, "unauthorized", "Missing or wrong token"))
            return
        try:
            body = await read_body(receive)
        except TooLarge:
            await send_reply(send, self.wire.error(413, "too_large", "Body too large"))
            return
        raw = (scope.get("raw_path") or path.encode()).split(b"?")[0].decode("latin-1")
        await self._route(scope, send, raw, body)

    async def _route(self, scope: Scope, send: Send, path: str, body: bytes) -> None:
        method, answer = scope["method"], self.wire.answer
        one = _ONE.match(path)
        if path == "/ping" and method == "GET":
            await answer(scope, send, "store.ping", "", lambda: Reply(200, dumps({"ok": True})))
        elif path == "/orders" and method == "POST":
            given = _object(body)
            reference = str(given.get("reference", "")) if given else ""
            await answer(scope, send, "store.create", reference, lambda: self._create(given, scope))
        elif path == "/orders" and method == "GET":
            wanted = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("reference", "")
            await answer(scope, send, "store.find", wanted, lambda: self._find(wanted))
        elif one is not None and method == ("GET" if one[2] is None else "POST"):
            order_id, action = unquote(one[1]), one[2]
            found = self.orders.get(order_id)
            key = found.reference if found else order_id
            await answer(scope, send, _NAMES[action], key, lambda: self._one(found, action, _object(body)))
        else:
            await send_reply(send, self.wire.error(404, "not_found", "No such path"))

    def _create(self, given: dict[str, Any] | None, scope: Scope) -> Reply:
        order = (given or {}).get("order")
        if given is None or not isinstance(order, dict) or not isinstance(given.get("hold"), bool):
            return self.wire.error(422, "invalid_order", "reference, hold and order are required")
        reference = str(given.get("reference", ""))
        key = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"), "")
        if not reference or key != reference:
            return self.wire.error(422, "invalid_order", "Idempotency-Key must equal reference")
        lines = order.get("lines", [])
        amounts = (order.get("currency"), order.get("total"))
        if not isinstance(lines, list) or not all(isinstance(value, str) for value in amounts):
            return self.wire.error(422, "invalid_order", "lines, currency or total cannot be read")
        existing = [self.orders[i] for i in self.by_reference.get(reference, [])]
        if existing and self.idempotent:
            known = existing[0]
            if (known.currency, known.total) != amounts:
                return self.wire.error(409, "reference_conflict", "This reference has another total")
            return Reply(200, dumps({"order": known.to_json()}))
        skus = [str(line.get("sku", "")) if isinstance(line, dict) else "" for line in lines]
        refused = self._refused(skus)
        if refused is not None:
            return refused
        return Reply(201, dumps({"order": self._new(reference, given["hold"], order, skus).to_json()}))

    def _refused(self, skus: list[str]) -> Reply | None:
        for number, sku in enumerate(skus):
            for prefix, code in (("UNKNOWN-", "unknown_sku"), ("NOSTOCK-", "out_of_stock")):
                if sku.startswith(prefix) and sku not in self.fixed_skus:
                    field = f"lines[{number}].sku"
                    body = {"error": {"code": code, "message": f"SKU {sku}", "field": field, "sku": sku}}
                    return Reply(422, dumps(body))
        return None

    def _new(self, reference: str, hold: bool, order: dict[str, Any], skus: list[str]) -> StoreOrder:
        # Counted, not taken from the number of orders: after a deletion that would give a number out twice.
        self.numbers += 1
        number = self.numbers
        made = StoreOrder(
            id=f"so_{number:06d}",
            number=str(100000 + number),
            reference=reference,
            state="held" if hold else "open",
            currency=str(order.get("currency")),
            total=str(order.get("total")),
            skus=skus,
            created=time.monotonic(),
        )
        self.orders[made.id] = made
        self.by_reference.setdefault(reference, []).append(made.id)
        return made

    def _find(self, reference: str) -> Reply:
        found = [self.orders[i] for i in self.by_reference.get(reference, [])]
        visible = [order for order in found if not self._lags(order)]
        return Reply(200, dumps({"orders": [order.to_json() for order in visible]}))

    def _lags(self, order: StoreOrder) -> bool:
        order.lookups += 1
        age = time.monotonic() - order.created

        def fits(params: Mapping[str, Any]) -> bool:
            by_time = "seconds" in params and age < params["seconds"]
            counted = "calls" in params or "seconds" not in params
            return by_time or (counted and order.lookups <= params.get("calls", 1))

        return self.wire.plan.shaping("store.find", order.reference, "lookup_lag", fits) is not None

    def _one(self, order: StoreOrder | None, action: str | None, given: dict[str, Any] | None) -> Reply:
        if order is None:
            return self.wire.error(404, "not_found", "No such order")
        if action == "release":
            if order.state == "cancelled":
                return self.wire.error(409, "order_cancelled", "The order is cancelled")
            order.state = "open" if order.state == "held" else order.state
        elif action == "cancel":
            if order.state == "shipped":
                return self.wire.error(409, "already_shipped", "The order has shipped")
            order.state = "cancelled"
            order.cancel_reason = order.cancel_reason or str((given or {}).get("reason", ""))
        elif action == "notes":
            order.notes.append(str((given or {}).get("text", "")))
            return Reply(201, dumps({"ok": True}))
        return Reply(200, dumps({"order": order.to_json()}))

    def books(self) -> dict[str, Any]:
        """What really happened: every order, and which references have more than one live order."""
        live = {
            reference: sum(self.orders[i].state != "cancelled" for i in ids)
            for reference, ids in self.by_reference.items()
        }
        return {
            "orders": {order.id: order.book() for order in self.orders.values()},
            "live": live,
            "duplicates": sorted(reference for reference, number in live.items() if number > 1),
        }

    def to_state(self) -> Json:
        """All of it, to be loaded again."""
        kept = [{**asdict(order), "created": None} for order in self.orders.values()]
        return {
            "orders": kept,
            "by_reference": self.by_reference,
            "numbers": self.numbers,
            "idempotent": self.idempotent,
            "outage": self.outage,
            "fixed_skus": sorted(self.fixed_skus),
        }

    def load(self, state: Json) -> None:
        """Take over what `to_state` wrote; what an older state lacks takes its first value."""
        # The clock of `created` died with the process: nothing lags by time any more.
        self.orders = {saved["id"]: StoreOrder(**{**saved, "created": 0.0}) for saved in state["orders"]}
        self.by_reference = state.get("by_reference", {})
        if not self.by_reference:
            for order in self.orders.values():
                self.by_reference.setdefault(order.reference, []).append(order.id)
        self.numbers = state.get("numbers", len(self.orders))
        self.idempotent, self.outage = state.get("idempotent", True), state.get("outage", False)
        self.fixed_skus = set(state.get("fixed_skus", []))

    def reset(self) -> None:
        """Begin anew: no orders, no faults, no traffic."""
        self.orders, self.by_reference, self.numbers = {}, {}, 0
        self.idempotent, self.outage, self.fixed_skus = True, False, set()
        self.wire.reset()
        self.in_flight.peak = self.in_flight.now


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        given = loads(body)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None
