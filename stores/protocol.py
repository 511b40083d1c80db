"""The one protocol that every store adapter speaks.

An adapter never retries a create, never guesses and never raises for what the other side did: it returns one of the
four outcomes. What is not clear is ``Unknown``. It compares the reference of whatever a lookup returned with the one
asked for, because some platforms ignore filters they do not know and answer with other orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from models.document import OrderDocument
from models.ids import Reference, StoreOrderId, StoreOrderNumber
from models.outcome import Outcome


class StoreState(StrEnum):
    """A store order's own state, as far as the hub cares."""

    HELD = "held"
    OPEN = "open"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"

    @property
    def live(self) -> bool:
        """Whether the merchant may still ship it or already has."""
        return self is not StoreState.CANCELLED


@dataclass(frozen=True, slots=True)
class StoreOrder:
    """What a store says it holds. ``total`` is in ``currency``."""

    id: StoreOrderId
    number: StoreOrderNumber
    reference: Reference
    state: StoreState
    currency: str
    total: Decimal


class Store(Protocol):
    """A merchant's e-commerce backend."""

    async def find(self, reference: Reference) -> Outcome[StoreOrder | None]:
        """The order that carries ``reference``. ``Done(None)`` only when the store answered clearly that none does.

        More than one order with the reference is ``Refused(CONFLICT)``: a person must look.
        """
        ...

    async def find_many(self, references: Sequence[Reference]) -> dict[Reference, Outcome[StoreOrder | None]]:
        """``find`` for many references, in as few calls as the store allows; an answer for each of them."""
        ...

    async def create(self, order: OrderDocument, *, hold: bool) -> Outcome[StoreOrder]:
        """Write the order, on hold when it is not final yet.

        ``Done(already=True)`` when the store already had it with the same total and currency.
        """
        ...

    async def release(self, order_id: StoreOrderId) -> Outcome[StoreOrder]:
        """Take the hold off. Releasing an open order is done; a cancelled one refuses with ORDER_CANCELLED."""
        ...

    async def cancel(self, order_id: StoreOrderId, reason: str) -> Outcome[StoreOrder]:
        """Cancel. Done when it already was; refuses with ALREADY_SHIPPED when it is too late."""
        ...

    async def note(self, order_id: StoreOrderId, text: str) -> Outcome[None]:
        """Add a note for the merchant's staff."""
        ...

    async def read(self, order_id: StoreOrderId) -> Outcome[StoreOrder | None]:
        """The order as it is now, or ``Done(None)`` when the store says there is none."""
        ...

    async def check(self) -> Outcome[str]:
        """One read call that proves address and credentials; the text says what was reached."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
