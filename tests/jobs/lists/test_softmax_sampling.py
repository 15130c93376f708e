"""Lists that are drawn: as often as their propensities say, under every rule, and the same in every re-run."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from expectations.semantics.list_caps import Cap
from jobs.lists.candidate_pool import Pool, ReservedSlots
from jobs.lists.content_similarity import item_content
from jobs.lists.fallback_fill import FallbackItems
from jobs.lists.mmr_selection import STAGES, Chosen, Selection, sampled_places, selected_lists
from jobs.lists.softmax_sampling import SlotSampler, gumbel_noise
from tests.jobs.lists.test_mmr_selection import written_features

SCORES = {2: 1.0, 3: 0.9, 4: 0.5, 5: 0.4, 6: 0.0}
MANY = 40_000


def alike(num_users: int) -> Pool:
    """Users with the same candidates, of whom each draws for themselves."""
    items, scores = (np.tile(values, (num_users, 1)) for values in (list(SCORES), list(SCORES.values())))
    return Pool.of(items, scores, users=np.arange(2, 2 + num_users))


def lists_of(pool: Pool, places: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.take_along_axis(pool.items, places, axis=1).tolist()]


def chosen(pool: Pool, selection: Selection, top_k: int = 3) -> Chosen:
    none = np.empty(0, np.int32)
    return selected_lists(pool, top_k, selection, FallbackItems(none), [none] * len(pool.items))


def test_noise_is_that_of_gumbel() -> None:
    noise = gumbel_noise(7, np.arange(400)[:, None], 0, np.arange(500)[None])
    assert noise.mean() == pytest.approx(0.5772, abs=0.01)
    assert noise.var() == pytest.approx(np.pi**2 / 6, abs=0.02)
    assert (np.exp(-np.exp(-noise)) < 0.25).mean() == pytest.approx(0.25, abs=0.005)


def test_noise_is_another_for_every_user_place_item_and_seed() -> None:
    users, items = np.arange(50)[:, None], np.arange(60)[None]
    parts = [gumbel_noise(seed, users, place, items).ravel() for seed in (1, 2) for place in (0, 1)]
    assert len(np.unique(np.concatenate(parts))) == 4 * 50 * 60
    assert np.abs(np.corrcoef(parts) - np.eye(4)).max() < 0.07


def test_the_first_place_is_a_softmax_of_scores_in_standard_deviations() -> None:
    pool = alike(1)
    scores = np.array(list(SCORES.values()))
    expected = np.exp(scores / (2.0 * scores.std()))
    expected /= expected.sum()
    seen = {}
    for seed in range(200):
        places, propensity = sampled_places(pool, 1, 0.0, None, (), SlotSampler(2.0, seed))
        seen[int(pool.items[0, places[0, 0]])] = propensity[0, 0]
    assert seen == pytest.approx(dict(zip(SCORES, expected, strict=True)))
    assert sum(seen.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("diversity", [0.0, 0.6])
@pytest.mark.parametrize("is_capped", [False, True])
def test_lists_come_as_often_as_their_propensities_say(
    tmp_path_factory: pytest.TempPathFactory, diversity: float, is_capped: bool
) -> None:
    path = written_features(tmp_path_factory.mktemp("f"), [[2], [2], [3], [3], []], [1] * 5, [[]] * 5)
    caps = (Cap(1, np.array([0, 0, 1, 1, 2, 2, 0])),) if is_capped else ()
    pool, content = alike(MANY), item_content(path) if diversity else None
    places, propensity = sampled_places(pool, 3, diversity, content, caps, SlotSampler(1.0, 11))
    drawn, probability = lists_of(pool, places), dict[tuple[int, ...], float]()
    for items, chances in zip(drawn, propensity, strict=True):
        assert probability.setdefault(items, chances.prod()) == pytest.approx(chances.prod()), "a list has one"
    possible = [
        items
        for items in permutations(SCORES, 3)
        if not is_capped or (not {2, 3} <= set(items) and not {4, 5} <= set(items))
    ]
    assert set(drawn) == set(possible), "every list that rules allow comes up, and no other"
    assert sum(probability.values()) == pytest.approx(1.0)
    counts = Counter(drawn)
    for items in possible:
        error = np.sqrt(MANY * probability[items] * (1 - probability[items]))
        assert abs(counts[items] - MANY * probability[items]) < 4.5 * error


def test_the_best_new_item_keeps_its_place_and_is_drawn_to_it() -> None:
    is_new = np.array([0, 0, 0, 0, 0, 1, 1], bool)
    pool = alike(2_000)
    result = chosen(pool, Selection(is_new=is_new, num_new=1, sampler=SlotSampler(0.5, 3)))
    drawn = lists_of(pool, result.places)
    assert all(5 in items for items in drawn), "5 is the best new one"
    last = np.array([items[2] == 5 for items in drawn])
    assert (result.propensity[last, 2] == 1.0).all(), "nothing else may stand there"
    assert {items.index(5) for items in drawn} == {0, 1, 2}
    assert result.propensity[~last, 2].max() < 1.0


def test_new_fillers_follow_what_was_drawn() -> None:
    is_new = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1], bool)
    pool, filler = alike(5), np.array([8], np.int32)
    fallback = FallbackItems(filler, filler)
    selection = Selection(is_new=is_new, num_new=1, sampler=SlotSampler(0.5, 3))
    result = selected_lists(pool, 3, selection, fallback, [np.empty(0, np.int32)] * 5)
    assert (result.places[:, :2] >= 0).all() and (result.places[:, 2] == -1).all()
    assert [result.appended_new_items[row].tolist() for row in range(5)] == [[8]] * 5


def test_what_is_held_needs_no_room_under_caps() -> None:
    pool = alike(500)
    held = ReservedSlots(pool.items == 4, np.zeros((500, 1), int))
    caps = (Cap(1, np.array([0, 0, 1, 1, 1, 0, 0])),)
    drawn = lists_of(pool, sampled_places(pool, 3, 0.0, None, caps, SlotSampler(1.0, 1), reserved=held)[0])
    assert {tuple(sorted(items)) for items in drawn} == {(4, 5, 6)}


def test_a_list_does_not_depend_on_who_else_is_drawn_nor_on_the_order_of_candidates(rng: np.random.Generator) -> None:
    items = np.array([rng.permutation(np.arange(2, 14)) for _ in range(30)])
    scores, users = rng.normal(size=items.shape), np.arange(100, 130)
    whole, draw = Pool.of(items, scores, users=users), SlotSampler(0.7, 9)
    together = lists_of(whole, sampled_places(whole, 5, 0.0, None, (), draw)[0])
    for row in range(30):
        alone = Pool.of(items[[row], ::-1], scores[[row], ::-1], users=users[[row]])
        assert lists_of(alone, sampled_places(alone, 5, 0.0, None, (), draw)[0]) == [together[row]]


def test_candidates_that_are_all_alike_have_equal_chances() -> None:
    pool = Pool.of(np.array([[2, 3, 4, 0]]), np.array([[0.5, 0.5, 0.5, 9.0]]))
    places, propensity = sampled_places(pool, 4, 0.0, None, (), SlotSampler(0.1, 1))
    assert propensity.tolist() == [pytest.approx([1 / 3, 1 / 2, 1.0, 1.0])]
    assert (places[0, :3] >= 0).all() and places[0, 3] == -1


def test_a_little_randomness_takes_the_best_and_none_draws_nothing() -> None:
    pool = alike(200)
    best = chosen(pool, Selection())
    nearly = chosen(pool, Selection(sampler=SlotSampler(0.01, 5)))
    assert (nearly.places == best.places).all()
    assert (best.propensity == 1.0).all() and nearly.propensity.min() > 0.9
    assert SlotSampler.for_night(0.0, 1, "2024-03-10") is None


def test_what_was_drawn_in_is_told_apart_from_what_the_model_would_have_shown() -> None:
    pool = alike(100)
    result = chosen(pool, Selection(sampler=SlotSampler(1.0, 5)))
    by_draw = result.brought_by == STAGES.index("randomness")
    assert (by_draw == ~np.isin(np.take_along_axis(pool.items, result.places, axis=1), [2, 3, 4])).all()
    assert by_draw.any()


def test_another_night_draws_other_lists_and_the_same_night_the_same() -> None:
    pool = alike(50)

    def drawn(seed: int, ds: str) -> list[tuple[int, ...]]:
        return lists_of(pool, chosen(pool, Selection(sampler=SlotSampler.for_night(1.0, seed, ds))).places)

    assert drawn(1, "2024-03-10") == drawn(1, "2024-03-10")
    assert drawn(1, "2024-03-10") != drawn(1, "2024-03-11")
    assert drawn(1, "2024-03-10") != drawn(2, "2024-03-10")
