"""The future reward that is expected on the evening of a list's day, in place of the one that came.

When somebody comes back, and how much they then buy, is mostly chance, and a log of some thousand lists does not
average it out: the effect of one list drowns in it. But a list acts on the future through what becomes of it: a visit
that ended without a click leaves another user behind than one with a purchase. So the future reward is replaced by its
mean for users like these after such a day: a ridge regression on what was known of user and candidates beforehand, and
on the rewards of the day.

Source: Athey et al., "The Surrogate Index: Combining Short-Term Proxies to Estimate Long-Term Treatment Effects More
Rapidly and Precisely", NBER working paper 26463, 2019. What a list changes in the long run without any trace on the
same day stays out of sight.
"""

from __future__ import annotations

import numpy as np

from models.policies.value_baseline import list_inputs, ridge
from models.slates.slates import CandidateSets


def surrogate_index(
    candidates: CandidateSets, same_day_reward: np.ndarray, future_reward: np.ndarray, is_known: np.ndarray
) -> np.ndarray:
    """Returns the expected future reward, to stand in place of the one that came.

    Args:
        same_day_reward: what each list's user earned on its day. Shape (num_slates,), float64.
        future_reward: what they earned afterwards. Same shape.
        is_known: which lists to fit to. Shape (num_slates,), bool.

    Returns:
        Shape (num_slates,), float64; `future_reward` itself where nothing is known.
    """
    if not is_known.any():
        return future_reward
    earned_nothing = 1.0 * (same_day_reward <= 0)
    traces = np.stack(
        [earned_nothing, np.maximum(same_day_reward, 0), np.log1p(np.maximum(same_day_reward, 0))], axis=1
    )
    inputs = np.concatenate([list_inputs(candidates), traces], axis=1)
    return ridge(inputs, is_known, future_reward[is_known, None])[:, 0]
