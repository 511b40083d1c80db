from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from clients.glopal import GlopalClient, render
from models.outcome import ConfigurationError, Done, NotYet, RefusalCode, Refused, Unknown

if TYPE_CHECKING:
    from tests.clients.conftest import Kit

EMPTY = b'{"events":[]}'


def document(**changes: Any) -> bytes:
    """An accepted order of ours, changed as wished."""
    body = {"id": "1-2", "status": "ACCEPTED", "external": {"order_id": "92", "order_number": "00092"}}
    return json.dumps(body | changes).encode()


def query(kit: Kit, index: int = -1) -> list[tuple[str, str]]:
    """The query of a request as the server saw it."""
    return parse_qsl(urlsplit(kit.server.target(index).split(" ")[1]).query, keep_blank_values=True)


@pytest.mark.asyncio
async def test_events_are_asked_for_as_documented(kit: Kit) -> None:
    """The first pull has the filter repeated, the key as a bearer token, no cursor and no page size."""
    kit.server.answers(kit.http(200, EMPTY))
    async with kit.client() as client:
        outcome = await client.events(None)
    assert isinstance(outcome, Done)
    assert outcome.value.page.cursor is None
    names = ["order.received", "order.ready", "order.cancelled"]
    assert query(kit) == [("event", name) for name in names]
    assert kit.server.target().startswith("GET /v2/events/demo?")
    assert f"Authorization: Bearer {kit.key}\r\n".encode() in kit.server.requests[0]


@pytest.mark.asyncio
async def test_cursor_and_page_size_are_sent_under_their_configured_names(kit: Kit) -> None:
    """The assumed parameter names are taken from the endpoint table; a limit of the call beats the account's."""
    kit.server.answers(kit.http(200, EMPTY))
    table = {"after_param": "since", "before_param": "until", "limit_param": "size", "event_param": "name"}
    async with kit.client(page_size=50, events=["order.ready"], endpoints=table) as client:
        await client.events("E&1 /")
        await client.events(None, limit=3, before="E2")
    assert query(kit, 0) == [("name", "order.ready"), ("since", "E&1 /"), ("size", "50")]
    assert query(kit, 1) == [("name", "order.ready"), ("until", "E2"), ("size", "3")]


@pytest.mark.asyncio
async def test_both_cursors_at_once_are_a_mistake(kit: Kit) -> None:
    """Paging forwards and backwards in one call is a programming error."""
    async with kit.client() as client:
        with pytest.raises(ValueError, match="exclude"):
            await client.events("a", before="b")


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 409, 422])
async def test_a_refused_first_pull_is_tried_once_with_an_empty_cursor(kit: Kit, status: int) -> None:
    """The published sample sends the cursor empty, so that is the second form of a first pull, and the last."""
    kit.server.answers(kit.http(status), kit.http(200, EMPTY))
    async with kit.client() as client:
        assert isinstance(await client.events(None), Done)
        kit.server.answers(kit.http(status))
        assert isinstance(await client.events(None), Refused)
    assert len(kit.server.requests) == 2
    assert ("after_event_id", "") in query(kit)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_first_pull_refused_for_another_reason_is_not_tried_again(kit: Kit, status: int) -> None:
    """Dead credentials and an unknown store have nothing to do with the cursor."""
    kit.server.answers(kit.http(status))
    async with kit.client() as client:
        assert isinstance(await client.events(None), Refused)
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["after", "before"])
async def test_a_rejected_cursor_is_told_and_never_reset(kit: Kit, direction: str) -> None:
    """A stored cursor that Glopal does not take stops the feed with a clear message; no other pull is made."""
    kit.server.answers(kit.http(400), kit.http(200, EMPTY))
    async with kit.client() as client:
        outcome = await (client.events("OLD") if direction == "after" else client.events(None, before="OLD"))
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.CONFLICT
    assert "the stored cursor was rejected by Glopal" in outcome.message
    assert "backfill" in outcome.message
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
async def test_links_are_never_followed(kit: Kit) -> None:
    """A page that names a next page, on this host or another, leads to no call."""
    links = {"next": f"{kit.server.url}/steal", "previous": "http://127.0.0.1:9/"}
    kit.server.answers(kit.http(200, json.dumps({"links": links, "events": []}).encode()))
    async with kit.client() as client:
        await client.events(None)
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
async def test_an_order_comes_with_its_bytes_and_hash(kit: Kit) -> None:
    """The document is handed on exactly as received, with its SHA-256 and its head."""
    raw = b' {"id": "1-2" , "status":"READY","surprise":[1.10]}\n'
    kit.server.answers(kit.http(200, raw))
    async with kit.client() as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, Done)
    assert (outcome.value.raw, outcome.value.sha256) == (raw, hashlib.sha256(raw).hexdigest())
    assert outcome.value.head.status == "READY"
    assert kit.server.target() == "GET /v2/orders/demo/1-2"


@pytest.mark.asyncio
@pytest.mark.parametrize("order_id", ["", "../x", "1/2", "1-2?x=1", "1-2#", "1 2", "1-2\n", "é-1", "1" * 256, "%2e%2e"])
async def test_an_order_id_with_a_path_in_it_never_reaches_an_address(kit: Kit, order_id: str) -> None:
    """An unsafe id is refused by name, for every call, without a request."""
    async with kit.client() as client:
        outcomes = [
            await client.order(order_id),
            await client.accept(order_id, "92", "00092"),
            await client.cancel(order_id, "x"),
        ]
    for outcome in outcomes:
        assert isinstance(outcome, Refused)
        assert outcome.code is RefusalCode.INVALID_ORDER
        assert ascii(order_id[:64]) in outcome.message
    assert kit.server.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"<html><body>maintenance", b'{"id":"1-2","sta', b"", b"\xff\xfe\x00", b'{"a":NaN}'])
async def test_an_answer_that_is_no_json_is_asked_for_again_and_kept(kit: Kit, body: bytes) -> None:
    """HTML, broken and empty answers are passing faults; their bytes are kept each time."""
    kit.server.answers(kit.http(200, body))
    async with kit.client() as client:
        outcome = await client.order("1-2")
        page = await client.events(None)
    assert isinstance(outcome, NotYet)
    assert isinstance(page, NotYet)
    assert "order 1-2" in outcome.message
    assert [("order 1-2", body)] * 3 + [("events", body)] * 3 == [(name, bad.raw) for name, bad in kit.kept.all]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (document(id="3-4"), "wrong_order"),
        (document(status=None), "missing_field"),
        (b"[]", "wrong_shape"),
        (b'"text"', "wrong_shape"),
    ],
)
async def test_a_wrong_document_is_refused_at_once_and_kept(kit: Kit, body: bytes, code: str) -> None:
    """JSON that is not this order's document will not become it by asking again."""
    kit.server.answers(kit.http(200, body))
    async with kit.client() as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.BAD_ANSWER
    assert [(code, body)] == [(bad.code, bad.raw) for _, bad in kit.kept.all]
    assert "3-4" not in outcome.message
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body", [b'{"id":' + b"[" * 100_000, b'{"id":1e99999999999999999999999}', b'{"id":' + b"9" * 9999]
)
async def test_hostile_json_does_not_break_the_client(kit: Kit, body: bytes) -> None:
    """Nesting and numbers beyond Python's bounds are unreadable answers and no crash."""
    kit.server.answers(kit.http(200, body + b"}"))
    async with kit.client() as client:
        assert isinstance(await client.order("1-2"), NotYet)
        assert isinstance(await client.events("x"), NotYet)


@pytest.mark.asyncio
async def test_a_page_without_events_is_refused(kit: Kit) -> None:
    """JSON without a list of events is no page, and asking again will not make it one."""
    kit.server.answers(kit.http(200, b'{"data":[]}'))
    async with kit.client() as client:
        outcome = await client.events("x")
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.BAD_ANSWER


@pytest.mark.asyncio
async def test_accept_sends_the_configured_call(kit: Kit) -> None:
    """Method, path and body of accept are those of the endpoint table, filled once and recursively."""
    kit.server.answers(kit.http(204))
    table: dict[str, Any] = {
        "accept_method": "PUT",
        "accept": "/x/{store_id}/{order_id}:accept",
        "accept_body": {"a": [{"id": "{store_order_id}", "n": 1}], "b": "{store_order_number}/{order_id}", "c": "{x}"},
    }
    async with kit.client(endpoints=table) as client:
        outcome = await client.accept("1-2", "{order_id}", "00092")
    assert isinstance(outcome, Done)
    assert outcome.value.status == ""
    assert kit.server.target() == "PUT /x/demo/1-2:accept"
    assert json.loads(kit.server.body()) == {"a": [{"id": "{order_id}", "n": 1}], "b": "00092/1-2", "c": "{x}"}


@pytest.mark.asyncio
@pytest.mark.parametrize("status", ["ACCEPTED", "COMPLETED"])
async def test_accept_is_done_when_the_order_says_so_with_our_ids(kit: Kit, status: str) -> None:
    """A body counts as proof when its status and both ids are right."""
    raw = document(status=status)
    kit.server.answers(kit.http(200, raw))
    async with kit.client() as client:
        outcome = await client.accept("1-2", "92", "00092")
    assert isinstance(outcome, Done)
    assert (outcome.value.status, outcome.value.raw, outcome.value.warning) == (status, raw, None)
    assert json.loads(kit.server.body()) == {"external": {"order_id": "92", "order_number": "00092"}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        document(status="READY"),
        document(status="CANCELLED"),
        document(external={"order_id": "93", "order_number": "00092"}),
        document(external={"order_id": "92", "order_number": "92"}),
        document(external=None),
        document(id="3-4"),
        b"{}",
        b"OK",
        b"<html>",
    ],
)
async def test_accept_is_unknown_when_the_body_does_not_prove_it(kit: Kit, body: bytes) -> None:
    """A 2xx with any other body proves nothing: the order is read again, and the bytes are kept."""
    kit.server.answers(kit.http(200, body))
    async with kit.client() as client:
        outcome = await client.accept("1-2", "92", "00092")
    assert isinstance(outcome, Unknown)
    assert outcome.status == 200
    assert [body] == [bad.raw for _, bad in kit.kept.all]


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"", document()])
async def test_taken_in_for_later_is_unknown(kit: Kit, body: bytes) -> None:
    """A 202 says that something will be done and not that it is."""
    kit.server.answers(kit.http(202, body))
    async with kit.client() as client:
        assert isinstance(await client.accept("1-2", "92", "00092"), Unknown)
        assert isinstance(await client.cancel("1-2", "x"), Unknown)


@pytest.mark.asyncio
@pytest.mark.parametrize("bad", ["", " ", "9" * 65, "Größe", "a\nb", "a\x00", " 92", "92 "])
async def test_unfit_store_ids_are_refused_before_the_call(kit: Kit, bad: str) -> None:
    """What Glopal may cut or change would never compare equal again, so it is not sent."""
    async with kit.client() as client:
        outcomes = [await client.accept("1-2", bad, "00092"), await client.accept("1-2", "92", bad)]
    assert [o.code for o in outcomes if isinstance(o, Refused)] == [RefusalCode.INVALID_ORDER] * 2
    assert kit.server.requests == []


@pytest.mark.asyncio
async def test_a_short_order_number_is_accepted_with_a_warning(kit: Kit) -> None:
    """A number too short for Glopal's shipping API still goes through, and a person is told."""
    kit.server.answers(kit.http(204))
    async with kit.client() as client:
        outcome = await client.accept("1-2", "92", "92")
    assert isinstance(outcome, Done)
    assert outcome.value.warning is not None
    assert "fewer than 3" in outcome.value.warning


@pytest.mark.asyncio
async def test_cancel_sends_its_reason_and_needs_proof(kit: Kit) -> None:
    """A cancel is done when Glopal says CANCELLED or nothing, and unknown for any other body."""
    kit.server.answers(
        kit.http(200, document(status="CANCELLED")),
        kit.http(204),
        kit.http(200, document(status="READY")),
        kit.http(200, b"{}"),
    )
    async with kit.client() as client:
        outcomes = [await client.cancel("1-2", 'no "stock" {order_id}') for _ in range(4)]
    assert [Done, Done, Unknown, Unknown] == [type(outcome) for outcome in outcomes]
    assert kit.server.target() == "POST /v2/orders/demo/1-2/cancel"
    assert json.loads(kit.server.body()) == {"reason": 'no "stock" {order_id}'}


@pytest.mark.asyncio
async def test_cancel_is_off_until_it_was_confirmed(kit: Kit) -> None:
    """An assumed call that refunds a buyer is not made before somebody checked it."""
    async with kit.client(cancel_confirmed=False) as client:
        outcome = await client.cancel("1-2", "x")
    assert isinstance(outcome, Refused)
    assert "cancel_confirmed" in outcome.message
    assert kit.server.requests == []


@pytest.mark.asyncio
async def test_an_empty_body_template_sends_no_body(kit: Kit) -> None:
    """A call without a body can be configured, also as DELETE."""
    kit.server.answers(kit.http(204))
    async with kit.client(endpoints={"cancel_method": "DELETE", "cancel_body": {}}) as client:
        assert isinstance(await client.cancel("1-2", "x"), Done)
    assert kit.server.target() == "DELETE /v2/orders/demo/1-2/cancel"
    assert kit.server.body() == b""
    assert b"content-type" not in kit.server.requests[0].lower()


@pytest.mark.asyncio
async def test_check_is_one_read_that_names_what_was_reached(kit: Kit) -> None:
    """The check makes one call and tells address, store and what came."""
    kit.server.answers(kit.http(200, EMPTY))
    async with kit.client() as client:
        outcome = await client.check()
    assert isinstance(outcome, Done)
    assert all(word in outcome.value for word in (kit.server.url, "demo", "0 events"))
    assert client.calls == {"events": 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["", "GL.a b", "GL.canary-key\n", "GL.ключ"])
async def test_an_unusable_key_is_named_by_its_place(kit: Kit, key: str) -> None:
    """A key that cannot stand in a header is refused before anything is sent, without showing it."""
    with pytest.raises(ConfigurationError, match="environment variable GLOPAL_KEY") as caught:
        GlopalClient(kit.account(), SecretStr(key))
    assert not key or key not in str(caught.value)


@given(st.text(max_size=50), st.text(max_size=50))
def test_rendering_fills_each_name_once(one: str, two: str) -> None:
    """Values are put in as they are, whatever braces they hold."""
    assert render("{store_order_id}|{reason}", {"store_order_id": one, "reason": two}) == f"{one}|{two}"
