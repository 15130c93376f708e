"""What every model family keeps to, from the plainest baseline to the deepest network.

A model is built from its config, fitted once on a `Dataset`, saved to a folder and loaded from it. What it says of
users and items it says as of the dataset it is asked with. A family adds one file with a config class and a model
class, one TOML file in `models/configs` and one line in `models.interface.registry`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self, TypeVar

import numpy as np
from scipy import sparse

from expectations.shop.toml_settings import settings_from_mapping
from models.data.dataset import Dataset

T = TypeVar("T")

NO_ITEM = -1
"""Stands in a list where a model had no more items to give."""


@dataclass(frozen=True)
class TrainingHistory:
    """What happened while a model was fitted.

    Attributes:
        curves: name of a loss or metric -> one value per epoch; empty where there are no epochs.
        facts: single figures, such as the number of examples.
    """

    curves: dict[str, list[float]] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Vectors:
    """Score of a pair = dot product. Rows are indices. Shapes (num_users, dim) and (num_items, dim).

    Attributes:
        history: what an item adds to the vector of a user who met it, up to a factor that grows with the weight of the
            pair; None where users are no sums of their items. Shape (num_items, dim).
    """

    user: np.ndarray
    item: np.ndarray
    history: np.ndarray | None = None


@dataclass(frozen=True)
class Neighbours:
    """Score of an item = sum of `weights[i, item]` over the items i that the user met. Shape (num_items, num_items)."""

    weights: sparse.csr_matrix


class Model(Protocol):
    """The interface; see the module's docstring."""

    name: str
    kind: Literal["baseline", "deep"]
    role: Literal["retrieval", "ranking"]

    def fit(self, dataset: Dataset) -> TrainingHistory: ...

    def retrieval(self, dataset: Dataset) -> Vectors | Neighbours | None:
        """What proposes items over the whole catalogue; None for a ranking model."""

    def scores(self, dataset: Dataset, user_indices: np.ndarray) -> np.ndarray:
        """Every item's score for each of the users; -inf where the model has nothing to say.

        Args:
            user_indices: integers. Shape (num_rows,).

        Returns:
            float32 or float64, higher is better. Shape (num_rows, num_items).
        """

    def save(self, path: Path) -> None:
        """Writes the fitted model into the folder `path`, without pickle."""

    @classmethod
    def load(cls, path: Path) -> Self: ...


class RankingModel(Model, Protocol):
    """A model that orders what others retrieved: it scores a few items of each user."""

    def pair_scores(self, dataset: Dataset, user_indices: np.ndarray, item_indices: np.ndarray) -> np.ndarray:
        """Scores each user with each item of their row.

        Args:
            user_indices: shape (num_rows,).
            item_indices: padded with item 0, whose scores mean nothing. Shape (num_rows, any length).

        Returns:
            float32, higher is better. Shape of `item_indices`.
        """


class WarmModel(Model, Protocol):
    """A model that can go on from earlier weights: every deep one."""

    def refit(self, dataset: Dataset, before: Self) -> TrainingHistory:
        """Like `fit`, from the weights of `before`, for `warm_epochs`.

        Args:
            before: of the same config, fitted as of the dataset's anchor: the vocabularies may only have grown since.

        Raises:
            NightError: it is of another config, or knows more than the dataset.
        """

    def carry_over(self, dataset: Dataset, before: Self) -> None:
        """Takes the weights of `before` as they are; what is new since begins as unknown.

        Args:
            before: see `refit`.

        Raises:
            NightError: it was never fitted, is of another config, or knows more than the dataset.
        """


def save_config(path: Path, config: Any) -> None:
    """Writes a config beside the weights that were fitted with it."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(asdict(config), sort_keys=True, indent=1), encoding="utf-8")


def load_saved_config(cls: type[T], path: Path) -> T:
    """Reads what `save_config` wrote."""
    values: Mapping[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return settings_from_mapping(cls, values, str(path / "config.json"))
