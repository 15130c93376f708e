"""What a docstring's `Args` name are parameters of its function."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY

ENTRY = re.compile(r"^    (\*{0,2}\w[\w*, ]*): ", re.MULTILINE)
SECTION = re.compile(r"^Args:\n((?:    .*\n|\n)*)", re.MULTILINE)
FILES = [
    path for package in ("jobs", "models", "expectations", "dags") for path in (REPOSITORY / package).rglob("*.py")
]


def unknown_arguments(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = node.args
        names = {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        names |= {a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None}
        for section in SECTION.findall(f"{ast.get_docstring(node) or ''}\n"):
            for entry in ENTRY.findall(section):
                for name in entry.replace("*", "").split(","):
                    if name.strip() not in names:
                        yield f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name} has no {name.strip()}"


def test_a_docstring_names_parameters_that_exist() -> None:
    assert [found for path in sorted(FILES) for found in unknown_arguments(path)] == []


def test_a_name_that_is_no_parameter_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "module.py"
    source.write_text('def f(a, b):\n    """Does.\n\n    Args:\n        a, c: two.\n            more: text\n    """\n')
    monkeypatch.setattr("tests.docs.test_docstrings.REPOSITORY", tmp_path)
    assert list(unknown_arguments(source)) == ["module.py:1 f has no c"]
