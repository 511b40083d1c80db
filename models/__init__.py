"""What the hub knows: documents, lifecycle, money, time, settings and the ledger's tables."""
