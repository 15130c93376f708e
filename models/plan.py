"""Which models does this night train? Prints one line of JSON: {"baselines": [...], "deep": [...]}.

Reads the shop file, and how long the fits of the night before took. The DAG maps its training tasks over the answer:
baselines together in one task, every deep model in a task of its own, on a GPU worker where there is one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from expectations.runtime.days import days_before
from expectations.runtime.lake import Lake
from expectations.runtime.program import night_from, night_parser, run_program
from expectations.tables import FITTED_MODELS
from models.interface.registry import MODELS, deep_models, require_known, trained_models


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the plan."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    require_known(night.shop.settings)
    planned = plan(night.shop.models)
    planned["deep"] = longest_first(night.lake, days_before(night.ds, 1), planned["deep"])
    print(json.dumps(planned))


def longest_first(lake: Lake, ds: str, names: Sequence[str]) -> list[str]:
    """By how long their fits of that day took; before them those that were not fitted then.

    Workers that share the fits then end at about the same time: a long fit that begins last keeps one busy alone.
    """
    fitted = {name: lake.read(FITTED_MODELS, ds, name) for name in names if lake.current(FITTED_MODELS, ds, name)}
    seconds = {name: json.loads(rows["metrics"][0].as_py()).get("seconds") for name, rows in fitted.items()}
    return sorted(names, key=lambda name: -(seconds.get(name) or math.inf))


def plan(names: Sequence[str]) -> dict[str, list[str]]:
    """The models by kind, in the shop's order; what joins the lists of others is not trained.

    Raises:
        SettingsError: one of them does not exist.
    """
    require_known(names)
    return {
        "baselines": [name for name in trained_models(names) if MODELS[name].kind == "baseline"],
        "deep": deep_models(names),
    }


if __name__ == "__main__":
    run_program(main)
