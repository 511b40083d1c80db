"""A sandbox of its own process for all tests here, emptied for each."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from sandbox.running import RunningSandbox
from tests.sandbox.kit import Box, Contract


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The OpenAPI file."""
    return Contract()


@pytest.fixture(scope="session")
def running() -> Iterator[RunningSandbox]:
    """The one sandbox process."""
    with RunningSandbox(store_ids=["acme", "other"]) as found:
        yield found


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """A client with kept-alive connections; proxies of the environment are not for loopback."""
    with httpx.Client(timeout=20, trust_env=False) as client:
        yield client


@pytest.fixture
def box(running: RunningSandbox, http: httpx.Client) -> Box:
    """An empty sandbox without faults."""
    running.reset()
    return Box(running, http)
