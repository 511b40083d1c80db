"""The control plane: what a test or a demo tells the simulated sides, and the books that it reads."""

import json
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response

from sandbox.faults import FaultError, FaultPlan
from sandbox.feed import Merchant, Order
from sandbox.glopal import Glopal
from sandbox.jsontext import dumps, loads
from sandbox.store import SandboxStore
from sandbox.stories import StoryError, story_help
from sandbox.wire import Wire

_SETTINGS = ("event_required", "empty_cursor", "missing_cursor")
_CHANGEABLE = ("status", "external", "shipped")
_STATES = ("held", "open", "shipped", "cancelled")


def _json(value: Any) -> Response:
    return Response(dumps(value), media_type="application/json")


def _quick_json(value: Any) -> Response:
    """Books hold no decimal numbers, and the standard encoder is ten times as fast."""
    return Response(json.dumps(value, ensure_ascii=False, separators=(",", ":")), media_type="application/json")


async def _given(request: Request) -> dict[str, Any]:
    given = await _value(request)
    if not isinstance(given, dict):
        raise HTTPException(400, "a JSON object is wanted")
    return given


async def _value(request: Request) -> Any:
    body = await request.body()
    try:
        return loads(body) if body.strip() else {}
    except ValueError as error:
        raise HTTPException(400, f"not JSON: {error}") from error


def _need(given: dict[str, Any], name: str) -> str:
    if name not in given:
        raise HTTPException(422, f"{name} is missing")
    return str(given[name])


def _application(title: str, wire: Wire) -> FastAPI:
    """Health and faults are the same on both sides."""
    app = FastAPI(title=title, openapi_url="/_sandbox/openapi.json", docs_url=None, redoc_url=None)

    @app.get("/_sandbox/health")
    async def health() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/_sandbox/faults")
    async def read_faults() -> Response:
        return _json({"plan": wire.plan.to_json(), "injected": dict(wire.plan.injected)})

    @app.put("/_sandbox/faults")
    async def set_faults(request: Request) -> Response:
        try:
            wire.plan = FaultPlan.from_json(await _value(request))
        except FaultError as error:
            raise HTTPException(422, str(error)) from error
        return _json(wire.plan.to_json())

    @app.delete("/_sandbox/faults")
    async def clear_faults() -> dict[str, bool]:
        wire.plan = FaultPlan()
        return {"ok": True}

    return app


def glopal_control(glopal: Glopal) -> FastAPI:
    """The control plane of the simulated Glopal."""
    app = _application("Sandbox Glopal: control plane", glopal.wire)
    _glopal_books(app, glopal)
    _glopal_orders(app, glopal)
    _glopal_feed(app, glopal)

    @app.post("/_sandbox/settings")
    async def settings(request: Request) -> dict[str, bool]:
        given = await _given(request)
        for name in given:
            if name not in _SETTINGS:
                raise HTTPException(422, f"unknown setting {name!r}; known are {list(_SETTINGS)}")
        for name, value in given.items():
            setattr(glopal, name, bool(value))
        return {"ok": True}

    @app.post("/_sandbox/reset")
    async def reset() -> dict[str, bool]:
        glopal.reset()
        return {"ok": True}

    glopal.control = app
    return app


def _merchant(glopal: Glopal, store_id: str) -> Merchant:
    name = store_id or next(iter(glopal.merchants))
    if name not in glopal.merchants:
        raise HTTPException(404, f"no merchant {name!r}")
    return glopal.merchants[name]


def _order(glopal: Glopal, given: dict[str, Any]) -> Order:
    order = _merchant(glopal, str(given.get("store_id", ""))).orders.get(_need(given, "order_id"))
    if order is None:
        raise HTTPException(404, "no such order")
    return order


def _glopal_books(app: FastAPI, glopal: Glopal) -> None:
    @app.get("/_sandbox/stories")
    async def stories() -> dict[str, Any]:
        return story_help()

    @app.get("/_sandbox/books")
    async def books() -> Response:
        return _quick_json(
            {
                "merchants": {name: found.books() for name, found in glopal.merchants.items()},
                "traffic": {**glopal.wire.traffic.to_json(), "max_in_flight": glopal.in_flight.peak},
                "injected": dict(glopal.wire.plan.injected),
            }
        )

    @app.get("/_sandbox/document")
    async def document(order_id: str, store_id: str = "") -> Response:
        order = _order(glopal, {"order_id": order_id, "store_id": store_id})
        return Response(order.to_json(), media_type="application/json")


def _glopal_orders(app: FastAPI, glopal: Glopal) -> None:
    @app.post("/_sandbox/generate")
    async def generate(request: Request) -> Response:
        given = await _given(request)
        merchant = _merchant(glopal, str(given.get("store_id", "")))
        try:
            ids = merchant.generate(
                int(given.get("seed", 7)),
                int(given.get("count", 1)),
                given.get("mix", "plain"),
                float(given.get("hours", 24)),
                str(given.get("environment", "live")),
            )
        except (StoryError, TypeError, ValueError) as error:
            raise HTTPException(422, str(error)) from error
        return _quick_json({"order_ids": ids})

    @app.post("/_sandbox/change")
    async def change(request: Request) -> dict[str, bool]:
        given = await _given(request)
        order = _order(glopal, given)
        removed = set(given.get("remove", ()))
        document = {**order.document, **given.get("document", {})}
        order.document = {key: value for key, value in document.items() if key not in removed}
        for name in _CHANGEABLE:
            if name in given:
                setattr(order, name, given[name])
        return {"ok": True}

    @app.post("/_sandbox/advance")
    async def advance(request: Request) -> dict[str, str]:
        given = await _given(request)
        order = _order(glopal, given)
        merchant = _merchant(glopal, str(given.get("store_id", "")))
        try:
            merchant.advance(order.order_id, _need(given, "status"))
        except ValueError as error:
            raise HTTPException(409, str(error)) from error
        return {"status": order.status}

    @app.post("/_sandbox/happen")
    async def happen() -> dict[str, int]:
        done: dict[str, int] = {}
        for found in glopal.merchants.values():
            for name, number in found.happen().items():
                done[name] = done.get(name, 0) + number
        return done


def _glopal_feed(app: FastAPI, glopal: Glopal) -> None:
    @app.get("/_sandbox/feed")
    async def feed(store_id: str = "") -> Response:
        entries = _merchant(glopal, store_id).feed
        shown = [(entry, entry.body if isinstance(entry.body, dict) else {}) for entry in entries]
        marks = [{**body, "hidden": entry.hidden_for > 0, "was_hidden": entry.was_hidden} for entry, body in shown]
        return _json(marks)

    @app.post("/_sandbox/events")
    async def inject(request: Request) -> dict[str, int]:
        given = await _given(request)
        found = _merchant(glopal, str(given.get("store_id", "")))
        for body in given.get("events", []):
            if isinstance(body, dict) and body.get("event_id") == "NEW":
                body["event_id"] = found.new_event_id()
            found.append_raw(body, before_end=int(given.get("before_end", 0)))
        return {"events": len(found.feed)}

    @app.post("/_sandbox/release-late")
    async def release_late() -> dict[str, int]:
        return {"released": sum(found.release_late() for found in glopal.merchants.values())}


def store_control(store: SandboxStore) -> FastAPI:
    """The control plane of the simulated store."""
    app = _application("Sandbox store: control plane", store.wire)
    _store_orders(app, store)

    @app.get("/_sandbox/books")
    async def books() -> Response:
        traffic = {**store.wire.traffic.to_json(), "max_in_flight": store.in_flight.peak}
        return _quick_json({**store.books(), "traffic": traffic, "injected": dict(store.wire.plan.injected)})

    @app.post("/_sandbox/outage")
    async def outage(request: Request) -> dict[str, bool]:
        store.outage = bool((await _given(request)).get("on", True))
        return {"outage": store.outage}

    @app.post("/_sandbox/fix-sku")
    async def fix_sku(request: Request) -> dict[str, int]:
        store.fixed_skus.add(_need(await _given(request), "sku"))
        return {"fixed": len(store.fixed_skus)}

    @app.post("/_sandbox/settings")
    async def settings(request: Request) -> dict[str, bool]:
        given = await _given(request)
        if set(given) - {"idempotent"}:
            raise HTTPException(422, "the only setting is idempotent")
        store.idempotent = bool(given.get("idempotent", store.idempotent))
        return {"idempotent": store.idempotent}

    @app.post("/_sandbox/reset")
    async def reset() -> dict[str, bool]:
        store.reset()
        return {"ok": True}

    store.control = app
    return app


def _store_ids(store: SandboxStore, given: dict[str, Any]) -> list[str]:
    ids = store.by_reference.get(_need(given, "reference"), [])
    if not ids:
        raise HTTPException(404, "no such reference")
    return ids


def _store_orders(app: FastAPI, store: SandboxStore) -> None:
    def set_state(given: dict[str, Any], state: str) -> dict[str, str]:
        if state not in _STATES:
            raise HTTPException(422, f"unknown state {state!r}; known are {list(_STATES)}")
        for order_id in _store_ids(store, given):
            store.orders[order_id].state = state
        return {"state": state}

    @app.post("/_sandbox/ship")
    async def ship(request: Request) -> dict[str, str]:
        return set_state(await _given(request), "shipped")

    @app.post("/_sandbox/state")
    async def state(request: Request) -> dict[str, str]:
        given = await _given(request)
        return set_state(given, _need(given, "state"))

    @app.post("/_sandbox/change")
    async def change(request: Request) -> dict[str, bool]:
        given = await _given(request)
        for order_id in _store_ids(store, given):
            for name in ("total", "currency", "reference"):
                if f"new_{name}" in given:
                    setattr(store.orders[order_id], name, str(given[f"new_{name}"]))
        return {"ok": True}

    @app.post("/_sandbox/delete")
    async def delete(request: Request) -> dict[str, int]:
        ids = store.by_reference.pop(_need(await _given(request), "reference"), [])
        for order_id in ids:
            del store.orders[order_id]
        return {"deleted": len(ids)}
