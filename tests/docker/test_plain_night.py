"""A night on one machine needs nothing of docker/local/speedups: real Airflow, over programs that note how they run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

import pytest

from expectations.runtime.code_version import REPOSITORY
from tests.dags.conftest import NIGHT_PROGRAMS, write_stand_ins

# A program notes what speeds it up, as far as it can see that.
PROGRAM = """
import json, os, sys
seen = {
    "forked": any("preloaded_python" in argument for argument in sys.orig_argv),
    "jvm": "NIGHTJAR_JVM" in os.environ,
    "archive": "SharedArchiveFile" in os.environ["SPARK_SUBMIT_OPTS"],
    "executor": os.environ["AIRFLOW__CORE__EXECUTOR"],
}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([__spec__.name, seen]) + "\\n")
if __spec__.name == "models.plan":
    print(json.dumps({"baselines": ["recent_demand"], "deep": ["two_tower"]}))
"""
PLAIN = {"forked": False, "jvm": False, "archive": False, "executor": "LocalExecutor"}
SPED_UP = {"forked": True, "jvm": True, "archive": True, "executor": "speedups.forked_executor.ForkedExecutor"}


@dataclass(frozen=True)
class Ran:
    """A night that has ended, and what its programs noted."""

    printed: str
    calls: list[tuple[str, dict[str, Any]]]


def repository(root: Path) -> Path:
    """Everything that `make nightly` needs, but for programs that only note how they were started."""
    write_stand_ins(root, PROGRAM)
    shutil.copytree(REPOSITORY / "expectations", root / "expectations", dirs_exist_ok=True)
    (root / "expectations" / "validate.py").write_text(PROGRAM)
    shutil.copytree(REPOSITORY / "jobs" / "shops", root / "jobs" / "shops")
    shutil.copytree(REPOSITORY / "docker", root / "docker")
    (root / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (root / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (root / ".venv" / "spark.jsa").touch()  # a JVM passes over one that does not fit
    return root


def printed_by(root: Path, command: str, speedups: str) -> str:
    """What a command prints in the environment of `make`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTJAR", "SPARK"))}
    asked = {"SHOP": "online_retail", "DS": "2011-11-09", "NIGHTJAR_ROOT": str(root / "data"), "CALLS": "calls"}
    ended = subprocess.run(
        ["bash", "-c", f". docker/local/environment.sh && exec {command}"],
        cwd=root,
        env={**kept, **asked, "NIGHTJAR_SPEEDUPS": speedups},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


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
