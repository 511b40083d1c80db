"""The verbs on the ledger's tables, each one short transaction."""

from ledger.engine import Ledger, LedgerUnavailable

__all__ = ["Ledger", "LedgerUnavailable"]
