"""What a policy knows of each candidate of a list: the ranker's word, and what the user did lately with its likes.

It comes from the user's own log before the day of the list, from the ranker, and from what a crowd of users found
(`models.slates.organic_similarity`), which is the same for all: so a block of users is described without the others. Of
a long log the latest `MAX_EVENTS` are read.

Counts fade: an event counts half as much after each half-life. What follows from them is left to the policy to learn:
a shelf that was seen much may be a favourite, or may have become a bore.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.slates.event_log import CLICK, PURCHASE, VIEW, EventLog, Groups, keys_of
from models.slates.item_traits import NONE, ItemTraits
from models.slates.organic_similarity import OrganicSimilarity
from models.slates.slates import CandidateSets

HALF_LIVES = (1.0, 4.0, 16.0)
"""In days: the visit before, this week, this month."""
ORGANIC_HALF_LIVES = (4.0, 16.0, 64.0)
"""Of what somebody looked at without having been led to it."""
MAX_EVENTS = 300
HISTORY_LENGTH = 30
MOST_DEVIATIONS = 8.0
NUM_PRIOR = 2.0
"""A share of so few clicks or purchases is held back as if there had been this many more of other kinds."""
PRIOR_SHARES = {"kind": (0.3, 10.0), "wider_kind": (1.0, 10.0), "brand": (0.3, 10.0)}
"""By trait: views of one of it, of so many in all, that its share of what was found alone is held back by."""
HALF_LIVES_OF_ITEM = (4.0, 32.0)
SIMILARITY_HALF_LIFE = 64.0
"""Of what the user found, when it is held against what others did."""
SIMILARITY_PRIOR = 0.1
"""What `OrganicSimilarity` tells of an item is held back as if it were this much more of any."""
ROWS_AT_ONCE = 2048

FEATURES_OF_USER = (
    "time since the last visit",
    "visits in a row without a click",
    *(f"visits, half-life {days:g} days" for days in HALF_LIVES[1:]),
    "clicks of a view",
)
FEATURES = (
    "standard score",
    "gain of rank",
    *(f"views of kind, half-life {days:g} days" for days in HALF_LIVES),
    "clicks of kind, half-life 16 days",
    "share of clicks of kind",
    "share of purchases of kind",
    "clicks of a view of kind, less the user's",
    "recency of the last purchase of kind, over 7 days",
    "recency of the last purchase of kind, over 30 days",
    "views of item, half-life 4 days",
    "clicks of item, half-life 16 days",
    "recency of the last purchase of item, over 30 days",
    *(
        f"{trait.replace('_', ' ')}'s share of what was found alone, half-life {days:g} days"
        for trait in PRIOR_SHARES
        for days in ORGANIC_HALF_LIVES
    ),
    *(f"times that the item was found alone, half-life {days:g} days" for days in HALF_LIVES_OF_ITEM),
    "found alone by who found the same",
    *FEATURES_OF_USER,
)
"""In the order of `CandidateSets.features`. Counts c are told as log(1 + c); a recency over n days is exp(-days / n), 0
for never; the time since the last visit is log(1 + days), that of somebody new a year's; the gain of a rank is its gain
in an NDCG. What was found alone is what was looked at while it did not stand in the user's list
(`EventLog.is_exposed`): in that people go by their wants, and not by ours; a share is told as the logarithm of what it
is to PRIOR_SHARES, and what
others found who found the same, f, as log(f / SIMILARITY_PRIOR + 1)."""
NUM_FEATURES = len(FEATURES)
NEVER_DAYS = 365.0
MINUTES_PER_DAY = 1440


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
    """Candidates, described.

    Args:
        user, day: of the lists. Shape (num_lists,).
        item: candidates; -1 where there are no more. Shape (num_lists, num_candidates).
        score: of the ranker, the higher the better. Same shape.
        event_log: of these users; what happened at a list's day or later is not read.
        traits: of all items.
        crowd: what users found, of all items, too, before these lists; nobody is told of themselves by it.
    """
    is_candidate = item >= 0
    kind = np.where(is_candidate, traits.kind[np.maximum(item, 0)], NONE)
    features = np.zeros((*item.shape, NUM_FEATURES), dtype=np.float32)
    features[..., 0] = standard_scores(score, is_candidate)
    features[..., 1] = _gains(score, item, is_candidate)
    history = np.zeros((len(user), HISTORY_LENGTH, 3), dtype=np.int32)
    for start in range(0, len(user), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        past = _past(user[part], day[part], event_log, traits.kind)
        told = [*_of_candidates(past, item[part], kind[part]), *_organic_features(past, item[part], traits, crowd)]
        features[part, :, 2 : 2 + len(told)] = np.stack(told, axis=-1)
        features[part, :, 2 + len(told) :] = np.stack(_of_users(past), axis=-1)[:, None, :]
        history[part] = _history(past)
    features[~is_candidate] = 0
    return CandidateSets(user, np.asarray(day, dtype=np.float64), item, kind, is_candidate, features, history)


def standard_scores(score: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
    """Scores less the mean of the row's candidates, over their standard deviation; 0 where all are equal."""
    num = np.maximum(is_candidate.sum(axis=1, keepdims=True), 1)
    known = np.where(is_candidate, score, 0.0).astype(np.float64)
    apart = np.where(is_candidate, known - known.sum(axis=1, keepdims=True) / num, 0.0)
    deviation = np.sqrt((apart**2).sum(axis=1, keepdims=True) / num)
    return np.clip(apart / (deviation + 1e-9), -MOST_DEVIATIONS, MOST_DEVIATIONS)


def _gains(score: np.ndarray, item: np.ndarray, is_candidate: np.ndarray) -> np.ndarray:
    order = np.lexsort((item, np.where(is_candidate, -score, np.inf)), axis=1)
    gain = np.empty(item.shape)
    np.put_along_axis(gain, order, 1 / np.log2(np.arange(item.shape[1]) + 2)[None, :], axis=1)
    return gain


def _past(user: np.ndarray, day: np.ndarray, event_log: EventLog, kind_of_item: np.ndarray) -> _Past:
    row, event = event_log.between(user, np.full(len(user), -np.inf), day, MAX_EVENTS)
    item, on_day = event_log.item[event], event_log.day[event]
    kinds = kind_of_item[item]
    event_type, is_exposed = event_log.event_type[event], event_log.is_exposed[event]
    return _Past(user, row, item, kinds, event_type, is_exposed, day[row] - on_day, on_day)


def _of_candidates(past: _Past, item: np.ndarray, kind: np.ndarray) -> list[np.ndarray]:
    """FEATURES from the third on, up to what was found alone. Each of shape (num_lists, num_candidates)."""
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
    return [
        *(np.log1p(of_kind.sums(is_view * _faded(past.age, half_life))) for half_life in HALF_LIVES),
        np.log1p(of_kind.sums(is_click * _faded(past.age, 16))),
        clicks / (num_clicks + NUM_PRIOR),
        purchases / (num_purchases + NUM_PRIOR),
        rate - usual,
        *(of_kind.highest(is_purchase * np.exp(-past.age / days)) for days in (7, 30)),
        np.log1p(of_item.sums(is_view * _faded(past.age, 4))),
        np.log1p(of_item.sums(is_click * _faded(past.age, 16))),
        of_item.highest(is_purchase * np.exp(-past.age / 30)),
    ]


def _organic_features(past: _Past, item: np.ndarray, traits: ItemTraits, crowd: OrganicSimilarity) -> list[np.ndarray]:
    """The FEATURES that tell of it. Each of shape (num_lists, num_candidates)."""
    is_organic = (past.event_type == VIEW) & ~past.is_exposed
    row, age, found = past.row[is_organic], past.age[is_organic], past.item[is_organic]
    rows, place = np.arange(past.num_lists)[:, None], np.maximum(item, 0)
    fading = [_faded(age, half_life) for half_life in ORGANIC_HALF_LIVES]
    wholes = [np.bincount(row, faded, past.num_lists)[:, None] for faded in fading]
    told = []
    for trait, (of_one, of_all) in PRIOR_SHARES.items():
        value = getattr(traits, trait)
        of_trait = Groups(keys_of(row, value[found]), _asked(rows, value[place]))
        for faded, whole in zip(fading, wholes, strict=True):
            told.append(np.log((of_trait.sums(faded) / of_one + 1) / (whole / of_all + 1)))
    of_item = Groups(keys_of(row, found), keys_of(rows, item))
    times = (np.log1p(of_item.sums(_faded(age, half_life))) for half_life in HALF_LIVES_OF_ITEM)
    leave_user_out_scores = crowd.leave_user_out_scores(past.user, row, found, _faded(age, SIMILARITY_HALF_LIFE), place)
    return [*told, *times, np.log1p(leave_user_out_scores / SIMILARITY_PRIOR)]


def _asked(rows: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Keys of a trait's values: NONE is none that two items share, so it is asked for as one that no event has."""
    return keys_of(rows, np.where(value == NONE, NONE - 1, value))


def _of_users(past: _Past) -> list[np.ndarray]:
    """FEATURES_OF_USER. Each of shape (num_lists,)."""
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
    return [
        np.log1p(since_last),
        np.log1p(np.bincount(row, is_dull_since, past.num_lists)),
        *(np.log1p(np.bincount(row, _faded(age, life), past.num_lists)) for life in HALF_LIVES[1:]),
        _click_rate(num_views, num_clicks),
    ]


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
