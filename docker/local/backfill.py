"""Asks the running Airflow of `make up` to build every day from FROM to TO, as if it were each of those nights.

Tells first which days these are and, where nights of the shop have run before, how long they may take; lets Airflow do
once what these nights share (the DAG `prepare_backfill`); and tells afterwards which days Airflow did not take. Its
nights stand behind the scheduled one of tonight (docker/airflow/policies).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from airflow_runs import NIGHTS, backfill_at_work, days_not_taken, ended_tasks, seconds_of_a_night, state_of
from stack import running_processes

from expectations.runtime.days import days_between
from expectations.runtime.program import Night, night_from, night_parser
from expectations.runtime.published_tables import manifest_rows
from expectations.tables import NightError, ds_from_text

PREPARATION = "prepare_backfill"
"""The DAG that does what the nights share."""
SECONDS_BETWEEN_LOOKS = 2
SECONDS_UNTIL_NOTED = 90
"""In which Airflow notes that a backfill has ended, whose runs have."""
NIGHTS_AT_ONCE = "2"
"""While one trains, the next one computes its features. More would only wait for each other, with all their memory."""


def days_from(first: str | None, last: str | None) -> list[str]:
    """The days of a backfill.

    Raises:
        NightError: one is no day, or the last one comes before the first.
    """
    if not first or not last:
        raise NightError("A backfill needs FROM and TO, such as FROM=2011-11-05 TO=2011-11-07.")
    first, last = ds_from_text(first), ds_from_text(last)
    days = days_between(first, last)
    if not days:
        raise NightError(f"FROM must not come after TO. Received: FROM={first} TO={last}. Exchange them.")
    return days


def plan(night: Night, days: Sequence[str], missing: Sequence[str], seconds: float | None) -> list[str]:
    """What the backfill will do, in lines.

    Args:
        missing: those of the days that have no drop.
        seconds: of one night of this shop; None where none has run.
    """
    published = {row["ds"] for row in manifest_rows(night.lake, columns=("ds",))}
    again = len(published.intersection(days))
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
        "airflow", "backfill", "create", "--dag-id", NIGHTS, "--from-date", days[0], "--to-date", days[-1],
        "--max-active-runs", str(at_once), "--reprocess-behavior", "completed",
        "--dag-run-conf", json.dumps({"shop": shop}),
    ]  # fmt: skip


def require_scheduler() -> None:
    """Checks that somebody would start what is asked for.

    Raises:
        NightError: nobody would.
    """
    if "scheduler" not in running_processes():
        raise NightError("A backfill needs the scheduler. Run `make up` first.")


def require_no_other() -> None:
    """Checks that no backfill is at work: Airflow runs one at a time of a DAG. Waits for one to be noted as ended.

    Raises:
        NightError: one is.
    """
    until = time.monotonic() + SECONDS_UNTIL_NOTED
    while other := backfill_at_work():
        if not other[2] and time.monotonic() < until:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            continue
        raise NightError(
            f"Airflow runs one backfill at a time. Received: one from {other[0]} to {other[1]}, which has not ended. "
            f"Wait for it, or cancel it at {_page(NIGHTS)}/backfills."
        )


def prepare(night: Night, days: Sequence[str], missing: Sequence[str], shop: str) -> None:
    """Has Airflow do what the nights share, and waits for it. Whatever fails of it, each night makes for itself.

    Args:
        missing: those of the days that have no drop.
    """
    with_drop = [ds for ds in days if ds not in missing]
    if len(with_drop) < 2:
        return
    run_id = f"prepare__{days[0]}_{days[-1]}__{night.now:%Y-%m-%dT%H:%M:%S}"
    conf = json.dumps({"first_ds": days[0], "ds": with_drop[-1], "shop": shop})
    _ask(["airflow", "dags", "unpause", "--yes", PREPARATION])
    _ask(["airflow", "dags", "trigger", PREPARATION, "--run-id", run_id, "--conf", conf])
    print(f"First, once for all of them: drops, and what they share of Sundays. {_page(PREPARATION)}", flush=True)
    told: set[str] = set()
    state = "queued"
    while state not in ("success", "failed"):
        time.sleep(SECONDS_BETWEEN_LOOKS)
        require_scheduler()
        state = state_of(PREPARATION, run_id)
        new = [line for line in ended_tasks(PREPARATION, run_id) if line not in told]
        told.update(new)
        print("".join(f"  {line}\n" for line in new), end="", flush=True)
    if state == "failed":
        print("WARNING not all of it could be made; each night makes for itself what it lacks.", flush=True)


def _ask(command_: Sequence[str]) -> None:
    ended = subprocess.run(command_, check=False, stdout=subprocess.PIPE, text=True)
    if ended.returncode:
        print(ended.stdout, file=sys.stderr)
        raise NightError(
            f"{' '.join(command_[:3])} ended with exit code {ended.returncode}; the reason is on the lines above."
        )


def backfill(night: Night, days: Sequence[str], shop: str, at_once: int) -> None:
    """Tells the plan, and asks for it.

    Args:
        at_once: nights.

    Raises:
        NightError: Airflow refused, or did not take each of the days.
    """
    drops = night.drop_folder
    missing = [ds for ds in days if drops.missing(ds)]
    print("\n".join(plan(night, days, missing, seconds_of_a_night(shop))), flush=True)
    require_no_other()
    prepare(night, days, missing, shop)
    # A DAG must not be paused for its backfill to start.
    _ask(["airflow", "dags", "unpause", "--yes", NIGHTS])
    _ask(command(days, shop, at_once))
    print(f"Follow it at {_page(NIGHTS)}", flush=True)
    if left_out := days_not_taken():
        reasons = ", ".join(sorted({*left_out.values()}))
        raise NightError(
            f"Airflow left out {len(left_out)} of the {len(days)} days ({reasons}): {_told([*left_out])}. A run of "
            "such a day, of this shop or another, has not ended. Ask for these days again once it has; the others are "
            "built."
        )


def _page(dag_id: str) -> str:
    return f"{os.environ['AIRFLOW__API__BASE_URL']}/dags/{dag_id}"


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
    require_scheduler()
    backfill(night, days, arguments.shop, int(at_once))


if __name__ == "__main__":
    try:
        main()
    except NightError as err:
        print(f"ERROR {err}", file=sys.stderr)
        sys.exit(1)
