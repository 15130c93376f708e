"""
# Prepare a backfill

Does once what the nights of a backfill would each do: `make backfill` runs it first.

1. **ingest_drops** takes in every drop up to the last day, so that the nights find them in the lake.
2. **plan_shared_work** tells on which Sundays the deep models of several nights stand: with `warm_start`,
   `refit = "weekly"` or `weekly_backtest`.
3. **preprocess** and **train_deep** make the features and the deep fits of each. Where nights share none, both are
   skipped.

Nothing is published, and nothing depends on it: a night that does not find what it needs makes it. So it may be
cleared, run again, or left out.
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import DAG, Context, Param, XComArg

from dags.operators.night_program import NightProgram

# What its programs read; see expectations/runtime/program.py.
RANGE = {"DS": "{{ params.ds }}", "SHOP": "{{ params.shop }}", "RUN_ID": "{{ run_id }}"}


class PlanSharedWork(NightProgram):
    """Runs `models.plan_backfill`. Its XCom is the list of days, to map over; `deep`, the models, is a second one."""

    def execute(self, context: Context) -> list[dict[str, str]]:
        plan: dict[str, Any] = super().execute(context)
        context["ti"].xcom_push(key="deep", value=plan["deep"])
        return [{"as_of": day} for day in plan["days"]]


with DAG(
    dag_id="prepare_backfill",
    description="Does once what the nights of a backfill share: drops, and the features and fits of Sundays.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2000, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["recommendations"],
    default_args={
        "owner": "recommendations",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "execution_timeout": timedelta(hours=3),
    },
    params={
        "first_ds": Param(type="string", format="date", title="First day", description="Of the backfill."),
        "ds": Param(type="string", format="date", title="Last day", description="Its drop must be there."),
        "shop": Param(
            os.environ.get("SHOP", "demo"),
            type="string",
            minLength=1,
            title="Shop",
            description="A shop that ships with Nightjar, or the path to a .toml file.",
        ),
    },
) as dag:
    ingest_drops = NightProgram(
        task_id="ingest_drops",
        arguments=["jobs.ingest"],
        environment=RANGE,
        queue="spark",
        pool="spark",
        execution_timeout=timedelta(hours=6),
    )
    plan_shared_work = PlanSharedWork(
        task_id="plan_shared_work",
        arguments=["models.plan_backfill", "--first-ds={{ params.first_ds }}"],
        environment=RANGE,
        result_from=json.loads,
        queue="train",
    )
    preprocess = NightProgram.partial(
        task_id="preprocess",
        arguments=["jobs.preprocess"],
        environment={**RANGE, "AS_OF": "{{ params.as_of }}"},
        map_index_template="{{ params.as_of }}",
        queue="spark",
        pool="spark",
    ).expand(params=plan_shared_work.output)
    train_deep = NightProgram.partial(
        task_id="train_deep",
        arguments=["models.train", "--model", XComArg(plan_shared_work, key="deep")],
        environment={**RANGE, "AS_OF": "{{ params.as_of }}"},
        map_index_template="{{ params.as_of }}",
        queue="gpu",
        pool="gpu",
    ).expand(params=plan_shared_work.output)

    ingest_drops >> plan_shared_work >> preprocess >> train_deep
