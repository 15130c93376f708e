"""Losses of the items that came next, among the candidates that several positions of a batch share.

Some positions have several targets, such as all items of the next basket: a row of logits is one position, and each
target is the row and the column of an item that came. Both losses are the weighted mean over those items.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class SoftmaxCrossentropy(keras.losses.Loss):
    """The softmax of a row should give all probability to the item that came: log sum exp(s) - s+."""

    def __init__(self) -> None:
        super().__init__(reduction="mean_with_sample_weight")

    def call(self, targets: Any, logits: Any) -> Any:
        """The loss of each target.

        Args:
            targets: row and column of each item that came. Shape (num_targets, 2), whole numbers as float32.
            logits: shape (rows, columns).

        Returns:
            Shape (num_targets,), float32.
        """
        rows, columns = _rows_columns(targets)
        return ops.take(ops.logsumexp(logits, axis=1), rows) - _logits_at(logits, rows, columns)


class GeneralizedBinaryCrossentropy(keras.losses.Loss):
    """Binary: yes for the item that came, no for the sampled negatives beside it.

    An item's loss is -power x log sigmoid(s+) - sum of log(1 - sigmoid(s-)). Power 1 is binary cross-entropy.

    Args:
        num_negatives: the first so many columns of the logits are the negatives.
        power: see `calibrated_power`.

    Source: Petrov, Macdonald, "gSASRec: Reducing Overconfidence in Sequential Recommendation Trained with Negative
    Sampling", RecSys 2023.
    """

    def __init__(self, num_negatives: int, power: float) -> None:
        super().__init__(reduction="mean_with_sample_weight")
        self.num_negatives = num_negatives
        self.power = power

    def call(self, targets: Any, logits: Any) -> Any:
        """The loss of each target.

        Args:
            targets: row and column of each item that came. Shape (num_targets, 2), whole numbers as float32.
            logits: the first `num_negatives` columns are the negatives. Shape (rows, columns).

        Returns:
            Shape (num_targets,), float32.
        """
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
    """The power under which scores are probabilities again, though only a share of the items is sampled.

    Args:
        sampled_share: of the items, in (0, 1].
        calibration: 0 leaves binary cross-entropy, 1 calibrates in full.

    Source: Petrov, Macdonald, "gSASRec", RecSys 2023.
    """
    return sampled_share * (calibration * (1 - 1 / sampled_share) + 1 / sampled_share)
