"""How the commands speak: plain lines, JSON for programs, and errors without tracebacks."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

P = ParamSpec("P")
R = TypeVar("R")

# Wide enough for a table with reasons when nobody's terminal says otherwise.
_PIPED_WIDTH = 160


def out() -> Console:
    """Standard output. Made on each use, so that a redirected one is found."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


def err() -> Console:
    """Standard error, for progress and errors: standard output stays clean for what was asked for."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else _PIPED_WIDTH)


def say(text: str) -> None:
    """One line or paragraph for a person; no markup is read from it and nothing is cut."""
    out().print(clean(text), markup=False, soft_wrap=True)


def say_json(value: object) -> None:
    """One JSON document for a program."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def clean(text: str) -> str:
    """Text from outside with its control characters made visible: none of it steers the terminal."""
    return "".join(
        char if char == "\n" or char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def cell(text: str) -> Text:
    """A table's cell; no markup is read from it."""
    return Text(clean(text))


def complain(text: str) -> None:
    """An error for a person, on standard error."""
    err().print(clean(text), markup=False, soft_wrap=True, style="red" if sys.stderr.isatty() else None)


@contextmanager
def progress() -> Iterator[Progress]:
    """A progress display on standard error; silent when that is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err(), transient=True, disable=not sys.stderr.isatty()) as bar:
        yield bar


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn the errors that a person can meet into their message and exit code 1; anything else is a bug and raises."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            if not isinstance(error, _expected()):
                raise
            complain(f"crossdock: {error}")
            raise typer.Exit(1) from None

    return guarded


def _expected() -> tuple[type[Exception], ...]:
    """Every error with a message of its own for people. Looked up when one happens, because some are slow to import."""
    from ledger.decisions import CannotDecide  # noqa: PLC0415
    from models.outcome import CrossdockError  # noqa: PLC0415

    found: list[type[Exception]] = [CrossdockError, CannotDecide]
    for module, name in (
        ("cli.local_server", "ServerError"),
        ("cli.serve", "ServeError"),
        ("cli.bootstrap", "BootstrapError"),
        ("cli.deployments", "DeclarationError"),
        ("cli.demo_world", "DemoError"),
    ):
        loaded: Any = sys.modules.get(module)
        if loaded is not None:
            found.append(getattr(loaded, name))
    return tuple(found)
