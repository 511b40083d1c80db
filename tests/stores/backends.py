"""Orders with canaries in them, a watcher for what adapters say, and one face for every backend under test."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from models.document import Address, Buyer, Line, LineAmounts, OrderAmounts, OrderDocument
from models.outcome import Done, NotYet, Outcome, Refused, Unknown
from models.settings import Limits
from stores.protocol import StoreOrder

CANARIES = ("canary", "Кánárek")
QUICK = Limits(timeout=5.0, read_tries=1)


def an_order(
    number: int | str = 1,
    *,
    total: str = "24.68",
    currency: str = "EUR",
    base_total: str = "26.54",
    lines: int = 1,
    environment: str = "live",
) -> OrderDocument:
    """A paid order of a buyer whose values must never be seen in a message or a log."""
    amount, base = Decimal(total), Decimal(base_total)
    address = Address(
        first_name="Кánárek canary", address1="1 canary street", city="東京", postcode="100-0001", country="JP"
    )
    first = Line(
        sku="SKU-1",
        name="Überzieher 大 👗",
        quantity=2,
        unit_price=amount / 2,
        total=amount,
        options={"größe": "XL"},
        base=LineAmounts(unit_price=base / 2, total=base),
    )
    free = LineAmounts(unit_price=Decimal(0), total=Decimal(0))
    gifts = [
        Line(sku=f"GIFT-{i}", quantity=1, unit_price=Decimal(0), total=Decimal(0), base=free) for i in range(lines - 1)
    ]
    return OrderDocument(
        reference=f"glopal.{environment}.shop.{number}",
        provider="glopal",
        environment=environment,
        account="shop",
        source_order_id=str(number),
        currency=currency,
        base_currency="USD",
        rate=Decimal("0.929917106"),
        rate_source="rates.USD.rate",
        goods=amount,
        total=amount,
        base=OrderAmounts(goods=base, total=base),
        buyer=Buyer(first_name="Кánárek", email="maria@canary-buyer.example", phone="+81 canary"),
        shipping_address=address,
        billing_address=address,
        lines=[first, *gifts],
    )


def message_of(outcome: Outcome[Any]) -> str:
    """What a person would read."""
    return "" if isinstance(outcome, Done) else outcome.message


def done(outcome: Outcome[Any]) -> StoreOrder:
    """The store order of an outcome that must be done."""
    assert isinstance(outcome, Done), outcome
    assert isinstance(outcome.value, StoreOrder), outcome
    return outcome.value


def failed(outcome: Outcome[Any], kind: type[Refused] | type[NotYet] | type[Unknown]) -> str:
    """The message of an outcome that must be of ``kind``."""
    assert isinstance(outcome, kind), outcome
    return outcome.message


class Watched:
    """Passes every call on, and fails when an outcome shows a canary."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._adapter, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            outcome = await method(*args, **kwargs)
            assert not [canary for canary in CANARIES if canary in repr(outcome)], f"a canary got out by {name}"
            return outcome

        return call


@dataclasses.dataclass
class Backend:
    """One store under test.

    Attributes:
        kind: sqlite, postgresql, http (our small endpoint) or sandbox (the simulated store).
        store: the adapter, watched.
        ship: marks an order shipped on the merchant's side.
        count: how many orders the merchant really has.
        notes: how many notes an order has on the merchant's side.
    """

    kind: str
    store: Any
    ship: Callable[[str], Awaitable[None]]
    count: Callable[[], Awaitable[int]]
    notes: Callable[[str], Awaitable[int]]
