"""YAML that remembers its lines, so that a mistake can be shown where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class LocatedMap(dict[str, Any]):
    """A YAML mapping with the line of each key, and the keys that were written twice."""

    def __init__(self) -> None:
        super().__init__()
        self.line = 0
        self.lines: dict[str, int] = {}
        self.twice: list[str] = []

    def line_of(self, key: str) -> int:
        """The line of a key, or the mapping's own when the key is missing."""
        return self.lines.get(key, self.line)


class _Loader(yaml.SafeLoader):
    """A safe loader that makes `LocatedMap` of every mapping."""

    def located_map(self, node: yaml.MappingNode) -> LocatedMap:
        found = LocatedMap()
        found.line = node.start_mark.line + 1
        own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        found.twice = sorted({key for key in own if own.count(key) > 1})
        self.flatten_mapping(node)
        for key_node, value_node in node.value:
            key = str(self.construct_object(key_node, deep=True))
            found.lines[key] = key_node.start_mark.line + 1
            found[key] = self.construct_object(value_node, deep=True)
        return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _Loader.located_map)


def load(path: Path) -> object:
    """The document in a file.

    Raises:
        yaml.YAMLError: It is no YAML.
        OSError: It cannot be read.
    """
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, Loader=_Loader)  # noqa: S506 - the loader is a SafeLoader
