"""Rules that hold for every DAG file; the messages say what to add."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.dags.conftest import REPOSITORY

HEAVY = ("pyspark", "tensorflow", "keras", "pandas", "numpy", "mlflow", "great_expectations", "pyarrow", "deltalake")


@pytest.fixture(scope="module")
def dag_bag():  # type: ignore[no-untyped-def]
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(REPOSITORY / "dags"))


def test_every_dag_file_can_be_imported(dag_bag) -> None:  # type: ignore[no-untyped-def]
    assert dag_bag.import_errors == {}


def test_there_is_one_dag_per_file_and_it_is_named_like_it(dag_bag) -> None:  # type: ignore[no-untyped-def]
    files = sorted(path.stem for path in (REPOSITORY / "dags").glob("*.py") if path.stem != "__init__")
    assert sorted(dag_bag.dags) == files, "name the DAG like its file, and put what is no DAG into a folder"


def test_dags_say_what_a_reader_of_the_web_ui_needs(dag_bag) -> None:  # type: ignore[no-untyped-def]
    for dag_id, dag in dag_bag.dags.items():
        assert dag.doc_md and dag.doc_md.lstrip().startswith("#"), f"{dag_id}: pass the docstring as doc_md=__doc__"
        assert dag.description, f"{dag_id}: add a one-line description"
        assert dag.tags, f"{dag_id}: add tags"
        assert dag.catchup is False, f"{dag_id}: set catchup=False; past partitions are a backfill's work"
        assert dag.start_date, f"{dag_id}: set start_date"
        assert dag.max_active_runs <= 8, f"{dag_id}: set max_active_runs; by itself Airflow takes 16"


def test_tasks_have_owners_retries_and_limits(dag_bag) -> None:  # type: ignore[no-untyped-def]
    for dag_id, dag in dag_bag.dags.items():
        for task in dag.tasks:
            where = f"{dag_id}.{task.task_id}"
            assert task.owner != "airflow", f"{where}: set owner in default_args"
            assert task.retries >= 1, f"{where}: set retries; executors get lost"
            assert task.execution_timeout, f"{where}: set execution_timeout; a task that hangs must end"


def test_parsing_a_dag_file_imports_no_engine() -> None:
    code = (
        "import importlib, json, pathlib, sys\n"
        "for path in pathlib.Path('dags').glob('*.py'):\n"
        "    importlib.import_module(f'dags.{path.stem}')\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]", "import it inside the program that the task starts"
