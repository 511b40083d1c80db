"""Counts the SQL statements of this process: by database, and by the Prefect task that they belong to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from prefect.context import TaskRunContext
from sqlalchemy import Engine, event

from benchmarks.child import OF_THE_FLOW


@dataclass
class TaskStatements:
    """The statements of one task run; those outside of all tasks are one entry, too.

    Attributes:
        task: its name.
        orders: how many orders it was given.
        by: statements by database: ledger or store.
    """

    task: str
    orders: int = 0
    by: Counter[str] = field(default_factory=Counter)


class Statements:
    """Counts from now on.

    What goes to the driver at once counts as one: an INSERT of many rows is one statement. BEGIN is none, and neither
    is what a connection and the embedded store ask once, when they are opened.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, TaskStatements] = {}
        event.listen(Engine, "before_cursor_execute", self._note)

    def _note(
        self,
        connection: Any,  # noqa: ANN401 - SQLAlchemy's connection
        cursor: object,  # noqa: ARG002
        statement: str,
        parameters: object,  # noqa: ARG002
        context: object,  # noqa: ARG002
        executemany: bool,  # noqa: ARG002
    ) -> None:
        if statement.startswith(("BEGIN", "PRAGMA")) or "store_meta" in statement:
            return
        side = "store" if str(connection.engine.url.database).endswith("store.db") else "ledger"
        self._task().by[side] += 1

    def _task(self) -> TaskStatements:
        running = TaskRunContext.get()
        if running is None:
            return self._tasks.setdefault(OF_THE_FLOW, TaskStatements(OF_THE_FLOW))
        run_id = str(running.task_run.id)
        found = self._tasks.get(run_id)
        if found is None:
            orders = running.parameters.get("order_ids", ())
            found = self._tasks[run_id] = TaskStatements(str(running.task.name), len(orders))
        return found

    def found(self) -> list[dict[str, Any]]:
        """Every task run's, as JSON."""
        return [
            {"task": each.task, "orders": each.orders, "ledger": each.by["ledger"], "store": each.by["store"]}
            for each in self._tasks.values()
        ]
