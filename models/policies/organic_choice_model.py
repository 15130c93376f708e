"""What users choose where no list leads them, and the policy that it makes.

Somebody who looks for things alone goes by wants; what was clicked in a list says less, since the list decided what
there was to click. So of each list's day this takes the candidates that the user met although they were not shown, and
asks which linear worth of the features makes them likely among all candidates that were not: a conditional logit
(`models.families.listwise_softmax`), whose answer does not depend on what was shown, as long as choices are in
proportion to exp(worth).

Source: McFadden, "Conditional Logit Analysis of Qualitative Choice Behavior", 1974.
"""

from __future__ import annotations

import numpy as np

from models.families.listwise_softmax import listwise_weights
from models.slates.slates import Choices, Slates

REGULARIZATION = 1e-3
"""Of the squared weights of features in standard deviations, against the mean loss of a list."""


def wants(choices: Choices, slates: Slates, is_found: np.ndarray) -> np.ndarray | None:
    """Weights of the features under which worth has, on the mean, a standard deviation of 1 within a list.

    Args:
        is_found: which candidates the user met on the list's day without being led there. Shape (num_slates,
            num_candidates).

    Returns:
        Shape (num_features,); None where nobody met anything but what was shown.
    """
    is_free = choices.is_candidate & ~is_shown(choices, slates)
    found = is_found & is_free
    if not found.any():
        return None
    row = np.nonzero(is_free)[0]
    weights = listwise_weights(choices.features[is_free].astype(np.float64), found[is_free], row, REGULARIZATION)
    worth = np.ma.array(choices.features @ weights, mask=~choices.is_candidate)
    deviation = float(worth.std(axis=1).mean())
    return weights / deviation if deviation > 0 else None


def is_shown(choices: Choices, slates: Slates) -> np.ndarray:
    """Which candidates the user was shown: nothing, where nobody knows how the list was drawn.

    Shape (num_slates, num_candidates).
    """
    shown = np.zeros(choices.item.shape, dtype=bool)
    rows, ranks = np.nonzero((slates.place >= 0) & ~np.isnan(slates.propensity))
    shown[rows, slates.place[rows, ranks]] = True
    return shown
