"""What MLflow remembers of a shop's nights: every fit, every backtest, and which version is champion.

With `models.serving.model_registry` the only file that imports `mlflow`, and only when something is logged. The server
is MLFLOW_TRACKING_URI, as everywhere in MLflow; unset, runs go to an SQLite file under `{root}/mlflow`, with their
files beside it. A server that is away costs one warning line and a few seconds, never the night: whatever a night needs
lies in the lake.

Each fit becomes a version of the registered model `nightjar-<shop>`, with tags `model`, `as_of` and `version` (our
version text); its files are those of `{root}/weights`, without pickle. The alias `champion` moves by `promote` alone.
"""

from __future__ import annotations

import fcntl
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from expectations.runtime.failures import KnownCause, failure_line
from expectations.runtime.tracking_config import RunTags, TrackingConfig
from expectations.tables import BACKTESTS, NightError
from models.interface.local_runs import bring_along

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

T = TypeVar("T")

CHAMPION = "champion"
MODEL_FOLDER = "model"
NO_ANSWER = KnownCause(
    re.compile(""), "MLflow must answer", "See that MLFLOW_TRACKING_URI names a server that runs; unset, a file serves."
)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """A fit, as it is remembered.

    Attributes:
        curves: name -> one value per epoch.
        facts: single figures.
        inputs: fingerprints of the versions that it was fitted from.
        code: the version of the code that fitted it.
        settings: what the shop file says that the fit depends on beside its config.
    """

    model: str
    as_of: str
    version: str
    config: Mapping[str, Any]
    curves: Mapping[str, Sequence[float]]
    facts: Mapping[str, float]
    inputs: Sequence[str]
    vocabulary_hash: str
    code: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def log_fit(tracking: TrackingConfig, tags: RunTags, fit: Fit, folder: Path) -> str | None:
    """Logs a fit with its files and registers it.

    Args:
        folder: the saved model.

    Returns:
        The id of the run, None when the server was away.
    """
    return unless_away("log the fit", tracking, lambda client: _log_fit(client, tracking, tags, fit, folder))


def log_backtest(
    tracking: TrackingConfig,
    tags: RunTags,
    backtest_days: Sequence[str],
    tables: Mapping[str, Sequence[Mapping[str, Any]]],
    figures: Mapping[str, Figure],
    settings: Mapping[str, Any],
) -> str | None:
    """Logs a backtest's metrics, its tables and its figures. Returns the id of the run, None when the server was away.

    Args:
        backtest_days: the days that the models could know up to.
        tables: name -> rows; the metrics are those of `backtests`.
        figures: name -> figure.
        settings: what is logged as the run's parameters.
    """

    def log(client: MlflowClient) -> str:
        about = {"as_of": ",".join(backtest_days)}
        run_id = start_run(client, tracking, tags, f"backtest-{tags.ds}", about)
        _log_batch(client, run_id, _backtest_metrics(tables[BACKTESTS.name]), settings)
        for name, rows in tables.items():
            client.log_text(run_id, json.dumps([dict(row) for row in rows], indent=1, default=str), f"{name}.json")
        for name, figure in figures.items():
            client.log_figure(run_id, figure, f"{name}.png")
        client.set_terminated(run_id)
        return run_id

    return unless_away("log the backtest", tracking, log)


def promote(tracking: TrackingConfig, shop_name: str, model: str, version: str) -> bool:
    """Moves the alias `champion` to a fit. Returns whether it did.

    Args:
        version: our version text of the fit of `model`.
    """

    def move(client: MlflowClient) -> bool:
        name = registered_name(shop_name)
        numbers = versions_of(client, name, version)
        if not numbers:
            logger.warning("alias champion stays: version %s is not registered in MLflow", version)
            return False
        client.set_registered_model_alias(name, CHAMPION, numbers[0])
        logger.info("champion: model=%s version=%s", model, version)
        return True

    return unless_away("move the alias champion", tracking, move) or False


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a registered model.

    Attributes:
        number: MLflow's.
        version: our version text.
        as_of: the day that it was fitted up to, YYYY-MM-DD.
    """

    number: int
    version: str
    as_of: str


def registered_versions(tracking: TrackingConfig, name: str) -> list[RegisteredVersion]:
    """Returns every version of a registered model, the latest first; empty where there is no such model.

    Raises:
        NightError: MLflow does not answer.
    """
    found = unless_away("list the versions", tracking, lambda client: list(_all_versions(client, name)))
    return sorted(_answered(found), key=lambda version: -version.number)


def _all_versions(client: MlflowClient, name: str) -> Iterator[RegisteredVersion]:
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        for found in page:
            yield RegisteredVersion(int(found.version), found.tags.get("version", ""), found.tags.get("as_of", ""))
        token = page.token
        if not token:
            return


def alias_number(tracking: TrackingConfig, name: str, alias: str) -> int | None:
    """Returns the number of the version that an alias names; None where it names none.

    Raises:
        NightError: MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    def find(client: MlflowClient) -> int:
        try:
            return int(client.get_model_version_by_alias(name, alias).version)
        except MlflowException as err:
            if err.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return 0
            raise

    return _answered(unless_away(f"look for the alias {alias}", tracking, find)) or None


def move_alias(tracking: TrackingConfig, name: str, alias: str, number: int) -> None:
    """Makes an alias name another version.

    Raises:
        NightError: MLflow does not answer.
    """

    def move(client: MlflowClient) -> bool:
        client.set_registered_model_alias(name, alias, str(number))
        return True

    _answered(unless_away(f"move the alias {alias}", tracking, move))
    logger.info("alias %s: model=%s number=%d", alias, name, number)


def _answered(answer: T | None) -> T:
    if answer is None:
        raise NightError("MLflow does not answer; the line above says what it said. Is MLFLOW_TRACKING_URI right?")
    return answer


def registered_name(shop_name: str) -> str:
    """The name under which a shop's fits are registered."""
    return f"nightjar-{shop_name}"


def _log_fit(client: MlflowClient, tracking: TrackingConfig, tags: RunTags, fit: Fit, folder: Path) -> str:
    about = {"model": fit.model, "as_of": fit.as_of, "version": fit.version}
    run_id = start_run(client, tracking, tags, fit.version, about)
    facts = {"vocabulary_hash": fit.vocabulary_hash, "inputs": ",".join(fit.inputs), "code": fit.code}
    _log_batch(
        client,
        run_id,
        metrics=[(name, value, epoch) for name, curve in fit.curves.items() for epoch, value in enumerate(curve, 1)]
        + [(name, value, 0) for name, value in fit.facts.items()],
        params={**_flat(fit.config), **fit.settings, **facts},
    )
    client.log_artifacts(run_id, str(folder), MODEL_FOLDER)
    if fit.curves:
        client.log_figure(run_id, curves_figure(fit), "curves.png")
    register_version(client, registered_name(tags.shop), run_id, about)
    client.set_terminated(run_id)
    return run_id


def register_version(client: MlflowClient, name: str, run_id: str, tags: Mapping[str, str]) -> str:
    """Registers the folder MODEL_FOLDER of a run as a version of the model `name`. Returns its number."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as err:
        if err.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
    return str(client.create_model_version(name, source, run_id, tags=dict(tags)).version)


def versions_of(client: MlflowClient, name: str, version: str) -> list[str]:
    """The numbers under which our version text is registered, the latest first."""
    # Version texts are our own: letters, digits, _ and -; nothing to escape.
    found = client.search_model_versions(f"name = '{name}' AND tags.version = '{version}'")
    return [str(number) for number in sorted((int(v.version) for v in found), reverse=True)]


def _backtest_metrics(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, int]]:
    """Name, value and step of every figure in rows of `backtests`."""
    about = {"ds", "model", "task", "k", "num_items"}
    return [
        (f"{row['model']}.{row['task']}.{measure}_at_{row['k']}", float(row[measure]), 0)
        for row in rows
        for measure in row.keys() - about
    ]


def start_run(
    client: MlflowClient, tracking: TrackingConfig, tags: RunTags, run_name: str, more_tags: Mapping[str, str]
) -> str:
    """Starts a run in the shop's experiment. Returns its id."""
    name = registered_name(tags.shop)
    experiment = client.get_experiment_by_name(name)
    # None leaves it to the server where the runs' files go.
    artifacts = None if tracking.server else (tracking.local_folder / "artifacts").as_uri()
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name, artifacts)
    run = client.create_run(experiment_id, run_name=run_name, tags={**more_tags, **asdict(tags)})
    return str(run.info.run_id)


def _log_batch(
    client: MlflowClient, run_id: str, metrics: Iterable[tuple[str, float, int]], params: Mapping[str, Any]
) -> None:
    """Logs name, value and step of metrics, a thousand at a time as MLflow wants it, and parameters."""
    from mlflow.entities import Metric, Param

    all_metrics = [Metric(name, value, 0, step) for name, value, step in metrics]
    for start in range(0, len(all_metrics), 1000):
        client.log_batch(run_id, metrics=all_metrics[start : start + 1000])
    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in params.items()])


def curves_figure(fit: Fit) -> Figure:
    """Loss by epoch, one line per curve."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in fit.curves.items():
        axes.plot(range(1, len(values) + 1), values, marker="o", label=name.replace("_", " "))
    axes.set(xlabel="epoch", ylabel="loss", title=fit.version)
    axes.legend()
    return figure


def unless_away(action: str, tracking: TrackingConfig, call: Callable[[MlflowClient], T]) -> T | None:
    """Calls with a client; a server that fails in whatever way is one warning."""
    try:
        with _alone(tracking):
            return call(mlflow_client(tracking))
    except NightError:
        raise
    except Exception as err:
        # MLflow, SQLAlchemy, requests and the disk each have their own errors, and none of them may stop a night.
        logger.warning("%s", failure_line(f"MLflow did not {action}, the night goes on without", err, NO_ANSWER))
        return None


def mlflow_client(tracking: TrackingConfig) -> MlflowClient:
    """A client of the tracking server, or of the file under the root."""
    from mlflow import MlflowClient

    if not tracking.server:
        bring_along(tracking.local_folder)
    return MlflowClient(tracking_uri=tracking.uri)


@contextmanager
def _alone(tracking: TrackingConfig) -> Iterator[None]:
    """Lets one program at a time write to the file under the root: SQLite has one writer, and one must create it."""
    if tracking.server:
        yield
        return
    tracking.local_folder.mkdir(parents=True, exist_ok=True)
    with (tracking.local_folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _require_free(tracking.local_folder / "mlflow.db", tracking.patience_seconds)
        yield


def _require_free(file: Path, patience_seconds: float) -> None:
    """Waits until nobody else writes to the file: MLflow itself would try for minutes before it gives up.

    Raises:
        sqlite3.OperationalError: somebody still does, or the file may not be written to.
    """
    if file.exists():
        with closing(sqlite3.connect(file, timeout=patience_seconds, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
