"""Makes every failure there is with secrets and buyers in all its parts, and looks for them wherever people read."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from clients.glopal import GlopalClient
from clients.redaction import redact
from models.outcome import ConfigurationError, Done, Outcome, error_for

if TYPE_CHECKING:
    from tests.clients.conftest import Kit, Step

CANARIES = ("canary", "Canary")
BUYER = "jane@canary-buyer.example"
LOGGERS = (
    "",
    "asyncio",
    "clients",
    "clients.transport",
    "clients.glopal",
    "httpx",
    "httpcore",
    "httpcore.connection",
    "httpcore.http11",
)
SPOILED = json.dumps(
    {
        "id": BUYER,
        "status": BUYER,
        "events": BUYER,
        "error": {"code": "gl.canary-5f2d9c1e7a", "message": f"Canary Buyer, {BUYER}"},
        "customer": {"email": BUYER},
    }
).encode()


def steps(kit: Kit) -> list[Step]:
    """Every failure, with canaries in status line, headers and body."""
    headers = {"Location": f"https://canary-buyer.example/?key={kit.key}", "X-Echo": f"Bearer {kit.key} {BUYER}"}
    answers: list[Step] = [
        kit.http(status, SPOILED, headers, reason=f"Canary {BUYER}")
        for status in (200, 202, 301, 400, 401, 403, 404, 408, 409, 422, 429, 500, 503)
    ]
    html = f"<html>{BUYER} {kit.key}</html>".encode()
    cut = kit.http(200, html, headers, length=9999)
    return [
        *answers,
        kit.http(200, html, headers),
        kit.http(429, SPOILED, {**headers, "Retry-After": f"Canary {kit.key}"}),
        kit.http(301, SPOILED, {"Location": f"http://[{BUYER}"}),
        kit.http(200, html, {**headers, "Content-Encoding": "gzip"}),
        kit.http(200, html * 2000, headers),
        cut,
        kit.then(cut, kit.reset),
        kit.then(cut, kit.silence),
        kit.reset,
        kit.silence,
        f"HTTP/1.1 Canary {BUYER} {kit.key}\r\n\r\n".encode(),
        f"HTTP/1.1 200 OK\r\nCanary {BUYER}\r\n\r\n".encode(),
    ]


async def every_call(client: GlopalClient) -> list[Outcome[Any]]:
    """All that the client can do, once."""
    return [
        await client.events(None),
        await client.events(f"{BUYER}&key=canary"),
        await client.order("1-2"),
        await client.accept("1-2", "92", "00092"),
        await client.cancel("1-2", f"asked by {BUYER}"),
        await client.check(),
    ]


def readable(outcome: Outcome[Any]) -> str:
    """All that a person may come to see of an outcome."""
    if isinstance(outcome, Done):
        return repr(outcome)
    error = error_for(outcome, "order 1-2")
    return "\n".join([repr(outcome), str(error), repr(error), *traceback.format_exception(error)])


@pytest.mark.asyncio
async def test_no_failure_shows_a_secret_or_a_buyer(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at DEBUG, no failure leaves a canary in a log, an outcome, an error or a repr."""
    limits = {"timeout": 0.1, "read_tries": 2, "max_body": 40_000, "concurrency": 2}
    seen: list[str] = []
    async with kit.client(limits=limits) as client:
        for name in LOGGERS:
            caplog.set_level(logging.DEBUG, logger=name or None)
        for step in steps(kit):
            kit.server.answers(step)
            seen += [readable(outcome) for outcome in await every_call(client)]
        await kit.server.stop()
        seen += [readable(outcome) for outcome in await every_call(client)]
        seen += [repr(client), repr(client._transport), repr(client._transport._idle)]
    await kit.server.start()  # for the fixture, which stops it once more
    seen += [text for subject, bad in kit.kept.all for text in (subject, str(bad), repr(bad), bad.message)]
    seen += [caplog.text, *(repr(record.__dict__) for record in caplog.records)]
    assert [text[:300] for text in seen for canary in CANARIES if canary in text] == []
    assert any(record.name == "httpcore.http11" for record in caplog.records)  # the loud loggers really spoke
    assert any(record.name == "clients.transport" for record in caplog.records)
    assert len(kit.kept.all) > 10


@pytest.mark.asyncio
async def test_a_good_answer_shows_no_buyer_either(kit: Kit) -> None:
    """The values of a success hold buyers, and their repr does not."""
    order = {
        "id": "1-2",
        "status": "ACCEPTED",
        "external": {"order_id": "92", "order_number": "00092"},
        "customer": {"email": BUYER},
    }
    page = {"events": [{"event_id": "E", "event_name": "x", "order_id": "1-2", "note": BUYER}]}
    kit.server.answers(kit.http(200, json.dumps(order).encode()))
    async with kit.client() as client:
        shown = [await client.order("1-2"), await client.accept("1-2", "92", "00092")]
        kit.server.answers(kit.http(200, json.dumps(page).encode()))
        pages = [await client.events(None), await client.check()]
    assert [isinstance(outcome, Done) for outcome in (*shown, *pages)] == [True] * 4
    assert "canary" not in repr([*shown, *pages])


@pytest.mark.asyncio
async def test_a_bad_key_is_not_shown_by_its_error(kit: Kit) -> None:
    """The configuration error about a key holds its place and not its value, and has no cause that does."""
    with pytest.raises(ConfigurationError, match="GLOPAL_KEY") as caught:
        GlopalClient(kit.account(), SecretStr(f"{kit.key} with a blank"))
    assert kit.key not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.asyncio
async def test_a_key_of_any_shape_is_masked_once_a_client_holds_it(kit: Kit) -> None:
    """Making a client registers its key, so that it is masked even where nothing but its value gives it away."""
    GlopalClient(kit.account(), SecretStr("plain-canary-value"))
    assert redact("it was plain-canary-value all along") == "it was *** all along"


@pytest.mark.asyncio
async def test_a_cancelled_call_shows_nothing(kit: Kit) -> None:
    """A call that is cancelled from outside ends as cancelled, and its traceback text does not hold the key."""
    kit.server.answers(kit.silence)
    async with kit.client() as client:
        call = asyncio.ensure_future(client.accept("1-2", "92", "00092"))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await call
    assert kit.key not in "".join(traceback.format_exception(caught.value))
