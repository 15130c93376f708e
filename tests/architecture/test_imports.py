"""Who may import whom, and the shape that tools rely on."""

from __future__ import annotations

import subprocess
import sys

from expectations.runtime.code_version import REPOSITORY


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


def test_nothing_reads_pickles() -> None:
    sources = [
        path for folder in ("dags", "expectations", "jobs", "models") for path in (REPOSITORY / folder).rglob("*.py")
    ]
    assert sources
    for path in sources:
        text = path.read_text("utf-8")
        assert not any(word in text for word in ("import pickle", "import joblib", "allow_pickle=True")), path
