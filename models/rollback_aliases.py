"""Puts MLflow's aliases back: `champion`, the published fit, and `serving`, the session model. Touches no table.

    python -m models.rollback_aliases                          what would change, to the night before; nothing does
    python -m models.rollback_aliases --apply                  changes it
    python -m models.rollback_aliases --alias champion --to 2025-05-30 --apply

`champion` goes to the version that `run_manifest` says was published for a day, `serving` to the session model that was
registered for it. The next night moves them on again. `jobs.rollback` puts the tables back.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from expectations.runtime.lake import Lake
from expectations.runtime.program import run_program
from expectations.runtime.published_tables import manifest_rows
from expectations.runtime.tracking_config import TrackingConfig, tracking_server_from
from expectations.semantics.champions import published_decision
from expectations.shop.shop import load_shop
from expectations.tables import USER_RECOMMENDATIONS, NightError, ds_from_text
from models.interface.tracking import (
    CHAMPION,
    RegisteredVersion,
    alias_number,
    move_alias,
    registered_name,
    registered_versions,
)
from models.serving.model_registry import SERVING, session_model_name

NIGHT_BEFORE = "night-before"
ALL = "all"


@dataclass(frozen=True)
class AliasMove:
    """What a rollback does to one alias.

    Attributes:
        model: the name under which MLflow knows it.
        now: what the alias names; None: nothing.
    """

    model: str
    alias: str
    now: RegisteredVersion | None
    then: RegisteredVersion


def main(argv: Sequence[str] | None = None) -> None:
    """Shows what would change, or changes it."""
    arguments = _parser().parse_args(argv)
    shop, lake = load_shop(arguments.shop), Lake(arguments.root)
    tracking = TrackingConfig(lake.root, tracking_server_from(os.environ))
    to = arguments.to if arguments.to == NIGHT_BEFORE else ds_from_text(arguments.to)
    aliases = (CHAMPION, SERVING) if arguments.alias == ALL else (arguments.alias,)
    moves = [planned_move(lake, tracking, shop.name, alias, to) for alias in aliases]
    for move in moves:
        print(f"{move.alias:<9} {_shown(move.now)} → {_shown(move.then)}")
        if arguments.apply:
            move_alias(tracking, move.model, move.alias, move.then.number)
    if not arguments.apply:
        print("This was a dry run: add --apply to do it.")


def planned_move(lake: Lake, tracking: TrackingConfig, shop_name: str, alias: str, to: str) -> AliasMove:
    """Finds out which version an alias goes to.

    Args:
        to: a day, YYYY-MM-DD, or `night-before`.

    Raises:
        NightError: no version of that day is registered, none is earlier, or MLflow does not answer.
    """
    model = registered_name(shop_name) if alias == CHAMPION else session_model_name(shop_name)
    registered = registered_versions(tracking, model)
    number = alias_number(tracking, model, alias)
    now = next((version for version in registered if version.number == number), None)
    by_day = _published(lake, registered) if alias == CHAMPION else _of_days(registered)
    ds = day_before(by_day, now) if to == NIGHT_BEFORE else to
    if ds not in by_day:
        wanted = f"before {_shown(now)}" if to == NIGHT_BEFORE else f"of {to}"
        raise NightError(
            f"alias {alias}: MLflow has no version of {model} {wanted} to go back to. "
            f"Days that it has one of: {', '.join(sorted(by_day)[-10:]) or 'none'}"
        )
    return AliasMove(model, alias, now, by_day[ds])


def day_before(by_day: Mapping[str, RegisteredVersion], now: RegisteredVersion | None) -> str:
    """Returns the last day before the first one that has the version `now`; empty where there is none.

    Where no day has it, its night was never published: the last day up to it then, or, without `now`, of all.
    """
    if now is None:
        return max(by_day, default="")
    of_now = [ds for ds, version in by_day.items() if version.version == now.version]
    return max((ds for ds in by_day if (ds < min(of_now) if of_now else ds <= now.as_of)), default="")


def _published(lake: Lake, registered: Sequence[RegisteredVersion]) -> dict[str, RegisteredVersion]:
    """Maps each published day to the version that was published for it, where MLflow has it."""
    latest = {version.version: version for version in reversed(registered)}
    found = {}
    for row in manifest_rows(lake, columns=("ds", "table_name", "metrics", "model_versions")):
        if row["table_name"] == USER_RECOMMENDATIONS.name:
            model = published_decision(row["metrics"])["published_model"]
            version = latest.get(json.loads(row["model_versions"]).get(model, ""))
            if version is not None:
                found[row["ds"]] = version
    return found


def _of_days(registered: Sequence[RegisteredVersion]) -> dict[str, RegisteredVersion]:
    return {version.as_of: version for version in reversed(registered)}


def _shown(version: RegisteredVersion | None) -> str:
    return f"{version.version} (version {version.number})" if version else "nothing"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    env = os.environ
    parser.add_argument("--to", default=NIGHT_BEFORE, help="a day, YYYY-MM-DD, or night-before, the default")
    parser.add_argument("--alias", default=ALL, choices=(ALL, CHAMPION, SERVING), help="both by default")
    parser.add_argument(
        "--apply", action=argparse.BooleanOptionalAction, default=False, help="do it; what would change is printed"
    )
    parser.add_argument("--shop", default=env.get("SHOP", "demo"), help="a name, or a path to a .toml file (SHOP)")
    parser.add_argument("--root", default=env.get("NIGHTJAR_ROOT", "./data"), help="NIGHTJAR_ROOT")
    return parser


if __name__ == "__main__":
    run_program(main)
