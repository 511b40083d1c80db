"""What a deployment's entrypoint names: the flow's file, its function and the parameters that it takes.

Read from the source, without importing it: importing the flows could fail for reasons that are no lint's business.
"""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from pathlib import Path

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class EntrypointError(ValueError):
    """The entrypoint leads to no flow; the message says why."""


@dataclass(frozen=True)
class FlowSignature:
    """The parameters of a flow function."""

    takes: frozenset[str]
    needs: frozenset[str]
    takes_any: bool


def signature_of(entrypoint: str, root: Path) -> FlowSignature:
    """The parameters of the flow that an entrypoint names.

    Args:
        entrypoint: ``flows/file.py:function`` or ``package.module.function``.
        root: The folder that the entrypoint is relative to.

    Raises:
        EntrypointError: There is no such file, function or flow.
    """
    file, name = _split(entrypoint, root)
    if not file.is_file():
        raise EntrypointError(f"there is no file {file.relative_to(root)}{_near_files(file)}")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise EntrypointError(f"{file.relative_to(root)} line {error.lineno} is no valid Python") from error
    functions = {node.name: node for node in tree.body if isinstance(node, _FunctionNode)}
    if name not in functions:
        raise EntrypointError(f"{file.relative_to(root)} has no function {name}{did_you_mean(name, functions)}")
    if not any(_is_flow(decorator) for decorator in functions[name].decorator_list):
        raise EntrypointError(f"{name} in {file.relative_to(root)} is no flow: it lacks @flow")
    return _signature(functions[name])


def did_you_mean(word: str, known: object) -> str:
    """`` (did you mean X?)`` when something known is written almost like it, or nothing."""
    near = difflib.get_close_matches(word, list(known) if hasattr(known, "__iter__") else [], n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _split(entrypoint: str, root: Path) -> tuple[Path, str]:
    path, colon, name = entrypoint.rpartition(":")
    if colon:
        return root / path, name
    module, dot, name = entrypoint.rpartition(".")
    if not dot:
        raise EntrypointError(f"{entrypoint!r} names no flow; write flows/file.py:function")
    base = root.joinpath(*module.split("."))
    return (base / "__init__.py" if base.is_dir() else base.with_suffix(".py")), name


def _near_files(file: Path) -> str:
    return did_you_mean(file.name, [other.name for other in file.parent.glob("*.py")]) if file.parent.is_dir() else ""


def _is_flow(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")) == "flow"


def _signature(function: _FunctionNode) -> FlowSignature:
    arguments = function.args
    positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    keyword = [argument.arg for argument in arguments.kwonlyargs]
    optional = positional[len(positional) - len(arguments.defaults) :]
    optional += [name for name, default in zip(keyword, arguments.kw_defaults, strict=True) if default is not None]
    takes = frozenset(positional + keyword)
    return FlowSignature(takes=takes, needs=takes - frozenset(optional), takes_any=arguments.kwarg is not None)
