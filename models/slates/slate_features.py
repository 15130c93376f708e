"""The features of each candidate of a list: the ranker's score, and what the user did lately with items like it.

They come from the user's own log before the day of the list, from the ranker, and from the organic views of a crowd
(`models.slates.organic_similarity`), which is the same for all: so a block of users is described without the others. Of
a long log the latest `MAX_EVENTS` are read.

Counts fade: an event counts half as much after each half-life. What follows from them is left to the policy to learn:
a shelf that was seen much may be a favourite, or the user may be tired of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.data.list_scaling import rank_gains, standard_scores
from models.slates.event_log import CLICK, PURCHASE, VIEW, EventLog, Groups, keys_of
from models.slates.item_traits import NONE, ItemTraits
from models.slates.organic_similarity import OrganicSimilarity
from models.slates.slates import CandidateSets

HALF_LIVES = (1.0, 4.0, 16.0)
"""In days: the visit before, this week, this month."""
ORGANIC_HALF_LIVES = (4.0, 16.0, 64.0)
"""In days: of organic views."""
MAX_EVENTS = 300
"""Latest events of a user that features are made of: bounds memory and time."""
HISTORY_LENGTH = 30
"""Latest events that a policy with a sequence encoder reads."""
NUM_PRIOR = 2.0
"""A share of so few clicks or purchases is held back as if there had been this many more of other kinds."""
PRIOR_SHARES = {"kind": (0.3, 10.0), "wider_kind": (1.0, 10.0), "brand": (0.3, 10.0)}
"""By trait: views of one of it, of so many in all, that its share of what was found organically is held back by."""
HALF_LIVES_OF_ITEM = (4.0, 32.0)
"""In days: of everybody's organic views of an item, lately and over a longer time."""
SIMILARITY_HALF_LIFE = 64.0
"""Of what the user found, when it is held against what others did."""
SIMILARITY_PRIOR = 0.1
"""What `OrganicSimilarity` tells of an item is held back as if it were this much more of any."""
ROWS_AT_ONCE = 2048
"""Lists whose features are computed together: bounds memory."""

FEATURES_OF_USER = (
    "days_since_last_visit",  # log(1 + days); of somebody new, NEVER_DAYS
    "visits_without_click",  # log(1 + visits since the last one with a click)
    *(f"visits_{days:g}_days" for days in HALF_LIVES[1:]),
    "click_rate",  # clicks of a view
)
FEATURES = (
    "standard_score",  # of the ranker; see `models.data.list_scaling`
    "rank_gain",
    *(f"kind_views_{days:g}_days" for days in HALF_LIVES),
    "kind_clicks_16_days",
    "kind_click_share",  # of the user's clicks
    "kind_purchase_share",  # of the user's purchases
    "kind_click_rate_gain",  # clicks of a view of the kind, less the user's
    "kind_purchase_recency_7_days",
    "kind_purchase_recency_30_days",
    "item_views_4_days",
    "item_clicks_16_days",
    "item_purchase_recency_30_days",
    *(f"{trait}_organic_share_{days:g}_days" for trait in PRIOR_SHARES for days in ORGANIC_HALF_LIVES),
    *(f"item_organic_views_{days:g}_days" for days in HALF_LIVES_OF_ITEM),
    "organic_similarity",  # views of the item by users who found the same organically
    *FEATURES_OF_USER,
)
"""Names in the order of `CandidateSets.features`.

Counts c that fade with a half-life of so many days are log(1 + c). A recency over n days is exp(-days / n) of the last
purchase, 0 for never. Organic events are views of an item that did not stand in the user's list
(`EventLog.is_exposed`): they tell what the user wants, and not what the shop showed. An organic share is the logarithm
of what it is to PRIOR_SHARES, and the organic similarity f is log(f / SIMILARITY_PRIOR + 1).
"""
NUM_FEATURES = len(FEATURES)
NEVER_DAYS = 365.0
"""Days since the last visit of somebody who has made none: as long ago as a year."""
MINUTES_PER_DAY = 1440
"""Ages are in days, and times in minutes."""


@dataclass(frozen=True)
class _Past:
    """Pairs of a list and an event before it. Arrays of shape (num_pairs,) but for `user`, of shape (num_lists,)."""

    user: np.ndarray
    row: np.ndarray
    item: np.ndarray
    kind: np.ndarray
    event_type: np.ndarray
    is_exposed: np.ndarray
    age: np.ndarray
    day: np.ndarray

    @property
    def num_lists(self) -> int:
        return len(self.user)


def candidate_sets(
    user: np.ndarray,
    day: np.ndarray,
    item: np.ndarray,
    score: np.ndarray,
    event_log: EventLog,
    traits: ItemTraits,
    crowd: OrganicSimilarity,
) -> CandidateSets:
    """Returns candidates with their features and histories.

    Args:
        user, day: of the lists. Shape (num_lists,), int64 and float64.
        item: candidates; -1 where there are no more. Shape (num_lists, num_candidates), int64.
        score: of the ranker, the higher the better. Same shape, float.
        event_log: of these users; what happened at a list's day or later is not read.
        traits: of all items.
        crowd: organic views of many users before these lists; a user's own views have no part in their scores.
    """
    is_candidate = item >= 0
    kind = np.where(is_candidate, traits.kind[np.maximum(item, 0)], NONE)
    features = np.zeros((*item.shape, NUM_FEATURES), dtype=np.float32)
    of_ranker = {
        "standard_score": standard_scores(score, is_candidate),
        "rank_gain": _rank_gains(score, item, is_candidate),
    }
    history = np.zeros((len(user), HISTORY_LENGTH, 3), dtype=np.int32)
    for start in range(0, len(user), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        past = _past(user[part], day[part], event_log, traits.kind)
        named = {name: values[part] for name, values in of_ranker.items()}
        named |= _of_candidates(past, item[part], kind[part]) | _organic_features(past, item[part], traits, crowd)
        named |= {name: values[:, None] for name, values in _of_users(past).items()}
        features[part] = _stacked(named, item[part].shape)
        history[part] = _history(past)
    features[~is_candidate] = 0
    return CandidateSets(user, np.asarray(day, dtype=np.float64), item, kind, is_candidate, features, history)


def _rank_gains(score: np.ndarray, item: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
    """Returns each candidate's gain by score, equal scores by item. Shape (num_lists, num_candidates)."""
    order = np.lexsort((item, np.where(is_candidate, -score, np.inf)), axis=1)
    gain = np.empty(item.shape)
    np.put_along_axis(gain, order, rank_gains(np.arange(item.shape[1]))[None, :], axis=1)
    return gain


def _stacked(named: dict[str, np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Returns features in the order of FEATURES. Shape (num_lists, num_candidates, num_features), float32.

    Args:
        named: name -> shape (num_lists, num_candidates), or (num_lists, 1) for what is the same for all candidates.

    Raises:
        AssertionError: a feature is missing, or has no place in FEATURES.
    """
    assert named.keys() == set(FEATURES), named.keys() ^ set(FEATURES)
    return np.stack([np.broadcast_to(named[name], shape) for name in FEATURES], axis=-1).astype(np.float32)


def _past(user: np.ndarray, day: np.ndarray, event_log: EventLog, kind_of_item: np.ndarray) -> _Past:
    row, event = event_log.between(user, np.full(len(user), -np.inf), day, MAX_EVENTS)
    item, on_day = event_log.item[event], event_log.day[event]
    kinds = kind_of_item[item]
    event_type, is_exposed = event_log.event_type[event], event_log.is_exposed[event]
    return _Past(user, row, item, kinds, event_type, is_exposed, day[row] - on_day, on_day)


def _of_candidates(past: _Past, item: np.ndarray, kind: np.ndarray) -> dict[str, np.ndarray]:
    """Returns what the user did with each candidate and its kind. Each of shape (num_lists, num_candidates)."""
    rows = np.arange(past.num_lists)[:, None]
    of_kind = Groups(keys_of(past.row, past.kind), _asked(rows, kind))
    of_item = Groups(keys_of(past.row, past.item), keys_of(rows, item))
    is_view, is_click, is_purchase = (1.0 * (past.event_type == which) for which in (VIEW, CLICK, PURCHASE))
    num_views, num_clicks, num_purchases = (
        np.bincount(past.row, which, past.num_lists)[:, None] for which in (is_view, is_click, is_purchase)
    )
    clicks, purchases = of_kind.sums(is_click), of_kind.sums(is_purchase)
    usual = _click_rate(num_views, num_clicks)
    rate = (clicks + NUM_PRIOR * usual) / (of_kind.sums(is_view) + NUM_PRIOR)
    views = {
        f"kind_views_{days:g}_days": np.log1p(of_kind.sums(is_view * _faded(past.age, days))) for days in HALF_LIVES
    }
    return views | {
        "kind_clicks_16_days": np.log1p(of_kind.sums(is_click * _faded(past.age, 16))),
        "kind_click_share": clicks / (num_clicks + NUM_PRIOR),
        "kind_purchase_share": purchases / (num_purchases + NUM_PRIOR),
        "kind_click_rate_gain": rate - usual,
        "kind_purchase_recency_7_days": of_kind.highest(is_purchase * np.exp(-past.age / 7)),
        "kind_purchase_recency_30_days": of_kind.highest(is_purchase * np.exp(-past.age / 30)),
        "item_views_4_days": np.log1p(of_item.sums(is_view * _faded(past.age, 4))),
        "item_clicks_16_days": np.log1p(of_item.sums(is_click * _faded(past.age, 16))),
        "item_purchase_recency_30_days": of_item.highest(is_purchase * np.exp(-past.age / 30)),
    }


def _organic_features(
    past: _Past, item: np.ndarray, traits: ItemTraits, crowd: OrganicSimilarity
) -> dict[str, np.ndarray]:
    """Returns what organic views say of each candidate. Each of shape (num_lists, num_candidates)."""
    is_organic = (past.event_type == VIEW) & ~past.is_exposed
    row, age, found = past.row[is_organic], past.age[is_organic], past.item[is_organic]
    rows, place = np.arange(past.num_lists)[:, None], np.maximum(item, 0)
    fading = [_faded(age, half_life) for half_life in ORGANIC_HALF_LIVES]
    wholes = [np.bincount(row, faded, past.num_lists)[:, None] for faded in fading]
    named = {}
    for trait, (of_one, of_all) in PRIOR_SHARES.items():
        value = getattr(traits, trait)
        of_trait = Groups(keys_of(row, value[found]), _asked(rows, value[place]))
        for days, faded, whole in zip(ORGANIC_HALF_LIVES, fading, wholes, strict=True):
            share = np.log((of_trait.sums(faded) / of_one + 1) / (whole / of_all + 1))
            named[f"{trait}_organic_share_{days:g}_days"] = share
    of_item = Groups(keys_of(row, found), keys_of(rows, item))
    for days in HALF_LIVES_OF_ITEM:
        named[f"item_organic_views_{days:g}_days"] = np.log1p(of_item.sums(_faded(age, days)))
    similarity = crowd.leave_user_out_scores(past.user, row, found, _faded(age, SIMILARITY_HALF_LIFE), place)
    return named | {"organic_similarity": np.log1p(similarity / SIMILARITY_PRIOR)}


def _asked(rows: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Keys of a trait's values: NONE is none that two items share, so it is asked for as one that no event has."""
    return keys_of(rows, np.where(value == NONE, NONE - 1, value))


def _of_users(past: _Past) -> dict[str, np.ndarray]:
    """Returns FEATURES_OF_USER. Each of shape (num_lists,)."""
    day = np.floor(past.day)
    new_visit = np.ones(len(day), dtype=bool)
    new_visit[1:] = (past.row[1:] != past.row[:-1]) | (day[1:] != day[:-1])
    visit = np.cumsum(new_visit) - 1
    row, age = past.row[new_visit], past.age[new_visit]
    has_click = np.bincount(visit, past.event_type > VIEW, len(row)) > 0
    since_last = np.full(past.num_lists, NEVER_DAYS)
    np.minimum.at(since_last, past.row, past.age)
    # Visits of a list stand in the order of time; those after its last one with a click were dull.
    last_with_click = np.full(past.num_lists, -1)
    np.maximum.at(last_with_click, row[has_click], np.flatnonzero(has_click))
    is_dull_since = np.arange(len(row)) > last_with_click[row]
    num_views, num_clicks = (np.bincount(past.row, past.event_type == which, past.num_lists) for which in (VIEW, CLICK))
    visits = {
        f"visits_{days:g}_days": np.log1p(np.bincount(row, _faded(age, days), past.num_lists))
        for days in HALF_LIVES[1:]
    }
    return visits | {
        "days_since_last_visit": np.log1p(since_last),
        "visits_without_click": np.log1p(np.bincount(row, is_dull_since, past.num_lists)),
        "click_rate": _click_rate(num_views, num_clicks),
    }


def _history(past: _Past) -> np.ndarray:
    """As in `CandidateSets`. Shape (num_lists, HISTORY_LENGTH, 3)."""
    lengths = np.bincount(past.row, minlength=past.num_lists)
    nth_from_last = np.cumsum(lengths)[past.row] - np.arange(len(past.row))
    is_read = nth_from_last <= HISTORY_LENGTH
    row = past.row[is_read]
    place = np.minimum(lengths, HISTORY_LENGTH)[row] - nth_from_last[is_read]
    minutes = np.maximum(np.diff(past.day, prepend=past.day[:1]), 0) * MINUTES_PER_DAY
    minutes[np.diff(past.row, prepend=-1) > 0] = 0
    gap = np.frexp(np.floor(minutes))[1]
    history = np.zeros((past.num_lists, HISTORY_LENGTH, 3), dtype=np.int32)
    history[row, place] = np.stack([past.kind + 2, past.event_type + 1, gap], axis=1)[is_read]
    return history


def _faded(age: np.ndarray, half_life: float) -> np.ndarray:
    return np.asarray(0.5 ** (age / half_life))


def _click_rate(num_views: np.ndarray, num_clicks: np.ndarray) -> np.ndarray:
    return np.asarray((num_clicks + 0.2) / (num_views + 1))
