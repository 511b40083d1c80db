"""What every store adapter must do, against each real shop."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from models.ids import Reference, StoreOrderId
from models.outcome import Done, RefusalCode, Refused
from stores.protocol import StoreState
from tests.stores.backends import Backend, an_order, done

pytestmark = pytest.mark.asyncio


async def test_create_then_find_and_read(shop: Backend) -> None:
    """A created order is found by its reference and by its id, with the same values."""
    created = await shop.store.create(an_order(), hold=False)
    order = done(created)
    assert not created.already
    assert order.state is StoreState.OPEN
    assert (order.reference, order.currency, order.total) == ("glopal.live.shop.1", "EUR", Decimal("24.68"))
    assert str(order.id) != str(order.number)
    assert await shop.store.find(order.reference) == Done(order)
    assert await shop.store.read(order.id) == Done(order)


async def test_repeat_is_already_done(shop: Backend) -> None:
    """Creating the same order again gives the first one back and makes no second."""
    first = done(await shop.store.create(an_order(), hold=False))
    again = await shop.store.create(an_order(), hold=False)
    assert again == Done(first, already=True)
    assert await shop.count() == 1


async def test_race_of_five(shop: Backend) -> None:
    """Of five creates at once one makes the order and the others are given it."""
    outcomes = await asyncio.gather(*(shop.store.create(an_order(), hold=False) for _ in range(5)))
    assert len({done(outcome).id for outcome in outcomes}) == 1
    assert [outcome.already for outcome in outcomes].count(False) == 1
    assert await shop.count() == 1


@pytest.mark.parametrize("other", [{"total": "24.69"}, {"currency": "GBP"}])
async def test_conflict(shop: Backend, other: dict[str, str]) -> None:
    """A reference that is taken by another amount or currency is refused, and nothing is written."""
    done(await shop.store.create(an_order(), hold=False))
    outcome = await shop.store.create(an_order(**other), hold=False)  # type: ignore[arg-type]
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.REFERENCE_CONFLICT
    assert await shop.count() == 1


async def test_hold_and_release(shop: Backend) -> None:
    """An order on hold becomes open once, and releasing it again changes nothing."""
    held = done(await shop.store.create(an_order(), hold=True))
    assert held.state is StoreState.HELD
    assert done(await shop.store.release(held.id)).state is StoreState.OPEN
    assert done(await shop.store.release(held.id)).state is StoreState.OPEN
    assert done(await shop.store.read(held.id)).state is StoreState.OPEN


@pytest.mark.parametrize("hold", [True, False])
async def test_cancel_twice(shop: Backend, hold: bool) -> None:
    """A held or open order is cancelled, and cancelling it again is done as well."""
    order = done(await shop.store.create(an_order(), hold=hold))
    assert done(await shop.store.cancel(order.id, "the buyer asked")).state is StoreState.CANCELLED
    again = await shop.store.cancel(order.id, "the buyer asked")
    assert done(again).state is StoreState.CANCELLED
    assert again.already or shop.kind in ("http", "sandbox")


async def test_cancel_shipped(shop: Backend) -> None:
    """A shipped order refuses to be cancelled and stays shipped."""
    order = done(await shop.store.create(an_order(), hold=False))
    await shop.ship(order.id)
    outcome = await shop.store.cancel(order.id, "too late")
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.ALREADY_SHIPPED
    assert done(await shop.store.read(order.id)).state is StoreState.SHIPPED
    assert done(await shop.store.release(order.id)).state is StoreState.SHIPPED


async def test_cancelled_order_is_not_released_or_made_again(shop: Backend) -> None:
    """A cancelled order refuses a release, and a second create shows it as it is."""
    order = done(await shop.store.create(an_order(), hold=True))
    done(await shop.store.cancel(order.id, ""))
    outcome = await shop.store.release(order.id)
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.ORDER_CANCELLED
    again = await shop.store.create(an_order(), hold=True)
    assert again.already
    assert done(again).state is StoreState.CANCELLED
    assert await shop.count() == 1


async def test_nothing_there(shop: Backend) -> None:
    """A reference or an id that the store does not have is clearly answered as none, and refuses effects."""
    done(await shop.store.create(an_order(1), hold=False))
    assert await shop.store.find(Reference("glopal.live.shop.2")) == Done(None)
    for order_id in (StoreOrderId("999"), StoreOrderId("no/such ?id"), StoreOrderId(".."), StoreOrderId("9" * 40)):
        assert await shop.store.read(order_id) == Done(None)
        for outcome in (
            await shop.store.cancel(order_id, "x"),
            await shop.store.release(order_id),
            await shop.store.note(order_id, "x"),
        ):
            assert isinstance(outcome, Refused)
            assert outcome.code is RefusalCode.NOT_FOUND


@pytest.mark.parametrize(
    ("currency", "total"), [("JPY", "1500"), ("KWD", "12.345"), ("EUR", "0.10"), ("VND", "999999999999"), ("USD", "0")]
)
async def test_money_is_exact(shop: Backend, currency: str, total: str) -> None:
    """Amounts of currencies with none, two and three decimals come back exactly."""
    order = done(await shop.store.create(an_order(currency=currency, total=total), hold=False))
    assert (order.currency, order.total) == (currency, Decimal(total))
    assert done(await shop.store.read(order.id)).total == Decimal(total)


async def test_huge_order(shop: Backend) -> None:
    """An order of 150 lines is written whole."""
    order = done(await shop.store.create(an_order(lines=150), hold=False))
    assert await shop.store.find(order.reference) == Done(order)


async def test_note(shop: Backend) -> None:
    """A note reaches the merchant."""
    order = done(await shop.store.create(an_order(), hold=False))
    assert await shop.store.note(order.id, "配送 späť\nПривет") == Done(None)
    assert await shop.notes(order.id) == 1


async def test_other_environment(shop: Backend) -> None:
    """A test order is refused by a live store before anything is sent."""
    done(await shop.store.create(an_order(), hold=False))
    outcome = await shop.store.create(an_order(2, environment="test"), hold=False)
    assert isinstance(outcome, Refused)
    assert outcome.code is RefusalCode.INVALID_ORDER
    assert "'test'" in outcome.message
    assert await shop.count() == 1


async def test_check(shop: Backend) -> None:
    """The check says in words what was reached."""
    outcome = await shop.store.check()
    assert isinstance(outcome, Done)
    assert "'main'" in outcome.value
    assert "reached" in outcome.value
