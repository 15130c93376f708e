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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.runtime.program import Night, add_as_of, days_from, night_from, night_parser, run_program
from expectations.tables import FITTED_MODELS, NightError
from models.data.dataset import Dataset, dataset_versions, load_dataset
from models.interface import tracking
from models.interface.fitted_models import RETRIEVAL, fitted_model, reuse_fit, write_fitted_model
from models.interface.in_force import ModelsAsOf, fit_code, fit_settings
from models.interface.model import Model, TrainingHistory, WarmModel
from models.interface.registry import (
    build_model,
    deep_models,
    model_class,
    require_known,
    shop_values,
    trained_models,
)
from models.interface.vector_rows import retrieval_rows
from models.interface.weights_store import fetched_folder, put_folder, weights_folder, weights_path
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

    With `warm_start`, or `refit = "weekly"`, deep models are first fitted as of their anchor, unless they are.
    """
    inputs, models = dataset_versions(night.lake, as_of), ModelsAsOf(night.lake, night.shop, as_of)
    going_on = deep_models(names) if models.anchor else []
    if models.anchor and going_on:
        train_models(night, models.anchor, going_on)
    plans = [_fit_plan(night, models, name, inputs, models.anchor if name in going_on else None) for name in names]
    stale = [plan for plan in plans if not _is_fitted(night.lake, plan)]
    if not stale:
        return
    dataset = load_dataset(night.lake, night.shop, as_of)
    for plan in stale:
        train_model(night, dataset, plan)


@dataclass(frozen=True)
class FitPlan:
    """A fit that a night asks for.

    Attributes:
        fingerprint: a hash of all that it depends on.
        inputs: the versions among these.
        before: the fit whose weights it takes; None: it starts from nothing.
        notes: see `ModelsAsOf.notes_of_fit`.
    """

    model: str
    as_of: str
    fingerprint: str
    inputs: Sequence[Version]
    before: Version | None
    notes: Mapping[str, Any]


def _fit_plan(night: Night, models: ModelsAsOf, name: str, inputs: Sequence[Version], anchor: str | None) -> FitPlan:
    shop, before = night.shop, night.lake.require(FITTED_MODELS, anchor, name) if anchor else None
    versions = [*inputs, *([before] if before else [])]
    settings = fit_settings(shop, shop_values(shop, name), before)
    fingerprints = [version.fingerprint for version in versions]
    fingerprint = fingerprint_of(FITTED_MODELS.name, models.as_of, name, fit_code(name), fingerprints, settings)
    return FitPlan(name, models.as_of, fingerprint, versions, before, models.notes_of_fit(name, before))


def _is_fitted(lake: Lake, plan: FitPlan) -> bool:
    """Whether the fit is there; it is in force then, though the shop file may say the same in other words by now."""
    is_there = reuse_fit(lake, plan.as_of, plan.model, plan.fingerprint, plan.notes)
    if is_there:
        logger.info("already fitted: model=%s as_of=%s", plan.model, plan.as_of)
    return is_there


def train_model(night: Night, dataset: Dataset, plan: FitPlan) -> Version:
    """Fits one model and writes all that it leaves behind."""
    lake, name, fingerprint = night.lake, plan.model, plan.fingerprint
    values = shop_values(night.shop, name)
    model, path = build_model(name, values), weights_path(name, dataset.as_of, fingerprint)
    started = time.monotonic()
    try:
        if plan.before is None:
            history = model.fit(dataset)
        else:
            history = from_earlier_weights(lake, model, dataset, plan.before, night.shop.refit)
    except TrainingFailed as failure:
        raise NightError(f"{failure}{kept_weights(lake, model, failure, path)}") from failure
    seconds = round(time.monotonic() - started, 2)
    found = model.retrieval(dataset)
    retrieval = []
    for table, rows in (retrieval_rows(found, dataset.as_of, name) if found is not None else {}).items():
        lake.write(table, dataset.as_of, rows, fingerprint, model=name)
        retrieval.append(table.name)
    fit = tracking.Fit(
        model=name,
        as_of=dataset.as_of,
        version=f"{name}-{dataset.as_of}-{fingerprint[:8]}",
        config=values,
        curves=history.curves,
        facts={**history.facts, "seconds": seconds},
        inputs=[version.fingerprint for version in plan.inputs],
        vocabulary_hash=dataset.vocabulary_hash,
        code=fit_code(name),
        settings={
            "seed": night.shop.seed,
            "horizon_days": night.shop.horizon_days,
            "weights_from": fitted_model(plan.before)["version"] if plan.before else "nothing",
        },
    )
    with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
        model.save(Path(folder))
        put_folder(lake, Path(folder), path)
        run_id = tracking.log_fit(night.tracking, night.run_tags, fit, Path(folder))
    notes = {**plan.notes, RETRIEVAL: retrieval}
    version = write_fitted_model(lake, fit, fingerprint, path, run_id, notes)
    logger.info("fitted: model=%s as_of=%s seconds=%.1f %s", name, dataset.as_of, seconds, summary(model, history))
    return version


def from_earlier_weights(lake: Lake, model: Model, dataset: Dataset, before: Version, refit: str) -> TrainingHistory:
    """Goes on from the weights of the fit of another day or, with weekly fits, takes them as they are."""
    row, model = fitted_model(before), cast(WarmModel, model)
    is_weekly = refit == "weekly"
    what = "carrying over" if is_weekly else "going on"
    logger.info("%s: model=%s as_of=%s from=%s", what, model.name, dataset.as_of, row["version"])
    with fetched_folder(lake, str(row["weights_path"])) as folder:
        earlier = cast(WarmModel, model_class(model.name).load(folder))
    if not is_weekly:
        return model.refit(dataset, earlier)
    model.carry_over(dataset, earlier)
    return TrainingHistory({}, {})


def kept_weights(lake: Lake, model: Model, failure: TrainingFailed, path: str) -> str:
    """Keeps what is good of a failed fit, beside `path`. Returns what the error should say of it."""
    if not failure.good_epochs:
        return ""
    beside = f"{path}-last-good"
    with tempfile.TemporaryDirectory(prefix="nightjar-fit-") as folder:
        model.save(Path(folder))
        put_folder(lake, Path(folder), beside)
    return f" The weights after epoch {failure.good_epochs}, the last good one, are in {weights_folder(lake, beside)}."


def summary(model: Model, history: TrainingHistory) -> str:
    """The fit in a few words for the log: the last value of each curve, or the figures of a model without epochs."""
    last = {name: values[-1] for name, values in history.curves.items()} or history.facts
    return f"role={model.role} " + " ".join(f"{name}={value:.4g}" for name, value in last.items())


if __name__ == "__main__":
    run_program(main)
