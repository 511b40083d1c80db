"""The control plane: what a test or a demo tells the simulated sides, and the books that it reads."""

import json
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response

from sandbox.faults import FaultError, FaultPlan
from sandbox.glopal import Glopal
from sandbox.jsontext import dumps, loads
from sandbox.store import SandboxStore
from sandbox.stories import StoryError, story_help
from sandbox.traffic import Traffic
from sandbox.wire import Wire


def _json(value: Any) -> Response:
    return Response(dumps(value), media_type="application/json")


def _plan(value: Any) -> Response:
    # Chances and seconds are floats, which the documents' own encoder refuses.
    return Response(json.dumps(value, default=float), media_type="application/json")


async def _given(request: Request) -> dict[str, Any]:
    body = await request.body()
    try:
        given = loads(body) if body.strip() else {}
    except ValueError as error:
        raise HTTPException(400, f"not JSON: {error}") from error
    if not isinstance(given, dict):
        raise HTTPException(400, "a JSON object is wanted")
    return given


def _common(app: FastAPI, wire: Wire) -> None:
    """Health and faults are the same on both sides."""

    @app.get("/_sandbox/health")
    async def health() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/_sandbox/faults")
    async def read_faults() -> Response:
        return _plan({"plan": wire.plan.to_json(), "injected": dict(wire.plan.injected)})

    @app.put("/_sandbox/faults")
    async def set_faults(request: Request) -> Response:
        given = loads(await request.body())
        try:
            wire.plan = FaultPlan.from_json(given)
        except FaultError as error:
            raise HTTPException(422, str(error)) from error
        return _plan(wire.plan.to_json())

    @app.delete("/_sandbox/faults")
    async def clear_faults() -> dict[str, bool]:
        wire.plan = FaultPlan()
        return {"ok": True}


def glopal_control(glopal: Glopal) -> FastAPI:  # noqa: C901, PLR0915 - a list of small routes
    """The control plane of the simulated Glopal."""
    app = FastAPI(title="Sandbox Glopal: control plane", openapi_url="/_sandbox/openapi.json", docs_url=None)
    _common(app, glopal.wire)

    def merchant(given: dict[str, Any]) -> Any:
        store_id = str(given.get("store_id") or next(iter(glopal.merchants)))
        if store_id not in glopal.merchants:
            raise HTTPException(404, f"no merchant {store_id!r}")
        return glopal.merchants[store_id]

    @app.get("/_sandbox/stories")
    async def stories() -> dict[str, Any]:
        return story_help()

    @app.get("/_sandbox/books")
    async def books() -> Response:
        traffic = glopal.wire.traffic.to_json()
        traffic["max_in_flight"] = glopal.in_flight.peak
        return _json(
            {
                "merchants": {name: found.books() for name, found in glopal.merchants.items()},
                "traffic": traffic,
                "injected": dict(glopal.wire.plan.injected),
            }
        )

    @app.post("/_sandbox/generate")
    async def generate(request: Request) -> Response:
        given = await _given(request)
        try:
            ids = merchant(given).generate(
                int(given.get("seed", 7)),
                int(given.get("count", 1)),
                given.get("mix", "plain"),
                float(given.get("hours", 24)),
                str(given.get("environment", "live")),
            )
        except StoryError as error:
            raise HTTPException(422, str(error)) from error
        return _json({"order_ids": ids})

    @app.get("/_sandbox/document")
    async def document(order_id: str, store_id: str = "") -> Response:
        return _json(merchant({"store_id": store_id}).orders[order_id].to_json())

    @app.post("/_sandbox/change")
    async def change(request: Request) -> dict[str, bool]:
        given = await _given(request)
        order = merchant(given).orders[str(given["order_id"])]
        order.document.update(given.get("document", {}))
        for name in ("status", "external", "shipped"):
            if name in given:
                setattr(order, name, given[name])
        return {"ok": True}

    @app.post("/_sandbox/advance")
    async def advance(request: Request) -> dict[str, str]:
        given = await _given(request)
        try:
            order = merchant(given).advance(str(given["order_id"]), str(given["status"]))
        except KeyError as error:
            raise HTTPException(404, "no such order") from error
        except ValueError as error:
            raise HTTPException(409, str(error)) from error
        return {"status": order.status}

    @app.get("/_sandbox/feed")
    async def feed(store_id: str = "") -> Response:
        entries = merchant({"store_id": store_id}).feed
        bodies = [entry.body if isinstance(entry.body, dict) else {} for entry in entries]
        marks = [{"hidden": entry.hidden_for > 0, "was_hidden": entry.was_hidden} for entry in entries]
        return _json([{**body, **mark} for body, mark in zip(bodies, marks, strict=True)])

    @app.post("/_sandbox/events")
    async def inject(request: Request) -> dict[str, int]:
        given = await _given(request)
        found = merchant(given)
        for body in given.get("events", []):
            if isinstance(body, dict) and body.get("event_id") == "NEW":
                body["event_id"] = found.new_event_id()
            found.append_raw(body, before_end=int(given.get("before_end", 0)))
        return {"events": len(found.feed)}

    @app.post("/_sandbox/happen")
    async def happen() -> dict[str, int]:
        done: dict[str, int] = {}
        for found in glopal.merchants.values():
            for name, number in found.happen().items():
                done[name] = done.get(name, 0) + number
        return done

    @app.post("/_sandbox/release-late")
    async def release_late() -> dict[str, int]:
        return {"released": sum(found.release_late() for found in glopal.merchants.values())}

    @app.post("/_sandbox/settings")
    async def settings(request: Request) -> dict[str, bool]:
        for name, value in (await _given(request)).items():
            if name not in ("event_required", "empty_cursor", "missing_cursor"):
                raise HTTPException(422, f"unknown setting {name!r}")
            setattr(glopal, name, bool(value))
        return {"ok": True}

    @app.post("/_sandbox/reset")
    async def reset() -> dict[str, bool]:
        for name in list(glopal.merchants):
            glopal.merchants[name] = type(glopal.merchants[name])(name)
        glopal.wire.traffic, glopal.wire.plan = Traffic(), FaultPlan()
        glopal.in_flight.peak = 0
        glopal.event_required, glopal.empty_cursor, glopal.missing_cursor = False, True, True
        return {"ok": True}

    glopal.control = app
    return app


def store_control(store: SandboxStore) -> FastAPI:  # noqa: C901 - a list of small routes
    """The control plane of the simulated store."""
    app = FastAPI(title="Sandbox store: control plane", openapi_url="/_sandbox/openapi.json", docs_url=None)
    _common(app, store.wire)

    @app.get("/_sandbox/books")
    async def books() -> Response:
        traffic = store.wire.traffic.to_json()
        traffic["max_in_flight"] = store.in_flight.peak
        return _json({**store.books(), "traffic": traffic, "injected": dict(store.wire.plan.injected)})

    @app.post("/_sandbox/ship")
    async def ship(request: Request) -> dict[str, str]:
        return _set_state(await _given(request), "shipped")

    @app.post("/_sandbox/state")
    async def state(request: Request) -> dict[str, str]:
        given = await _given(request)
        return _set_state(given, str(given["state"]))

    def _set_state(given: dict[str, Any], state: str) -> dict[str, str]:
        ids = store.by_reference.get(str(given["reference"]), [])
        if not ids:
            raise HTTPException(404, "no such reference")
        for order_id in ids:
            store.orders[order_id].state = state
        return {"state": state}

    @app.post("/_sandbox/change")
    async def change(request: Request) -> dict[str, bool]:
        given = await _given(request)
        for order_id in store.by_reference.get(str(given["reference"]), []):
            for name in ("total", "currency", "reference"):
                if f"new_{name}" in given:
                    setattr(store.orders[order_id], name, str(given[f"new_{name}"]))
        return {"ok": True}

    @app.post("/_sandbox/delete")
    async def delete(request: Request) -> dict[str, int]:
        ids = store.by_reference.pop(str((await _given(request))["reference"]), [])
        for order_id in ids:
            del store.orders[order_id]
        return {"deleted": len(ids)}

    @app.post("/_sandbox/outage")
    async def outage(request: Request) -> dict[str, bool]:
        store.outage = bool((await _given(request)).get("on", True))
        return {"outage": store.outage}

    @app.post("/_sandbox/fix-sku")
    async def fix_sku(request: Request) -> dict[str, int]:
        store.fixed_skus.add(str((await _given(request))["sku"]))
        return {"fixed": len(store.fixed_skus)}

    @app.post("/_sandbox/settings")
    async def settings(request: Request) -> dict[str, bool]:
        given = await _given(request)
        store.idempotent = bool(given.get("idempotent", store.idempotent))
        return {"idempotent": store.idempotent}

    @app.post("/_sandbox/reset")
    async def reset() -> dict[str, bool]:
        store.orders, store.by_reference = {}, {}
        store.idempotent, store.outage, store.fixed_skus = True, False, set()
        store.wire.traffic, store.wire.plan = Traffic(), FaultPlan()
        store.in_flight.peak = 0
        return {"ok": True}

    store.control = app
    return app
