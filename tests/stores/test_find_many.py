"""Looking many references up at once: for each of them the same answer as by itself, and no one spoils the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from models.ids import Reference
from models.outcome import Done, NotYet, RefusalCode, Refused
from sandbox.running import STORE_TOKEN, RunningSandbox
from stores.protocol import StoreState
from tests.stores.backends import Backend, an_order, done, failed

pytestmark = pytest.mark.asyncio

Open = Callable[..., Any]
MANY = 700


def reference(number: int | str) -> Reference:
    """The reference of ``an_order(number)``."""
    return Reference(f"glopal.live.shop.{number}")


async def made(store: Any, *numbers: int) -> list[Reference]:
    """Orders in the store; their references."""
    return [done(await store.create(an_order(number), hold=False)).reference for number in numbers]


async def test_each_reference_gets_the_answer_that_it_gets_alone(shop: Backend) -> None:
    """Open, cancelled, shipped, on hold, missing, written otherwise: ``find_many`` says of each what ``find`` says."""
    there = await made(shop.store, 1, 2, 3)
    await shop.store.cancel(done(await shop.store.find(there[1])).id, "x")
    await shop.ship(done(await shop.store.find(there[2])).id)
    held = done(await shop.store.create(an_order(4), hold=True))
    asked = [*there, held.reference, reference(5), reference("a&b=c"), Reference(there[0].upper())]
    found = await shop.store.find_many(asked)
    assert found == {each: await shop.store.find(each) for each in asked}
    states = [done(found[each]).state for each in asked[:4]]
    assert states == [StoreState.OPEN, StoreState.CANCELLED, StoreState.SHIPPED, StoreState.HELD]
    assert [found[each] for each in asked[4:]] == [Done(None)] * 3


async def test_none_and_one_and_the_same_one_twice(shop: Backend) -> None:
    """Nothing asked is nothing answered; one is one; what is asked twice is answered once."""
    [there] = await made(shop.store, 1)
    assert await shop.store.find_many([]) == {}
    assert await shop.store.find_many([there]) == {there: await shop.store.find(there)}
    assert await shop.store.find_many([reference(2)]) == {reference(2): Done(None)}
    assert await shop.store.find_many([there, there]) == {there: await shop.store.find(there)}


async def test_seven_hundred_at_once(shop: Backend) -> None:
    """More references than a chunk has, most of them unknown: an answer for every one of them."""
    there = await made(shop.store, 3, 350, 699)
    asked = [reference(number) for number in range(MANY)]
    found = await shop.store.find_many(asked)
    assert list(found) == asked
    assert [each for each, outcome in found.items() if outcome != Done(None)] == there
    assert all(isinstance(outcome, Done) for outcome in found.values())


@pytest.mark.parametrize("number", [1, MANY])
async def test_tables_are_asked_once(database_url: str, open_embedded: Open, number: int) -> None:
    """The embedded store takes one query for one reference as for many."""
    store = open_embedded(database_url)
    await made(store, 1)
    said: list[str] = []
    engine = store._adapter._database._reading.sync_engine

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(engine, "before_cursor_execute", count)
    try:
        await store._adapter.find_many([reference(place) for place in range(number)])
    finally:
        event.remove(engine, "before_cursor_execute", count)
    assert sum("SELECT" in statement for statement in said) == 1


async def test_a_row_edited_by_hand_hides_no_other(sqlite_url: str, open_sql: Open, open_embedded: Open) -> None:
    """A total that is no amount any more is a bad answer for its own reference, and the others are found."""
    store = open_embedded(sqlite_url)
    there = await made(store, 1, 2, 3)
    await open_sql(sqlite_url)(
        "UPDATE store_orders SET total = '12,50 EUR' WHERE reference = :reference", reference=there[1]
    )
    found = await store.find_many([*there, reference(4)])
    assert "store_orders" in failed(found[there[1]], Refused)
    assert found[there[1]].code is RefusalCode.BAD_ANSWER
    assert [done(found[each]).reference for each in (there[0], there[2])] == [there[0], there[2]]
    assert found[reference(4)] == Done(None)


async def test_a_database_that_is_away_is_told_for_each(open_embedded: Open) -> None:
    """Nothing is called missing because the database does not answer."""
    store = open_embedded("postgresql+asyncpg://hub@127.0.0.1:9/shop")
    asked = [reference(number) for number in range(3)]
    found = await store.find_many(asked)
    assert list(found) == asked
    for outcome in found.values():
        failed(outcome, NotYet)


async def test_tables_of_somebody_else_are_told_for_each(database_url: str, sql: Open, open_embedded: Open) -> None:
    """A refusal that concerns the store as a whole is each reference's answer."""
    store = open_embedded(database_url)
    [there] = await made(store, 1)
    await sql("UPDATE store_meta SET schema_version = 2")
    found = await open_embedded(database_url).find_many([there, reference(2)])
    assert [outcome.code for outcome in found.values()] == [RefusalCode.OTHER] * 2


@pytest.fixture
def open_shop(sandbox: RunningSandbox, open_http: Open) -> Any:
    """The simulated store, empty, with quick calls."""
    sandbox.reset()
    return open_http(base_url=sandbox.store_url, token=STORE_TOKEN, timeout=1.0)


async def test_an_endpoint_that_is_closed_is_told_for_each(sandbox: RunningSandbox, open_shop: Any) -> None:
    """During an outage no reference is called missing."""
    there = await made(open_shop, 1, 2)
    sandbox.store("outage", on=True)
    found = await open_shop.find_many([*there, reference(3)])
    assert list(found) == [*there, reference(3)]
    for outcome in found.values():
        failed(outcome, NotYet)
    sandbox.store("outage", on=False)


@pytest.mark.parametrize("kind", ["503_before", "broken_json", "html", "cut_body", "reset_before", "429_bare"])
async def test_one_bad_answer_spoils_no_other(sandbox: RunningSandbox, open_shop: Any, kind: str) -> None:
    """One reference meets a fault: it has no answer yet, and the others have theirs."""
    there = await made(open_shop, 1, 2, 3)
    sandbox.faults([{"where": "store.find", "kind": kind, "match": there[1]}], side="store")
    found = await open_shop.find_many([*there, reference(4)])
    failed(found[there[1]], NotYet)
    assert [done(found[each]).reference for each in (there[0], there[2])] == [there[0], there[2]]
    assert found[reference(4)] == Done(None)


async def test_two_live_orders_are_a_conflict_of_that_reference_alone(sandbox: RunningSandbox, open_shop: Any) -> None:
    """A second live order with one reference is for a person to see; the other references are found as ever."""
    sandbox.store("settings", idempotent=False)
    there = await made(open_shop, 1, 1, 2)
    found = await open_shop.find_many(sorted(set(there)))
    failed(found[there[0]], Refused)
    assert found[there[0]].code is RefusalCode.CONFLICT
    assert done(found[there[2]]).reference == there[2]
