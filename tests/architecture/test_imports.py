"""Who may import whom, and the shape that tools rely on."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from expectations.runtime.code_version import REPOSITORY

PACKAGES = ("dags", "docker", "expectations", "jobs", "models")


def test_imports_point_the_way_that_setup_cfg_says() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in (REPOSITORY / "tests").rglob("test_*.py")}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == [], "or `import models` finds tests/models"


# The linter finds each of these ways of reading a pickle; numpy's it does not know, so the test after this looks.
PICKLES = (
    "import pickle",
    "from pickle import loads",
    "import pickle as p",
    "import dill",
    "import shelve",
    "import cloudpickle",
    "from cloudpickle import load",
    "from joblib import load",
    "import pandas as pd\npd.read_pickle('x')",
)


@pytest.mark.parametrize("source", PICKLES)
def test_the_linter_refuses_pickles(source: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename", "models/x.py", "-"],
        cwd=REPOSITORY,
        input=source + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TID251" in ended.stdout, ended.stdout + ended.stderr


def allows_pickles(source: str) -> bool:
    """Whether a call says `allow_pickle` and does not say False, in whatever spelling."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    values = [word.value for call in calls for word in call.keywords if word.arg == "allow_pickle"]
    return any(not (isinstance(value, ast.Constant) and value.value is False) for value in values)


@pytest.mark.parametrize("value", ["True", "1", "allowed", " True "])
def test_numpy_may_read_pickles_in_no_spelling(value: str) -> None:
    assert allows_pickles(f"np.load(path, allow_pickle = {value})")
    assert not allows_pickles("np.load(path, allow_pickle=False)")


def test_no_array_is_read_as_a_pickle() -> None:
    sources = [path for folder in PACKAGES for path in (REPOSITORY / folder).rglob("*.py")]
    assert sources
    assert [path for path in sources if allows_pickles(path.read_text("utf-8"))] == []
