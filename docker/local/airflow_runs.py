"""What Airflow's database tells of runs and backfills, for `make backfill`. Airflow is imported only when asked."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

NIGHTS = "nightly_recommendations"
"""The DAG of a night."""
FIRST_TASK = "ingest.ingest_drops"
"""What comes before it is waiting."""
NUM_NIGHTS = 5
"""That tell how long a night takes."""


def seconds_of_a_night(shop: str) -> float | None:
    """The median of the last nights of this shop, from the first task that works to the end; None without one."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    first_task = (TaskInstance.dag_id == DagRun.dag_id) & (TaskInstance.run_id == DagRun.run_id)
    rows = _rows(
        select(DagRun.conf, TaskInstance.start_date, DagRun.end_date)
        .join(TaskInstance, first_task & (TaskInstance.task_id == FIRST_TASK))
        .where(DagRun.dag_id == NIGHTS, DagRun.state == "success", TaskInstance.start_date.is_not(None))
        .order_by(DagRun.end_date.desc())
    )
    told = [(end - start).total_seconds() for conf, start, end in rows if (conf or {}).get("shop") == shop]
    return statistics.median(told[:NUM_NIGHTS]) if told else None


def backfill_at_work() -> tuple[str, str, int] | None:
    """The backfill that Airflow has not noted as ended: its first and last day, and how many of its runs are open.

    None without one. Airflow looks for such ends every half a minute.
    """
    from airflow.models.backfill import Backfill
    from airflow.models.dagrun import DagRun
    from sqlalchemy import func, select

    open_runs = (
        select(func.count())
        .where(DagRun.backfill_id == Backfill.id, DagRun.state.in_(("queued", "running")))
        .scalar_subquery()
    )
    at_work = select(Backfill.from_date, Backfill.to_date, open_runs).where(
        Backfill.dag_id == NIGHTS, Backfill.completed_at.is_(None)
    )
    for first, last, num_open in _rows(at_work):
        return f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}", int(num_open)
    return None


def days_not_taken() -> dict[str, str]:
    """Maps each day that Airflow left out of its last backfill to the reason."""
    from airflow.models.backfill import Backfill, BackfillDagRun
    from sqlalchemy import func, select

    last = select(func.max(Backfill.id)).where(Backfill.dag_id == NIGHTS).scalar_subquery()
    left_out = select(BackfillDagRun.partition_key, BackfillDagRun.exception_reason).where(
        BackfillDagRun.backfill_id == last, BackfillDagRun.exception_reason.is_not(None)
    )
    return dict(sorted((str(day), str(reason)) for day, reason in _rows(left_out)))


def state_of(dag_id: str, run_id: str) -> str:
    """The state of a run, such as `running`."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    [(state,)] = _rows(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    return str(state)


def ended_tasks(dag_id: str, run_id: str) -> list[str]:
    """A line for each task of a run that has ended: its name, state and seconds, in the order of their ends."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    task: Any = TaskInstance
    ended = (
        select(task.task_id, task.rendered_map_index, task.state, task.start_date, task.end_date)
        .where(task.dag_id == dag_id, task.run_id == run_id, task.end_date.is_not(None))
        .order_by(task.end_date, task.task_id)
    )
    return [
        f"{' '.join(filter(None, (name, place))):<32} {state} {(end - (start or end)).total_seconds():6.1f} s"
        for name, place, state, start, end in _rows(ended)
    ]


def _rows(query: Any) -> Sequence[Any]:
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.execute(query).all()
