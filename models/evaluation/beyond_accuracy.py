"""What lists are like, beside being right: how little known, how varied, how far they lean to what everybody has.

Sources: Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010 (novelty as
self-information); Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005
(intra-list similarity); Abdollahpouri et al., "The Unfairness of Popularity Bias", 2019 (lift over what is wanted).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from models.evaluation.population_stats import PopulationStats
from models.evaluation.ranking_metrics import Relevant
from models.interface.model import NO_ITEM

BEYOND_ACCURACY = ("novelty", "diversity", "popularity")


def beyond_accuracy(ranked_items: np.ndarray, stats: PopulationStats) -> dict[str, np.ndarray]:
    """One value a list, NaN for an empty one; diversity also for one of a single item.

    Sources: see the module's docstring. RecTools has the same in `metrics/novelty.py`, `diversity.py`, `popularity.py`.

    Args:
        ranked_items: item indices, int64, NO_ITEM where a list has ended. Shape (num_users, depth).

    Returns:
        Name -> float64 of shape (num_users,).
        novelty: mean of -log2 of the share of users who had met the item (who met none count as half a user).
        diversity: 1 - mean cosine between two items of the list by what they are.
        popularity: mean number of users who had met the item.
    """
    is_item = ranked_items != NO_ITEM
    lengths = is_item.sum(axis=1)
    met_by = stats.met_by[np.where(is_item, ranked_items, 0)] * is_item
    share = np.maximum(met_by, 0.5) / max(1, stats.num_shoppers)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "novelty": (-np.log2(share) * is_item).sum(axis=1) / lengths,
            "diversity": 1 - _pair_cosines(ranked_items, stats.content) / (lengths * (lengths - 1)),
            "popularity": met_by.sum(axis=1) / lengths,
        }


def popularity_of_relevant(relevant: Relevant, stats: PopulationStats) -> float:
    """What `popularity` would be of lists that hold all that was wanted and nothing else, in the mean over users."""
    sums = np.bincount(relevant.user_rows, stats.met_by[relevant.item_indices], relevant.num_users)
    return float((sums / relevant.counts).mean())


def _pair_cosines(ranked_items: np.ndarray, content: sparse.csr_matrix) -> np.ndarray:
    """The sum of the cosines over all ordered pairs of two items of a list. Shape (num_users,).

    The squared length of the sum of a list's vectors holds every pair, and each item with itself.
    """
    rows, places = np.nonzero(ranked_items != NO_ITEM)
    items = ranked_items[rows, places]
    ones = np.ones(len(rows))
    shape = (len(ranked_items), content.shape[0])
    sums = sparse.csr_matrix((ones, (rows, items)), shape=shape) @ content
    own = np.asarray(content.multiply(content).sum(axis=1)).ravel()
    with_themselves = np.bincount(rows, own[items], len(ranked_items))
    total: np.ndarray = np.asarray(sums.multiply(sums).sum(axis=1)).ravel() - with_themselves
    return total
