"""Asks the running Airflow of `make up` to build every day from FROM to TO, as if it were each of those nights."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from stack import running_processes

DAG_ID = "nightly_recommendations"


def commands(first: str, last: str, shop: str) -> list[list[str]]:
    """What to ask for: a DAG must not be paused for its backfill to start."""
    return [
        ["airflow", "dags", "unpause", "--yes", DAG_ID],
        ["airflow", "backfill", "create", "--dag-id", DAG_ID, "--from-date", first, "--to-date", last,
         "--reprocess-behavior", "completed", "--dag-run-conf", json.dumps({"shop": shop})],
    ]  # fmt: skip


def main() -> None:
    """Reads FROM, TO and SHOP."""
    if "scheduler" not in running_processes():
        sys.exit("ERROR A backfill needs the scheduler. Run `make up` first.")
    for command in commands(os.environ["FROM"], os.environ["TO"], os.environ.get("SHOP", "demo")):
        ended = subprocess.run(command, check=False)
        if ended.returncode:
            sys.exit(ended.returncode)
    print(f"Follow it at {os.environ['AIRFLOW__API__BASE_URL']}/dags/{DAG_ID}")


if __name__ == "__main__":
    main()
