"""The demo's comparison is only worth something if it turns red: every statement is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from cli.demo_books import AccountBooks, GlopalLine, LedgerLine, StoreLine, standing, verdicts_of


def books() -> AccountBooks:
    """One landed, one cancelled, one parked and one waiting order, all books agreeing."""

    def glopal(order: str, status: str, number: str | None = None) -> GlopalLine:
        accepts = 1 if number else 0
        return GlopalLine(order, status, accepts, number and f"id-{number}", number, "EUR", Decimal("10.50"))

    def store(order: str, number: str, state: str) -> StoreLine:
        return StoreLine(f"ref.{order}", f"id-{number}", number, state, "EUR", Decimal("10.5"))

    return AccountBooks(
        name="main",
        glopal=[
            glopal("1", "COMPLETED", "1001"),
            glopal("2", "CANCELLED"),
            glopal("3", "READY"),
            glopal("4", "RECEIVED"),
        ],
        store=[store("1", "1001", "open"), store("2", "1002", "cancelled")],
        ledger=[
            LedgerLine("1", "ref.1", "landed", "id-1001", "1001"),
            LedgerLine("2", "ref.2", "cancelled", "id-1002", "1002"),
            LedgerLine("3", "ref.3", "parked", None, None, "document.sum_mismatch", "does not add up"),
            LedgerLine("4", "ref.4", "waiting for the provider", None, None),
        ],
        reference=lambda order: f"ref.{order}",
    )


def test_books_that_agree_have_nothing_against_them() -> None:
    """Every statement holds, and each looked at something."""
    verdicts = verdicts_of([books()])
    assert [verdict.against for verdict in verdicts] == [[]] * 8
    assert all(verdict.looked_at for verdict in verdicts)
    assert standing([books()])["ledger"] == {"landed": 1, "cancelled": 1, "parked": 1, "waiting for the provider": 1}


def _glopal(number: int, **change: object) -> Callable[[AccountBooks], None]:
    def broken(found: AccountBooks) -> None:
        found.glopal[number] = replace(found.glopal[number], **change)  # type: ignore[arg-type]

    return broken


def _store(number: int, **change: object) -> Callable[[AccountBooks], None]:
    def broken(found: AccountBooks) -> None:
        found.store[number] = replace(found.store[number], **change)  # type: ignore[arg-type]

    return broken


def _ledger(number: int, **change: object) -> Callable[[AccountBooks], None]:
    def broken(found: AccountBooks) -> None:
        found.ledger[number] = replace(found.ledger[number], **change)  # type: ignore[arg-type]

    return broken


def _twice(found: AccountBooks) -> None:
    found.store.append(replace(found.store[0], id="id-2001", number="2001"))


def _stranger(found: AccountBooks) -> None:
    found.store.append(replace(found.store[0], reference="ref.99"))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda found: found.ledger.pop(3), "every order at Glopal is in the ledger"),
        (lambda found: found.glopal.pop(3), "every order at Glopal is in the ledger"),
        (lambda found: found.store.pop(0), "each paid order has one live store order"),
        (_twice, "each paid order has one live store order"),
        (_twice, "none twice"),
        (_stranger, "no store order without an order at Glopal"),
        (_ledger(2, parked_reason=None), "each paid order has one live store order"),
        (_glopal(0, status="READY"), "is accepted at Glopal"),
        (_glopal(0, external_number="9999"), "is accepted at Glopal"),
        (_glopal(0, external_id=None), "is accepted at Glopal"),
        (_glopal(0, accepts=2), "is accepted at Glopal"),
        (_store(0, total=Decimal("10.51")), "has the total that was paid"),
        (_store(0, currency="USD"), "has the total that was paid"),
        (_store(1, state="open"), "no cancelled order has a live store order"),
        (_ledger(0, bucket="cancelled"), "the ledger says the same"),
        (_ledger(0, store_number="7"), "the ledger says the same"),
        (_ledger(0, bucket="outcome unknown"), "nothing is left under way or unknown"),
        (_ledger(3, bucket="under way"), "nothing is left under way or unknown"),
    ],
)
def test_each_statement_turns_red_when_it_is_broken(broken: Callable[[AccountBooks], object], says: str) -> None:
    """One wrong line is enough, and the order is named."""
    found = books()
    broken(found)
    against = [verdict for verdict in verdicts_of([found]) if not verdict.holds]
    [named] = [verdict for verdict in against if says in verdict.says]
    assert named.against[0].startswith("main ")
