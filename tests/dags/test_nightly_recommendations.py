"""The wiring of the nightly DAG."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import yaml
from airflow.sdk import CronPartitionTimetable
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import ParamValidationError

from dags import prepare_backfill
from dags.nightly_recommendations import dag, ds_of
from dags.operators.night_program import NightProgram
from tests.dags.conftest import REPOSITORY
from tests.docker.test_images import SPARK, TRAIN

HALF = {
    "preprocess": ["plan_models"],
    "validate_features": ["{half}.preprocess"],
    "train_baselines": ["{half}.validate_features", "plan_models"],
    "train_deep": ["{half}.validate_features", "plan_models"],
    "deep_models_settled": ["{half}.train_deep"],
    "build_candidates": ["{half}.deep_models_settled", "{half}.train_baselines"],
    "score": ["{half}.build_candidates"],
    "scores_settled": ["{half}.score"],
    "blend_lists": ["{half}.scores_settled"],
    "blended_lists_settled": ["{half}.blend_lists"],
}
UPSTREAM = {
    "wait_for_drop": [],
    "ingest.ingest_drops": ["wait_for_drop"],
    "ingest.validate_inputs": ["ingest.ingest_drops"],
    "plan_models": ["ingest.validate_inputs"],
    **{
        f"{half}.{task}": [upstream.format(half=half) for upstream in upstreams]
        for half in ("backtest", "refit")
        for task, upstreams in HALF.items()
    },
    "refit.blend_lists": ["refit.scores_settled", "backtest.blend_lists"],
    "backtest.judge_models": ["backtest.build_candidates", "backtest.blended_lists_settled"],
    "backtest.models_judged": ["backtest.judge_models"],
    "publish.gate": ["backtest.models_judged", "refit.build_candidates", "refit.blended_lists_settled"],
    "publish.rerank": ["publish.gate"],
    "publish.reranking_settled": ["publish.rerank"],
    "publish.explain": ["publish.gate", "publish.reranking_settled"],
    "publish.explanations_settled": ["publish.explain"],
    "publish.build_other_tables": ["publish.gate"],
    "publish.build_tables": ["publish.gate", "publish.explanations_settled", "publish.build_other_tables"],
    "publish.validate_outputs": ["publish.build_tables"],
    "publish.publish_tables": ["publish.validate_outputs"],
    "publish.show_night": ["publish.publish_tables"],
    "publish.register_session_model": ["publish.publish_tables"],
    "publish.promote_champion": ["publish.publish_tables"],
    "publish.aliases_settled": ["publish.promote_champion", "publish.register_session_model"],
}


def test_every_task_runs_after_what_it_needs() -> None:
    assert {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks} == {
        task_id: sorted(upstream) for task_id, upstream in UPSTREAM.items()
    }


def test_only_what_the_night_can_do_without_is_forgiven() -> None:
    forgiving = {task.task_id for task in dag.tasks if task.trigger_rule != "all_success"}
    assert forgiving == {
        "backtest.models_judged",
        "publish.aliases_settled",
        "publish.reranking_settled",
        "publish.explanations_settled",
        *(
            f"{half}.{task}_settled"
            for half in ("backtest", "refit")
            for task in ("deep_models", "scores", "blended_lists")
        ),
    }


def test_the_partition_is_the_day_that_ended() -> None:
    timetable = dag.timetable
    assert isinstance(timetable, CronPartitionTimetable)
    assert (timetable.run_offset, timetable.key_format) == (-1, "%Y-%m-%d")
    assert timetable.expression == "0 0 * * *", "with another hour a backfill leaves out its last day"


@pytest.mark.parametrize(
    ("partition_key", "form_ds", "expected"),
    [
        ("2024-03-10", None, "2024-03-10"),
        ("2024-03-10", "2024-01-01", "2024-03-10"),
        (None, "2024-01-01", "2024-01-01"),
    ],
)
def test_a_partition_key_wins_over_the_form(partition_key: str | None, form_ds: str | None, expected: str) -> None:
    assert ds_of(SimpleNamespace(partition_key=partition_key), {"ds": form_ds}) == expected


def test_a_run_without_any_day_says_so() -> None:
    with pytest.raises(ValueError, match="no partition key, and its `ds` is empty"):
        ds_of(SimpleNamespace(partition_key=None), {"ds": None})


@pytest.mark.parametrize(
    "field, value",
    [("ds", "10.03.2024"), ("models", ["x; rm -rf /"]), ("top_k", 0), ("shop", "")],
)
def test_the_form_refuses_what_no_night_can_use(field: str, value: object) -> None:
    dag.params.get_param(field).resolve()
    with pytest.raises(ParamValidationError):
        dag.params.get_param(field).resolve(value)


def test_pools_and_queues_exist() -> None:
    pools = json.loads((REPOSITORY / "docker/pools.json").read_text("utf-8"))
    compose = yaml.safe_load((REPOSITORY / "docker/compose.yaml").read_text("utf-8"))
    listened_to = " ".join(str(service.get("command")) for service in compose["services"].values())
    for task in dag.tasks:
        assert task.pool in {*pools, "default_pool"}, f"{task.task_id}: add {task.pool} to docker/pools.json"
        assert task.queue in listened_to, f"{task.task_id}: no worker in docker/compose.yaml listens on {task.queue}"


def test_deep_training_asks_for_a_gpu_and_publishing_is_one_at_a_time() -> None:
    train, publish = dag.get_task("refit.train_deep"), dag.get_task("publish.publish_tables")
    assert (train.queue, train.pool, publish.pool) == ("gpu", "gpu", "publish")


def test_form_values_reach_programs_as_environment_only() -> None:
    for task in dag.tasks:
        settings = task.partial_kwargs if isinstance(task, MappedOperator) else vars(task)
        arguments = settings.get("arguments", [])
        pasted = [a for a in arguments if isinstance(a, str) and "{{" in a]
        # The name of a model comes from the plan, not from the form.
        assert set(pasted) <= {"{{ params.model }}"}, f"{task.task_id}: pass it in `environment`"
    assert not any(hasattr(task, "bash_command") for task in dag.tasks), "start programs with NightProgram"
    assert isinstance(dag.get_task("plan_models"), NightProgram)


def test_each_program_runs_in_an_image_that_is_tested_with_it() -> None:
    tested = {"spark": SPARK, "train": TRAIN, "gpu": TRAIN}
    for task in (*dag.tasks, *prepare_backfill.dag.tasks):
        settings = task.partial_kwargs if isinstance(task, MappedOperator) else vars(task)
        if "arguments" in settings:
            module = settings["arguments"][0]
            assert module in tested[task.queue], f"add {module} to tests/docker/test_images.py"
