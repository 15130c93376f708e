"""The lists by which a night's backtest judges the shop's models, and what its figures rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.shop import Shop
from expectations.tables import BACKTESTS, EVENTS, INTERACTIONS, ITEM_FEATURES, USER_FEATURES, VOCABULARIES
from models.interface.in_force import ModelsAsOf, backtest_name


def lists_by_day(lake: Lake, shop: Shop, days: Sequence[str]) -> dict[str, dict[str, Version | None]]:
    """Model -> its lists as of each of the backtest's days, in the order of the shop file; None where none count."""
    models = {day: ModelsAsOf(lake, shop, day) for day in days}
    return {name: {day: models[day].lists(backtest_name(name)) for day in days} for name in shop.models}


def judged_lists(found: Mapping[str, Mapping[str, Version | None]]) -> dict[str, dict[str, Version]]:
    """Those of models that have lists of all windows: models are compared on the same questions.

    Args:
        found: what `lists_by_day` gives.
    """
    whole = {
        name: {day: version for day, version in by_day.items() if version is not None} for name, by_day in found.items()
    }
    return {name: by_day for name, by_day in whole.items() if len(by_day) == len(found[name])}


def backtest_fingerprint(
    lake: Lake, shop: Shop, ds: str, days: Sequence[str], lists: Mapping[str, Mapping[str, Version]]
) -> str:
    """A hash of all that a backtest of these lists depends on.

    Args:
        days: the backtest's, the latest first.
        lists: what `judged_lists` gives; their fingerprints are those of the fits, too.
    """
    versions: list[Version | None] = list(lake.versions(EVENTS, until=ds, since=days[-1]).values())
    for day in days:
        versions += [lake.current(table, day) for table in (VOCABULARIES, INTERACTIONS, ITEM_FEATURES, USER_FEATURES)]
        versions += [by_day[day] for by_day in lists.values()]
    settings = [list(lists), shop.target_events, shop.horizon_days, shop.num_candidates, shop.top_k, shop.seed]
    settings.append(shop.primary_metric)
    details = [version.fingerprint if version else None for version in versions]
    return fingerprint_of(BACKTESTS.name, ds, code_version("models.backtest"), days, details, settings)
