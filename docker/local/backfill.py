"""Asks the running Airflow of `make up` to build every day from FROM to TO, as if it were each of those nights.

Tells first which days these are and, where nights of the shop have run before, how long they may take; afterwards which
of them Airflow did not take. Its nights stand behind the scheduled one of tonight (docker/airflow/policies).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from typing import Any

from stack import running_processes

from expectations.runtime.days import days_before
from expectations.runtime.program import Night, night_from, night_parser
from expectations.runtime.published_tables import manifest_rows
from expectations.tables import NightError, ds_from_text

DAG_ID = "nightly_recommendations"
FIRST_TASK = "ingest.ingest_drops"
"""What comes before it is waiting."""
NIGHTS_AT_ONCE = "2"
"""While one trains, the next one computes its features. More would only wait for each other, with all their memory."""
NUM_NIGHTS = 5
"""That tell how long a night takes."""


def days_from(first: str | None, last: str | None) -> list[str]:
    """The days of a backfill.

    Raises:
        NightError: one is no day, or the last one comes before the first.
    """
    if not first or not last:
        raise NightError("A backfill needs FROM and TO, such as FROM=2011-11-05 TO=2011-11-07.")
    first, last = ds_from_text(first), ds_from_text(last)
    num_days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    if num_days < 1:
        raise NightError(f"FROM must not come after TO. Received: FROM={first} TO={last}. Exchange them.")
    return [days_before(first, -place) for place in range(num_days)]


def plan(night: Night, days: Sequence[str], seconds: float | None) -> list[str]:
    """What the backfill will do, in lines.

    Args:
        seconds: of one night of this shop; None where none has run.
    """
    published = {row["ds"] for row in manifest_rows(night.lake, columns=("ds",))}
    again = len(published.intersection(days))
    drops = night.drop_folder
    missing = [ds for ds in days if drops.missing(ds)]
    lines = [
        f"{len(days)} days of the shop {night.shop.name!r}, {days[0]} to {days[-1]}: "
        f"{len(days) - again} new, {again} published before"
    ]
    if missing:
        lines.append(
            f"{len(missing)} of them have no drop: {_told(missing)}. Such a night waits for it, or ends at once where "
            "its time has passed; as a closed day, if the shop file knows such"
        )
    if seconds is not None:
        minutes = seconds * len(days) / 60
        told = f"{minutes:.0f} minutes" if minutes < 180 else f"{minutes / 60:.1f} hours"
        lines.append(f"A night of this shop took {seconds:.0f} s of late, so that these may take {told}")
    return lines


def command(days: Sequence[str], shop: str, at_once: int) -> list[str]:
    """What Airflow is asked for."""
    return [
        "airflow", "backfill", "create", "--dag-id", DAG_ID, "--from-date", days[0], "--to-date", days[-1],
        "--max-active-runs", str(at_once), "--reprocess-behavior", "completed",
        "--dag-run-conf", json.dumps({"shop": shop}),
    ]  # fmt: skip


def seconds_of_a_night(shop: str) -> float | None:
    """The median of the last nights that Airflow knows of this shop, from the first task that works to the end."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    first_task = (TaskInstance.dag_id == DagRun.dag_id) & (TaskInstance.run_id == DagRun.run_id)
    nights = (
        select(DagRun.conf, TaskInstance.start_date, DagRun.end_date)
        .join(TaskInstance, first_task & (TaskInstance.task_id == FIRST_TASK))
        .where(DagRun.dag_id == DAG_ID, DagRun.state == "success", TaskInstance.start_date.is_not(None))
        .order_by(DagRun.end_date.desc())
    )
    with create_session() as session:
        rows: Sequence[Any] = session.execute(nights).all()
    told = [(end - start).total_seconds() for conf, start, end in rows if (conf or {}).get("shop") == shop]
    return statistics.median(told[:NUM_NIGHTS]) if told else None


def require_no_other() -> None:
    """Checks that no backfill is at work: Airflow runs one at a time of a DAG.

    Raises:
        NightError: one is.
    """
    from airflow.models.backfill import Backfill
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        other = session.scalar(select(Backfill).where(Backfill.dag_id == DAG_ID, Backfill.completed_at.is_(None)))
        if other is not None:
            raise NightError(
                f"Airflow runs one backfill at a time. Received: one from {other.from_date:%Y-%m-%d} to "
                f"{other.to_date:%Y-%m-%d}, which has not ended. Wait for it, or cancel it at {_page()}/backfills."
            )


def days_not_taken() -> dict[str, str]:
    """Maps each day that Airflow left out of its last backfill to the reason."""
    from airflow.models.backfill import Backfill, BackfillDagRun
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    last = select(func.max(Backfill.id)).where(Backfill.dag_id == DAG_ID).scalar_subquery()
    left_out = select(BackfillDagRun.partition_key, BackfillDagRun.exception_reason).where(
        BackfillDagRun.backfill_id == last, BackfillDagRun.exception_reason.is_not(None)
    )
    with create_session() as session:
        return dict(sorted((str(day), str(reason)) for day, reason in session.execute(left_out).all()))


def backfill(night: Night, days: Sequence[str], shop: str, at_once: int) -> None:
    """Tells the plan, and asks for it.

    Args:
        at_once: nights.

    Raises:
        NightError: Airflow refused, or did not take each of the days.
    """
    print("\n".join(plan(night, days, seconds_of_a_night(shop))), flush=True)
    require_no_other()
    # A DAG must not be paused for its backfill to start.
    for asked in (["airflow", "dags", "unpause", "--yes", DAG_ID], command(days, shop, at_once)):
        if ended := subprocess.run(asked, check=False).returncode:
            raise NightError(f"{' '.join(asked[:3])} ended with exit code {ended}; the reason is on the lines above.")
    print(f"Follow it at {_page()}", flush=True)
    if left_out := days_not_taken():
        reasons = ", ".join(sorted({*left_out.values()}))
        raise NightError(
            f"Airflow left out {len(left_out)} of the {len(days)} days ({reasons}): {_told([*left_out])}. A run of "
            "such a day, of this shop or another, has not ended. Ask for these days again once it has; the others are "
            "built."
        )


def _page() -> str:
    return f"{os.environ['AIRFLOW__API__BASE_URL']}/dags/{DAG_ID}"


def _told(days: Sequence[str]) -> str:
    """A few days, as text."""
    return ", ".join(days[:5]) + (f" and {len(days) - 5} more" if len(days) > 5 else "")


def main() -> None:
    """Reads FROM, TO, SHOP and AT_ONCE."""
    days = days_from(os.environ.get("FROM"), os.environ.get("TO"))
    at_once = os.environ.get("AT_ONCE", NIGHTS_AT_ONCE)
    if not (at_once.isdecimal() and int(at_once)):
        raise NightError(f"AT_ONCE must be a whole number of nights, at least 1. Received: {at_once}.")
    arguments = night_parser(__doc__).parse_args(["--ds", days[-1]])
    night = night_from(arguments, is_pinned=False)
    if "scheduler" not in running_processes():
        raise NightError("A backfill needs the scheduler. Run `make up` first.")
    backfill(night, days, arguments.shop, int(at_once))


if __name__ == "__main__":
    try:
        main()
    except NightError as err:
        print(f"ERROR {err}", file=sys.stderr)
        sys.exit(1)
