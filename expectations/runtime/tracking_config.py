"""Where runs are logged to MLflow. MLflow's environment variables are read and set here, when a program starts."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path

# MLflow waits minutes by default; a night would rather go on without it.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True)
class TrackingConfig:
    """The tracking server of a root.

    Attributes:
        root: of the lake, NIGHTJAR_ROOT.
        server: MLflow's own MLFLOW_TRACKING_URI; None where runs go to an SQLite file under the root.
        patience_seconds: how long to wait for whoever else writes to that file.
    """

    root: str
    server: str | None = None
    patience_seconds: float = 10

    @property
    def uri(self) -> str:
        """What MLflow calls the tracking URI."""
        return self.server or f"sqlite:///{self.local_folder}/mlflow.db"

    @property
    def local_folder(self) -> Path:
        """Where the SQLite file and the files of its runs lie.

        Raises:
            ValueError: the root is an object store, and no server is named.
        """
        if "://" in self.root:
            raise ValueError("MLFLOW_TRACKING_URI must be set where NIGHTJAR_ROOT is an object store")
        return Path(self.root) / "mlflow"


@dataclass(frozen=True)
class RunTags:
    """Whose run it is: every run in MLflow carries these tags."""

    shop: str
    ds: str
    run_id: str


def tracking_server_from(environment: MutableMapping[str, str]) -> str | None:
    """Returns MLFLOW_TRACKING_URI, None where it is unset or empty. Sets how long MLflow waits, where nothing says."""
    for name, value in _PATIENCE.items():
        environment.setdefault(name, value)
    return environment.get("MLFLOW_TRACKING_URI") or None
