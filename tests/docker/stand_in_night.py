"""All that `make` needs of the repository, but for programs that only note how they were started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from expectations.runtime.code_version import REPOSITORY
from tests.dags.conftest import write_stand_ins

# A program notes what speeds it up, as far as it can see that. The first one waits as long as a test holds the night.
PROGRAM = """
import json, os, sys, time
seen = {
    "forked": any("preloaded_python" in argument for argument in sys.orig_argv),
    "jvm": "NIGHTJAR_JVM" in os.environ,
    "archive": "SharedArchiveFile" in os.environ["SPARK_SUBMIT_OPTS"],
    "executor": os.environ["AIRFLOW__CORE__EXECUTOR"],
}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([__spec__.name, seen]) + "\\n")
while __spec__.name == "jobs.ingest" and os.path.exists("held"):
    time.sleep(0.1)
if __spec__.name == "models.plan":
    print(json.dumps({"baselines": ["recent_demand"], "deep": ["two_tower"]}))
if __spec__.name == "models.plan_backfill":
    print(json.dumps({"days": ["2011-11-06"], "deep": ["two_tower"]}))
"""


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
    """What a command prints that succeeds in the environment of `make`."""
    ended = ran(root, command, NIGHTJAR_SPEEDUPS=speedups)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


def ran(root: Path, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command that has ended in the environment of `make`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "NIGHTJAR", "SPARK"))}
    asked = {"SHOP": "online_retail", "DS": "2011-11-09", "NIGHTJAR_ROOT": str(root / "data"), "CALLS": "calls"}
    return subprocess.run(
        ["bash", "-c", f". docker/local/environment.sh && exec {command}"],
        cwd=root,
        env={**kept, **asked, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
