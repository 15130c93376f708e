"""The next item of a sequence: a transformer, GRU or LSTM reads what a user did, in order, and says what follows.

An item's vector comes from its own embedding and its category, brand, price and title, so that an item nobody met yet
has one too: in training some items go without their own embedding. All else stands in `models.families.next_item`.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras

from models.families.next_item import NextItemConfig, NextItemModel
from models.interface.config_checks import require_shares
from models.nn.item_tower import build_item_tower


@dataclass(frozen=True)
class SequenceModelConfig(NextItemConfig):
    """See models/configs/sequence.toml."""

    item_dropout: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_shares(self, "item_dropout")


class SequenceModel(NextItemModel[SequenceModelConfig]):
    """See the module's docstring."""

    name = "sequence"
    config_class = SequenceModelConfig

    @property
    def item_dropout(self) -> float:
        return self.config.item_dropout

    def build_item_tower(self, sizes: dict[str, int]) -> keras.Model:
        return build_item_tower(sizes, self.config.embedding_dim, self.config.feature_dim)
