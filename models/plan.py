"""Which models does this night train? Prints one line of JSON: {"baselines": [...], "deep": [...]}.

Reads the shop file alone. The DAG maps its training tasks over the answer: baselines together in one task, every deep
model in a task of its own, on a GPU worker where there is one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from expectations.program import night_from, night_parser, run_program
from models.registry import MODELS, require_known, trained_models


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the plan."""
    night = night_from(night_parser(__doc__).parse_args(argv))
    require_known(night.shop.settings)
    print(json.dumps(plan(night.shop.models)))


def plan(names: Sequence[str]) -> dict[str, list[str]]:
    """The models by kind, in the shop's order; what joins the lists of others is not trained.

    Raises:
        SettingsError: one of them does not exist.
    """
    require_known(names)
    trained = trained_models(names)
    return {
        "baselines": [name for name in trained if MODELS[name].kind == "baseline"],
        "deep": [name for name in trained if MODELS[name].kind == "deep"],
    }


if __name__ == "__main__":
    run_program(main)
