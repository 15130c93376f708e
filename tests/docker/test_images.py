"""Each image's lock installs by itself and imports what its programs need, and the Airflow one needs no engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY

# Queue -> programs that run there; tests/dags holds the DAG's own list against it.
SPARK = ("jobs.ingest", "jobs.preprocess", "jobs.build_candidates", "jobs.build_tables", "jobs.publish_tables",
         "jobs.rollback", "jobs.show_night", "expectations.validate")  # fmt: skip
TRAIN = (
    "models.plan",
    "models.plan_backfill",
    "models.train",
    "models.score",
    "models.blend_lists",
    "models.backtest",
    "models.gate",
    "models.rerank",
    "models.explain",
    "models.promote_champion",
    "models.register_session_model",
)
TABLE_SOURCES = tuple(
    f"expectations.runtime.table_sources.{name}"
    for name in ("delta_table", "iceberg_table", "duckdb_query", "postgres_query")
)

PARSE = """
from importlib.util import find_spec
from airflow.dag_processing.dagbag import DagBag
bag = DagBag("dags")
assert not bag.import_errors, bag.import_errors
assert set(bag.dags) == {"nightly_recommendations", "prepare_backfill", "rollback_tables"}, set(bag.dags)
import jobs.await_drop
print([name for name in ("pyspark", "tensorflow", "great_expectations", "mlflow", "pandas") if find_spec(name)])
"""


def installed(lock: str, folder: Path) -> Path:
    """A new environment that holds exactly a lock. Returns its interpreter."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv is not here; `make test` installs it")
    python = folder / "venv" / "bin" / "python"
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(python.parents[1])])
    _run([uv, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", lock])
    return python


def _run(command: list[str], **variables: str) -> str:
    ended = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout.strip()


def test_the_airflow_image_parses_the_dags_without_any_engine(tmp_path: Path) -> None:
    python = installed("docker/airflow/requirements.lock", tmp_path)
    printed = _run(
        [str(python), "-c", PARSE],
        AIRFLOW_HOME=str(tmp_path / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        PYTHONPATH=str(REPOSITORY),
    )
    assert printed.splitlines()[-1] == "[]"
    # The sensor looks into tables, too.
    _run([str(python), "-c", f"import {', '.join(TABLE_SOURCES)}"], PYTHONPATH=str(REPOSITORY))
    # The worker that compose starts needs Celery's commands.
    _run([str(python), "-c", "import airflow.providers.celery.executors.celery_executor, psycopg2, redis"])


@pytest.mark.slow
@pytest.mark.parametrize(("image", "programs"), [("spark", SPARK), ("train", TRAIN)])
def test_the_image_imports_what_its_programs_need(image: str, programs: tuple[str, ...], tmp_path: Path) -> None:
    python = installed(f"docker/{image}/requirements.lock", tmp_path)
    sources = TABLE_SOURCES if image == "spark" else ()
    _run([str(python), "-c", f"import {', '.join((*programs, *sources))}"])
