"""Decides which model this night may publish.

Reads partition `ds` of `backtests` and `backtest_gains`, the fits and lists as of ds, and from `run_manifest` what was
published for the latest earlier ds. Only what was made from this night's inputs counts (`models.interface.in_force`);
what an earlier run left is absent. Writes the one row of partition `ds` of `gate_decisions`, which names what counts
for the programs after it: a night that is judged again, from the same figures, decides the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from expectations.runtime.code_version import code_version
from expectations.runtime.input_fingerprint import MADE_FROM, made_from_versions
from expectations.runtime.lake import Version, fingerprint_of, parquet_dataset
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.semantics.models_in_force import NO_MODEL
from expectations.tables import BACKTEST_GAINS, BACKTESTS, GATE_DECISIONS, ITEM_NEIGHBOURS
from models.data.arrow_rows import arrow_rows
from models.evaluation.held_out import NEW_ITEMS, decisive_task
from models.evaluation.judged_lists import backtest_fingerprint, judged_lists, lists_by_day
from models.evaluation.list_health import list_health, overlap
from models.evaluation.promotion_decision import Decision, decide
from models.evaluation.promotion_rules import Challenger, Comparison
from models.evaluation.refit_consistency import Refit
from models.interface.fitted_models import fitted_model
from models.interface.in_force import ModelsAsOf, backtest_name
from models.interface.published_lists import published_nights
from models.interface.registry import MODELS

FILLERS = ("recent_demand", "all_time_popularity", "item_item", "graph", "content", "cross_domain")
"""Models whose items or reasons stand in published rows beside, or in place of, the published model's own."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Decides, writes and prints."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    champion = published_nights(night.lake).champion(night.ds)
    decision = decide(night.ds, challengers_of(night), champion, comparison_of(night), night.shop.gate)
    write_decision(night, decision)
    print(decision_text(decision))


def comparison_of(night: Night) -> Comparison:
    """What the gate compares."""
    return Comparison(night.shop.primary_metric, decisive_task(night.shop), night.shop.top_k)


def challengers_of(night: Night) -> list[Challenger]:
    """Every model of the shop file, in its order, with what this night has of it."""
    version, comparison = _backtest_version(night), comparison_of(night)
    backtest, gains = _backtest_rows(night, version, comparison), _gain_rows(night, version, comparison)
    models, refit = _models_of(night), Refit(night.lake, night.backtest_as_of, night.ds)
    return [
        _challenger(night, models, refit, model, backtest.get(model), gains.get(model, {}))
        for model in night.shop.models
    ]


def write_decision(night: Night, decision: Decision) -> Version:
    """Writes `gate_decisions`; the fingerprint is one of what was decided, which rests on figures alone."""
    models, backtest = _models_of(night), _backtest_version(night)
    similar_model = _similar_model(models, decision.published_model)
    fits = {model: models.fit(model) for model in dict.fromkeys((decision.published_model, *FILLERS))}
    versions = {model: fitted_model(fit)["version"] for model, fit in fits.items() if fit}
    in_force = models.partitions()
    if backtest is not None:
        in_force[BACKTESTS.name] = {NO_MODEL: backtest.fingerprint}
    row = {
        "published_model": decision.published_model,
        "similar_model": similar_model,
        "is_fallback": decision.is_fallback,
        "champion": decision.champion,
        "decision": json.dumps(decision.as_dict(), sort_keys=True),
        "model_versions": json.dumps(versions, sort_keys=True),
        "in_force": json.dumps(in_force, sort_keys=True),
    }
    rows = arrow_rows(GATE_DECISIONS, night.ds, [row])
    fingerprint = fingerprint_of(GATE_DECISIONS.name, code_version("models.gate"), row)
    noted: dict[str, Any] = {MADE_FROM: made_from_versions([backtest] if backtest else [], night.shop)}
    version = night.lake.write(GATE_DECISIONS, night.ds, rows, fingerprint, **noted)
    logger.info("built: table=%s ds=%s published=%s", GATE_DECISIONS.name, night.ds, decision.published_model)
    return version


def decision_text(decision: Decision) -> str:
    """The decision for people: one line a model, then the sentence."""
    lines = [f"Gate: {decision.comparison}"]
    for details in decision.models:
        mark = "→" if details["model"] == decision.published_model else " "
        value = details[decision.comparison.metric]
        failed = [f"{rule['rule']}: {rule['saw']}" for rule in details["rules"] if not rule["passed"]]
        shown = "     –" if value is None else f"{value:.4f}"
        lines.append(f"{mark} {details['model']:<22} {shown}  {'failed: ' + '; '.join(failed) if failed else 'passed'}")
    return "\n".join([*lines, decision.reason])


def _models_of(night: Night) -> ModelsAsOf:
    return ModelsAsOf(night.lake, night.shop, night.ds)


def _backtest_version(night: Night) -> Version | None:
    """The backtest of just the lists that count; None when this night has none, whatever an earlier run left."""
    lake, shop, days = night.lake, night.shop, night.backtest_days
    version, lists = lake.current(BACKTESTS, night.ds), judged_lists(lists_by_day(lake, shop, days))
    is_of_tonight = version and version.fingerprint == backtest_fingerprint(lake, shop, night.ds, days, lists)
    return version if is_of_tonight else None


def _backtest_rows(night: Night, version: Version | None, comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Model -> the row that counts; empty when this night has no backtest."""
    if version is None:
        logger.warning("no backtest: table=%s ds=%s; the night will be a fallback", BACKTESTS.name, night.ds)
        return {}
    rows = parquet_dataset(version.path).to_table().to_pylist()
    return {row["model"]: row for row in rows if (row["task"], row["k"]) == (comparison.task, comparison.k)}


def _gain_rows(night: Night, backtest: Version | None, comparison: Comparison) -> dict[str, dict[str, dict[str, Any]]]:
    """Model -> rival -> the row that counts; empty when this night has none."""
    version = night.lake.current(BACKTEST_GAINS, night.ds)
    if backtest is None or version is None or version.fingerprint != backtest.fingerprint:
        return {}
    gains: dict[str, dict[str, dict[str, Any]]] = {}
    for row in parquet_dataset(version.path).to_table().to_pylist():
        if (row["task"], row["k"]) == (comparison.task, comparison.k):
            gains.setdefault(row["model"], {})[row["rival"]] = row
    return gains


def _challenger(
    night: Night,
    models: ModelsAsOf,
    refit: Refit,
    model: str,
    backtest: dict[str, Any] | None,
    gains: dict[str, dict[str, Any]],
) -> Challenger:
    lake, ds, as_of = night.lake, night.ds, night.backtest_as_of
    fit = models.fit(model)
    if fit is None:
        return Challenger(model, MODELS[model].kind, backtest=backtest, gains=gains)
    fitted, lists, earlier = fitted_model(fit), models.lists(model), models.of_backtest.lists(backtest_name(model))
    health = list_health(lake, ds, lists) if lists else None
    drift = overlap(list_health(lake, as_of, earlier), health) if health and earlier else None
    consistency, bounds = None, night.shop.gate
    if lists and earlier:
        exclude_seen = comparison_of(night).task == NEW_ITEMS
        consistency = refit.consistency(earlier, lists, night.shop.top_k, exclude_seen)
    logger.info("looked at lists: model=%s ds=%s rows=%d", model, ds, health.num_rows if health else 0)
    return Challenger(
        model, str(fitted["kind"]), fitted["version"], health, backtest, gains, consistency, drift, bounds
    )


def _similar_model(models: ModelsAsOf, published_model: str) -> str:
    """Whose neighbours are published as similar items; empty when no model has any."""
    candidates = ("item_item", published_model)
    return next((model for model in candidates if models.vectors(ITEM_NEIGHBOURS, model)), "")


if __name__ == "__main__":
    run_program(main)
