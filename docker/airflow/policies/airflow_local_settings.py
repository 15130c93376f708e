"""Airflow's cluster policy: of nights that want the same place, tonight's scheduled one comes first, a backfill last.

Airflow imports a module of this name where it is on its path, and gives a free place to the task with the highest
`priority_weight`. By itself it would ask only how much of its own night waits for a task, so that a backfill of thirty
days would stand in tonight's way thirty times. Nights of one kind keep that order among themselves.
"""

from __future__ import annotations

from typing import Any

DAG_ID = "nightly_recommendations"
_STEP = 10_000
"""More than the tasks of a night weigh together."""
_RANKS = {"scheduled": 2, "manual": 1}
"""By how the run's id begins; a backfill's is 0."""


def task_instance_mutation_hook(task_instance: Any) -> None:
    """Adds the rank of its night to the weight of a task. Airflow calls it anew whenever it has set the weight."""
    rank = _RANKS.get(str(task_instance.run_id).partition("__")[0], 0)
    if task_instance.dag_id == DAG_ID and task_instance.priority_weight < _STEP:
        task_instance.priority_weight += rank * _STEP
