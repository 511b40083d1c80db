"""The differences that two sides of an order show by themselves, also while the third one cannot be read. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from models.difference_words import cut, finding, landed, named, order_of, says
from models.lifecycle import LIVE_STORE_ORDER, NO_STORE_ORDER, Landing, SourceStatus
from models.sides import Finding, LedgerSide, Mismatch, Repair, SourceSide, StoreSide

L, M, R, S = Landing, Mismatch, Repair, SourceStatus
# COMPLETED after ACCEPTED has no event, and nothing follows from it: the two count as the same.
LEVEL = {S.UNSEEN: 0, S.RECEIVED: 1, S.READY: 2, S.ACCEPTED: 3, S.COMPLETED: 3, S.CANCELLED: 4}


def without_store(source: SourceSide, ledger: LedgerSide) -> Iterator[Finding]:
    """What follows from provider and ledger alone, while the store cannot be read."""
    found = missing_at_provider(source, ledger) or unknown_word(source) or unusable(source) or untold(source, ledger)
    if found is not None:
        yield found


def without_source(ledger: LedgerSide, store: StoreSide) -> Iterator[Finding]:
    """What follows from ledger and store alone, while the provider cannot be read."""
    found = duplicate(store) or other_order(ledger, store)
    if found is not None:
        yield found


def status_of(source: SourceSide) -> SourceStatus | None:
    """The status that the provider says; None for none, and for a word of ours that no provider uses."""
    status = source.known_status if source.found else None
    return None if status is S.UNSEEN else status


def missing_at_provider(source: SourceSide, ledger: LedgerSide) -> Finding | None:
    """The provider has no such order."""
    if source.found:
        return None
    text = f"The provider clearly says that it has no such order, and the ledger {landed(ledger)}"
    return finding(M.MISSING_AT_PROVIDER, f"{text}: nobody can tell whether it is paid.", "source.order_missing")


def unknown_word(source: SourceSide) -> Finding | None:
    """The provider says a status that we do not know."""
    if not source.found or status_of(source) is not None:
        return None
    text = f"The provider says status {cut(source.status)!r}, which is none that we know; nothing is done on a guess."
    return finding(M.STATUS_DIFFERS, text, "fetch.unknown_status")


def unusable(source: SourceSide) -> Finding | None:
    """The provider's document cannot be mapped. A cancelled order's need not be."""
    status = status_of(source)
    if status is S.CANCELLED or not source.found:
        return None
    problem = source.problem or ("it states no total" if status is not None and source.total is None else "")
    if not problem:
        return None
    return finding(M.DOCUMENT_UNUSABLE, f"Its document cannot be used: {cut(problem, 300)}", "document.unusable")


def untold(source: SourceSide, ledger: LedgerSide) -> Finding | None:
    """The provider is further than the ledger knows: an event is late or was lost."""
    status = status_of(source)
    if status is None or LEVEL[ledger.source_status] >= LEVEL[status]:
        return None
    text = f"The provider says {status}, the ledger still {says(ledger)} and {landed(ledger)}: it was never told."
    return finding(M.STATUS_DIFFERS, text, R.TELL_STATUS)


def duplicate(store: StoreSide) -> Finding | None:
    """More than one live store order carries our reference."""
    if not store.several:
        return None
    said = f" The store says: {cut(store.problem, 250)}" if store.problem else ""
    text = "The store has more than one live order with our reference, so that the goods may ship twice."
    return finding(M.DUPLICATE_IN_STORE, text + said, "store.duplicate")


def other_order(ledger: LedgerSide, store: StoreSide) -> Finding | None:
    """Our reference leads to another store order than the ledger has."""
    claims = ledger.landing in LIVE_STORE_ORDER or (ledger.store_order_id and ledger.landing in NO_STORE_ORDER)
    if store.several or not store.live or not claims or ledger.store_order_id == store.id:
        return None
    text = (
        f"The ledger has {order_of(ledger)}, and our reference "
        f"leads to {named(store)} in the store: one of them is not this order's."
    )
    return finding(M.STORE_ID_DIFFERS, text, "store.other_order")
