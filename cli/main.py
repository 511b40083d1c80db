"""The ``crossdock`` command. Whatever is slow to import is imported by the command that needs it."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.console import plain_errors
from cli.history_commands import register

app = typer.Typer(
    name="crossdock",
    help=(
        "Lands cross-border orders from Glopal in your own store, tells Glopal which store order each became, and can "
        "prove it. Begin with: crossdock demo"
    ),
    no_args_is_help=True,
    add_completion=False,
    # A traceback shows local variables, and those hold keys and buyers.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text.")]
Home = Annotated[Path, typer.Option(help="The local Prefect server's folder: database, leases, log.")]
DeploymentsFile = Annotated[Path, typer.Option("--file", help="The declaration of the deployments.")]
_HOME = Path(".crossdock/prefect")
_DECLARATION = Path("prefect.yaml")


class Only(StrEnum):
    """Which orders to list."""

    OPEN = "open"
    PARKED = "parked"
    SETTLED = "settled"


class DecisionWord(StrEnum):
    """What a person can decide."""

    RETRY = "retry"
    CANCEL = "cancel"
    SETTLE = "settle"


class StoreKind(StrEnum):
    """Where the demo's orders land."""

    BOTH = "both"
    EMBEDDED = "embedded"
    HTTP = "http"


class Faults(StrEnum):
    """How badly the demo's simulated world behaves."""

    DEMO = "demo"
    NONE = "none"


def _show_version(wanted: bool) -> None:
    if wanted:
        console.say(f"crossdock {package_version('crossdock')}")
        raise typer.Exit


@app.callback()
def _options(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The configuration file, instead of crossdock.toml or CROSSDOCK_CONFIG."),
    ] = None,
    version: Annotated[  # noqa: ARG001 - acted on by its callback
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if config is not None:
        # Flow runs in processes of their own read it, too.
        os.environ["CROSSDOCK_CONFIG"] = str(config.absolute())


@app.command()
@plain_errors
def demo(
    orders: Annotated[int, typer.Option(min=1, max=5000, help="How many orders the simulated Glopal has.")] = 200,
    seed: Annotated[int, typer.Option(help="Same seed, same orders and same faults.")] = 7,
    store: Annotated[
        StoreKind, typer.Option(help="Where they land: SQL tables, an HTTP endpoint with faults of its own, or both.")
    ] = StoreKind.BOTH,
    faults: Annotated[
        Faults, typer.Option(help="demo: time-outs, 429, 5xx, resets, broken answers; none.")
    ] = Faults.DEMO,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps everything.")] = Path(".crossdock/demo"),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the last demo and start over.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep Prefect's UI and the sandbox running until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Land simulated orders with faults on, then compare all books.

    Starts a simulated Glopal and a Prefect server on this machine, polls with the real flows until nothing is left to
    do, and compares what the simulated sides really hold with the ledger. Exit code 0 only if all agree. Running it
    again changes nothing; --fresh starts over.
    """
    from cli.demo import DemoOptions, run_demo  # noqa: PLC0415

    options = DemoOptions(
        orders=orders,
        seed=seed,
        store=store.value,
        faults=faults.value,
        folder=folder.absolute(),
        fresh=fresh,
        keep=keep,
        as_json=as_json,
    )
    raise typer.Exit(run_demo(options))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@plain_errors
def sandbox(context: typer.Context) -> None:
    """Run the simulated Glopal and store by themselves (crossdock sandbox --help lists its options)."""
    from sandbox.server import main as run_sandbox  # noqa: PLC0415

    raise typer.Exit(run_sandbox(context.args))


@app.command()
@plain_errors
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The local server's port; 0 takes a free one.")] = 4200,
    home: Home = _HOME,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at once.")] = 8,
    file: DeploymentsFile = _DECLARATION,
    api_url: Annotated[
        str | None, typer.Option(help="Serve to this Prefect server, e.g. http://prefect:4200/api, and start none.")
    ] = None,
) -> None:
    """Start a tuned Prefect server here and run the deployments of prefect.yaml until Ctrl-C."""
    from cli.problems import load_settings  # noqa: PLC0415

    # First, so that a mistake in the configuration is told before a server is started for it.
    settings = load_settings()
    from cli.serve import serve as run_serve  # noqa: PLC0415

    run_serve(
        prefect_file=file,
        home=home,
        port=port,
        limit=limit,
        notify_block=settings.notify.block,
        api_url=api_url,
        say=console.say,
    )


@app.command()
@plain_errors
def bootstrap() -> None:
    """Prepare the Prefect server at PREFECT_API_URL: work pool, automations. Running it again changes nothing."""
    from cli.problems import load_settings  # noqa: PLC0415

    settings = load_settings()
    from cli.bootstrap import bootstrap as prepare  # noqa: PLC0415

    done = prepare(settings.notify.block)
    for line in done or ["everything was in place already"]:
        console.say(line)


@app.command()
@plain_errors
def lint(file: Annotated[Path, typer.Argument(help="The declaration of the deployments.")] = _DECLARATION) -> None:
    """Check prefect.yaml for what Prefect ignores in silence: unknown keys, triggers on everything, bad parameters."""
    from cli.lint_prefect import lint as find_mistakes  # noqa: PLC0415

    mistakes = find_mistakes(file)
    for mistake in mistakes:
        console.complain(mistake)
    if mistakes:
        raise typer.Exit(1)
    console.say(f"{file}: no mistakes")


@app.command()
@plain_errors
def migrate() -> None:
    """Bring the ledger's tables to this release. Safe to run again."""
    from cli.migrate import run_migrate  # noqa: PLC0415
    from cli.problems import load_settings  # noqa: PLC0415

    console.say(run_migrate(load_settings()))


@app.command()
@plain_errors
def check(as_json: AsJson = False) -> None:
    """Check configuration, secrets, both sides, clock and ledger; say what is wrong and what to do."""
    from cli.check import run_check  # noqa: PLC0415

    raise typer.Exit(run_check(as_json=as_json))


@app.command()
@plain_errors
def why(
    order: Annotated[str, typer.Argument(help="Any of its numbers: Glopal's, the store's, or our reference.")],
    as_json: AsJson = False,
) -> None:
    """Tell one order's story: what happened, what comes next and by when, what you could do."""
    from cli.problems import load_settings  # noqa: PLC0415
    from cli.why import why as tell  # noqa: PLC0415

    asyncio.run(tell(load_settings(), order, as_json=as_json))


@app.command()
@plain_errors
def orders(
    account: Annotated[str | None, typer.Option(help="Only this account's, by its name in the configuration.")] = None,
    only: Annotated[Only | None, typer.Option(help="Only open, parked or settled ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List orders and where each stands."""
    from cli.orders import orders as list_them  # noqa: PLC0415
    from cli.problems import load_settings  # noqa: PLC0415

    asyncio.run(
        list_them(load_settings(), account=account, only=only.value if only else None, limit=limit, as_json=as_json)
    )


@app.command()
@plain_errors
def decide(
    order: Annotated[str, typer.Argument(help="Any of its numbers: Glopal's, the store's, or our reference.")],
    decision: Annotated[
        DecisionWord,
        typer.Argument(help="retry: back in line. cancel: in the store, then Glopal. settle: done by hand"),
    ],
    reason: Annotated[str, typer.Option(help="Why, in your own words. Kept in the order's story for good.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would follow.")] = False,
) -> None:
    """Move an order on that waits for a person. The next poll acts on it."""
    from cli.decide import run_decide  # noqa: PLC0415
    from cli.problems import load_settings  # noqa: PLC0415

    console.say(run_decide(load_settings(), order, decision.value, reason, dry_run=dry_run))


register(app)


def main() -> None:
    """The entry point of the console command."""
    app()


if __name__ == "__main__":
    main()
