"""Databases, an order endpoint and adapters on them; a canary in any log fails the test that let it out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from models.settings import EmbeddedStore, HttpStore, Limits, Secret
from sandbox.running import STORE_TOKEN, RunningSandbox
from stores.embedded import EmbeddedStoreAdapter
from stores.http import HttpStoreAdapter
from tests.stores.backends import CANARIES, QUICK, Backend, Watched
from tests.stores.endpoint import TOKEN, Endpoint
from tests.support import Databases


@pytest.fixture(autouse=True)
def _no_canary_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Everything is logged at DEBUG, and none of it may show a secret or a buyer."""
    caplog.set_level(logging.DEBUG)
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            said = record.getMessage() + (caplog.handler.format(record) if record.exc_info else "")
            assert not [canary for canary in CANARIES if canary in said], f"a canary got into the log of {record.name}"


@pytest_asyncio.fixture
async def postgres_url(postgres_server: str, databases: Databases) -> AsyncIterator[str]:
    """The URL of an empty database."""
    url = await databases.empty(postgres_server)
    yield url
    await databases.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a file that does not exist, in a folder that does not either."""
    return f"sqlite+aiosqlite:///{tmp_path}/new/store.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each of the two databases."""
    return str(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


Run = Callable[..., Any]


@pytest_asyncio.fixture
async def open_sql() -> AsyncIterator[Run]:
    """Opens a way to run statements on a database as an ERP would, beside the adapter; it gives the rows."""
    engines: list[AsyncEngine] = []

    def opener(url: str) -> Run:
        engine = create_async_engine(url)
        engines.append(engine)

        async def run(statement: str, **values: object) -> list[Any]:
            async with engine.begin() as connection:
                result = await connection.execute(text(statement), values)
                return list(result.all()) if result.returns_rows else []

        return run

    yield opener
    for engine in engines:
        await engine.dispose()


@pytest.fixture
def sql(database_url: str, open_sql: Run) -> Run:
    """Runs a statement on the database under test."""
    return open_sql(database_url)  # type: ignore[no-any-return]


@pytest_asyncio.fixture
async def open_embedded() -> AsyncIterator[Run]:
    """Opens embedded stores and closes them after the test."""
    opened: list[EmbeddedStoreAdapter] = []

    def opener(url: str, limits: Limits = QUICK, environment: str = "live") -> Any:
        adapter = EmbeddedStoreAdapter(EmbeddedStore(url=url, environment=environment, limits=limits), name="main")
        opened.append(adapter)
        return Watched(adapter)

    yield opener
    for adapter in opened:
        await adapter.aclose()


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    """A merchant's order endpoint."""
    server = Endpoint()
    await server.start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def open_http(endpoint: Endpoint) -> AsyncIterator[Run]:
    """Opens HTTP stores on the endpoint and closes them after the test."""
    opened: list[HttpStoreAdapter] = []

    def opener(*, token: str = TOKEN, base_url: str | None = None, **limits: Any) -> Any:
        settings = HttpStore(
            base_url=base_url or endpoint.url,
            token=Secret(env="SHOP_TOKEN"),
            limits=Limits(**{"timeout": 5.0, "read_tries": 1, **limits}),
        )
        adapter = HttpStoreAdapter(settings, SecretStr(token), name="main")
        opened.append(adapter)
        return Watched(adapter)

    yield opener
    for adapter in opened:
        await adapter.aclose()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """The simulated store, a process of its own."""
    with RunningSandbox() as running:
        yield running


# Not async itself: a fixture that runs in the loop cannot ask for others that need the loop.
@pytest.fixture(params=["sqlite", "postgresql", "http", "sandbox"])
def shop(request: pytest.FixtureRequest) -> Backend:
    """Each backend, and the merchant's own view of it."""
    kind, ask = str(request.param), request.getfixturevalue
    if kind == "sandbox":
        return _sandbox_backend(ask("sandbox"), ask("open_http"))
    if kind == "http":
        return _http_backend(ask("endpoint"), ask("open_http"))
    url = ask("sqlite_url" if kind == "sqlite" else "postgres_url")
    run = ask("open_sql")(url)

    async def ship(order_id: str) -> None:
        await run("UPDATE store_orders SET state = 'shipped' WHERE id = :id AND state = 'open'", id=int(order_id))

    async def count() -> int:
        return int((await run("SELECT count(*) FROM store_orders"))[0][0])

    async def notes(order_id: str) -> int:
        return int((await run("SELECT count(*) FROM store_order_notes WHERE order_id = :id", id=int(order_id)))[0][0])

    return Backend(kind, ask("open_embedded")(url), ship, count, notes)


def _http_backend(endpoint: Endpoint, open_http: Run) -> Backend:
    async def ship(order_id: str) -> None:
        endpoint.books[order_id]["state"] = "shipped"

    async def count() -> int:
        return len(endpoint.books)

    async def notes(order_id: str) -> int:
        return len(endpoint.books[order_id].get("notes", []))

    return Backend("http", open_http(), ship, count, notes)


def _sandbox_backend(sandbox: RunningSandbox, open_http: Run) -> Backend:
    sandbox.reset()

    async def ship(order_id: str) -> None:
        sandbox.store("ship", reference=sandbox.store_books()["orders"][order_id]["reference"])

    async def count() -> int:
        return len(sandbox.store_books()["orders"])

    async def notes(order_id: str) -> int:
        return int(sandbox.store_books()["orders"][order_id]["notes"])

    return Backend("sandbox", open_http(base_url=sandbox.store_url, token=STORE_TOKEN), ship, count, notes)
