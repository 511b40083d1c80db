"""Start the sandbox as a process of its own and talk to its control plane."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from sandbox.presets import PRESETS

GLOPAL_KEY = "GL.canary-sandbox-key-7f3a"
STORE_TOKEN = "canary-store-token-91bc"  # noqa: S105 - a made-up token for the simulated store


class RunningSandbox:
    """A sandbox process.

    Args:
        orders: orders to begin with.
        seed: the seed of everything.
        mix: story mix of those orders.
        faults: `none`, `demo` or a file.
        store_ids: merchants at Glopal.
        state: file that keeps the books between runs.
        glopal_port: port of the simulated Glopal; 0 for a free one.
        store_port: port of the simulated store; 0 for a free one.
        hours: how far back the history reaches.
    """

    def __init__(  # noqa: PLR0913 - every one has a default
        self,
        *,
        orders: int = 0,
        seed: int = 7,
        mix: str = "demo",
        faults: str = "none",
        store_ids: Sequence[str] = ("acme",),
        state: Path | None = None,
        glopal_port: int = 0,
        store_port: int = 0,
        hours: float = 24.0,
    ) -> None:
        # The process runs in another folder, where relative paths would mean other files.
        plan = faults if faults in PRESETS else str(Path(faults).resolve())
        self._arguments = [
            *("--orders", str(orders), "--seed", str(seed), "--mix", mix, "--faults", plan, "--hours", str(hours)),
            *("--token", GLOPAL_KEY, "--store-token", STORE_TOKEN),
            *("--glopal-port", str(glopal_port), "--store-port", str(store_port)),
            *(part for store_id in store_ids for part in ("--store-id", store_id)),
            *(("--state", str(state.resolve())) if state is not None else ()),
        ]
        self.store_id = store_ids[0]
        self.glopal_url = ""
        self.store_url = ""
        self._process: subprocess.Popen[str] | None = None
        self._http: httpx.Client | None = None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            RuntimeError: it was not started.
        """
        if self._process is None:
            raise RuntimeError("the sandbox is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until both sides listen.

        Raises:
            RuntimeError: it ended at once; its own words are on standard error.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *self._arguments, "--parent", str(os.getpid())],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            # From here `-m sandbox` finds this very package, installed or not.
            cwd=Path(__file__).resolve().parent.parent,
        )
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            code = self._process.wait()
            self._let_go()
            raise RuntimeError(f"the sandbox did not start (exit code {code})")
        addresses = json.loads(line)
        self.glopal_url, self.store_url = addresses["glopal"], addresses["store"]
        self._http = httpx.Client(timeout=60.0, trust_env=False)
        return self

    def stop(self) -> None:
        """Stop it in an orderly way; its state file is written."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it like a power cut; nothing is written."""
        self._end(signal.SIGKILL)

    def _end(self, sent: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(sent)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._let_go()

    def _let_go(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ask(self, method: str, base: str, path: str, body: Any = None) -> Any:
        if self._http is None:
            raise RuntimeError("the sandbox is not running")
        answer = self._http.request(method, f"{base}/_sandbox/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def generate(self, count: int, *, seed: int = 7, mix: Any = "plain", **more: Any) -> list[str]:
        """Make orders at Glopal; returns their ids. `more`: `store_id`, `hours`, `environment`."""
        body = {"count": count, "seed": seed, "mix": mix, **more}
        made: list[str] = self._ask("POST", self.glopal_url, "generate", body)["order_ids"]
        return made

    def advance(self, order_id: str, status: str, store_id: str = "") -> None:
        """Move an order as Glopal would."""
        self._ask("POST", self.glopal_url, "advance", {"order_id": order_id, "status": status, "store_id": store_id})

    def document(self, order_id: str, store_id: str = "") -> dict[str, Any]:
        """An order's document, without counting as a read. Amounts come as JSON numbers."""
        query = urlencode({"order_id": order_id, "store_id": store_id})
        found: dict[str, Any] = self._ask("GET", self.glopal_url, f"document?{query}")
        return found

    def change(self, order_id: str, document: dict[str, Any] | None = None, **more: Any) -> None:
        """Change an order behind everybody's back. `more`: `status`, `external`, `shipped`, `remove`, `store_id`.

        `status`, `external` and `id` inside `document` are shown to callers while the order itself stays what it is;
        `remove` lists keys of the document to drop.
        """
        self._ask("POST", self.glopal_url, "change", {"order_id": order_id, "document": document or {}, **more})

    def inject(self, events: list[Any], before_end: int = 0) -> None:
        """Put raw events into the feed; `event_id` NEW gets a fresh id."""
        self._ask("POST", self.glopal_url, "events", {"events": events, "before_end": before_end})

    def feed(self, store_id: str = "") -> list[dict[str, Any]]:
        """The whole feed in its order, each event with `hidden` and `was_hidden`."""
        found: list[dict[str, Any]] = self._ask("GET", self.glopal_url, f"feed?{urlencode({'store_id': store_id})}")
        return found

    def happen(self) -> dict[str, int]:
        """Let the late things happen."""
        done: dict[str, int] = self._ask("POST", self.glopal_url, "happen")
        return done

    def release_late(self) -> int:
        """Show hidden events; returns how many."""
        released: int = self._ask("POST", self.glopal_url, "release-late")["released"]
        return released

    def settings(self, **given: bool) -> None:
        """Switch `event_required`, `empty_cursor`, `missing_cursor`."""
        self._ask("POST", self.glopal_url, "settings", given)

    def faults(self, rules: Any, *, side: str = "both") -> None:
        """Set the fault plan of `glopal`, `store` or `both`."""
        for base in self._sides(side):
            self._ask("PUT", base, "faults", rules)

    def clear_faults(self) -> None:
        """No more faults on either side."""
        for base in self._sides("both"):
            self._ask("DELETE", base, "faults")

    def _sides(self, side: str) -> list[str]:
        return {"glopal": [self.glopal_url], "store": [self.store_url]}.get(side, [self.glopal_url, self.store_url])

    def books(self) -> dict[str, Any]:
        """Glopal's books: `merchants`, `traffic`, `injected`."""
        found: dict[str, Any] = self._ask("GET", self.glopal_url, "books")
        return found

    def orders(self, store_id: str = "") -> dict[str, dict[str, Any]]:
        """Glopal's orders by id, as the books have them."""
        found: dict[str, dict[str, Any]] = self.books()["merchants"][store_id or self.store_id]["orders"]
        return found

    def store_books(self) -> dict[str, Any]:
        """The store's books: `orders`, `live`, `duplicates`, `traffic`, `injected`."""
        found: dict[str, Any] = self._ask("GET", self.store_url, "books")
        return found

    def store(self, action: str, **given: Any) -> Any:
        """A store action: `ship`, `state`, `change`, `delete`, `outage`, `fix-sku`, `settings`."""
        return self._ask("POST", self.store_url, action, given)

    def reset(self) -> None:
        """Empty both sides and drop all faults."""
        for base in self._sides("both"):
            self._ask("POST", base, "reset")
