"""The code's part of a fingerprint: what a program really runs, and nothing that a reader alone sees.

A version of a module is a hash of its syntax tree and of those of all modules of ours that it imports, directly or
not. Comments, docstrings and formatting are not in a syntax tree, or are taken out of it, so that a better sentence
computes nothing anew; and an edit in a room that a program does not import leaves what that program wrote current.
Imports that only type checkers follow are not followed. A module that is found by a name in a text (a model of the
registry) is no import: whoever loads it names it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from expectations.runtime.lake import fingerprint_of

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("expectations", "jobs", "models")


def code_version(*modules: str, root: Path = REPOSITORY) -> str:
    """A hash of what these modules run: another version of that code computes anew.

    Args:
        modules: dotted names; without any, all of ours.
        root: the folder that holds the packages.

    Raises:
        ModuleNotFoundError: a name is of no module of ours.
    """
    return _closure_hash(tuple(sorted(set(modules))) or tuple(sorted(_modules(root))), root)


def import_closure(modules: tuple[str, ...], root: Path = REPOSITORY) -> list[str]:
    """The modules of ours that run when these are imported, themselves and their packages among them, in order."""
    known, found, waiting = _modules(root), set[str](), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise ModuleNotFoundError(f"{name} is no module of {', '.join(PACKAGES)} under {root}")
        if name not in found:
            found.add(name)
            waiting += [other for other in (*_parents(name), *_read(known[name])[1]) if other in known]
    return sorted(found)


@cache
def _closure_hash(modules: tuple[str, ...], root: Path) -> str:
    known = _modules(root)
    return fingerprint_of([[name, _read(known[name])[0]] for name in import_closure(modules, root)])


@cache
def _modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file, of every module of ours."""
    paths = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


@cache
def _read(path: Path) -> tuple[str, tuple[str, ...]]:
    """The hash of a file's syntax tree, and every name that it imports."""
    tree = ast.parse(path.read_bytes())
    names = tuple(sorted(set(_imported(tree))))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # Also the text below a constant: nothing that stands alone as a text does anything.
            node.body = [line for line in node.body if not _is_text(line)] or [ast.Pass()]
    return fingerprint_of(ast.dump(tree)), names


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(node: ast.AST) -> Iterator[str]:
    """Every dotted name that an import may load, wherever it stands; `from a import b` may load `a.b`."""
    if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        children: list[ast.AST] = list(node.orelse)
    else:
        children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in children:
        yield from _imported(child)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
