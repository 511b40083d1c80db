"""One sandbox for all trust tests, an empty world for each case, and the report at the end."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

import ledger.engine
from ledger import Ledger
from sandbox.running import RunningSandbox
from tests.support import Databases
from tests.trust.tally import TALLY
from tests.trust.world import ENVIRONMENT, Options, World, no_canary_logged

_HERE = Path(__file__).parent
_MEMORY = Path("/dev/shm")  # noqa: S108 - only a faster place for databases that live for one test
MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def trust_sandbox() -> Iterator[RunningSandbox]:
    """Glopal and the store in one process."""
    with RunningSandbox() as running:
        yield running


class OnePlace(Databases):
    """SQLite ledgers one after the other at the same place, so that their engines can be used again.

    Every simulated process opens and closes connections of its own, as ever. What it takes over from an earlier one
    are the compiled SQL statements: a thousand processes would spend more time on these than on what is tested here.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._idle: dict[str, list[AsyncEngine]] = defaultdict(list)
        self._make = ledger.engine._engine
        self._dispose = ledger.engine.Ledger.dispose

    def engine(self, url: str) -> AsyncEngine:
        """An engine that nobody uses now."""
        free = self._idle[url] if url.startswith("sqlite") else []
        return free.pop() if free else self._make(url)

    async def dispose(self, given: Ledger) -> None:
        """Close every connection, and keep the engine."""
        await self._dispose(given)
        free = self._idle[given.settings.url]
        if given.engine not in free:
            free.append(given.engine)

    async def migrated(self, socket: str | None) -> str:
        """An empty ledger, where the one before was."""
        url = await super().migrated(socket)
        if socket is not None:
            return url
        for old in self.folder.glob("world.db*"):
            old.unlink()
        shutil.move(self.folder / Path(url).name, self.folder / "world.db")
        return f"sqlite+aiosqlite:///{self.folder}/world.db"


@pytest.fixture(scope="session")
def ledgers() -> Iterator[Databases]:
    """Ledgers in memory where the machine has a place for it: thousands of commits must not wait for a disk."""
    folder = Path(tempfile.mkdtemp(prefix="trust-", dir=_MEMORY if _MEMORY.is_dir() else None))
    made = OnePlace(folder)

    async def dispose(given: Ledger) -> None:
        await made.dispose(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger.engine, "_engine", made.engine)
        patch.setattr(ledger.engine.Ledger, "dispose", dispose)
        yield made
    made.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def trust_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The secrets in the environment, and no configuration file."""
    monkeypatch.setenv("CROSSDOCK_CONFIG", str(tmp_path / "none.toml"))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


class Worlds:
    """Makes worlds one after the other, each on an empty sandbox and a ledger of its own.

    Args:
        sandbox: both simulated sides.
        ledgers: where ledgers come from.
        socket: a PostgreSQL server's socket; None for SQLite.
    """

    def __init__(self, sandbox: RunningSandbox, ledgers: Databases, socket: str | None = None) -> None:
        self.sandbox = sandbox
        self._ledgers = ledgers
        self._socket = socket
        self._world: World | None = None

    async def fresh(self, **options: object) -> World:
        """The next world; the one before is closed."""
        await self.end()
        self.sandbox.reset()
        # A store that does not know our reference: what keeps it from a second order is the hub alone.
        self.sandbox.store("settings", idempotent=False)
        url = await self._ledgers.migrated(self._socket)
        self._world = World(self.sandbox, url, Options(**options))  # type: ignore[arg-type]
        return self._world

    @property
    def now(self) -> World:
        """The present world."""
        assert self._world is not None
        return self._world

    async def end(self) -> None:
        """Close the present world."""
        world, self._world = self._world, None
        if world is not None:
            await world.close()
            await self._ledgers.drop(world.url)


@pytest_asyncio.fixture
async def worlds(
    trust_sandbox: RunningSandbox,
    ledgers: Databases,
    trust_environment: None,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Worlds]:
    """Worlds on SQLite; whatever was logged is searched for canaries."""
    caplog.set_level("DEBUG")
    made = Worlds(trust_sandbox, ledgers)
    yield made
    await made.end()
    no_canary_logged(caplog.get_records("call"))


@pytest_asyncio.fixture
async def postgres_worlds(
    trust_sandbox: RunningSandbox,
    ledgers: Databases,
    postgres_server: str,
    trust_environment: None,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Worlds]:
    """Worlds on PostgreSQL."""
    caplog.set_level("DEBUG")
    made = Worlds(trust_sandbox, ledgers, postgres_server)
    yield made
    await made.end()
    no_canary_logged(caplog.get_records("call"))


def _ours(items: Iterator[pytest.Item] | list[pytest.Item]) -> list[pytest.Item]:
    return [item for item in items if item.path.parent == _HERE]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the session's own test at the end, and drop it when only a part of the trust tests runs."""
    last = [item for item in items if item.path.name == "test_the_whole.py"]
    if not last:
        return
    others = [item for item in items if item not in last]
    modules = {item.path.name for item in _ours(others)}
    every = {path.name for path in _HERE.glob("test_*.py")} - {"test_the_whole.py", "test_mutants.py"}
    whole = modules >= every and not config.option.keyword and all("::" not in arg for arg in config.args)
    items[:] = [*others, *(last if whole else [])]
    if not whole:
        config.hook.pytest_deselected(items=last)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the trust tests reached."""
    if not TALLY.worlds:
        return
    terminalreporter.section("trust")
    for line in TALLY.lines():
        terminalreporter.write_line(line)
