"""Session models in MLflow: saved as models from code, registered, and asked by `mlflow models serve`.

A version of `nightjar-<shop>-sessions` holds a bundle (see `models.serving.bundle`) and a copy of the code that reads
it, so that it answers tomorrow as it did when it was registered, whatever became of the checkout. MLflow runs
`models/serving/mlflow_entry.py` to load it; nothing is pickled. The alias `serving` names the version to serve.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.tracking_config import RunTags, TrackingConfig
from expectations.tables import NightError
from models.interface.tracking import (
    MODEL_FOLDER,
    mlflow_client,
    register_version,
    registered_name,
    start_run,
    unless_away,
    versions_of,
)
from models.serving.request import RequestError

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVING = "serving"
_BUNDLE = "bundle"
_CODE = Path(__file__).resolve().parent / "mlflow_entry.py"
_PACKAGES = ("mlflow", "keras", "tensorflow", "numpy", "scipy", "pyarrow")

logger = logging.getLogger(__name__)


class Answers(Protocol):
    """What MLflow asks: a list of requests in, a list of answers out."""

    def predict(self, inputs: Any) -> list[dict[str, Any]]: ...


def session_model_name(shop_name: str) -> str:
    """The name under which a shop's session models are registered."""
    return f"{registered_name(shop_name)}-sessions"


def find_session_model(tracking: TrackingConfig, shop_name: str, version: str) -> str | None:
    """The number under which `version` is registered, empty if it is not; None when the server was away."""

    def find(client: MlflowClient) -> str:
        return next(iter(versions_of(client, session_model_name(shop_name), version)), "")

    return unless_away("look for the session model", tracking, find)


def log_session_model(tracking: TrackingConfig, tags: RunTags, version: str, bundle: Path, folder: Path) -> str | None:
    """Saves a bundle as an MLflow model in the empty `folder`, logs and registers it.

    Returns:
        The number of the registered version, None when the server was away.
    """
    from mlflow import pyfunc

    # MLflow warns that it leaves the values in a request unchecked; `models.serving.request` checks them.
    pyfunc.save_model(
        folder / MODEL_FOLDER,
        python_model=str(_CODE),
        artifacts={_BUNDLE: str(bundle)},
        code_paths=[str(REPOSITORY / package) for package in ("models", "expectations")],
        pip_requirements=[f"{package}=={installed_version(package)}" for package in _PACKAGES],
    )
    about = {"version": version, "as_of": tags.ds}

    def log(client: MlflowClient) -> str:
        run_id = start_run(client, tracking, tags, version, about)
        client.log_artifacts(run_id, str(folder / MODEL_FOLDER), MODEL_FOLDER)
        number = register_version(client, session_model_name(tags.shop), run_id, about)
        client.set_terminated(run_id)
        return number

    return unless_away("log the session model", tracking, log)


def serve_from_now(tracking: TrackingConfig, shop_name: str, number: str) -> None:
    """Moves the alias `serving` to a registered version."""
    name = session_model_name(shop_name)

    def move(client: MlflowClient) -> bool:
        client.set_registered_model_alias(name, SERVING, number)
        return True

    if unless_away(f"move the alias {SERVING}", tracking, move):
        logger.info("serving: model=%s version=%s", name, number)


def serving_uri(tracking: TrackingConfig, shop_name: str) -> str | None:
    """What `mlflow models serve` is told to serve; None where nothing is registered for the shop.

    Raises:
        NightError: MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    server, name = tracking.uri, session_model_name(shop_name)
    file = server.removeprefix("sqlite:///")
    if file != server and not os.path.exists(file):
        return None  # to look into a file that is not there would make it
    try:
        mlflow_client(tracking).get_model_version_by_alias(name, SERVING)
    except MlflowException as err:
        if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise NightError(f"MLflow at {server} does not say what to serve. Does it run? It says: {err}") from err
    return f"models:/{name}@{SERVING}"


def answer_mlflow(load: Callable[[Path], Answers]) -> None:
    """Tells MLflow, which runs `models/serving/mlflow_entry.py`, what answers its requests.

    Args:
        load: reads the folder of a bundle. A `RequestError` of what it returns becomes status 400 with its message.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.models import set_model
    from mlflow.pyfunc import PythonModel, PythonModelContext

    class SessionPythonModel(PythonModel):
        def load_context(self, context: PythonModelContext) -> None:
            self.answers = load(Path(context.artifacts[_BUNDLE]))

        # MLflow knows this form by its arguments.
        def predict(self, model_input: list[dict[str, Any]]) -> list[dict[str, Any]]:  # type: ignore[override]
            try:
                return self.answers.predict(model_input)
            except RequestError as err:
                raise MlflowException.invalid_parameter_value(str(err)) from err

    set_model(SessionPythonModel())
