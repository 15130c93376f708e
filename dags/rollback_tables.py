"""
# Roll back published tables

Puts published tables back to how they were: one table or all together, one day or all. No model is touched.

Fill in the form and look at the log of **roll_back** first: with `dry_run`, as it stands, it tells which partitions
would change, from which version to which, and nothing does. Then trigger it again without.

It shares the pool `publish` with `publish_tables`, so that a rollback and a night's commits do not meet. A rollback is
a version, too: it can be taken back, and the next publish of that day replaces it. What cannot be done, because a
version is gone or never held that day, is refused in one line.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Param

from dags.operators.night_program import NightProgram
from expectations.tables import OUTPUT_TABLES

with DAG(
    dag_id="rollback_tables",
    description="Puts published tables back to an earlier version, a time or the night before; dry run first.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2000, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["recommendations"],
    default_args={
        "owner": "recommendations",
        "retries": 1,
        "retry_delay": timedelta(seconds=10),
        "execution_timeout": timedelta(minutes=15),
    },
    params={
        "table": Param(
            "all",
            type="string",
            enum=["all", *OUTPUT_TABLES],
            title="Table",
            description="All tables go back together, as they were published.",
        ),
        "ds": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Day (ds)",
            description="The published day to put back.",
        ),
        "all_days": Param(
            False,
            type="boolean",
            title="All days",
            description="Every day, in place of one. Days that were published only later go.",
        ),
        "to": Param(
            "night-before",
            type="string",
            pattern=r"^(night-before|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}.*)$",
            title="To",
            description="`night-before`: what was there before the last publish of that day; for all days, of any. Or "
            "a version of run_manifest, or a time, in UTC where it names no zone, such as 2025-06-01T02:00.",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            title="Dry run",
            description="Tells in the task's log what would change, and changes nothing.",
        ),
    },
) as dag:
    NightProgram(
        task_id="roll_back",
        arguments=[
            "jobs.rollback",
            "--table={{ params.table }}",
            "{{ '--all-days' if params.all_days else '--ds=' ~ (params.ds or '') }}",
            "--to={{ params.to }}",
            "{{ '--no-apply' if params.dry_run else '--apply' }}",
        ],
        environment={"RUN_ID": "{{ run_id }}"},
        queue="spark",
        # One commit of a night at a time.
        pool="publish",
    )
