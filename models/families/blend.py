"""Joins the lists of all other models into one, by weights that are learnt from what users did afterwards.

The weights say how much each model's score and rank (`models.families.blend_features`) tell of what a user wanted. They
are learnt once from all users, and once without the users of each fold: the former score later days, the latter the
days that they were learnt from. The program `models.blend_lists` runs it.

Source: Wolpert, "Stacked Generalization", Neural Networks 1992 (weights from answers to what was held out).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from expectations.shop.bounds import AtLeastOne, Bounded, NotNegative
from models.families.blend_features import FEATURES_OF_A_LIST, ListedPairs
from models.families.listwise_softmax import listwise_weights

WEIGHTS_FILE = "weights.json"


@dataclass(frozen=True)
class BlendConfig(Bounded):
    """See models/configs/blend.toml.

    Attributes:
        regularization: of the squared weights.
        num_folds: parts of the users, of which each is scored by weights that were learnt from the others.
        max_users: users at most that the weights are learnt from.
    """

    regularization: NotNegative
    num_folds: Annotated[int, Field(ge=2), "must be at least 2"]
    max_users: AtLeastOne


@dataclass(frozen=True)
class Blend:
    """The weights that were learnt in one window.

    Attributes:
        models: whose lists are joined, in the order of the features.
        weights: one for each feature of `models.families.blend_features`, from all users.
        by_fold: for each fold the weights that its users had no part in.
    """

    models: list[str]
    weights: list[float]
    by_fold: list[list[float]]

    def save(self, folder: Path) -> None:
        """Writes the folder's one file."""
        (folder / WEIGHTS_FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def learnt(cls, models: Sequence[str], pairs: ListedPairs, is_wanted: np.ndarray, config: BlendConfig) -> Blend:
        """Learns the weights under which the wanted pairs stand first in their lists.

        Args:
            models: whose lists the features of `pairs` are of.
            pairs: of the users that are learnt from.
            is_wanted: whether the user wanted the item. Shape (num_pairs,), bool.
            config: regularization and number of folds.
        """
        fold = pairs.user_indices % config.num_folds

        def weights_of(chosen: np.ndarray) -> list[float]:
            rows = pairs.where(chosen)
            found = listwise_weights(rows.features, is_wanted[chosen], rows.user_indices, config.regularization)
            return [float(weight) for weight in found]

        everybody = np.ones(len(fold), dtype=bool)
        return cls(list(models), weights_of(everybody), [weights_of(fold != n) for n in range(config.num_folds)])

    @classmethod
    def load(cls, folder: Path) -> Blend:
        """Reads what `save` wrote."""
        return cls(**json.loads((folder / WEIGHTS_FILE).read_text(encoding="utf-8")))

    def scores(self, pairs: ListedPairs) -> np.ndarray:
        """Scores of lists as of the day that is published. Shape (num_pairs,), float64."""
        return pairs.features @ np.array(self.weights)

    def scores_out_of_fold(self, pairs: ListedPairs) -> np.ndarray:
        """Scores of the lists that were learnt from, by weights from other users. Shape (num_pairs,), float64."""
        by_fold = np.array(self.by_fold)
        return (pairs.features * by_fold[pairs.user_indices % len(by_fold)]).sum(axis=1)

    def as_facts(self) -> dict[str, float]:
        """The weights by the name of their feature."""
        names = [f"{model}: {feature}" for model in self.models for feature in FEATURES_OF_A_LIST]
        return dict(zip([*names, "met before"], self.weights, strict=True))
