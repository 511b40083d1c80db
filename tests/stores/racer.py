"""A second hub: creates the same five orders as every other racer, and prints the classes of its outcomes."""

from __future__ import annotations

import asyncio
import sys

from models.outcome import Done
from models.settings import EmbeddedStore
from stores.embedded import EmbeddedStoreAdapter
from tests.stores.backends import an_order


async def main(url: str) -> None:
    """Wait for the word, then race."""
    store = EmbeddedStoreAdapter(EmbeddedStore(url=url))
    print("ready", flush=True)
    sys.stdin.readline()
    outcomes = await asyncio.gather(*(store.create(an_order(i), hold=False) for i in range(5)))
    for outcome in outcomes:
        print(f"done {outcome.already}" if isinstance(outcome, Done) else repr(outcome))
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
