"""Separate types for identifiers that look alike, and our own reference.

Mixing up a store's internal id with the number that people see has cost others real orders, so each has its type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NewType

SourceOrderId = NewType("SourceOrderId", str)
StoreOrderId = NewType("StoreOrderId", str)
StoreOrderNumber = NewType("StoreOrderNumber", str)
Reference = NewType("Reference", str)
Provider = Literal["glopal", "globale"]

# Glopal shows both 310678-936140 and 3S7Z7N5X-Q4PSJMC1; anything else (a path, a blank) never reaches a URL.
_SAFE_SOURCE_ID = re.compile(r"[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*")
MAX_SOURCE_ID = 255


def is_safe_source_id(value: str) -> bool:
    """Whether a provider's order id may be put into a URL path and into our reference."""
    return len(value) <= MAX_SOURCE_ID and _SAFE_SOURCE_ID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class AccountKey:
    """One merchant's identity at a provider, with its environment. The ledger's rows hang on this, not on a label."""

    provider: Provider
    environment: str
    account: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.environment}/{self.account}"

    def reference(self, source_order_id: str) -> Reference:
        """Our own key for one order, written into the store order and looked up before any second create."""
        return Reference(f"{self.provider}.{self.environment}.{self.account}.{source_order_id}")
