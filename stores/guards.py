"""What every adapter refuses before anything is sent: orders of another environment, orders that no store can hold."""

from __future__ import annotations

import re

from models.document import OrderDocument
from models.outcome import RefusalCode, Refused

# The reference travels in a URL query and in a header, so it is plain printable ASCII without blanks.
_REFERENCE = re.compile(r"^[\x21-\x7e]{1,512}$")


def refuse_unfit(order: OrderDocument, environment: str) -> Refused | None:
    """The refusal of an order that must not reach this store, or None.

    Args:
        order: the order to write.
        environment: the store's own environment, e.g. ``live``.
    """
    if order.environment != environment:
        return Refused(
            RefusalCode.INVALID_ORDER,
            f"The order belongs to environment {order.environment!r} and this store to {environment!r}. Nothing was "
            "sent: test orders never reach a live store. Give the account a store of its own environment.",
        )
    if not _REFERENCE.match(order.reference):
        return Refused(
            RefusalCode.INVALID_ORDER,
            "The field reference holds blanks, characters outside ASCII or more than 512 of them. Nothing was sent. "
            "It is made of the account's environment and store id: put plain letters, digits and - there.",
        )
    return None


def unfit_field(field: str, what: str) -> Refused:
    """The refusal of an order for the content of one field. ``field`` is its name, never its value."""
    return Refused(
        RefusalCode.INVALID_ORDER,
        f"The field {field} {what}. Nothing was written. Have the field corrected at the provider, then retry the "
        "order; the raw document is kept.",
    )


def document_json(order: OrderDocument) -> str | Refused:
    """The canonical JSON of the order, or the refusal of one that has text which is not Unicode (half a surrogate)."""
    try:
        return order.to_json()
    except ValueError:
        # pydantic's serialization error; its text shows the value, which may be a buyer's.
        return unfit_field("document", "holds text that cannot be written as UTF-8")
