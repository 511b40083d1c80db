from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from clients.body import KEPT_OF_TOO_LARGE
from models.outcome import Done, NotYet, RefusalCode, Refused, Unknown

if TYPE_CHECKING:
    from clients.glopal import AcceptedOrder
    from models.outcome import Outcome
    from tests.clients.conftest import Kit, Step

ORDER = b'{"id":"1-2","status":"READY","currency":"EUR"}'
HUGE = 50 * 1024 * 1024


async def accept(kit: Kit, **limits: object) -> Outcome[AcceptedOrder]:
    """One accept call on a client of its own."""
    async with kit.client(limits=limits) as client:
        return await client.accept("1-2", "92", "00092")


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_read_is_repeated_until_it_succeeds(kit: Kit, status: int) -> None:
    """A passing fault of a read costs a short pause and nothing else."""
    kit.server.answers(kit.http(status), kit.http(status), kit.http(200, ORDER))
    async with kit.client() as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, Done)
    assert outcome.value.raw == ORDER
    assert client.calls == {"order": 3}
    assert kit.clock.sleeps == [0.1875, 0.375]  # doubled, spread by the chance


@pytest.mark.asyncio
async def test_a_read_gives_up_after_its_tries(kit: Kit) -> None:
    """A read that keeps failing is "not yet" after exactly the configured tries."""
    kit.server.answers(kit.http(503))
    async with kit.client(limits={"read_tries": 4}) as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, NotYet)
    assert outcome.status == 503
    assert "4 tries" in outcome.message
    assert len(kit.server.requests) == 4


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["reset", "cut", "silence", "drip"])
async def test_a_broken_connection_of_a_read_is_repeated(kit: Kit, fault: str) -> None:
    """Resets, answers that break off, servers that fall silent and bodies that drip are passing faults of a read."""
    steps: dict[str, Step] = {
        "reset": kit.reset,
        "cut": kit.http(200, ORDER[:20], length=len(ORDER)),
        "silence": kit.silence,
        "drip": kit.drip,
    }
    kit.server.answers(steps[fault], kit.http(200, ORDER))
    async with kit.client(limits={"timeout": 0.4}) as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, Done)
    assert len(kit.server.requests) == 2


@pytest.mark.asyncio
async def test_a_cut_answer_is_kept_with_what_arrived(kit: Kit) -> None:
    """The bytes of an answer that broke off reach whoever keeps them."""
    kit.server.answers(kit.http(200, ORDER[:20], length=len(ORDER)))
    async with kit.client(limits={"read_tries": 1}) as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, NotYet)
    assert "broke off after 20 bytes" in outcome.message
    [(subject, bad)] = kit.kept.all
    assert ("order 1-2", "cut", ORDER[:20]) == (subject, bad.code, bad.raw)


@pytest.mark.asyncio
async def test_a_dripping_body_does_not_outlast_the_hard_limit(kit: Kit) -> None:
    """A body that keeps arriving byte by byte ends with the call's time, whatever httpx's own time-outs say."""
    kit.server.answers(kit.drip)
    async with kit.client(limits={"timeout": 0.3, "read_tries": 1}) as client:
        outcome = await asyncio.wait_for(client.order("1-2"), 10)
    assert isinstance(outcome, NotYet)


@pytest.mark.asyncio
async def test_waiting_for_our_own_limiter_is_not_the_calls_time(kit: Kit) -> None:
    """Calls that stand in our own line longer than the time-out still get their whole time."""

    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(kit.http(200, ORDER))

    kit.server.answers(slow)
    async with kit.client(limits={"timeout": 0.5, "concurrency": 1, "read_tries": 1}) as client:
        outcomes = await asyncio.gather(*(client.order("1-2") for _ in range(5)))
    assert [isinstance(outcome, Done) for outcome in outcomes] == [True] * 5
    assert kit.server.busiest == 1


@pytest.mark.asyncio
async def test_two_clients_of_an_account_share_its_slots(kit: Kit) -> None:
    """The concurrency limit belongs to the account, not to the client object."""

    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        writer.write(kit.http(200, ORDER))

    kit.server.answers(slow)
    async with kit.client(limits={"concurrency": 2}) as one, kit.client(limits={"concurrency": 2}) as two:
        await asyncio.gather(*(client.order("1-2") for client in (one, two) for _ in range(6)))
    assert kit.server.busiest == 2


@pytest.mark.asyncio
async def test_retry_after_in_seconds_is_obeyed(kit: Kit) -> None:
    """A read waits as long as the other side asked, once, and no longer."""
    kit.server.answers(kit.http(429, headers={"Retry-After": "7"}), kit.http(200, ORDER))
    async with kit.client() as client:
        assert isinstance(await client.order("1-2"), Done)
    assert kit.clock.sleeps == [7.0]


@pytest.mark.asyncio
async def test_retry_after_as_a_date_counts_on_the_servers_clock(kit: Kit) -> None:
    """A clock of ours that is an hour wrong does not change the wait."""
    theirs = kit.clock.now() + timedelta(hours=1)
    headers = {
        "Date": format_datetime(theirs, usegmt=True),
        "Retry-After": format_datetime(theirs + timedelta(seconds=9), usegmt=True),
    }
    kit.server.answers(kit.http(503, headers=headers), kit.http(200, ORDER))
    async with kit.client() as client:
        assert isinstance(await client.order("1-2"), Done)
    assert kit.clock.sleeps == [9.0]


@pytest.mark.asyncio
async def test_a_long_retry_after_holds_every_call_of_the_account(kit: Kit) -> None:
    """A wish beyond our patience is handed to the caller, and until then nobody of this account calls."""
    kit.server.answers(kit.http(429, headers={"Retry-After": "600"}), kit.http(200, ORDER))
    async with kit.client() as one, kit.client() as two:
        first = await one.order("1-2")
        kit.clock.at += 100
        outcomes = [await two.order("1-2"), await two.accept("1-2", "92", "00092"), await one.events(None)]
        assert len(kit.server.requests) == 1
        kit.clock.at += 501
        assert isinstance(await two.order("1-2"), Done)
    assert isinstance(first, NotYet)
    assert (first.retry_after, first.status) == (600.0, 429)
    assert [outcome.retry_after for outcome in outcomes if isinstance(outcome, NotYet)] == [500.0] * 3
    assert kit.clock.sleeps == []


@pytest.mark.asyncio
async def test_patience_is_for_the_whole_call(kit: Kit) -> None:
    """A read that is put off again and again does not wait longer in sum than one wish may last."""
    kit.server.answers(kit.http(429, headers={"Retry-After": "20"}))
    async with kit.client(limits={"retry_after_wait": 30, "read_tries": 9}) as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, NotYet)
    assert outcome.retry_after == 20.0
    assert kit.clock.sleeps == [20.0]
    assert len(kit.server.requests) == 2


@pytest.mark.asyncio
async def test_too_many_calls_without_a_wish_hold_the_account_briefly(kit: Kit) -> None:
    """A 429 without Retry-After makes the other calls of the account wait as well."""
    kit.server.answers(kit.http(429), kit.http(200, ORDER))
    kit.clock.chance = 0.0
    async with kit.client(limits={"retry_after_wait": 0}) as one:
        assert isinstance(await one.order("1-2"), Done)
    kit.server.answers(kit.http(429))
    real_sleep = kit.clock.sleep

    async def no_time_passes(seconds: float) -> None:
        kit.clock.at -= seconds
        await real_sleep(seconds)

    kit.clock.sleep = no_time_passes  # type: ignore[method-assign]
    async with kit.client(limits={"retry_after_wait": 0}) as two:
        two._transport._clock = kit.clock.clock()
        outcome = await two.order("1-2")
    assert isinstance(outcome, NotYet)
    assert "asked to be left alone" in outcome.message
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_never_followed(kit: Kit, status: int) -> None:
    """A redirect of a read is refused, of a write unknown, and the key goes nowhere else."""
    kit.server.answers(kit.http(status, headers={"Location": f"{kit.server.url}/elsewhere"}))
    async with kit.client() as client:
        read = await client.order("1-2")
        write = await client.accept("1-2", "92", "00092")
    assert isinstance(read, Refused)
    assert read.code is RefusalCode.BAD_ANSWER
    assert isinstance(write, Unknown)
    assert client.calls == {"order": 1, "accept": 1}
    assert [(subject, bad.code) for subject, bad in kit.kept.all] == [("order 1-2", "redirect")]
    assert all(b"elsewhere" not in request for request in kit.server.requests)


@pytest.mark.asyncio
@pytest.mark.parametrize("declared", [True, False])
async def test_a_huge_answer_is_not_read_to_its_end(kit: Kit, declared: bool) -> None:
    """An answer beyond the limit is left, refused with the size and the setting, and its start is kept."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE if declared else b"HTTP/1.1 200 OK\r\n\r\n"
    written = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(head)
        while written < HUGE and not writer.transport.is_closing():
            writer.write(b"x" * 65536)
            written += 65536
            await writer.drain()

    kit.server.answers(pour)
    async with kit.client(limits={"max_body": 256 * 1024}) as client:
        outcome = await client.order("1-2")
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.BAD_ANSWER
    assert "limits.max_body" in outcome.message
    [(_, bad)] = kit.kept.all
    assert (bad.code, len(bad.raw)) == ("too_large", KEPT_OF_TOO_LARGE)
    assert bad.size == HUGE if declared else bad.size > 256 * 1024
    assert written < HUGE
    assert client.calls == {"order": 1}  # asking again would bring the same


@pytest.mark.asyncio
async def test_compressed_answers_are_read_within_the_limit(kit: Kit) -> None:
    """Gzip is understood; a small answer that unpacks to a huge one is stopped at the limit."""
    headers = {"Content-Encoding": "gzip"}
    bomb = gzip.compress(b"\0" * HUGE)
    kit.server.answers(kit.http(200, gzip.compress(ORDER), headers), kit.http(200, bomb, headers))
    async with kit.client(limits={"max_body": 128 * 1024}) as client:
        good, bad = await client.order("1-2"), await client.order("1-2")
    assert isinstance(good, Done)
    assert good.value.raw == ORDER
    assert isinstance(bad, Refused)
    assert [len(kept.raw) for _, kept in kit.kept.all] == [KEPT_OF_TOO_LARGE]


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"\x1f\x8bnonsense-that-is-no-gzip", gzip.compress(ORDER)[:-12], b"plain"])
async def test_broken_compression_is_a_passing_fault(kit: Kit, body: bytes) -> None:
    """An answer that cannot be unpacked, or only its start, is asked for again."""
    kit.server.answers(kit.http(200, body, {"Content-Encoding": "gzip"}), kit.http(200, ORDER))
    async with kit.client() as client:
        assert isinstance(await client.order("1-2"), Done)
    assert len(kit.kept.all) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "fault",
    ["reset", "silence", "drip", "cut", "status-line", 408, 500, 502, 503, 504, "503-retry-after", "cut-after-500"],
)
async def test_a_write_without_a_clear_answer_is_unknown_and_sent_once(kit: Kit, fault: str | int) -> None:
    """Whatever may have had its effect is unknown, and the client never repeats it."""
    steps: dict[str | int, Step] = {
        "reset": kit.reset,
        "silence": kit.silence,
        "drip": kit.drip,
        "cut": kit.http(200, ORDER[:9], length=len(ORDER)),
        "status-line": b"HTTP/1.1 banana\r\n\r\n",
        "503-retry-after": kit.http(503, headers={"Retry-After": "1"}),
        "cut-after-500": kit.http(500, b"x", length=99),
    }
    kit.server.answers(steps[fault] if isinstance(fault, str) else kit.http(fault), kit.http(204))
    outcome = await accept(kit, timeout=0.4)
    assert isinstance(outcome, Unknown)
    assert "Nobody knows" in outcome.message
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, RefusalCode.OTHER),
        (401, RefusalCode.CREDENTIALS),
        (403, RefusalCode.CREDENTIALS),
        (404, RefusalCode.NOT_FOUND),
        (409, RefusalCode.CONFLICT),
        (422, RefusalCode.INVALID_ORDER),
    ],
)
async def test_a_refused_write_says_why_and_what_to_do(kit: Kit, status: int, code: RefusalCode) -> None:
    """A clear no names the endpoint, the order, the status and the other side's code, and nothing else of its body."""
    kit.server.answers(kit.http(status, b'{"error":{"code":"not_ready","message":"Jane Doe, Elm Street"}}'))
    outcome = await accept(kit)
    assert isinstance(outcome, Refused)
    assert (code, status) == (outcome.code, outcome.status)
    assert all(word in outcome.message for word in ("accept", "order 1-2", str(status), "code not_ready", "demo"))
    assert "Jane" not in outcome.message
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
async def test_dead_credentials_name_the_place_of_the_key(kit: Kit) -> None:
    """A refused key tells where the right one has to go."""
    kit.server.answers(kit.http(401))
    async with kit.client() as client:
        outcome = await client.check()
    assert isinstance(outcome, Refused)
    assert "environment variable GLOPAL_KEY" in outcome.message
    assert client.calls == {"events": 1}


@pytest.mark.asyncio
async def test_a_write_put_off_by_429_holds_the_account(kit: Kit) -> None:
    """A 429 on a write certainly had no effect; it carries the wish on and is not repeated by the client."""
    kit.server.answers(kit.http(429, headers={"Retry-After": "90"}))
    async with kit.client() as client:
        outcome = await client.accept("1-2", "92", "00092")
        again = await client.accept("1-2", "92", "00092")
    assert isinstance(outcome, NotYet)
    assert outcome.retry_after == 90.0
    assert isinstance(again, NotYet)
    assert len(kit.server.requests) == 1


@pytest.mark.asyncio
async def test_a_write_that_found_no_connection_did_not_happen(kit: Kit) -> None:
    """Nobody listening, and a server that speaks no TLS, both prove that nothing was sent."""
    async with kit.client(base_url=kit.server.url.replace("http:", "https:"), limits={"timeout": 1.0}) as client:
        no_tls = await client.accept("1-2", "92", "00092")
    await kit.server.stop()
    nobody = await accept(kit)
    assert [isinstance(outcome, NotYet) for outcome in (no_tls, nobody)] == [True, True]
    await kit.server.start()  # for the fixture, which stops it once more


@pytest.mark.asyncio
async def test_a_hook_that_fails_is_heard(kit: Kit) -> None:
    """When unusable bytes cannot be kept, the caller gets that error instead of a silent loss."""

    async def full(_subject: str, _bad: object) -> None:
        raise OSError("disk full")

    kit.server.answers(kit.http(200, b"<html>"))
    async with kit.client() as client:
        client._transport._on_bad_answer = full
        with pytest.raises(OSError, match="disk full"):
            await client.order("1-2")


@pytest.mark.asyncio
async def test_cookies_and_proxies_of_the_machine_are_ignored(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a cookie from an answer nor a proxy from the environment has a say in where a key goes."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    kit.server.answers(kit.http(200, ORDER, {"Set-Cookie": "session=1; Path=/"}))
    async with kit.client() as client:
        await client.order("1-2")
        await client.order("1-2")
    assert [b"cookie" in request.lower() for request in kit.server.requests] == [False, False]


@pytest.mark.asyncio
async def test_a_client_is_used_inside_its_block(kit: Kit) -> None:
    """Forgetting `async with` is a clear programming error."""
    with pytest.raises(RuntimeError, match="async with"):
        await kit.client().order("1-2")
