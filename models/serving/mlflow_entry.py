"""What MLflow runs to load a registered session model; see `models.serving.model_registry`."""

from __future__ import annotations

from pathlib import Path

from models.serving.bundle import SessionBundle
from models.serving.model_registry import answer_mlflow
from models.serving.session_model import SessionModel


def load_session_model(folder: Path) -> SessionModel:
    """Reads a bundle and compiles its network, so that the first request is answered as fast as the others."""
    return SessionModel(SessionBundle.load(folder))


answer_mlflow(load_session_model)
