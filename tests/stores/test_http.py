"""The HTTP store against an endpoint that misbehaves, byte for byte."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from models.ids import StoreOrderId
from models.outcome import ConfigurationError, Done, NotYet, RefusalCode, Refused, Unknown
from models.settings import HttpStore, Limits, Secret
from stores.http import HttpStoreAdapter
from stores.http_transport import Pace
from stores.protocol import StoreState
from tests.stores.backends import an_order, done, failed
from tests.stores.endpoint import HTML, PAGE, REFERENCE, Endpoint, Step, error, http, reset, shown, silence, then_close

pytestmark = pytest.mark.asyncio

Open = Callable[..., Any]
LATER = {"retry-after": "7"}


def body_error(code: str, **more: str) -> dict[str, object]:
    """The body of an error answer."""
    return {"error": {"code": code, "message": "canary", **more}}


async def test_what_is_sent(endpoint: Endpoint, open_http: Open) -> None:
    """A create carries token, idempotency key, hold and the canonical document with amounts as strings."""
    order = an_order(total="12.30")
    done(await open_http().create(order, hold=True))
    request = endpoint.requests[0]
    assert (request.method, request.target) == ("POST", "/shop/orders")
    assert request.headers["idempotency-key"] == REFERENCE
    assert request.headers["content-type"] == "application/json"
    assert request.json == {"reference": REFERENCE, "hold": True, "order": json.loads(order.to_json())}
    assert request.json["order"]["total"] == "12.30"


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize(
    "step", [silence, reset, b"HTTP/1.1 201 Created\r\ncontent-length: 500\r\n\r\n{", b"\x00\r\n\r\n"]
)
async def test_no_clear_answer_is_unknown(endpoint: Endpoint, open_http: Open, step: Step, effect: bool) -> None:
    """Time-out, reset, cut and garbled answers leave a create unknown, it is sent once, and a look tells the truth."""
    endpoint.effect_first, endpoint.steps = effect, [then_close(step)]
    failed(await open_http(timeout=0.4).create(an_order(), hold=False), Unknown)
    assert [request.method for request in endpoint.requests] == ["POST"]
    found = await open_http().find(REFERENCE)
    assert isinstance(found, Done)
    assert (found.value is not None) == effect


async def test_refused_connection_is_not_yet(open_http: Open) -> None:
    """Where nobody listens nothing was sent: every call is not yet."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        store = open_http(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        for outcome in (
            await store.create(an_order(), hold=False),
            await store.cancel(StoreOrderId("1"), "x"),
            await store.find(REFERENCE),
            await store.check(),
        ):
            assert "Nothing was changed" in failed(outcome, NotYet)


async def test_unaccepted_connection_is_not_yet(open_http: Open) -> None:
    """A connection that is never made times out as not yet, since nothing was sent."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        outcome = await open_http(base_url=f"http://127.0.0.1:{address[1]}", timeout=0.3).create(an_order(), hold=False)
        for filler in fillers:
            filler.close()
    assert "0.3 s" in failed(outcome, NotYet)


@pytest.mark.parametrize(
    ("answer", "outcome_class", "code"),
    [
        (HTML, Unknown, None),
        (error(500, "boom"), Unknown, None),
        (http(502), Unknown, None),
        (http(503), Unknown, None),
        (error(503, "unavailable"), Unknown, None),
        (http(503, body_error("server_error"), headers=LATER), Unknown, None),
        (http(500, body_error("unavailable"), headers=LATER), Unknown, None),
        (http(503, b"<html>", headers=LATER), Unknown, None),
        (http(504, headers=LATER), Unknown, None),
        (http(408), Unknown, None),
        (http(202, {"order": shown()}), Unknown, None),
        (http(302, headers={"location": "http://127.0.0.1:9/orders"}), Unknown, None),
        (http(409), Unknown, None),
        (error(409, "locked_by_someone"), Unknown, None),
        (http(503, body_error("unavailable"), headers=LATER), NotYet, None),
        (http(429), NotYet, None),
        (http(429, body_error("slow_down"), headers=LATER), NotYet, None),
        (error(401, "bad_token"), Refused, RefusalCode.CREDENTIALS),
        (http(403, b"<html>"), Refused, RefusalCode.CREDENTIALS),
        (http(404), Refused, RefusalCode.OTHER),
        (error(404, "not_found"), Refused, RefusalCode.OTHER),
        (http(413), Refused, RefusalCode.OTHER),
        (error(400, "invalid_order"), Refused, RefusalCode.INVALID_ORDER),
        (error(409, "reference_conflict"), Refused, RefusalCode.REFERENCE_CONFLICT),
        (error(422, "unknown_sku"), Refused, RefusalCode.UNKNOWN_SKU),
        (error(422, "out_of_stock"), Refused, RefusalCode.OUT_OF_STOCK),
        (error(422, "invalid_address"), Refused, RefusalCode.INVALID_ADDRESS),
        (error(422, "something_else"), Refused, RefusalCode.INVALID_ORDER),
        (http(422, b"<html>"), Refused, RefusalCode.INVALID_ORDER),
    ],
)
async def test_answers_to_a_create(
    endpoint: Endpoint, open_http: Open, answer: bytes, outcome_class: Any, code: RefusalCode | None
) -> None:
    """Each status of the contract, and each that is not in it, has one meaning for a create, which is sent once."""
    endpoint.steps = [answer]
    outcome = await open_http().create(an_order(), hold=False)
    failed(outcome, outcome_class)
    assert getattr(outcome, "code", None) is code
    assert outcome.status == int(answer[9:12])
    assert len(endpoint.requests) == 1
    if outcome_class is NotYet:
        assert outcome.retry_after == (7.0 if b"retry-after" in answer else None)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(201, b"{broken"), "not JSON"),
        (http(201, b"[" * 100_000), "not JSON"),
        (http(201, b"<html>canary", headers=PAGE), "not JSON"),
        (http(200, [1]), "no JSON object"),
        (http(201, {}), "no order object"),
        (http(201, {"order": shown(id=7)}), "id"),
        (http(201, {"order": shown(id="..")}), "path"),
        (http(201, {"order": shown(number="a\nb")}), "number"),
        (http(201, {"order": shown(state="paid")}), "state"),
        (http(201, {"order": shown(currency="euro")}), "currency"),
        (http(201, {"order": shown(total="lots")}), "total"),
        (http(201, b'{"order": ' + json.dumps(shown(total=0)).encode()[:-2] + b"NaN}}"), "total"),
        (http(201, {"order": shown(reference="glopal.live.shop.2")}), "another order"),
        (http(201, gzip.compress(b"{}"), headers={"content-encoding": "gzip"}), "compressed"),
        (http(201, b" " * 200_000 + json.dumps({"order": shown()}).encode()), "larger than 100000 bytes"),
    ],
)
async def test_unusable_success_is_unknown(endpoint: Endpoint, open_http: Open, answer: bytes, says: str) -> None:
    """A success that cannot be understood proves nothing: the create is unknown and says why."""
    endpoint.steps = [answer]
    assert says in failed(await open_http(max_body=100_000).create(an_order(), hold=False), Unknown)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("change", [{"total": "24.69"}, {"currency": "USD"}])
async def test_success_with_other_money(
    endpoint: Endpoint, open_http: Open, status: int, change: dict[str, str]
) -> None:
    """A success that shows our reference with another amount is a conflict for a person."""
    endpoint.steps = [http(status, {"order": shown(**change)})]
    outcome = await open_http().create(an_order(), hold=False)
    assert "24.68 EUR was sent" in failed(outcome, Refused)
    assert outcome.code is RefusalCode.REFERENCE_CONFLICT


async def test_total_as_number_is_exact(endpoint: Endpoint, open_http: Open) -> None:
    """A total that comes as a JSON number is read without a float in between."""
    endpoint.steps = [http(201, json.dumps({"order": shown(total=0)}).replace("0}}", "999999999999.99}}").encode())]
    assert done(await open_http().create(an_order(total="999999999999.99"), hold=False)).total == Decimal(
        "999999999999.99"
    )


async def test_named_sku(endpoint: Endpoint, open_http: Open) -> None:
    """A refusal names the SKU and the field only when they are ours; the rest of the error is never repeated."""
    endpoint.steps = [
        error(422, "unknown_sku", sku="SKU-1", field="lines[0].sku"),
        error(422, "unknown_sku", sku="canary street", field="buyer.canary"),
    ]
    store = open_http()
    assert "code unknown_sku, SKU 'SKU-1', field lines[0].sku" in failed(
        await store.create(an_order(), hold=False), Refused
    )
    message = failed(await store.create(an_order(), hold=False), Refused)
    assert "(status 422, code unknown_sku)" in message


async def test_token_echoed_as_code(endpoint: Endpoint, open_http: Open) -> None:
    """A token that comes back as an error code is not shown, and the place where it lives is."""
    endpoint.steps = [error(403, "canary-token")]
    message = failed(await open_http(token="canary-token").create(an_order(), hold=False), Refused)
    assert "environment variable SHOP_TOKEN" in message


async def test_wrong_token(open_http: Open) -> None:
    """A wrong token is refused on every call, with where to put the right one."""
    store = open_http(token="GL.canary-wrong")
    for outcome in (
        await store.check(),
        await store.find(REFERENCE),
        await store.create(an_order(), hold=False),
        await store.cancel(StoreOrderId("1"), "x"),
        await store.note(StoreOrderId("1"), "x"),
    ):
        assert "SHOP_TOKEN" in failed(outcome, Refused)
        assert outcome.code is RefusalCode.CREDENTIALS


@pytest.mark.parametrize("token", ["", "canary\nHost: evil", "canary token", "canary-ü"])
async def test_token_that_is_no_header(token: str) -> None:
    """A token that would break a header is a mistake in the configuration and is not shown."""
    settings = HttpStore(base_url="https://shop.example", token=Secret(env="SHOP_TOKEN"))
    with pytest.raises(ConfigurationError, match="SHOP_TOKEN") as caught:
        HttpStoreAdapter(settings, SecretStr(token))
    assert "canary" not in str(caught.value)


async def test_redirects_are_not_followed(endpoint: Endpoint, open_http: Open) -> None:
    """A redirect is never followed, since it would carry token and buyer to another place."""
    there = f"{endpoint.url}/orders?reference={REFERENCE}"
    endpoint.steps = [http(307, headers={"location": there}), http(307, headers={"location": there})]
    store = open_http()
    failed(await store.create(an_order(), hold=False), Unknown)
    outcome = await store.find(REFERENCE)
    assert "final address" in failed(outcome, Refused)
    assert outcome.code is RefusalCode.BAD_ANSWER
    assert len(endpoint.requests) == 2


async def test_proxies_of_the_environment_are_ignored(
    endpoint: Endpoint, open_http: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that happens to be set in the environment never sees an order."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    done(await open_http().create(an_order(), hold=False))
    assert len(endpoint.requests) == 1


# Release, cancel, note


@pytest.mark.parametrize("order_id", ["a/b?c=d#e%2F ü", "../../admin", "gid://shop/Order/7"])
async def test_ids_are_quoted(endpoint: Endpoint, open_http: Open, order_id: str) -> None:
    """An id with anything in it stays one step of the path."""
    endpoint.ids = lambda _: order_id
    store = open_http()
    order = done(await store.create(an_order(), hold=True))
    assert done(await store.release(order.id)).state is StoreState.OPEN
    assert done(await store.read(order.id)).id == order_id
    assert done(await store.cancel(order.id, "x")).state is StoreState.CANCELLED
    assert {request.target.count("/") for request in endpoint.requests[1:]} <= {3, 4}


@pytest.mark.parametrize("order_id", ["", ".", ".."])
async def test_dots_are_not_sent(endpoint: Endpoint, open_http: Open, order_id: str) -> None:
    """An id that would change the address is never sent."""
    store = open_http()
    assert await store.read(StoreOrderId(order_id)) == Done(None)
    failed(await store.cancel(StoreOrderId(order_id), "x"), Refused)
    assert endpoint.requests == []


@pytest.mark.parametrize(
    ("answer", "outcome_class", "code"),
    [
        (error(409, "already_shipped"), Refused, RefusalCode.ALREADY_SHIPPED),
        (http(409), Refused, RefusalCode.CONFLICT),
        (error(404, "not_found"), Refused, RefusalCode.NOT_FOUND),
        (http(404, b"<html>"), Refused, RefusalCode.OTHER),
        (HTML, Unknown, None),
        (http(429, headers=LATER), NotYet, None),
        (http(200, {"order": shown(state="cancelled", id="2")}), Unknown, None),
        (http(200, {"order": shown(state="open")}), Unknown, None),
        (http(200, {"ok": True}), Unknown, None),
    ],
)
async def test_answers_to_a_cancel(
    endpoint: Endpoint, open_http: Open, answer: bytes, outcome_class: Any, code: RefusalCode | None
) -> None:
    """A cancel is done only when the answer shows this order cancelled."""
    endpoint.steps = [answer]
    outcome = await open_http().cancel(StoreOrderId("1"), "x")
    failed(outcome, outcome_class)
    assert getattr(outcome, "code", None) is code
    assert len(endpoint.requests) == 1


async def test_already_cancelled_is_confirmed_by_a_read(endpoint: Endpoint, open_http: Open) -> None:
    """An endpoint that refuses a second cancel with order_cancelled is asked, and then believed or not."""
    said = error(409, "order_cancelled")
    endpoint.steps = [
        said,
        http(200, {"order": shown(state="cancelled")}),
        said,
        http(200, {"order": shown(state="open")}),
    ]
    store = open_http()
    assert (await store.cancel(StoreOrderId("1"), "x")).already
    failed(await store.cancel(StoreOrderId("1"), "x"), Refused)


async def test_note_text(endpoint: Endpoint, open_http: Open) -> None:
    """A note arrives as written, whatever its script."""
    store = open_http()
    order = done(await store.create(an_order(), hold=False))
    assert await store.note(order.id, "配送 späť\nПривет") == Done(None)
    assert endpoint.books[order.id]["notes"] == ["配送 späť\nПривет"]


async def test_release_must_show_it(endpoint: Endpoint, open_http: Open) -> None:
    """A release whose answer still shows the hold is unknown."""
    endpoint.steps = [http(200, {"order": shown(state="held")}), error(409, "order_cancelled")]
    store = open_http()
    failed(await store.release(StoreOrderId("1")), Unknown)
    outcome = await store.release(StoreOrderId("1"))
    assert outcome.code is RefusalCode.ORDER_CANCELLED


# Pace


async def test_retry_after_holds_the_whole_connection(endpoint: Endpoint, open_http: Open) -> None:
    """After a Retry-After longer than we wait, no call of this store is sent, whatever it is."""
    endpoint.steps = [http(429, headers=LATER)]
    store = open_http(retry_after_wait=1.0, read_tries=3)
    failed(await store.create(an_order(1), hold=False), NotYet)
    for outcome in (
        await store.create(an_order(2), hold=False),
        await store.find(REFERENCE),
        await store.cancel(StoreOrderId("1"), "x"),
    ):
        failed(outcome, NotYet)
        assert 0 < outcome.retry_after <= 7
    assert len(endpoint.requests) == 1


async def test_short_retry_after_is_waited_for(endpoint: Endpoint, open_http: Open) -> None:
    """A short Retry-After is waited for and the next call goes through."""
    endpoint.steps = [http(429, headers={"retry-after": "0.05"})]
    store = open_http()
    failed(await store.create(an_order(), hold=False), NotYet)
    done(await store.create(an_order(), hold=False))


async def test_concurrency_limit(endpoint: Endpoint, open_http: Open) -> None:
    """No more calls are open at once than the settings allow."""
    endpoint.delay = 0.01
    store = open_http(concurrency=3)
    await asyncio.gather(*(store.create(an_order(i), hold=False) for i in range(12)))
    assert endpoint.busiest == 3


async def test_spacing_and_hold() -> None:
    """Calls are spaced evenly, and a hold that begins while they wait pushes them back."""
    now, begun = 0.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(Limits(per_second=4, retry_after_wait=10), clock=lambda: now, sleep=sleep)
    for number in range(5):
        if number == 3:
            pace.hold(5.0)
        assert await pace.wait() is None
        begun.append(now)
    assert begun == [0.0, 0.25, 0.5, 5.5, 5.75]
    pace.hold(11.0)
    assert await pace.wait() == 11.0
