"""Predicts the next item of a sequence: a transformer, GRU or LSTM reads what a user did, in order.

An item's vector comes from its own embedding and its category, brand, price and title, so that an item that nobody met
yet has one too: in training some items go without their own embedding. Everything else stands in
`models.families.next_item`.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from expectations.shop.bounds import ShareBelowOne
from models.families.next_item import NextItemConfig, NextItemModel
from models.nn.item_tower import build_item_tower


@dataclass(frozen=True)
class SequenceModelConfig(NextItemConfig):
    """See models/configs/sequence.toml."""

    item_dropout: ShareBelowOne


class SequenceModel(NextItemModel[SequenceModelConfig]):
    """See the module's docstring."""

    name = "sequence"
    config_class = SequenceModelConfig

    @property
    def item_dropout(self) -> float:
        """See `NextItemModel.item_dropout`."""
        return self.config.item_dropout

    def build_item_tower(self, sizes: dict[str, int]) -> keras.Model:
        """Builds the tower from the item's own embedding and its features; see `NextItemModel.build_item_tower`."""
        return build_item_tower(sizes, self.config.embedding_dim, self.config.feature_dim)
