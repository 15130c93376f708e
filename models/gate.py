"""Decides which model this night may publish, and moves the alias `champion` to it.

Reads partition `ds` of `backtests` and `backtest_gains`, the fits and lists as of ds, and from `run_manifest` what was
published for the latest earlier ds. Writes the one row of partition `ds` of `gate_decisions`: a night that is judged
again, from the same figures, decides the same.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Version, fingerprint_of
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.tables import BACKTEST_GAINS, BACKTESTS, FITTED_MODELS, GATE_DECISIONS, ITEM_NEIGHBOURS
from models.data.arrow_rows import arrow_rows
from models.evaluation.held_out import NEW_ITEMS, decisive_task
from models.evaluation.list_health import list_health, overlap
from models.evaluation.promotion_decision import Decision, decide
from models.evaluation.promotion_rules import Challenger, Comparison
from models.evaluation.refit_consistency import Refit
from models.interface import tracking
from models.interface.fitted_models import fitted_model, is_fitted
from models.interface.published_lists import published_nights
from models.interface.ranked_lists import backtest_name, current_lists
from models.interface.registry import MODELS

FILLERS = ("recent_demand", "all_time_popularity", "item_item", "graph", "content", "cross_domain")
"""Models whose items or reasons stand in published rows beside, or in place of, the published model's own."""

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Decides, writes, moves the alias and prints."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    published = published_nights(night.lake)
    decision = decide(
        night.ds, challengers_of(night), published.champion(night.ds), comparison_of(night), night.shop.gate
    )
    write_decision(night, decision)
    if published.is_latest(night.ds):
        model = decision.published_model
        version = str(fitted_model(night.lake, night.ds, model)["version"])
        tracking.promote(night.tracking, night.shop.name, model, version)
    else:
        logger.info("alias champion stays: a later night than ds=%s is published", night.ds)
    print(decision_text(decision))


def comparison_of(night: Night) -> Comparison:
    """What the gate compares."""
    return Comparison(night.shop.primary_metric, decisive_task(night.shop), night.shop.top_k)


def challengers_of(night: Night) -> list[Challenger]:
    """Every model of the shop file, in its order, with what this night has of it."""
    backtest, gains = _backtest_rows(night, comparison_of(night)), _gain_rows(night, comparison_of(night))
    refit = Refit(night.lake, night.backtest_as_of, night.ds)
    return [_challenger(night, refit, model, backtest.get(model), gains.get(model, {})) for model in night.shop.models]


def write_decision(night: Night, decision: Decision) -> Version:
    """Writes `gate_decisions`; the fingerprint is one of what was decided, which rests on figures alone."""
    similar_model = _similar_model(night, decision.published_model)
    versions = {
        model: fitted_model(night.lake, night.ds, model)["version"]
        for model in dict.fromkeys((decision.published_model, *FILLERS))
        if is_fitted(night.lake, night.ds, model)
    }
    row = {
        "published_model": decision.published_model,
        "similar_model": similar_model,
        "is_fallback": decision.is_fallback,
        "champion": decision.champion,
        "decision": json.dumps(decision.as_dict(), sort_keys=True),
        "model_versions": json.dumps(versions, sort_keys=True),
    }
    rows = arrow_rows(GATE_DECISIONS, night.ds, [row])
    version = night.lake.write(
        GATE_DECISIONS, night.ds, rows, fingerprint_of(GATE_DECISIONS.name, code_version("models.gate"), row)
    )
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


def _backtest_rows(night: Night, comparison: Comparison) -> dict[str, dict[str, Any]]:
    """Model -> the row that counts; empty when this night has no backtest."""
    if night.lake.current(BACKTESTS, night.ds) is None:
        logger.warning("no backtest: table=%s ds=%s; the night will be a fallback", BACKTESTS.name, night.ds)
        return {}
    rows = night.lake.read(BACKTESTS, night.ds).to_pylist()
    return {row["model"]: row for row in rows if (row["task"], row["k"]) == (comparison.task, comparison.k)}


def _gain_rows(night: Night, comparison: Comparison) -> dict[str, dict[str, dict[str, Any]]]:
    """Model -> rival -> the row that counts; empty when this night has none."""
    if night.lake.current(BACKTEST_GAINS, night.ds) is None:
        return {}
    gains: dict[str, dict[str, dict[str, Any]]] = {}
    for row in night.lake.read(BACKTEST_GAINS, night.ds).to_pylist():
        if (row["task"], row["k"]) == (comparison.task, comparison.k):
            gains.setdefault(row["model"], {})[row["rival"]] = row
    return gains


def _challenger(
    night: Night, refit: Refit, model: str, backtest: dict[str, Any] | None, gains: dict[str, dict[str, Any]]
) -> Challenger:
    lake, ds, as_of = night.lake, night.ds, night.backtest_as_of
    if lake.current(FITTED_MODELS, ds, model) is None:
        return Challenger(model, MODELS[model].kind, backtest=backtest, gains=gains)
    fitted = fitted_model(lake, ds, model)
    lists, earlier = current_lists(lake, ds, model), current_lists(lake, as_of, backtest_name(model))
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


def _similar_model(night: Night, published_model: str) -> str:
    """Whose neighbours are published as similar items; empty when no model has any."""
    for model in ("item_item", published_model):
        has_neighbours = night.lake.current(ITEM_NEIGHBOURS, night.ds, model) is not None
        if has_neighbours and model in night.shop.models and is_fitted(night.lake, night.ds, model):
            return model
    return ""


if __name__ == "__main__":
    run_program(main)
