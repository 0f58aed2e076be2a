"""A hash of the code that a module may run, found by reading the source: nothing is imported.

Comments, docstrings and formatting do not count; native sources and package data do.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = "ua3dtalk"

# How settings are checked, how lines are logged and how weights are fetched changes no result: the values of the
# settings and the content of the weights are hashed themselves.
NOT_PART_OF_A_RESULT = frozenset(
    f"{PACKAGE}.{name}"
    for name in (
        *("config", "config_errors", "actors", "sheet", "settings", "errors", "workflow", "records", "driver"),
        *("provenance", "code_digest", "outcomes", "slurm", "needs", "assets", "asset_table", "large_graphs"),
    )
)


def digest(value: Any) -> str:
    """Sixteen hex digits of anything that JSON can hold; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_digest(root: Path, module: str) -> str:
    """Hash of the code of `module` and of every module of the package that it reaches by imports.

    Args:
        root: folder that holds the package.
        module: dotted name.
    """
    modules = closure(root, module)
    sources: dict[str, str] = {name: read_module(path)[0] for name, path in modules.items()}
    for folder in {path.parent / "data" for path in modules.values()}:
        sources |= _files(folder, root)
    if f"{PACKAGE}.native" in modules:
        sources |= _files(root / "native", root)
    return digest(sources)


def closure(root: Path, module: str) -> dict[str, Path]:
    """Modules that running `module` may run: itself, its packages, and theirs, by name."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _module_path(root, name)
        if path is None or name in found or name in NOT_PART_OF_A_RESULT:
            continue
        found[name] = path
        waiting.extend(name.rsplit(".", 1)[:1])
        waiting.extend(_absolute(name, path, imported) for imported in read_module(path)[1])
    return found


def _module_path(root: Path, name: str) -> Path | None:
    if name.split(".")[0] != PACKAGE:
        return None
    base = root.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _absolute(module: str, path: Path, imported: str) -> str:
    """`..camera` inside a module as a full name; full names as they are."""
    dots = len(imported) - len(imported.lstrip("."))
    if not dots:
        return imported
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    return ".".join([*package[: len(package) - dots + 1], imported[dots:]]).rstrip(".")


@cache
def read_module(path: Path) -> tuple[str, tuple[str, ...]]:
    """Hash of a module's code, and the names that it may import."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    return digest(normalised(tree)), tuple(_imported(tree))


def _imported(tree: ast.Module) -> Iterable[str]:
    """Names of imported things, full or with leading dots; `from a import b` gives a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            separator = "." if node.module else ""
            yield from (f"{base}{separator}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(PACKAGE + "."):
            yield node.value  # importlib.import_module("ua3dtalk.splat.native")


def normalised(tree: ast.AST) -> str:
    """A syntax tree as text without positions, comments and docstrings.

    Empty fields are left out: Python's versions differ in which of them exist.
    """
    parts: list[str] = []
    _normalise(tree, parts)
    return " ".join(parts)


def _normalise(node: Any, parts: list[str]) -> None:
    if isinstance(node, ast.AST):
        parts.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != [] and name != "ctx":
                parts.append(name)
                _normalise(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        for item in node:
            if not _is_docstring(item):
                _normalise(item, parts)
        parts.append(";")
    else:
        parts.append(repr(node))


def _is_docstring(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _files(folder: Path, root: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
