"""The runs that MLflow keeps under the root where no server is named, and what becomes of them when the root is moved.

MLflow notes in its SQLite file, as whole URIs, where the files of runs and of registered models lie. In a root that was
moved or restored elsewhere these would name the place where it lay before, which may be gone or be another root by now.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

DATABASE, ARTIFACTS = "mlflow.db", "artifacts"
_NOTED_IN = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Table and column of MLflow's."""

logger = logging.getLogger(__name__)


def bring_along(folder: Path) -> None:
    """Lets MLflow find its files where they lie now; does nothing in a root that was not moved.

    Args:
        folder: of the SQLite file and of the runs' files beside it.
    """
    if not (folder / DATABASE).is_file():
        return
    here, ours = (folder / ARTIFACTS).as_uri(), f"%/{folder.name}/{ARTIFACTS}"
    with closing(sqlite3.connect(folder / DATABASE, timeout=60)) as database, database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone():
            return
        noted = "SELECT DISTINCT artifact_location AS noted FROM experiments WHERE noted LIKE ? AND noted != ?"
        for (before,) in database.execute(noted, [ours, here]).fetchall():
            for table, column in _NOTED_IN:
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    [here, len(before) + 1, len(before), before],
                )
            logger.info("the root was moved: runs of MLflow from=%s to=%s", before, here)
