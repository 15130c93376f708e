"""Which fits and lists count as of a day: those that were made from just what the lake and the shop file say now.

The lake also holds what earlier runs left: the fit of before a drop was corrected, the lists of a model that the shop
no longer runs. To whoever asks here, these are absent, so that a step that failed tonight, or never began, leaves
nothing of an earlier run standing in for it. Nothing is loaded to tell: versions note what they were made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from expectations.runtime.code_version import code_version
from expectations.runtime.days import backtest_days, days_before
from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.semantics.candidates import FITTED_FROM, candidates_fingerprint
from expectations.shop.shop import Shop
from expectations.tables import (
    CANDIDATES,
    EVENTS,
    FITTED_MODELS,
    HISTORY_VECTORS,
    INTERACTIONS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    SCORES,
    USER_VECTORS,
    VOCABULARIES,
    Table,
)
from models.data.dataset import DATASET_TABLES
from models.interface.registry import MODELS, raw_settings, shop_values

OUT_OF_FOLD = {"blend": "blend_out_of_fold"}
"""Models that learn from what the backtest asks, and under which name their answers to it stand, in which nobody's own
answer had a part."""
VECTOR_TABLES = (USER_VECTORS, ITEM_VECTORS, HISTORY_VECTORS, ITEM_NEIGHBOURS)
"""What a fit writes beside its row, under the same fingerprint."""
_SHOP_NAMES = {stands_as: model for model, stands_as in OUT_OF_FOLD.items()}


def backtest_name(model: str) -> str:
    """The name under which the backtest finds a model's lists and fit."""
    return OUT_OF_FOLD.get(model, model)


def fit_code(model: str) -> str:
    """The version of the code that fits a model."""
    return code_version("models.train", MODELS[model].module)


@dataclass(frozen=True)
class ModelsAsOf:
    """The shop's models as of one day. What the lake holds of the day's features is looked up once.

    Every question takes the name under which a model stands in the tables (see `backtest_name`), and is answered with
    None where the shop does not run the model.
    """

    lake: Lake
    shop: Shop
    as_of: str

    def fit(self, model: str) -> Version | None:
        """The version of `fitted_models`, if just this night's inputs, settings and code give it."""
        if model not in self._fits:
            self._fits[model] = self._fit(model) if self._is_run(model) else None
        return self._fits[model]

    def vectors(self, table: Table, model: str) -> Version | None:
        """One of VECTOR_TABLES, if the fit that counts wrote it."""
        fit, version = self.fit(model), self.lake.current(table, self.as_of, model)
        return version if fit and version and version.fingerprint == fit.fingerprint else None

    def lists(self, model: str) -> Version | None:
        """Where a model's lists lie: `candidates` when it retrieves, `scores` when it ranks or joins others' lists."""
        if not self._is_run(model):
            return None
        role = MODELS[_SHOP_NAMES.get(model, model)].role
        if role == "retrieval":
            return self._current(CANDIDATES, model, self.candidates_fingerprint(model))
        expected = self.scores_fingerprint(model) if role == "ranking" else self.blend_fingerprint(model)
        return self._current(SCORES, model, expected)

    @cached_property
    def candidates(self) -> dict[str, Version]:
        """The lists of the retrieval models, in the shop's order."""
        names = [name for name in self.shop.models if name in MODELS and MODELS[name].role == "retrieval"]
        return _found({name: self.lists(name) for name in names})

    @cached_property
    def joined_lists(self) -> dict[str, Version]:
        """The lists of all models that a blend joins, in the shop's order."""
        return _found({name: self.lists(name) for name in self.shop.models if name not in OUT_OF_FOLD})

    def partitions(self) -> dict[str, dict[str, str]]:
        """Table -> model -> fingerprint, of everything that counts."""
        found: dict[str, dict[str, str]] = {}
        for model in filter(self._is_run, self.shop.models):
            versions = {FITTED_MODELS: self.fit(model), **{t: self.vectors(t, model) for t in VECTOR_TABLES}}
            versions[CANDIDATES if MODELS[model].role == "retrieval" else SCORES] = self.lists(model)
            for table, version in versions.items():
                if version is not None:
                    found.setdefault(table.name, {})[model] = version.fingerprint
        return found

    def notes_of_fit(self, model: str, before: Version | None) -> dict[str, Any]:
        """What a fit notes of what it is made from.

        Args:
            before: the fit whose weights it takes; None: it starts from nothing.
        """
        settings = fit_settings(self.shop, raw_settings(self.shop, model), before)
        return {
            FITTED_FROM: self.feature_fingerprints,
            "goes_on_from": before.fingerprint if before else None,
            "settings": fingerprint_of(fit_code(model), settings),
        }

    @cached_property
    def features(self) -> dict[str, Version | None]:
        """The feature tables of the day, by name; None for one that was never built."""
        return {table.name: self.lake.current(table, self.as_of) for table in DATASET_TABLES}

    @property
    def feature_fingerprints(self) -> dict[str, str]:
        """Table -> fingerprint, of those that were built."""
        return {name: version.fingerprint for name, version in self.features.items() if version}

    @cached_property
    def anchor(self) -> str | None:
        """The day whose weights the deep models go on from, or answer with; None where they start from nothing."""
        vocabularies = self.features[VOCABULARIES.name]
        anchor = str(vocabularies.metadata.get("anchor", self.as_of)) if vocabularies else self.as_of
        return anchor if self.shop.uses_anchor_weights and anchor != self.as_of else None

    def candidates_fingerprint(self, model: str) -> str | None:
        """What the candidates of a retrieval model carry; None without a fit."""
        fit = self.fit(model)
        return candidates_fingerprint(self.as_of, model, fit, self.features, self.shop.num_candidates) if fit else None

    def scores_fingerprint(self, model: str) -> str | None:
        """What the scores of a ranking model carry; None without a fit, or without anything to score."""
        fit = self.fit(model)
        if fit is None or not self.candidates:
            return None
        rests_on = [version.fingerprint for version in (fit, *self.candidates.values())]
        code = code_version("models.score", MODELS[model].module)
        return fingerprint_of(SCORES.name, self.as_of, model, code, rests_on, self.feature_fingerprints)

    def blend_fingerprint(self, name: str) -> str | None:
        """What the answers of a blend carry, under one of its two names; None where it has nothing to join."""
        shop, learnt_from = self.shop, self.blend_learnt_from(name)
        if learnt_from is None or len(self.joined_lists) < 2:
            return None
        rests_on = [version.fingerprint for version in (*self.joined_lists.values(), *learnt_from)]
        features = [self.feature_fingerprints.get(table.name) for table in (VOCABULARIES, INTERACTIONS)]
        settings = [list(self.joined_lists), shop.horizon_days, shop.target_events, shop.repeats]
        settings.append(shop_values(shop, _SHOP_NAMES.get(name, name)))
        code = code_version("models.blend_lists")
        return fingerprint_of(SCORES.name, self.as_of, name, code, rests_on, features, settings)

    def blend_learnt_from(self, name: str) -> list[Version] | None:
        """What a blend's weights rest on beside the lists.

        Returns:
            The events of the days after, out of fold; otherwise the fit of the night's backtest, None where that does
            not count.
        """
        if name in _SHOP_NAMES:
            until = days_before(self.as_of, -self.shop.horizon_days)
            return list(self.lake.versions(EVENTS, until=until, since=self.as_of).values())
        fit = self.of_backtest.fit(backtest_name(name))
        return [fit] if fit else None

    @cached_property
    def of_backtest(self) -> ModelsAsOf:
        """The models as of the latest day of the backtest that belongs to a refit as of this day."""
        shop = self.shop
        days = backtest_days(self.as_of, shop.horizon_days, shop.weekly_backtest, shop.num_windows)
        return ModelsAsOf(self.lake, shop, days[0])

    @cached_property
    def _fits(self) -> dict[str, Version | None]:
        """Those that were asked for."""
        return {}

    def _is_run(self, model: str) -> bool:
        name = _SHOP_NAMES.get(model, model)
        return name in self.shop.models and name in MODELS

    def _fit(self, model: str) -> Version | None:
        if MODELS[_SHOP_NAMES.get(model, model)].role == "blending":
            return self._current(FITTED_MODELS, model, self.blend_fingerprint(model))
        version = self.lake.current(FITTED_MODELS, self.as_of, model)
        if version is None:
            return None
        before = None
        if self.anchor and MODELS[model].kind == "deep":
            before = ModelsAsOf(self.lake, self.shop, self.anchor)._fit(model)
            if before is None:
                return None
        notes = self.notes_of_fit(model, before)
        return version if {name: version.metadata.get(name) for name in notes} == notes else None

    def _current(self, table: Table, model: str, fingerprint: str | None) -> Version | None:
        version = self.lake.current(table, self.as_of, model) if fingerprint else None
        return version if version and version.fingerprint == fingerprint else None


def fit_settings(shop: Shop, of_model: object, before: Version | None) -> list[Any]:
    """What a fit depends on of the shop file.

    Args:
        of_model: its own settings, as read or as the shop file has them.
        before: the fit whose weights it takes: to go on from, or as they are.
    """
    settings = [shop.seed, shop.horizon_days, shop.target_events, shop.event_weights, of_model]
    return [*settings, shop.refit] if before else settings


def _found(versions: Mapping[str, Version | None]) -> dict[str, Version]:
    return {name: version for name, version in versions.items() if version is not None}
