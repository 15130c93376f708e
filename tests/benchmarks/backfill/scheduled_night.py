"""How long does one night take through the scheduler, beside the same night by `make nightly`?

A night of the demo shop is built by `make nightly`, and its root copied. Then the night after it is built twice, from
the same lake: by `make nightly` in the one root, and in the other by the scheduler of `make up`, triggered through REST
as a shop's own system would. The seconds are those from the request to the end of the run, and those that `make
nightly` prints. Both publish the same rows, which is looked at.

    python -m tests.benchmarks.backfill.scheduled_night
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from expectations.runtime.code_version import REPOSITORY
from expectations.tables import OUTPUT_TABLES, NightError
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.same_rows import num_differing, published_rows
from tests.benchmarks.harness.variants import OURS
from tests.worlds.free_port import free_port

NAME, PART = "backfill", "one night, scheduler"
BEFORE, DS = "2025-05-30", "2025-05-31"
MODELS = "all_time_popularity,recent_demand,item_item,two_tower"
"""Those of README's first night."""
DAG_ID = "nightly_recommendations"
_TOOK = re.compile(r"^The night took (\d+) s", re.MULTILINE)
_LONGEST_SECONDS = 3600

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and replaces its row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a place to keep; else a temporary one, which is removed")
    parser.add_argument("--models", default=MODELS, help="comma-separated; other than the default: writes nothing")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    with TemporaryDirectory() as temporary:
        row = measured((arguments.folder or Path(temporary)).resolve(), arguments.models)
    print(record_part(NAME, PART, [row]).text() if arguments.models == MODELS else row)


def measured(folder: Path, models: str) -> dict[str, Any]:
    """Runs the three nights. Returns the row of the result."""
    one, other = folder / "nightly", folder / "scheduled"
    ports = {name: str(free_port()) for name in ("AIRFLOW_PORT", "MLFLOW_PORT")}
    variables = {"SHOP": "demo", "MODELS": models, **ports}
    homes = [variables | {"NIGHTJAR_ROOT": str(root), "AIRFLOW_HOME": f"{root}-airflow"} for root in (one, other)]
    in_environment(f"python -m jobs.write_demo_drops --ds {DS}", homes[0])
    in_environment("python docker/local/run_night.py", homes[0] | {"DS": BEFORE})
    shutil.copytree(one, other)
    nightly = float(_TOOK.findall(in_environment("python docker/local/run_night.py", homes[0] | {"DS": DS}))[0])
    scheduled = seconds_by_the_scheduler(homes[1], models)
    tables = {table: [published_rows(str(root), table, DS) for root in (one, other)] for table in OUTPUT_TABLES}
    return {
        "model": PART,
        "ours": True,
        "source": OURS,
        "seconds": round(scheduled, 1),
        "make_nightly_seconds": nightly,
        "ratio": round(scheduled / nightly, 2),
        "rows": sum(len(rows) for rows, _ in tables.values()),
        "differing_rows": sum(num_differing(table, *both) for table, both in tables.items() if any(map(len, both))),
    }


def seconds_by_the_scheduler(variables: Mapping[str, str], models: str) -> float:
    """Starts everything, triggers the night, waits for its end, ends everything.

    Raises:
        NightError: the night failed.
    """
    in_environment("python docker/local/stack.py up", variables)
    try:
        in_environment(f"airflow dags unpause --yes {DAG_ID}", variables)
        # The demo shop has no drop of last night, so that the scheduled run ends soon.
        while not (runs := runs_of_nights(variables)) or any(run["state"] in ("queued", "running") for run in runs):
            time.sleep(1)
        conf = {"shop": "demo", "models": models.split(",")}
        started = time.monotonic()
        asked = _answer(variables, "", {"logical_date": None, "partition_key": DS, "conf": conf})
        while (run := _answer(variables, f"/{asked['dag_run_id']}"))["state"] in ("queued", "running"):
            if time.monotonic() - started > _LONGEST_SECONDS:
                raise NightError(f"The run {asked['dag_run_id']} did not end within {_LONGEST_SECONDS} s")
            time.sleep(1)
        seconds = time.monotonic() - started
        if run["state"] != "success":
            raise NightError(f"The run {run['dag_run_id']} ended {run['state']}: see {variables['AIRFLOW_HOME']}/logs")
        return seconds
    finally:
        in_environment("python docker/local/stack.py down", variables)


def runs_of_nights(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """What Airflow says of the runs of the DAG, by REST."""
    return list(_answer(variables, "")["dag_runs"])


def _answer(variables: Mapping[str, str], path: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """What Airflow's REST says of the DAG's runs."""
    address = f"http://127.0.0.1:{variables['AIRFLOW_PORT']}/api/v2/dags/{DAG_ID}/dagRuns{path}"
    request = urllib.request.Request(
        address, None if asked is None else json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer))


def in_environment(command: str, variables: Mapping[str, str]) -> str:
    """What a command prints in the environment of `make`.

    Raises:
        CalledProcessError: it failed.
    """
    ended = subprocess.run(
        ["bash", "-c", f". docker/local/environment.sh && exec {command}"],
        cwd=REPOSITORY, env={**os.environ, **variables}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    logger.info("ran: %s exit=%d\n%s", command, ended.returncode, ended.stdout)
    if ended.returncode:
        logger.error("%s", ended.stderr[-5000:])
        ended.check_returncode()
    return ended.stdout


if __name__ == "__main__":
    main()
