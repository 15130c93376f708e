"""A choice model of what users pick organically, and the weights of the policy that it makes.

An organic event tells what the user wants; a click in a list says less, since the list decided what there was to click.
So this takes the candidates that each list's user met on the list's day although they were not shown, and asks which
linear utility of the features makes them likely among all candidates that were not shown: a conditional logit
(`models.families.listwise_softmax`), whose answer does not depend on what was shown, as long as choices are in
proportion to exp(utility).

Source: McFadden, "Conditional Logit Analysis of Qualitative Choice Behavior", 1974.
"""

from __future__ import annotations

import numpy as np

from models.families.listwise_softmax import listwise_weights
from models.slates.slates import CandidateSets, Slates

REGULARIZATION = 1e-3
"""Of the squared weights of features in standard deviations, against the mean loss of a list."""


def choice_weights(candidates: CandidateSets, slates: Slates, is_organic: np.ndarray) -> np.ndarray | None:
    """Returns weights of the features under which the utility's mean standard deviation within a list is 1.

    Args:
        is_organic: which candidates the user met on the list's day without having been shown them. Shape (num_slates,
            num_candidates), bool.

    Returns:
        Shape (num_features,), float64; None where nobody met anything but what was shown.
    """
    is_free = candidates.is_candidate & ~is_shown(candidates, slates)
    found = is_organic & is_free
    if not found.any():
        return None
    row = np.nonzero(is_free)[0]
    weights = listwise_weights(candidates.features[is_free].astype(np.float64), found[is_free], row, REGULARIZATION)
    utility = np.ma.array(candidates.features @ weights, mask=~candidates.is_candidate)
    deviation = float(utility.std(axis=1).mean())
    return weights / deviation if deviation > 0 else None


def is_shown(candidates: CandidateSets, slates: Slates) -> np.ndarray:
    """Returns which candidates the user was shown; none, where nobody knows how the list was drawn.

    Returns:
        Shape (num_slates, num_candidates), bool.
    """
    shown = np.zeros(candidates.item.shape, dtype=bool)
    rows, ranks = np.nonzero((slates.slots >= 0) & ~np.isnan(slates.propensity))
    shown[rows, slates.slots[rows, ranks]] = True
    return shown
