"""The samples printed in the contract, sent over a socket and read back byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # its stubs are not installed

from models.glopal import GlopalEvent, load_json
from models.outcome import Done

if TYPE_CHECKING:
    from tests.clients.conftest import Kit

CONTRACTS = Path(__file__).parents[1] / "contracts"
SAMPLES = CONTRACTS / "samples"


def sample(name: str) -> bytes:
    """A sample's bytes."""
    return (SAMPLES / name).read_bytes()


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    """The machine-readable contract."""
    loaded: dict[str, Any] = yaml.safe_load((CONTRACTS / "glopal.openapi.yaml").read_text())
    return loaded


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("events_page.json", "EventPage"),
        ("return_event_page.json", "EventPage"),
        ("order.json", "Order"),
        ("order_with_return.json", "Order"),
    ],
)
def test_samples_are_valid_by_the_contract(contract: dict[str, Any], name: str, schema: str) -> None:
    """Every sample file validates against the contract's own schema."""
    wrapped = {"$ref": f"#/components/schemas/{schema}", "components": contract["components"]}
    body = load_json(sample(name), name)
    assert [error.message for error in Draft202012Validator(wrapped).iter_errors(body)] == []


def test_the_page_sample_is_the_one_printed(contract: dict[str, Any]) -> None:
    """The events page is the contract's own example, value for value."""
    answer = contract["paths"]["/v2/events/{store_id}"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["example"] == load_json(sample("events_page.json"), "sample")


@pytest.mark.asyncio
async def test_the_events_page_is_read_as_printed(kit: Kit) -> None:
    """The printed page gives one READY event, its id as cursor, and its bytes unchanged."""
    raw = sample("events_page.json")
    kit.server.answers(kit.http(200, raw))
    async with kit.client() as client:
        outcome = await client.events(None)
    assert isinstance(outcome, Done)
    assert outcome.value.raw == raw
    [event] = outcome.value.page.events
    assert isinstance(event, GlopalEvent)
    assert (event.order_id, event.claims) == ("310678-936140", "READY")
    assert outcome.value.page.cursor == "47CE0V5XR9CAWJ2Y"


@pytest.mark.asyncio
async def test_the_return_event_is_read_as_printed(kit: Kit) -> None:
    """The printed return event names the other form of order id and the return request."""
    raw = sample("return_event_page.json")
    kit.server.answers(kit.http(200, raw))
    async with kit.client() as client:
        outcome = await client.events(None)
    assert isinstance(outcome, Done)
    assert outcome.value.raw == raw
    [event] = outcome.value.page.events
    assert isinstance(event, GlopalEvent)
    assert (event.event_name, event.order_id, event.entity_id) == ("return.requested", "3S7Z7N5X-Q4PSJMC1", "4")
    assert event.event_at == datetime(2023, 1, 10, 10, tzinfo=UTC)
    assert event.claims is None


@pytest.mark.asyncio
async def test_the_order_is_read_as_printed(kit: Kit) -> None:
    """The printed order head, with its odd language object, is read and its bytes stay unchanged."""
    raw = sample("order.json")
    kit.server.answers(kit.http(200, raw))
    async with kit.client() as client:
        outcome = await client.order("310678-936140")
    assert isinstance(outcome, Done)
    assert outcome.value.raw == raw
    head = outcome.value.head
    assert (head.status, head.environment, head.currency) == ("RECEIVED", "live", "EUR")
    assert (head.external_order_id, head.external_order_number) == ("", "")


@pytest.mark.asyncio
async def test_an_order_with_a_return_is_read_as_printed(kit: Kit) -> None:
    """The order of the returns page carries the merchant's ids and the return by its id."""
    raw = sample("order_with_return.json")
    kit.server.answers(kit.http(200, raw))
    async with kit.client() as client:
        outcome = await client.order("3S7Z7N5X-Q4PSJMC1")
    assert isinstance(outcome, Done)
    assert outcome.value.raw == raw
    assert (outcome.value.head.external_order_id, outcome.value.head.external_order_number) == ("92", "00092")
    assert outcome.value.head.document["returns"] == [{"id": "4"}]
