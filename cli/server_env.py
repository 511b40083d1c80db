"""The environment of every Prefect server that Crossdock starts, and of the programs that talk to it.

The server's defaults record about 40 task runs a second; these settings record four times as many, keep healthy runs
alive over a restart of the server, and delete what nobody reads any more. docs/decisions/0003 tells how they are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

HEARTBEAT_SECONDS = 30
ZOMBIE_AFTER_SECONDS = 3 * HEARTBEAT_SECONDS

# What the person who starts the server may override by setting the same variable.
TUNED: Mapping[str, str] = {
    # One task run per transaction is Prefect's default, and the reason for its 40 a second.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "2",
    # Leases in memory are gone after a restart of the server, and every limited run that goes on is then crashed.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # Old flow runs stay for ever unless asked; the ledger is the record, so 30 days of runs are enough to look at.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(30 * 24 * 3600),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "DO_NOT_TRACK": "1",
}

# What a flow run or command needs beside the address.
CLIENT: Mapping[str, str] = {
    # Without this, a program that cannot find the server starts one of its own, for itself alone and in silence.
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}

# A profile and an address that a person set for another server must not reach ours.
_FOREIGN = ("PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "PREFECT_UI_URL")


def server_env(home: Path, port: int, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server.

    Args:
        home: Its PREFECT_HOME: database, leases and settings.
        port: The loopback port that it listens on.
        base: The environment to start from; it overrides what is tuned, but not home and address.
    """
    api_url = f"http://127.0.0.1:{port}/api"
    return {
        **TUNED,
        **_without_foreign(base),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_UI_API_URL": api_url,
    }


def client_env(api_url: str, home: Path, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program that talks to the server at `api_url`."""
    return {**_without_foreign(base), **CLIENT, "PREFECT_HOME": str(home), "PREFECT_API_URL": api_url}


@contextmanager
def server_settings(api_url: str, home: Path) -> Iterator[None]:
    """Let this process, and the flow runs it starts, talk to the server at `api_url`."""
    # Prefect takes more than a second to import, and `crossdock --help` needs none of it.
    from prefect.settings import (  # noqa: PLC0415
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_HOME,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
        temporary_settings,
    )

    ours = {
        PREFECT_API_URL: api_url,
        PREFECT_HOME: home,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: HEARTBEAT_SECONDS,
    }
    with temporary_settings(ours):
        yield


def _without_foreign(base: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in base.items() if key not in _FOREIGN}
