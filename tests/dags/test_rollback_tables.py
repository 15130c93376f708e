"""The form of the DAG `rollback_tables`, and the program that it starts."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError
from jinja2 import Environment

from dags import nightly_recommendations
from dags.operators.night_program import NightProgram
from dags.rollback_tables import dag
from expectations.runtime.lake import Lake
from expectations.tables import NightError
from jobs.rollback import main

PUBLISHING = ("queue", "pool")


def command(**fields: Any) -> list[str]:
    """What the task starts the program with; fields that are not named are as the form has them."""
    (task,) = dag.tasks
    assert isinstance(task, NightProgram)
    form = {name: dag.params[name] for name in dag.params} | fields
    return [Environment().from_string(text).render(params=form) for text in map(str, task.arguments[1:])]


@pytest.mark.parametrize(
    "fields",
    [
        {"ds": "2024-03-10"},
        {"all_days": True, "to": "7", "dry_run": False},
        {"table": "similar_items", "ds": "2024-03-10", "to": "2024-03-11T02:00+01:00"},
    ],
)
def test_the_program_takes_what_the_form_says(lake: Lake, fields: dict[str, Any]) -> None:
    with pytest.raises(NightError, match="Nothing was published at"):
        main([*command(**fields), "--root", lake.root])


def test_a_form_without_a_day_is_refused_by_the_program(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS", "2024-03-10")
    with pytest.raises(NightError, match="No day was given"):
        main([*command(), "--root", lake.root])


@pytest.mark.parametrize(
    "fields", [{"to": "yesterday"}, {"to": "--apply"}, {"table": "run_manifest"}, {"dry_run": "no"}, {"ds": "tomorrow"}]
)
def test_the_form_refuses_what_means_nothing(fields: dict[str, Any]) -> None:
    ((name, value),) = fields.items()
    with pytest.raises(ParamValidationError):
        dag.params.get_param(name).resolve(value)


def test_a_rollback_waits_for_its_turn_with_the_commits_of_a_night() -> None:
    (task,) = dag.tasks
    publish = nightly_recommendations.dag.get_task("publish.publish_tables")
    assert [getattr(task, name) for name in PUBLISHING] == [getattr(publish, name) for name in PUBLISHING]
