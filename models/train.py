"""Fits models as of one day and writes what they answer.

Reads the feature tables of `--as-of` that `models.data.dataset` names. Writes user_vectors and item_vectors, or
item_neighbours (a ranking model writes neither), the weights under `{root}/weights`, a run in MLflow, and last the row
of fitted_models that vouches for the rest. A model whose row already carries the fingerprint of all that it would be
fitted from is left alone, so that a re-run is safe and cheap. A fit that fails half-way makes nothing current; the
weights of its last good epoch are kept beside where its own would lie, for whoever looks into it.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version, fingerprint_of
from expectations.runtime.program import Night, add_as_of, days_from, night_from, night_parser, run_program
from expectations.tables import FITTED_MODELS, VOCABULARIES, NightError
from models.data.dataset import Dataset, dataset_versions, load_dataset
from models.interface import tracking
from models.interface.fitted_models import reuse_fit, write_fitted_model
from models.interface.model import Model, TrainingHistory, WarmModel
from models.interface.registry import (
    MODELS,
    build_model,
    model_class,
    require_known,
    shop_values,
    trained_models,
)
from models.interface.vector_rows import retrieval_rows
from models.interface.weights_store import fetched_folder, put_folder, weights_path
from models.nn.training_setup import TrainingFailed

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Fits each model of `--model`; without the flag, every model of the shop."""
    parser = night_parser(__doc__)
    add_as_of(parser)
    parser.add_argument("--model", nargs="*", default=None, help="names in models/configs; default: the shop's models")
    arguments = parser.parse_args(argv)
    night = night_from(arguments)
    names = night.shop.models if arguments.model is None else arguments.model
    require_known(names)
    for as_of in days_from(arguments, night):
        train_models(night, as_of, trained_models(names))


def train_models(night: Night, as_of: str, names: Sequence[str]) -> None:
    """Fits those of the models that are not yet fitted from just these inputs.

    With `warm_start`, deep models are first fitted as of their anchor, unless they are.
    """
    inputs, anchor = dataset_versions(night.lake, as_of), anchor_to_go_on_from(night, as_of)
    going_on = [name for name in names if MODELS[name].kind == "deep"] if anchor else []
    if anchor and going_on:
        train_models(night, anchor, going_on)
    fits = {name: _fit_inputs(night, name, inputs, anchor if name in going_on else None) for name in names}
    fingerprints = {name: fit_fingerprint(night, as_of, name, fits[name]) for name in names}
    stale = [name for name in names if not reuse_fit(night.lake, as_of, name, fingerprints[name])]
    for name in names:
        if name not in stale:
            logger.info("already fitted: model=%s as_of=%s", name, as_of)
    if not stale:
        return
    dataset = load_dataset(night.lake, night.shop, as_of)
    for name in stale:
        before = anchor if name in going_on else None
        train_model(night, dataset, name, fingerprints[name], fits[name], before)


def anchor_to_go_on_from(night: Night, as_of: str) -> str | None:
    """The anchor of `as_of`, where the shop's models go on from their anchors and `as_of` is none itself."""
    anchor: str = night.lake.require(VOCABULARIES, as_of).metadata.get("anchor", as_of)
    return anchor if night.shop.warm_start and anchor != as_of else None


def _fit_inputs(night: Night, name: str, inputs: Sequence[Version], before: str | None) -> list[Version]:
    return [*inputs, *([night.lake.require(FITTED_MODELS, before, name)] if before else [])]


def fit_fingerprint(night: Night, as_of: str, name: str, inputs: Sequence[Version]) -> str:
    """A hash of all that a fit depends on."""
    shop = night.shop
    settings = [shop.seed, shop.horizon_days, shop.target_events, shop.event_weights, shop_values(shop, name)]
    return fingerprint_of(FITTED_MODELS.name, as_of, name, fit_code(name), [v.fingerprint for v in inputs], settings)


def fit_code(name: str) -> str:
    """The version of the code that fits a model."""
    return code_version("models.train", MODELS[name].module)


def train_model(
    night: Night, dataset: Dataset, name: str, fingerprint: str, inputs: Sequence[Version], before: str | None = None
) -> Version:
    """Fits one model and writes all that it leaves behind.

    Args:
        before: the day whose fit it goes on from; None: it starts from nothing.
    """
    values = shop_values(night.shop, name)
    model, path = build_model(name, values), weights_path(night.lake, name, dataset.as_of, fingerprint)
    started = time.monotonic()
    try:
        history = model.fit(dataset) if before is None else refit(night, model, dataset, before)
    except TrainingFailed as failure:
        raise NightError(f"{failure}{kept_weights(model, failure, path)}") from failure
    seconds = round(time.monotonic() - started, 2)
    found = model.retrieval(dataset)
    retrieval = []
    for table, rows in (retrieval_rows(found, dataset.as_of, name) if found is not None else {}).items():
        night.lake.write(table, dataset.as_of, rows, fingerprint, model=name)
        retrieval.append(table.name)
    fit = tracking.Fit(
        model=name,
        as_of=dataset.as_of,
        version=f"{name}-{dataset.as_of}-{fingerprint[:8]}",
        config=values,
        curves=history.curves,
        facts={**history.facts, "seconds": seconds},
        inputs=[version.fingerprint for version in inputs],
        vocabulary_hash=dataset.vocabulary_hash,
        code=fit_code(name),
        settings={"seed": night.shop.seed, "horizon_days": night.shop.horizon_days},
    )
    with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
        model.save(Path(folder))
        put_folder(Path(folder), path)
        run_id = tracking.log_fit(night.tracking, night.run_tags, fit, Path(folder))
    version = write_fitted_model(night.lake, fit, fingerprint, path, run_id, retrieval=retrieval)
    logger.info("fitted: model=%s as_of=%s seconds=%.1f %s", name, dataset.as_of, seconds, summary(model, history))
    return version


def refit(night: Night, model: Model, dataset: Dataset, before: str) -> TrainingHistory:
    """Goes on from the weights of the fit of another day."""
    row = night.lake.read(FITTED_MODELS, before, model.name).to_pylist()[0]
    logger.info("going on: model=%s as_of=%s from=%s", model.name, dataset.as_of, row["version"])
    with fetched_folder(row["weights_path"]) as folder:
        return cast(WarmModel, model).refit(dataset, cast(WarmModel, model_class(model.name).load(folder)))


def kept_weights(model: Model, failure: TrainingFailed, path: str) -> str:
    """Keeps what is good of a failed fit, beside `path`. Returns what the error should say of it."""
    if not failure.good_epochs:
        return ""
    beside = f"{path}-last-good"
    with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
        model.save(Path(folder))
        put_folder(Path(folder), beside)
    return f" The weights after epoch {failure.good_epochs}, the last good one, are in {beside}."


def summary(model: Model, history: TrainingHistory) -> str:
    """The fit in a few words for the log: the last value of each curve, or the figures of a model without epochs."""
    last = {name: values[-1] for name, values in history.curves.items()} or history.facts
    return f"role={model.role} " + " ".join(f"{name}={value:.4g}" for name, value in last.items())


if __name__ == "__main__":
    run_program(main)
