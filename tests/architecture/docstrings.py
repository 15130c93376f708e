"""Counts which public functions that take or give arrays tell their shape, dtype and errors.

    python -m tests.architecture.docstrings                     every package, and the share
    python -m tests.architecture.docstrings models/families     which functions of a room lack what

A function counts where an annotation of its signature names an array, a sparse matrix, a tensor or an Arrow table.
Its docstring must tell the shape (of Arrow tables: whose rows or which columns), a dtype, and under `Raises:` what it
raises itself. A method without a docstring of its own has that of the method of the same name in a base class or in
a protocol.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from expectations.runtime.code_version import PACKAGES, REPOSITORY

ARRAYS = re.compile(r"\b(ndarray|NDArray|csr_matrix|csc_matrix|coo_matrix|sparray|spmatrix|KerasTensor|Tensor)\b")
ARROW = re.compile(r"\bpa\.(Table|RecordBatch|Array|ChunkedArray)\b")
SHAPE = re.compile(r"\bshapes?\b|\((num_|batch|length|n_|dim|heads)\w*[,)]|\bscalars?\b", re.IGNORECASE)
DTYPE = re.compile(
    r"\b(u?int(8|16|32|64)?|float(16|32|64)?|integers?|bool(ean)?s?|dtypes?|str(ings?)?|objects?|bytes)\b"
)
COLUMNS = re.compile(r"\b(columns?|rows of|schema)\b|`\w+`")


@dataclass(frozen=True)
class Function:
    """A public function, or a method of a public class.

    Attributes:
        name: `module.py:line Class.method`.
        lacks: what its docstring does not tell; empty where it tells all.
    """

    name: str
    lacks: tuple[str, ...]


def functions_with_arrays(root: Path, folders: Sequence[str] = PACKAGES) -> list[Function]:
    """Every public function below the folders whose signature names an array."""
    trees = {
        path: ast.parse(path.read_text("utf-8")) for package in PACKAGES for path in (root / package).rglob("*.py")
    }
    classes = {node.name: node for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef)}
    asked = [(root / folder).resolve() for folder in folders]
    found = []
    for path, tree in sorted(trees.items()):
        if any(path == place or place in path.parents for place in asked):
            place = str(path.relative_to(root))
            found += [_judged(place, cls, node, classes) for cls, node in _public(tree) if _names_arrays(node)]
    return found


def _public(tree: ast.Module) -> Iterator[tuple[ast.ClassDef | None, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield None, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from ((node, m) for m in node.body if isinstance(m, ast.FunctionDef) and not m.name.startswith("_"))


def _signature(node: ast.FunctionDef) -> str:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    hints = [argument.annotation for argument in arguments] + [node.returns]
    return " ".join(ast.unparse(hint) for hint in hints if hint is not None)


def _names_arrays(node: ast.FunctionDef) -> bool:
    # A layer's `call` takes and gives tensors, whatever its annotations say.
    return bool(ARRAYS.search(_signature(node)) or ARROW.search(_signature(node)) or node.name == "call")


def _judged(place: str, cls: ast.ClassDef | None, node: ast.FunctionDef, classes: dict[str, ast.ClassDef]) -> Function:
    name = f"{place}:{node.lineno} {f'{cls.name}.' if cls else ''}{node.name}"
    text = ast.get_docstring(node) or (_inherited(cls, node.name, classes) if cls else "")
    if not text:
        return Function(name, ("docstring",))
    lacks = []
    if ARRAYS.search(_signature(node)) or node.name == "call":
        lacks += [] if SHAPE.search(text) else ["shape"]
        lacks += [] if DTYPE.search(text) else ["dtype"]
    elif not COLUMNS.search(text):
        lacks.append("columns")
    if any(isinstance(part, ast.Raise) and part.exc for part in ast.walk(node)) and "Raises:" not in text:
        lacks.append("raises")
    return Function(name, tuple(lacks))


def _inherited(cls: ast.ClassDef, method: str, classes: dict[str, ast.ClassDef]) -> str:
    """The docstring of the method in a base class, or in a protocol that the class keeps without naming it."""
    protocols = [other for other in classes.values() if "Protocol" in map(ast.unparse, other.bases)]
    bases = [classes[base] for base in (ast.unparse(b).split("[")[0] for b in cls.bases) if base in classes]
    for other in (*bases, *protocols):
        if other is cls:
            continue
        for node in other.body:
            if isinstance(node, ast.FunctionDef) and node.name == method and ast.get_docstring(node):
                return ast.get_docstring(node) or ""
    return next((text for base in bases if base is not cls and (text := _inherited(base, method, classes))), "")


def main(argv: Sequence[str]) -> None:
    """Prints what is lacking, and the share of functions that lack nothing."""
    functions = functions_with_arrays(REPOSITORY, argv or PACKAGES)
    for function in functions:
        if function.lacks:
            print(f"{function.name}: {', '.join(function.lacks)}")
    complete = sum(not function.lacks for function in functions)
    print(f"{complete} of {len(functions)} tell shape, dtype and errors: {complete / max(1, len(functions)):.1%}")


if __name__ == "__main__":
    main(sys.argv[1:])
