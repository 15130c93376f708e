"""What policies know of candidates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.slates.event_log import CLICK, PURCHASE, VIEW, EventLog
from models.slates.item_traits import ItemTraits
from models.slates.organic_similarity import OrganicSimilarity
from models.slates.slate_features import FEATURES, HISTORY_LENGTH, NUM_FEATURES, SIMILARITY_PRIOR, candidate_sets
from models.slates.slates import CandidateSets

TRAITS = ItemTraits(kind=np.array([7, 7, 2, -1]), wider_kind=np.array([9, 9, 9, -1]), brand=np.array([5, -1, 5, -1]))
CROWD = OrganicSimilarity.of(EventLog.of(np.array([8, 8, 9]), np.array([1, 2, 2]), np.zeros(3), np.full(3, VIEW)), 4)


def candidates_at(day: float, log: EventLog, item: list[int] | None = None, user: int = 4) -> CandidateSets:
    items = np.array([[0, 1, 2, 3] if item is None else item])
    score = np.array([[3.0, 5.0, 1.0, 3.0][: items.shape[1]]])
    return candidate_sets(np.array([user]), np.array([day]), items, score, log, TRAITS, CROWD)


def feature(candidates: CandidateSets, name: str) -> list[float]:
    column: list[float] = candidates.features[0, :, FEATURES.index(name)].astype(float).tolist()
    return column


def log_of(*events: tuple[int, float, int]) -> EventLog:
    """Events of user 4 as item, day and type."""
    item, day, event_type = (np.array(column) for column in zip(*events, strict=True))
    return EventLog.of(np.full(len(events), 4), item, day, event_type)


LOG = log_of((0, 2.5, VIEW), (1, 6.5, VIEW), (1, 6.5, CLICK), (2, 8.0, PURCHASE), (2, 9.0, VIEW), (3, 9.0, VIEW))


def test_the_rankers_score_is_scaled_to_standard_deviations_and_rank_gains() -> None:
    candidates = candidates_at(10.0, LOG)
    assert feature(candidates, "standard_score") == pytest.approx([0, 2**0.5, -(2**0.5), 0])
    assert feature(candidates, "rank_gain") == pytest.approx([1 / np.log2(3), 1, 1 / np.log2(5), 1 / 2])


def test_the_features_of_a_users_log_agree_with_those_by_hand() -> None:
    candidates = candidates_at(10.0, LOG)
    kind_7 = 0.5 ** (7.5 / 4) + 0.5 ** (3.5 / 4)
    assert feature(candidates, "kind_views_4_days") == pytest.approx(
        [np.log1p(kind_7), np.log1p(kind_7), np.log1p(0.5 ** (1 / 4)), 0]
    )
    assert feature(candidates, "kind_clicks_16_days")[2:] == [0, 0]
    assert feature(candidates, "kind_click_share") == pytest.approx([1 / 3, 1 / 3, 0, 0])
    assert feature(candidates, "kind_purchase_recency_7_days") == pytest.approx([0, 0, np.exp(-2 / 7), 0])
    assert feature(candidates, "item_purchase_recency_30_days") == pytest.approx([0, 0, np.exp(-2 / 30), 0])
    assert feature(candidates, "item_views_4_days") == pytest.approx(
        np.log1p([0.5 ** (7.5 / 4), 0.5 ** (3.5 / 4), 0.5 ** (1 / 4), 0.5 ** (1 / 4)])
    )
    assert feature(candidates, "days_since_last_visit") == pytest.approx([np.log(2)] * 4)
    assert feature(candidates, "click_rate") == pytest.approx([1.2 / 5] * 4)


def test_exposed_views_are_not_counted_as_organic() -> None:
    item, day = np.array([0, 0, 1, 2]), np.array([2.0, 6.0, 6.0, 6.0])
    user, is_exposed = np.full(4, 4), np.array([False, True, False, False])
    candidates = candidates_at(10.0, EventLog.of(user, item, day, np.full(4, VIEW), is_exposed=is_exposed))
    week, weeks_before = 0.5 ** (4 / 4), 0.5 ** (8 / 4)
    found, whole = week + weeks_before, 2 * week + weeks_before
    for trait, found_of, prior in (
        ("kind", [found, found, week, 0], 0.3),
        ("wider_kind", [whole, whole, whole, 0], 1.0),
        ("brand", [week + weeks_before, 0, week + weeks_before, 0], 0.3),
    ):
        share = np.log(np.array(found_of) / prior + 1) - np.log(whole / 10 + 1)
        assert feature(candidates, f"{trait}_organic_share_4_days") == pytest.approx(share)
    assert feature(candidates, "item_organic_views_4_days") == pytest.approx(np.log1p([weeks_before, week, week, 0]))
    assert feature(candidates, "item_views_4_days")[0] == pytest.approx(np.log1p(weeks_before + week))


def test_organic_similarity_fades_with_the_users_own_views() -> None:
    found = feature(candidates_at(70.5, log_of((1, 6.5, VIEW), (1, 6.5, CLICK))), "organic_similarity")
    of_one, of_both = 1 / (1 + 5), 1 / np.sqrt((1 + 5) * (2 + 5))  # of squared lengths and the shrinkage, by hand
    assert found == pytest.approx(np.log1p(np.array([0, of_one, of_both, 0]) / 2 / SIMILARITY_PRIOR))


def test_dull_visits_are_counted_since_the_last_one_with_a_click() -> None:
    log = log_of((0, 1.0, VIEW), (0, 2.2, CLICK), (0, 3.0, VIEW), (0, 3.5, VIEW), (0, 5.0, VIEW))
    dull = [feature(candidates_at(day, log), "visits_without_click")[0] for day in (1.0, 2.0, 3.0, 4.0, 6.0)]
    assert dull == pytest.approx(np.log1p([0, 1, 0, 1, 2]))


def test_histories_are_in_the_order_of_time() -> None:
    history = candidates_at(9.0, LOG).history
    assert history is not None
    assert history.shape == (1, HISTORY_LENGTH, 3)
    minutes = [0, 4 * 1440, 0, 1440 * 1.5]
    gaps = [int(m).bit_length() for m in minutes]
    events = [(7, VIEW), (7, VIEW), (7, CLICK), (2, PURCHASE)]
    assert history[0, :4].tolist() == [[k + 2, e + 1, gap] for (k, e), gap in zip(events, gaps, strict=True)]
    assert not history[0, 4:].any()


def test_somebody_new_has_no_features_but_scores() -> None:
    candidates = candidates_at(10.0, LOG, user=5)
    known = ("standard_score", "rank_gain", "days_since_last_visit", "click_rate")
    others = [n for n, name in enumerate(FEATURES) if name not in known]
    assert not candidates.features[0][:, others].any()
    assert candidates.history is not None
    assert not candidates.history.any()


def test_positions_without_a_candidate_are_zero_and_change_no_other() -> None:
    shorter, longer = candidates_at(10.0, LOG, [0, 1, 2]), candidates_at(10.0, LOG, [0, 1, 2, -1])
    assert longer.is_candidate.tolist() == [[True, True, True, False]]
    assert np.array_equal(longer.features[:, :3], shorter.features)
    assert not longer.features[0, 3].any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), day=st.integers(0, 12))
def test_the_future_and_other_users_change_nothing(seed: int, day: int) -> None:
    rng = np.random.default_rng(seed)
    num = int(rng.integers(1, 80))
    user, item, days, kinds = (
        rng.integers(3, 6, num),
        rng.integers(0, 4, num),
        rng.random(num) * 12,
        rng.integers(0, 4, num),
    )
    is_past = (days < day) & (user == 4)
    whole = EventLog.of(user, item, days, kinds)
    past = EventLog.of(user[is_past], item[is_past], days[is_past], kinds[is_past])
    ours, theirs = candidates_at(float(day), whole), candidates_at(float(day), past)
    assert np.array_equal(ours.features, theirs.features)
    assert ours.history is not None
    assert theirs.history is not None
    assert np.array_equal(ours.history, theirs.history)
    assert np.isfinite(ours.features).all()
    assert ours.features.shape[2] == NUM_FEATURES == len(set(FEATURES))
