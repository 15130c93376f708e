"""Prepares the local Airflow: its database, its pools, and nothing left open by a night that was killed.

Airflow is imported inside functions: the caller decides first where its output goes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

POOLS = Path(__file__).resolve().parents[1] / "pools.json"


def prepare_airflow() -> None:
    """Brings the database under AIRFLOW_HOME to this version; a note there saves the seconds the next time."""
    from airflow import __version__
    from airflow.configuration import write_default_airflow_configuration_if_needed
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    # It holds the keys that the processes trust each other by; started together, each would make up its own.
    write_default_airflow_configuration_if_needed()
    note = Path(os.environ["AIRFLOW_HOME"]) / "prepared-for"
    if not note.is_file() or note.read_text("utf-8") != __version__:
        initdb()
        with create_session() as session:
            for name, settings in json.loads(POOLS.read_text("utf-8")).items():
                Pool.create_or_update_pool(name=name, session=session, **settings)
        note.write_text(__version__, "utf-8")
    close_killed_nights()


def close_killed_nights() -> None:
    """Marks as failed the runs of `make nightly` that were killed, so that no scheduler goes on with them."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import update

    is_left_open = (DagRun.triggered_by == DagRunTriggeredByType.TEST) & (DagRun.state == DagRunState.RUNNING)
    with create_session() as session:
        session.execute(update(DagRun).where(is_left_open).values(state=DagRunState.FAILED))


if __name__ == "__main__":
    prepare_airflow()
