"""Losses of what came among the items that several places of a batch share.

Some places are asked for more than one item, such as all of the next basket: a row of logits is one place, and the
targets say in which row and column each item stands that came. Both losses are the mean over those items, weighted.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class SoftmaxCrossentropy(keras.losses.Loss):
    """The softmax of a row should give all to the item that came: log sum exp(s) - s+."""

    def __init__(self) -> None:
        super().__init__(reduction="mean_with_sample_weight")

    def call(self, targets: Any, logits: Any) -> Any:
        """Shapes (num_came, 2), row and column, and (rows, columns). Returns shape (num_came,)."""
        rows, columns = _rows_columns(targets)
        return ops.take(ops.logsumexp(logits, axis=1), rows) - _logits_at(logits, rows, columns)


class GeneralizedBinaryCrossentropy(keras.losses.Loss):
    """Yes for the item that came, no for the sampled ones beside it.

    An item's loss is -power x log sigmoid(s+) - sum of log(1 - sigmoid(s-)). Power 1 is binary cross-entropy.

    Source: Petrov, Macdonald, "gSASRec", RecSys 2023.
    """

    def __init__(self, num_negatives: int, power: float) -> None:
        super().__init__(reduction="mean_with_sample_weight")
        self.num_negatives = num_negatives
        self.power = power

    def call(self, targets: Any, logits: Any) -> Any:
        """Shapes (num_came, 2), row and column, and (rows, columns), of which the first columns are the negatives."""
        rows, columns = _rows_columns(targets)
        positive = _logits_at(logits, rows, columns)
        negatives = ops.take(ops.sum(ops.softplus(logits[:, : self.num_negatives]), axis=1), rows)
        is_negative_too = ops.cast(columns < self.num_negatives, logits.dtype)
        return self.power * ops.softplus(-positive) + negatives - is_negative_too * ops.softplus(positive)


def _rows_columns(targets: Any) -> tuple[Any, Any]:
    # Keras hands targets over as floats, which are exact up to 2^24.
    whole = ops.cast(targets, "int32")
    return whole[:, 0], whole[:, 1]


def _logits_at(logits: Any, rows: Any, columns: Any) -> Any:
    return ops.take(ops.reshape(logits, (-1,)), rows * ops.shape(logits)[1] + columns)


def calibrated_power(sampled_share: float, calibration: float) -> float:
    """The power under which scores mean probabilities again, though only `sampled_share` of the items is sampled.

    Args:
        calibration: 0 leaves binary cross-entropy, 1 calibrates in full.

    Source: Petrov, Macdonald, "gSASRec", RecSys 2023.
    """
    return sampled_share * (calibration * (1 - 1 / sampled_share) + 1 / sampled_share)
