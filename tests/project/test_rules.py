"""Rules of the whole project that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "ledger", "clients", "stores", "tasks", "flows", "receiver")
READER = "models/settings.py"


def sources() -> list[str]:
    """The hub's Python files. The command line may look at the environment, and the sandbox is a program of its own."""
    return [str(path.relative_to(ROOT)) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("name", [name for name in sources() if name != READER])
def test_environment_is_read_in_one_place(name: str) -> None:
    """Only models/settings.py and the command line read the environment."""
    tree = ast.parse((ROOT / name).read_text())
    read = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {"environ", "getenv"} & _names(node))
    ]

    assert read == [], "read the setting through models.settings instead"


def test_lock_names_no_address() -> None:
    """The lock works with any package index: it holds names, versions and hashes, and no address."""
    lock = (ROOT / "requirements.lock").read_text()

    assert re.findall(r"[a-z+]+://\S+|^ *--(?:index|extra-index|find-links|trusted)\S*", lock, re.MULTILINE) == []


def test_lock_pins_every_requirement_with_hashes() -> None:
    """Each entry of the lock is one version with at least one hash."""
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", lock)

    assert [entry.splitlines()[0] for entry in entries if not re.match(r"\S+==\S+.*\n +--hash=sha256:", entry)] == []


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}
