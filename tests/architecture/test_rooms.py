"""A file directly in a package is a program, a folder is a room of libraries, and no room is too full."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY

PACKAGES = ("expectations", "jobs", "models")
MOST_FILES = 24
"""As many as the fullest folder of LensKit, RecTools or keras-rs holds."""


def is_program(path: Path) -> bool:
    """Whether the file does something when it is run with `python -m`."""
    tree = ast.parse(path.read_text("utf-8"))
    tests = [ast.unparse(node.test) for node in tree.body if isinstance(node, ast.If)]
    return "__name__ == '__main__'" in tests


@pytest.mark.parametrize("package", PACKAGES)
def test_a_file_at_the_top_is_a_program_and_one_in_a_room_is_not(package: str) -> None:
    files = [path for path in (REPOSITORY / package).rglob("*.py") if path.name != "__init__.py"]
    at_the_top = {path.name for path in files if path.parent.name == package}
    programs = {str(path.relative_to(REPOSITORY / package)) for path in files if is_program(path)}
    assert programs == at_the_top


def test_no_folder_holds_more_python_files_than_one_can_hold_in_the_head() -> None:
    roots = ("dags", "docker", "tests", *PACKAGES)
    folders = Counter(path.parent for root in roots for path in (REPOSITORY / root).rglob("*.py"))
    assert {str(folder): count for folder, count in folders.items() if count > MOST_FILES} == {}


def imports_night(path: Path) -> bool:
    """Whether the file imports what `main()` makes; only for type checkers counts, too."""
    imports = (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom))
    return any(alias.name == "Night" for node in imports for alias in node.names)


def test_a_library_takes_what_it_uses_and_not_the_whole_night() -> None:
    files = [path for package in PACKAGES for path in (REPOSITORY / package).glob("*/**/*.py")]
    found = {path.relative_to(REPOSITORY).as_posix() for path in files if imports_night(path)}
    assert found == set()
