"""What another version of the code is, and what is the same code told in other words."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.runtime import code_version as module
from expectations.runtime.code_version import code_version, import_closure

PROGRAM = "jobs.count"
SOURCES = {
    "expectations/__init__.py": '"""The contract."""\n',
    "jobs/__init__.py": '"""Programs."""\n',
    "jobs/count.py": (
        '"""Counts."""\n'
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "from jobs.rows import read\n"
        "if TYPE_CHECKING:\n"
        "    from jobs.words import Word\n"
        "def count(word: Word) -> int:\n"
        '    """Of the rows."""\n'
        "    return len(read())  # all of them\n"
    ),
    "jobs/rows/__init__.py": "from jobs.rows.reading import read\n",
    "jobs/rows/reading.py": (
        "MOST = 3\n"
        '"""Rows at once."""\n'
        "def read() -> list[int]:\n"
        "    from jobs.rows.places import place\n"
        "    return [place(n) for n in range(MOST)]\n"
    ),
    "jobs/rows/places.py": "def place(n: int) -> int:\n    return n\n",
    "jobs/words.py": "class Word: ...\n",
    "models/__init__.py": "",
    "models/fit.py": "EPOCHS = 3\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small tree: a program, the room that it imports, and what it does not import."""
    for name, text in SOURCES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def version_after(root: Path, name: str, change: tuple[str, str]) -> str:
    """The program's version once a text in a file is replaced, as the next process would see it."""
    path = root / name
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    module._closure_hash.cache_clear()
    module._read.cache_clear()
    return code_version(PROGRAM, root=root)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("jobs/count.py", ('"""Of the rows."""', '"""How many rows there are."""')),
        ("jobs/count.py", ("  # all of them", "")),
        ("jobs/rows/reading.py", ('"""Rows at once."""', '"""As many as fit."""')),
        ("jobs/rows/reading.py", ("[place(n) for", "[  # one by one\n        place(n) for")),
        ("jobs/words.py", ("class Word: ...", "class Word:\n    letters = 3")),
        ("models/fit.py", ("EPOCHS = 3", "EPOCHS = 4")),
    ],
)
def test_words_layout_and_rooms_that_are_not_imported_leave_the_version(
    root: Path, name: str, change: tuple[str, str]
) -> None:
    before = code_version(PROGRAM, root=root)
    assert version_after(root, name, change) == before


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("jobs/count.py", ("len(read())", "len(read()) + 1")),
        ("jobs/rows/reading.py", ("MOST = 3", "MOST = 4")),
        ("jobs/rows/places.py", ("return n", "return -n")),
    ],
)
def test_what_a_program_runs_is_its_version(root: Path, name: str, change: tuple[str, str]) -> None:
    before = code_version(PROGRAM, root=root)
    assert version_after(root, name, change) != before


def test_a_closure_holds_packages_and_what_functions_import(root: Path) -> None:
    closure = ["jobs", "jobs.count", "jobs.rows", "jobs.rows.places", "jobs.rows.reading"]
    assert import_closure((PROGRAM,), root) == closure


def test_a_module_that_a_registry_names_counts_where_it_is_named(root: Path) -> None:
    assert code_version(PROGRAM, "models.fit", root=root) != code_version(PROGRAM, root=root)


def test_without_names_it_is_all_of_the_code(root: Path) -> None:
    before = code_version(root=root)
    (root / "models/fit.py").write_text("EPOCHS = 5\n")
    module._closure_hash.cache_clear()
    module._read.cache_clear()
    assert code_version(root=root) != before


def test_a_module_that_is_not_there_is_refused(root: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"jobs\.gone is no module of expectations, jobs, models"):
        code_version("jobs.gone", root=root)


def test_no_program_of_preprocessing_hangs_on_a_model(tmp_path: Path) -> None:
    assert not [name for name in import_closure(("jobs.preprocess",)) if name.startswith("models")]
    assert not [name for name in import_closure(("models.train",)) if name.startswith("models.families.")]
