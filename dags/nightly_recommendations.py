"""
# Nightly recommendations

Turns a shop's log up to one day, `ds`, into recommendation tables for that day.

1. **wait_for_drop** waits, without holding a worker, until the raw drop of `ds` is written to its end.
2. **ingest** takes in every drop that the lake lacks, then validates events, items and users.
3. **backtest** fits every model as of `ds - horizon_days` (with `weekly_backtest` the Sunday before), and judges it on
   the `horizon_days` after. A blend of their lists learns its weights there.
4. **refit** fits the same models as of `ds`, and joins their lists by these weights.
5. **publish** lets the gate decide, re-ranks for the long term, finds reasons, builds the tables from what is allowed,
   validates them, and commits each one in one step. Then MLflow's aliases move: `champion` to the fit that is
   published, and `serving` to the sequence model for sessions in real time.

Every task overwrites its own partition, or finds that it is already there, so any task may be cleared and run again.
The shop sees nothing new until `publish_tables` commits. A deep model that cannot be trained, a backtest that cannot be
held, lists that cannot be re-ranked, or an alias that cannot be moved stays red, and the night goes on without it; the
gate then publishes what it has, marked as a fallback where a missing model could have won.

`ds` is the run's partition key (scheduled runs, backfills) or the form's field. The form's other fields take the place
of what the shop file says, for this run only.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, BaseOperator, Context, CronPartitionTimetable, Param, TaskGroup, TriggerRule, XComArg
from airflow.sdk.exceptions import AirflowFailException

from dags.operators.night_program import NightProgram
from dags.sensors.raw_drop import RawDropSensor
from expectations.tables import NEW_ITEM_AUDIENCES, NEW_USER_RECOMMENDATIONS, SIMILAR_ITEMS

# Fires at midnight for the day that has just ended, which is the partition key. Any other hour here would make a
# backfill leave out its last day: partition dates carry the hour of the expression.
NIGHTLY = CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1, key_format="%Y-%m-%d")
# Before the first day of any shop that ships, so that every partition can be backfilled.
FIRST_DAY = datetime(2000, 1, 1, tzinfo=timezone.utc)
CONFIGS = (Path(__file__).parents[1] / "models" / "configs").glob("*.toml")
OTHER_TABLES = (SIMILAR_ITEMS.name, NEW_USER_RECOMMENDATIONS.name, NEW_ITEM_AUDIENCES.name)
KNOWN_MODELS = sorted(path.stem for path in CONFIGS)


def ds_of(dag_run: Any, params: dict[str, Any]) -> str:
    """The partition that a run builds: its key, or what the form says where it has none."""
    ds = dag_run.partition_key or params["ds"]
    if not ds:
        raise ValueError("This run has no partition key, and its `ds` is empty. Trigger it with a day, as YYYY-MM-DD.")
    return str(ds)


# What every program of the night reads; see expectations/runtime/program.py. Empty text leaves it to the shop file.
NIGHT = {
    "DS": "{{ ds_of(dag_run, params) }}",
    "SHOP": "{{ params.shop }}",
    "MODELS": "{{ (params.models or []) | join(',') }}",
    "TOP_K": "{{ params.top_k or '' }}",
    "RUN_ID": "{{ run_id }}",
}
# Which image runs a program, and which pool bounds how many run at once.
ON_SPARK = {"queue": "spark", "pool": "spark"}
ON_TRAIN = {"queue": "train"}
ON_GPU = {"queue": "gpu", "pool": "gpu"}


class PlanModels(NightProgram):
    """Runs `models.plan`. Its XCom is the list of deep models, to map over; `baselines` is a second one."""

    def execute(self, context: Context) -> list[str]:
        plan = super().execute(context)
        if not plan["baselines"]:
            raise AirflowFailException(
                "A night needs a baseline, to compare with and to fall back on. "
                f"Received: {', '.join(plan['deep'])}. Add one, such as recent_demand, to `models`."
            )
        context["ti"].xcom_push(key="baselines", value=plan["baselines"])
        return list(plan["deep"])


def program(task_id: str, *arguments: str | XComArg, as_of: str = "", **kwargs: Any) -> NightProgram:
    """A task that starts a program; `as_of` is `backtest`, `refit` or, for programs of the whole night, nothing."""
    environment = {**NIGHT, "AS_OF": as_of} if as_of else NIGHT
    return NightProgram(task_id=task_id, arguments=arguments, environment=environment, **kwargs)


def settled(task_id: str) -> EmptyOperator:
    """Succeeds however the task before it ended: what the night can do without must not stop it."""
    return EmptyOperator(task_id=task_id, trigger_rule=TriggerRule.ALL_DONE)


def fit_as_of(as_of: str, plan: PlanModels) -> tuple[BaseOperator, list[BaseOperator], BaseOperator]:
    """All that is computed as of one day. Returns the first task, the last ones, and the one that blends lists."""
    preprocess = program("preprocess", "jobs.preprocess", as_of=as_of, **ON_SPARK)
    validate = program("validate_features", "expectations.validate", "--stage", "features", as_of=as_of, **ON_SPARK)
    train = ["models.train", "--model"]
    # Before the others: they take seconds, and what waits for all fits should not wait for them in the end.
    baselines = program(
        "train_baselines", *train, XComArg(plan, key="baselines"), as_of=as_of, priority_weight=2, **ON_TRAIN
    )
    deep = NightProgram.partial(
        task_id="train_deep",
        arguments=[*train, "{{ params.model }}"],
        environment={**NIGHT, "AS_OF": as_of},
        map_index_template="{{ params.model }}",
        execution_timeout=timedelta(hours=3),
        **ON_GPU,
    ).expand(params=plan.output.map(lambda model: {"model": model}))
    trained, scored, blended = (settled(f"{what}_settled") for what in ("deep_models", "scores", "blended_lists"))
    candidates = program("build_candidates", "jobs.build_candidates", as_of=as_of, **ON_SPARK)
    score = program("score", "models.score", as_of=as_of, execution_timeout=timedelta(hours=2), **ON_TRAIN)

    preprocess >> validate >> [baselines, deep]
    deep >> trained
    blend = program("blend_lists", "models.blend_lists", as_of=as_of, **ON_TRAIN)
    [baselines, trained] >> candidates >> score >> scored >> blend >> blended
    return preprocess, [candidates, blended], blend


with DAG(
    dag_id="nightly_recommendations",
    description="From a shop's raw drop to published recommendation tables, one partition a night.",
    doc_md=__doc__,
    schedule=NIGHTLY,
    start_date=FIRST_DAY,
    catchup=False,
    # One that waits for its drop, or for a mistyped day, costs nothing and must not keep tonight's from being made;
    # what works at once is bounded by the pools. A backfill brings a bound of its own.
    max_active_runs=8,
    tags=["recommendations"],
    user_defined_macros={"ds_of": ds_of},
    default_args={
        "owner": "recommendations",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(hours=1),
    },
    params={
        "ds": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day (ds)",
            description="The last complete day of data. Used where the run has no partition key.",
        ),
        # Which shop the scheduled nights are for is up to the deployment.
        "shop": Param(
            os.environ.get("SHOP", "demo"),
            type="string",
            minLength=1,
            title="Shop",
            description="A shop that ships with Nightjar, or the path to a .toml file.",
        ),
        "models": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
            examples=KNOWN_MODELS,
            title="Models",
            description="Which models to train. Empty: those of the shop file.",
        ),
        "top_k": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=1000,
            title="Items per user (top_k)",
            description="Empty: as the shop file says.",
        ),
    },
) as dag:
    # A day: longer than any shop waits. The shop's own deadline ends the wait with a reason.
    wait_for_drop = RawDropSensor(
        task_id="wait_for_drop", environment=NIGHT, poke_interval=60, execution_timeout=timedelta(days=1)
    )
    with TaskGroup("ingest"):
        ingest_drops = program("ingest_drops", "jobs.ingest", execution_timeout=timedelta(hours=6), **ON_SPARK)
        validate_inputs = program("validate_inputs", "expectations.validate", "--stage", "inputs", **ON_SPARK)
    plan_models = PlanModels(
        task_id="plan_models", arguments=["models.plan"], environment=NIGHT, result_from=json.loads, **ON_TRAIN
    )
    with TaskGroup("backtest"):
        first_of_backtest, last_of_backtest, blend_in_backtest = fit_as_of("backtest", plan_models)
        judge_models = program("judge_models", "models.backtest", **ON_TRAIN)
        judged = settled("models_judged")
    with TaskGroup("refit"):
        first_of_refit, last_of_refit, blend_in_refit = fit_as_of("refit", plan_models)
    with TaskGroup("publish"):
        gate = program("gate", "models.gate", **ON_TRAIN)
        # Does nothing where the shop file names no agent.
        rerank = program("rerank", "models.rerank", execution_timeout=timedelta(hours=2), **ON_GPU)
        reranked = settled("reranking_settled")
        explain = program("explain", "models.explain", execution_timeout=timedelta(hours=2), **ON_TRAIN)
        explained = settled("explanations_settled")
        # What holds no list of a user needs no reasons, and need not wait for them.
        build_other_tables = program("build_other_tables", "jobs.build_tables", "--tables", *OTHER_TABLES, **ON_SPARK)
        build_tables = program("build_tables", "jobs.build_tables", **ON_SPARK)
        validate_outputs = program("validate_outputs", "expectations.validate", "--stage", "outputs", **ON_SPARK)
        # One at a time: a backfill and the nightly run may meet on one day.
        publish_tables = program("publish_tables", "jobs.publish_tables", queue="spark", pool="publish")
        show_night = program("show_night", "jobs.show_night", queue="spark")
        # What MLflow names as published, and what it serves to sessions in real time. The tables are out by then, so
        # that nothing of it can spoil the night.
        promote_champion = program("promote_champion", "models.promote_champion", **ON_TRAIN)
        register_session_model = program("register_session_model", "models.register_session_model", **ON_TRAIN)
        aliases = settled("aliases_settled")

    wait_for_drop >> ingest_drops >> validate_inputs >> plan_models >> [first_of_backtest, first_of_refit]
    last_of_backtest >> judge_models >> judged
    # The weights of the lists are learnt on the backtest's days.
    blend_in_backtest >> blend_in_refit
    [judged, *last_of_refit] >> gate >> rerank >> reranked
    [gate, reranked] >> explain >> explained
    gate >> build_other_tables
    [gate, explained, build_other_tables] >> build_tables >> validate_outputs >> publish_tables >> show_night
    publish_tables >> [promote_champion, register_session_model] >> aliases
