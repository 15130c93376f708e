"""Chooses the lists of a block of users among their candidates as the shop's rules ask, all users at once.

A list is chosen slot by slot. In each, the candidate with the best value is taken that no cap forbids:

    (1 - diversity) * relevance(i) - diversity * max over the chosen j of cosine(i, j)

which is maximal marginal relevance, exact and greedy, with one dial from pure relevance to variety. Equal values fall
to the more relevant, then to the better score, then to the smaller item_index.

To know what each rule did, the list is chosen once for every rule that is set, each time with one rule
more. An item that is in the finished list was brought in by the rule with which it came, or by the model. Randomness
comes last: where a shop wants any, the list is then drawn under all rules by these same values
(`jobs.lists.softmax_sampling`), and says of each place with which probability its item came there. What the draw had no
say in has probability 1.

Sources: Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
summaries", SIGIR 1998. What differs: relevance is scaled to [0, 1] within a user's candidates; places are chosen under
caps, and some may be reserved for new items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from expectations.semantics.list_caps import Cap, CapUse
from expectations.tables import PADDING_INDEX
from jobs.lists.candidate_pool import Pool, ReservedSlots
from jobs.lists.content_similarity import CandidateSimilarity, ItemContent, item_content
from jobs.lists.fallback_fill import FallbackItems
from jobs.lists.softmax_sampling import SlotSampler

STAGES = ("boosts", "diversity", "caps", "new_items", "randomness")
"""The rules that choose lists, in the order in which they come in."""
BY_MODEL = -1
"""In place of a place in STAGES: the item would be in the list without any rule."""
_VALUE_DECIMALS = 9
"""Values that only differ by how floating point rounds are equal."""


@dataclass(frozen=True)
class Selection:
    """How lists are chosen; the same for every block.

    Attributes:
        diversity: from 0, relevance alone, to 1, variety alone.
        content_path: of `item_features`; read where `diversity` is above 0.
        boost: the factor of each item's relevance, by item_index, float64; None where nothing is boosted.
        caps: of category, brand and variants.
        is_new: by item_index, bool; None where no list needs new items.
        num_new: how many items of a list must be new.
        sampler: how slots are drawn; None where each goes to the best candidate.
    """

    diversity: float = 0.0
    content_path: str = ""
    boost: np.ndarray | None = None
    caps: tuple[Cap, ...] = ()
    is_new: np.ndarray | None = None
    num_new: int = 0
    sampler: SlotSampler | None = None


@dataclass(frozen=True)
class Chosen:
    """Chosen lists, one row per user.

    Attributes:
        places: columns of the pool in the order of the list, int; -1 where the list has ended. Shape (num_users,
            top_k).
        brought_by: the rule that brought each candidate in, int: a place in STAGES, or BY_MODEL. Same shape.
        propensity: the probability with which each came to its slot, given those before it, float64. Same shape.
        appended_new_items: row of a user -> indices of new items that come after all candidates.
    """

    places: np.ndarray
    brought_by: np.ndarray
    propensity: np.ndarray
    appended_new_items: dict[int, np.ndarray]


def selected_lists(
    pool: Pool, top_k: int, selection: Selection, fallback: FallbackItems, excluded: list[np.ndarray]
) -> Chosen:
    """Chooses the lists of all users of a pool.

    Args:
        top_k: slots of a list.
        fallback: the new items that come in where a user has too few new candidates.
        excluded: for each user the indices of the items that must not fill the list, int. Shape (num_excluded,) each.
    """
    content = item_content(selection.content_path) if selection.diversity else None
    by_score = np.lexsort((pool.items, -pool.scores, ~pool.is_item))[:, :top_k]
    before = _is_in(by_score, pool)
    propensity: np.ndarray | None = None
    places, appended_new_items = by_score, dict[int, np.ndarray]()
    brought_by = np.full(pool.items.shape, BY_MODEL)
    for stage, name in enumerate(STAGES):
        if name == "boosts" and selection.boost is not None:
            places = np.broadcast_to(np.arange(min(top_k, pool.items.shape[1])), (len(pool.items), places.shape[1]))
        elif name == "diversity" and selection.diversity:
            places = best_places(pool, top_k, selection.diversity, content)
        elif name == "caps" and selection.caps:
            places = best_places(pool, top_k, selection.diversity, content, selection.caps)
        elif name == "new_items" and selection.num_new:
            places, appended_new_items = _with_new_items(pool, places, top_k, selection, content, fallback, excluded)
        elif name == "randomness" and selection.sampler:
            places, propensity, appended_new_items = _sampled(pool, top_k, selection, content, fallback, excluded)
        else:
            continue
        after = _is_in(places, pool)
        brought_by[after & ~before] = stage
        before = after
    places = np.where(np.take_along_axis(pool.is_item, np.maximum(places, 0), axis=1), places, -1)
    brought_by = np.take_along_axis(brought_by, np.maximum(places, 0), axis=1)
    return Chosen(places, brought_by, np.ones(places.shape) if propensity is None else propensity, appended_new_items)


def best_places(
    pool: Pool,
    num_places: int,
    diversity: float,
    content: ItemContent | None,
    caps: tuple[Cap, ...] = (),
    is_open: np.ndarray | None = None,
    reserved: ReservedSlots | None = None,
) -> np.ndarray:
    """Chooses greedily, as the module says.

    Args:
        num_places: slots of a list.
        content: what candidates are compared by; None where `diversity` is 0.
        is_open: candidates that may be chosen, bool; all by default. Shape (num_users, num_candidates).
        reserved: slots that others must leave free.

    Returns:
        Columns of the pool, int; -1 where nothing is left. Shape (num_users, num_places).
    """
    return sampled_places(pool, num_places, diversity, content, caps, None, is_open, reserved)[0]


def sampled_places(
    pool: Pool,
    num_places: int,
    diversity: float,
    content: ItemContent | None,
    caps: tuple[Cap, ...],
    sampler: SlotSampler | None,
    is_open: np.ndarray | None = None,
    reserved: ReservedSlots | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses as `best_places` does, but draws each slot.

    Args:
        sampler: draws the slots; None takes the best candidate.
        is_open: candidates that may be chosen, bool; all by default. Shape (num_users, num_candidates).

    Returns:
        Columns of the pool, int; -1 where nothing is left. Shape (num_users, num_places).
        The probability of each, given those before it, float64. Same shape.
    """
    num_users, users = len(pool.items), np.arange(len(pool.items))
    is_open = pool.is_item if is_open is None else pool.is_item & is_open
    similarity = CandidateSimilarity(pool.items, content) if content is not None else None
    nearest, relevance, spread = np.zeros(pool.items.shape), (1 - diversity) * pool.relevance, pool.spread
    uses = [_cap_use(cap, pool.items, reserved) for cap in caps]
    is_reserved = np.zeros(pool.items.shape, bool) if reserved is None else reserved.is_reserved
    num_others = 0 if reserved is None else (reserved.others != PADDING_INDEX).sum(axis=1)
    num_free = num_places - is_reserved.sum(axis=1) - num_others
    places, propensity = np.full((num_users, num_places), -1), np.ones((num_users, num_places))
    for place in range(num_places):
        is_allowed = is_open & (is_reserved | ((num_free > 0)[:, None] & ~_is_capped(uses, pool)))
        value = np.where(is_allowed, np.round(relevance - diversity * nearest, _VALUE_DECIMALS), -np.inf)
        if sampler is None:
            best, chance = value.argmax(axis=1), np.ones(num_users)
        else:
            best, chance = sampler.at(place, value, pool.users, pool.items, spread)
        is_found = value[users, best] > -np.inf
        places[:, place] = np.where(is_found, best, -1)
        propensity[:, place] = np.where(is_found, chance, 1.0)
        is_open = is_open.copy()
        is_open[users[is_found], best[is_found]] = False
        is_counted = is_found & ~is_reserved[users, best]  # what is reserved was counted at the start
        num_free = num_free - is_counted
        for use in uses:
            use.add(pool.items[users, best], is_counted)
        if similarity is not None:
            nearest = np.maximum(nearest, similarity.to(places[:, place]))
    return places, propensity


def _cap_use(cap: Cap, items: np.ndarray, reserved: ReservedSlots | None) -> CapUse:
    """Counts what is reserved from the start."""
    use = CapUse(cap, items)
    if reserved is not None:
        for column in np.flatnonzero(reserved.is_reserved.any(axis=0)):
            use.add(items[:, column], reserved.is_reserved[:, column])
        for column in reserved.others.T:
            use.add(column, column != PADDING_INDEX)
    return use


def _is_capped(uses: list[CapUse], pool: Pool) -> np.ndarray:
    is_capped = np.zeros(pool.items.shape, bool)
    for use in uses:
        is_capped |= use.is_full
    return is_capped


def _with_new_items(
    pool: Pool,
    places: np.ndarray,
    top_k: int,
    selection: Selection,
    content: ItemContent | None,
    fallback: FallbackItems,
    excluded: list[np.ndarray],
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Returns lists with enough new items, where some had too few."""
    assert selection.is_new is not None
    is_new = selection.is_new[pool.items] & pool.is_item
    num_new = (np.take_along_axis(is_new, np.maximum(places, 0), axis=1) & (places >= 0)).sum(axis=1)
    short = np.flatnonzero(num_new < selection.num_new)
    part = pool.rows(short)
    reserved = _reserved_for_new(part, selection, content, fallback, [excluded[user] for user in short])
    result = np.full((len(pool.items), top_k), -1)
    result[:, : places.shape[1]] = places
    result[short] = best_places(part, top_k, selection.diversity, content, selection.caps, reserved=reserved)
    return result, _by_row(reserved, short)


def _sampled(
    pool: Pool,
    top_k: int,
    selection: Selection,
    content: ItemContent | None,
    fallback: FallbackItems,
    excluded: list[np.ndarray],
) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """Returns lists drawn under all rules, their propensities, and the new items of the fallback that come after them.

    Which lists had enough new items without it would depend on the draw, and so would its probabilities: the places
    are reserved for everybody's best new candidates instead.
    """
    reserved = _reserved_for_new(pool, selection, content, fallback, excluded) if selection.num_new else None
    dial, caps = selection.diversity, selection.caps
    places, propensity = sampled_places(pool, top_k, dial, content, caps, selection.sampler, reserved=reserved)
    return places, propensity, _by_row(reserved, np.arange(len(pool.items))) if reserved else {}


def _reserved_for_new(
    pool: Pool, selection: Selection, content: ItemContent | None, fallback: FallbackItems, excluded: list[np.ndarray]
) -> ReservedSlots:
    """Places for the best new candidates of each user, and where these are too few, for new items of the fallback."""
    assert selection.is_new is not None
    is_new = selection.is_new[pool.items] & pool.is_item
    new_places = best_places(pool, selection.num_new, selection.diversity, content, selection.caps, is_open=is_new)
    others = np.full((len(pool.items), selection.num_new), PADDING_INDEX)
    for row, own_excluded in enumerate(excluded):
        found = pool.items[row, new_places[row][new_places[row] >= 0]]
        more = fallback.best(selection.num_new - len(found), found, own_excluded, only_new=True)
        others[row, : len(more)] = more
    return ReservedSlots(_is_in(new_places, pool), others)


def _by_row(reserved: ReservedSlots, rows: np.ndarray) -> dict[int, np.ndarray]:
    """Returns the items that are reserved beside candidates, by the row of their user."""
    return {int(user): own[own != PADDING_INDEX] for user, own in zip(rows, reserved.others, strict=True)}


def _is_in(places: np.ndarray, pool: Pool) -> np.ndarray:
    """Returns whether each candidate is at one of its user's places. Shape of the pool."""
    is_in = np.zeros((len(pool.items), pool.items.shape[1] + 1), bool)
    np.put_along_axis(is_in, places, True, axis=1)  # -1 is the column that is cut off
    return is_in[:, :-1] & pool.is_item
