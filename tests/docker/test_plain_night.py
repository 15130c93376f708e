"""A night on one machine needs nothing of docker/local/speedups: real Airflow, over programs that note how they run."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

import pytest

from expectations.runtime.code_version import REPOSITORY
from tests.dags.conftest import NIGHT_PROGRAMS
from tests.docker.stand_in_night import printed_by, repository

PLAIN = {"forked": False, "jvm": False, "archive": False, "executor": "LocalExecutor"}
SPED_UP = {"forked": True, "jvm": True, "archive": True, "executor": "speedups.forked_executor.ForkedExecutor"}


@dataclass(frozen=True)
class Ran:
    """A night that has ended, and what its programs noted."""

    printed: str
    calls: list[tuple[str, dict[str, Any]]]


def night(root: Path, speedups: str) -> Ran:
    """The night of `make nightly`."""
    printed = printed_by(root, "python docker/local/run_night.py", speedups)
    return Ran(printed, [json.loads(line) for line in (root / "calls").read_text("utf-8").splitlines()])


@pytest.mark.slow
def test_a_night_passes_without_what_saves_seconds(tmp_path: Path) -> None:
    root = repository(tmp_path)
    folder = root / "docker" / "local" / "speedups"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('NIGHTJAR_SPEEDUPS=0, and somebody imports this')\n")
    ran = night(root, "0")
    assert "The night took" in ran.printed and "FAILED" not in ran.printed
    assert {name for name, _ in ran.calls} == set(NIGHT_PROGRAMS)
    assert [seen for _, seen in ran.calls if seen != PLAIN] == []


@pytest.mark.parametrize(("switch", "is_deleted"), [("0", False), ("1", True)])
def test_without_the_folder_a_night_is_as_with_the_switch(switch: str, is_deleted: bool, tmp_path: Path) -> None:
    root = repository(tmp_path)
    if is_deleted:
        shutil.rmtree(root / "docker" / "local" / "speedups")
    look = "import os, run_night; print(run_night.speedups_in_use(), os.environ['SPARK_SUBMIT_OPTS'])"
    command = f'env PYTHONPATH="$PYTHONPATH:docker/local" python -c "{look}"'
    assert printed_by(root, command, switch).split() == ["None", "-XX:+UseParallelGC"]


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux alone")
def test_by_default_each_program_of_a_night_is_sped_up(tmp_path: Path) -> None:
    """So that the test above would see it."""
    ran = night(repository(tmp_path), "1")
    assert {name for name, _ in ran.calls} == set(NIGHT_PROGRAMS)
    assert [seen for _, seen in ran.calls if seen != SPED_UP] == []


def test_one_file_imports_the_speedups_and_one_runs_them_at_installation() -> None:
    here = REPOSITORY / "docker" / "local" / "speedups"
    folders = [REPOSITORY / name for name in ("dags", "docker", "expectations", "jobs", "models")]
    files = [path for folder in folders for path in folder.rglob("*.*") if path.suffix in (".py", ".sh", ".yaml")]
    texts = {str(path.relative_to(REPOSITORY)): path.read_text("utf-8") for path in files if path.parent != here}

    def mentions(pattern: str) -> list[str]:
        return sorted(name for name, text in texts.items() if re.search(pattern, text))

    assert mentions(r"(import|from) speedups") == ["docker/local/stack.py"]
    assert mentions(r"speedups/[a-z_]+\.py") == ["docker/local/install.sh"]
    assert mentions("NIGHTJAR_SPEEDUPS") == ["docker/local/environment.sh", "docker/local/stack.py"]


@pytest.fixture
def speedups(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docker" / "local"))
    import speedups

    return speedups


def test_private_names_of_others_are_there_and_of_the_versions_that_they_were_tried_on(speedups: ModuleType) -> None:
    for name in speedups.PRIVATE_NAMES:
        resolve_name(name)
    for package, tried_on in speedups.TRIED_ON.items():
        assert version(package) == tried_on, "try what PRIVATE_NAMES lists on this version, then change TRIED_ON"
