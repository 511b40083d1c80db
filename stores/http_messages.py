"""The HTTP store's sentences: what happened, what it means for the order, what to do. Never the token or a buyer."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from models.document import OrderDocument
from models.ids import Reference
from models.outcome import NotYet, RefusalCode, Refused, Unknown
from stores.http_transport import Answer, Reply
from stores.protocol import StoreOrder


class HttpWording:
    """Makes the outcomes of one HTTP store.

    Args:
        name: the store's name in the configuration.
        base_url: its address.
        token_place: where the token lives, in words.
        token: never shown; an error code that repeats it is left out.
    """

    def __init__(self, name: str, base_url: str, token_place: str, token: SecretStr) -> None:
        self._name = name
        self._base_url = base_url
        self._token_place = token_place
        self._token = token

    def sentence(self, rest: str) -> str:
        """A sentence about this store."""
        return f"Store {self._name!r} ({self._base_url}): {rest}"

    def not_yet(self, what: str, happened: str, reply: Reply) -> NotYet:
        """It certainly did not happen."""
        wish = "" if reply.retry_after is None else f", not before {reply.retry_after:.0f} s have passed"
        return NotYet(
            self.sentence(
                f"{what}: {happened}. Nothing was changed; it is tried again by itself{wish}. If this goes on, run "
                "crossdock check and look at the store's own log."
            ),
            reply.retry_after,
            _status(reply),
        )

    def unknown(self, what: str, happened: str, reply: Reply | None = None) -> Unknown:
        """Nobody knows whether it happened."""
        return Unknown(
            self.sentence(
                f"{what}: {happened}. It may or may not have taken effect, so it is not repeated: the store is asked "
                "for the order first. Nothing needs to be done now; if this goes on, look at the store's own log."
            ),
            _status(reply),
        )

    def refused(
        self, what: str, meaning: RefusalCode, status: int | None, code: str | None, detail: str = ""
    ) -> Refused:
        """The store said no. ``code`` is the machine code that it sent."""
        if code is not None and self._token.get_secret_value().casefold() in code.casefold():
            code = None
        said = ", ".join(part for part in (f"status {status}", f"code {code}" if code else "", detail) if part)
        advice = _ADVICE[meaning].format(place=self._token_place, name=self._name)
        return Refused(meaning, self.sentence(f"{what} was refused ({said}). {advice}"), status)

    def conflict(self, there: StoreOrder, order: OrderDocument) -> Refused:
        """The store holds our reference with another amount."""
        return Refused(
            RefusalCode.REFERENCE_CONFLICT,
            self.sentence(
                f"order {there.number!r} (id {there.id!r}) carries reference {order.reference} with {there.total} "
                f"{there.currency}, and {order.total} {order.currency} was sent. It is live there unless somebody "
                "cancels it. Compare both with the provider, then cancel or correct the one in the store."
            ),
        )

    def twice(self, reference: Reference, orders: Sequence[StoreOrder]) -> Refused:
        """More than one order carries the reference."""
        ids = ", ".join(f"{order.id!r} ({order.state.value})" for order in orders)
        return Refused(
            RefusalCode.CONFLICT,
            self.sentence(
                f"{len(orders)} orders carry reference {reference}: {ids}. Nothing more is done with this order. "
                "Cancel the surplus one in the store, then retry the order."
            ),
        )

    def bad_id(self) -> Refused:
        """An order id that cannot stand in a path."""
        return Refused(
            RefusalCode.NOT_FOUND,
            self.sentence("the order id is empty or made of dots, and no order can have it. Nothing was sent."),
        )


def _status(reply: Reply | None) -> int | None:
    return reply.status if isinstance(reply, Answer) else None


_PARKED = "Nothing was changed."
_ADVICE = {
    RefusalCode.UNKNOWN_SKU: f"{_PARKED} Add the SKU to the store or map it, then retry the order.",
    RefusalCode.OUT_OF_STOCK: f"{_PARKED} Restock or decide with the buyer, then retry or cancel the order.",
    RefusalCode.INVALID_ADDRESS: f"{_PARKED} Have the address corrected at the provider, then retry the order.",
    RefusalCode.INVALID_ORDER: (
        f"{_PARKED} The store's own log says which rule the order broke; mend the order or the rule, then retry it."
    ),
    RefusalCode.REFERENCE_CONFLICT: (
        "Another order there already has this reference with another amount; this one was not written. Compare both "
        "with the provider, then cancel the wrong one by hand."
    ),
    RefusalCode.ALREADY_SHIPPED: "It has left the warehouse and stays as it is. Arrange a return with the buyer.",
    RefusalCode.ORDER_CANCELLED: "The order is cancelled there and stays cancelled.",
    RefusalCode.NOT_FOUND: (
        "The store has no such order. It was deleted there, or stores.{name}.base_url points to another store."
    ),
    RefusalCode.CONFLICT: f"{_PARKED} It does not fit the order's state in the store; look at it there.",
    RefusalCode.CREDENTIALS: (
        "No order moves on until the token is accepted. Put a valid one into {place}, then run crossdock check."
    ),
    RefusalCode.BAD_ANSWER: (
        f"{_PARKED} Redirects are never followed: put the endpoint's final address into stores.{{name}}.base_url, "
        "then run crossdock check."
    ),
    RefusalCode.OTHER: (
        f"{_PARKED} A repeat would get the same answer. Compare stores.{{name}}.base_url and the endpoint with "
        "docs/http-order-endpoint.md, then retry the order."
    ),
}
