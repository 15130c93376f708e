"""Gives Airflow a home of its own before any test imports it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

_HOME = tempfile.TemporaryDirectory(prefix="nightjar-airflow-")
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

REPOSITORY = Path(__file__).resolve().parents[2]

# What stands for a program where a test is about the DAG alone: notes how it was started, and fails where it is told.
PROGRAM = """
import json, os, sys
names = ("DS", "SHOP", "MODELS", "TOP_K", "RUN_ID", "AS_OF")
call = {"argv": [__spec__.name, *sys.argv[1:]], **{name: os.environ.get(name) for name in names}}
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(call) + "\\n")
if __spec__.name == "models.plan":
    print(json.dumps({"baselines": ["recent_demand", "item_item"], "deep": ["two_tower", "deep_cf"]}))
if __spec__.name == "models.plan_backfill":
    print(json.dumps({"days": ["2024-03-03", "2024-03-10"], "deep": ["two_tower", "deep_cf"]}))
print("finished", file=sys.stderr)
if os.environ.get("BROKEN") in call["argv"]:
    sys.exit("ERROR the loss is not a number")
"""
NIGHT_PROGRAMS = (
    "jobs.await_drop", "jobs.ingest", "jobs.preprocess", "jobs.build_candidates", "jobs.build_tables",
    "jobs.publish_tables", "jobs.show_night", "expectations.validate", "models.plan", "models.train", "models.score",
    "models.blend_lists", "models.backtest", "models.gate", "models.rerank", "models.explain",
    "models.promote_champion", "models.register_session_model",
)  # fmt: skip
PROGRAMS = (*NIGHT_PROGRAMS, "jobs.rollback", "models.plan_backfill")


@pytest.fixture(scope="session")
def stand_in_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real `dags/` beside programs that do nothing but note how they were started."""
    return write_stand_ins(tmp_path_factory.mktemp("repository"), PROGRAM)


def write_stand_ins(root: Path, program: str) -> Path:
    """The real `dags/`, and this text as each of PROGRAMS."""
    shutil.copytree(REPOSITORY / "dags", root / "dags")
    for name in PROGRAMS:
        path = root / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(program)
    # What DAG files may know of ours.
    shutil.copytree(REPOSITORY / "expectations" / "tables", root / "expectations" / "tables")
    return root


@pytest.fixture
def python_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `python` this interpreter, as a worker's PATH does."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
