"""What the sandbox's tests share: a caller on real sockets, and the contract to hold its answers against."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # its stubs are not installed
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from sandbox.running import GLOPAL_KEY, STORE_TOKEN, RunningSandbox

CONTRACT = Path(__file__).parents[1] / "contracts" / "glopal.openapi.yaml"
EVENTS = "/v2/events/{store_id}"
ORDER = "/v2/orders/{store_id}/{order_id}"
ACCEPT = f"{ORDER}/accept"
CANCEL = f"{ORDER}/cancel"


class Contract:
    """The OpenAPI file, and whether an answer or a body is what it says."""

    def __init__(self) -> None:
        self.document = yaml.safe_load(CONTRACT.read_text())
        self._registry: Any = Registry().with_resource("urn:glopal", DRAFT202012.create_resource(self.document))

    def answer(self, method: str, path: str, response: httpx.Response) -> Any:
        """Hold an answer against what the file says about this call; returns the answer's JSON."""
        place = f"/paths/{_escaped(path)}/{method}/responses/{response.status_code}"
        declared = self.document["paths"][path][method]["responses"]
        assert str(response.status_code) in declared, f"{response.status_code} is not in the contract: {response.text}"
        if "$ref" in declared[str(response.status_code)]:
            place = declared[str(response.status_code)]["$ref"].removeprefix("#")
        assert response.headers["content-type"] == "application/json"
        found = response.json()
        errors = list(self._validator(f"{place}/content/application~1json/schema").iter_errors(found))
        assert not errors, errors[0]
        return found

    def allows(self, schema: str, value: Any) -> bool:
        """Whether a value is what a schema of the components says."""
        return bool(self._validator(f"/components/schemas/{schema}").is_valid(value))

    def _validator(self, place: str) -> Any:
        return Draft202012Validator(
            {"$ref": f"urn:glopal#{place}"},
            registry=self._registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )


def _escaped(path: str) -> str:
    return path.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


class Box:
    """A running sandbox and a caller of both sides."""

    def __init__(self, running: RunningSandbox, http: httpx.Client) -> None:
        self.running = running
        self.http = http
        self.glopal_headers = {"Authorization": f"Bearer {GLOPAL_KEY}"}
        self.store_headers = {"Authorization": f"Bearer {STORE_TOKEN}"}

    def glopal(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One call to the simulated Glopal."""
        more.setdefault("headers", self.glopal_headers)
        return self.http.request(method, self.running.glopal_url + path, **more)

    def events(self, *pairs: tuple[str, str], **given: str | int) -> httpx.Response:
        """A page of events; pairs for a parameter that is repeated."""
        query = [*pairs, *((name, str(value)) for name, value in given.items())]
        return self.glopal("GET", "/v2/events/acme", params=query)

    def feed(self, *pairs: tuple[str, str], limit: int = 500) -> list[dict[str, Any]]:
        """Every event in one page."""
        found: list[dict[str, Any]] = self.events(*pairs, limit=limit).json()["events"]
        return found

    def order(self, order_id: str, **more: Any) -> httpx.Response:
        """Read an order."""
        return self.glopal("GET", f"/v2/orders/acme/{order_id}", **more)

    def accept(self, order_id: str, store_order: str = "92", number: str = "00092", **more: Any) -> httpx.Response:
        """Accept an order."""
        external = {"external": {"order_id": store_order, "order_number": number}}
        return self.glopal("POST", f"/v2/orders/acme/{order_id}/accept", **{"json": external, **more})

    def cancel(self, order_id: str, reason: str = "out of stock", **more: Any) -> httpx.Response:
        """Cancel an order."""
        return self.glopal("POST", f"/v2/orders/acme/{order_id}/cancel", **{"json": {"reason": reason}, **more})

    def book(self, order_id: str) -> dict[str, Any]:
        """What Glopal's books say of an order."""
        return self.running.orders()[order_id]

    def store(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One call to the simulated store."""
        more.setdefault("headers", self.store_headers)
        return self.http.request(method, self.running.store_url + path, **more)

    def create(
        self, reference: str = "r-1", *, total: str = "12.30", hold: bool = False, sku: str = "COAT", **more: Any
    ) -> httpx.Response:
        """Put an order into the store."""
        order = {"currency": "EUR", "total": total, "lines": [{"sku": "HAT"}, {"sku": sku}]}
        more.setdefault("headers", {**self.store_headers, "Idempotency-Key": reference})
        more.setdefault("json", {"reference": reference, "hold": hold, "order": order})
        return self.store("POST", "/orders", **more)

    def find(self, reference: str = "r-1", **more: Any) -> httpx.Response:
        """Look a reference up in the store."""
        return self.store("GET", "/orders", params={"reference": reference}, **more)

    def shop(self) -> dict[str, dict[str, Any]]:
        """The store's orders by id, as its books have them."""
        found: dict[str, dict[str, Any]] = self.running.store_books()["orders"]
        return found

    def fault(self, where: str, kind: str, *, params: dict[str, Any] | None = None, **rule: Any) -> None:
        """Switch one fault on, and no other."""
        self.running.faults([{"where": where, "kind": kind, "params": params or {}, **rule}])

    def traffic(self, side: str = "glopal") -> dict[str, Any]:
        """What one side counted."""
        books = self.running.books() if side == "glopal" else self.running.store_books()
        found: dict[str, Any] = books["traffic"]
        return found


def exact(response: httpx.Response) -> Any:
    """An answer's JSON with every digit of its numbers."""
    return json.loads(response.content, parse_float=Decimal, parse_int=Decimal)


def code(response: httpx.Response) -> str:
    """The code of an error answer."""
    found: str = response.json()["error"]["code"]
    return found
