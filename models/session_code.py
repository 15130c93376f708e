"""What MLflow runs to load a registered session model; see `models.session_registry`."""

from __future__ import annotations

from pathlib import Path

from models.session_bundle import SessionBundle
from models.session_model import SessionModel
from models.session_registry import answer_mlflow


def load_session_model(folder: Path) -> SessionModel:
    """Reads a bundle and compiles its network, so that the first request is answered as fast as the others."""
    return SessionModel(SessionBundle.load(folder))


answer_mlflow(load_session_model)
