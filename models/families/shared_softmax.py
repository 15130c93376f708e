"""What the deep retrieval models share: how they are fitted from batches of shared candidates, saved and loaded.

All users of a batch are scored against the same candidates, and a softmax over these is fitted to what each user
wanted. A family says which networks hold its weights, which batches it is trained on, and which network computes the
logits of a batch. See `models.families.two_tower`, `graph`, `cross_domain` and `next_item`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import keras

from models.data.dataset import Dataset
from models.interface.model import TrainingHistory, load_saved_config
from models.nn.network_fitting import fit_network, load_network, require_examples, require_fitted, save_networks
from models.nn.training_setup import prepare_training, warm_config
from models.nn.warm_start import take_over

C = TypeVar("C", bound=Any)


class SharedSoftmaxModel(ABC, Generic[C]):
    """See the module's docstring.

    Attributes:
        networks: the networks of `network_names`, by name; empty before `fit`.
    """

    name: str
    kind: Literal["baseline", "deep"] = "deep"
    role: Literal["retrieval", "ranking"] = "retrieval"
    config_class: ClassVar[type[Any]]

    def __init__(self, config: C) -> None:
        self.config = config
        self.networks: dict[str, keras.Model] = {}

    @property
    @abstractmethod
    def network_names(self) -> tuple[str, ...]:
        """The networks that hold the model's weights; each is saved as a file of its name."""

    @property
    def final_rate(self) -> float:
        """The share of the learning rate that is left at the end of a fit."""
        return 0.0

    @abstractmethod
    def build_batches(self, dataset: Dataset) -> Any:
        """Returns the training batches: a `keras.utils.PyDataset` with `num_examples`."""

    @abstractmethod
    def build_networks(self, dataset: Dataset) -> dict[str, keras.Model]:
        """Builds the networks of `network_names`, not yet trained."""

    @abstractmethod
    def build_training_network(self, dataset: Dataset) -> keras.Model:
        """Returns what computes the logits of a batch by `networks`. Its output has the shape (batch, candidates)."""

    @abstractmethod
    def no_examples(self, dataset: Dataset) -> str:
        """Says why batches hold no example, as the beginning of a sentence."""

    def loss(self, batches: Any) -> keras.losses.Loss:
        """The loss of a batch's logits: by default the cross-entropy against the distribution of what was wanted."""
        return keras.losses.CategoricalCrossentropy(from_logits=True)

    def fit(self, dataset: Dataset) -> TrainingHistory:
        """Trains new networks for `epochs`.

        Raises:
            NightError: there is nothing to learn from.
            TrainingFailed: a loss is not finite, or memory does not suffice.
        """
        return self._fit(dataset, self.config, {})

    def refit(self, dataset: Dataset, before: Self) -> TrainingHistory:
        """Trains for `warm_epochs`, from the weights of `before`; see `models.interface.model.WarmModel`.

        Raises:
            NightError: there is nothing to learn from, or `before` was never fitted or is of another config.
            TrainingFailed: a loss is not finite, or memory does not suffice.
        """
        return self._fit(dataset, warm_config(self.config), before.fitted_networks())

    def carry_over(self, dataset: Dataset, before: Self) -> None:
        """Takes the weights of `before` as they are; see `models.interface.model.WarmModel`.

        Raises:
            NightError: `before` was never fitted or is of another config.
        """
        prepare_training(dataset.seed, self.config.precision, self.config.data_parallel)
        self.networks = self.build_networks(dataset)
        take_over(self.name, self.networks, before.fitted_networks())

    def _fit(self, dataset: Dataset, config: C, before: Mapping[str, keras.Model]) -> TrainingHistory:
        network, batches = self.training(dataset, before)
        return fit_network(self.name, network, batches, config, loss=self.loss(batches), final_rate=self.final_rate)

    def training(self, dataset: Dataset, before: Mapping[str, keras.Model]) -> tuple[keras.Model, Any]:
        """Builds new networks, the one that is trained, and its batches.

        Args:
            before: networks by name whose weights to go on from; empty: new weights.

        Raises:
            NightError: there is nothing to learn from, or `before` is of another config.
        """
        prepare_training(dataset.seed, self.config.precision, self.config.data_parallel)
        batches = self.build_batches(dataset)
        require_examples(self.name, dataset.as_of, batches.num_examples, self.no_examples(dataset))
        self.networks = self.build_networks(dataset)
        if before:
            take_over(self.name, self.networks, before)
        return self.build_training_network(dataset), batches

    def fitted_networks(self) -> dict[str, keras.Model]:
        """Those of `network_names`, by name.

        Raises:
            NightError: the model was never fitted.
        """
        return {name: self.network(name) for name in self.network_names}

    def network(self, name: str) -> keras.Model:
        """One of `network_names`.

        Raises:
            NightError: the model was never fitted.
        """
        return require_fitted(self.name, self.networks.get(name))

    def save(self, path: Path) -> None:
        """Writes the config and one `.keras` file a network into the folder `path`.

        Raises:
            NightError: the model was never fitted; nothing is written.
        """
        save_networks(path, self.name, self.config, {name: self.networks.get(name) for name in self.network_names})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        model = cls(load_saved_config(cls.config_class, path))
        model.networks = {name: load_network(path, name) for name in model.network_names}
        return model
