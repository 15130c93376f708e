"""Lists chosen for many users at once are those that a plain loop chooses for one user after the other."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations.semantics.list_caps import Cap
from jobs.lists.candidate_pool import Pool
from jobs.lists.content_similarity import CandidateSimilarity, item_content
from jobs.lists.fallback_fill import FallbackItems
from jobs.lists.mmr_selection import BY_MODEL, STAGES, Selection, best_places, selected_lists

NUM_ITEMS = 30


def written_features(folder: Path, categories: list[list[int]], brands: list[int], tokens: list[list[int]]) -> str:
    """`item_features` of items 2, 3 … as far as similarity reads them."""
    columns = {"item_index": range(2, 2 + len(brands)), "category_indices": categories, "brand_index": brands}
    (folder / "features").mkdir()
    pq.write_table(pa.table({**columns, "token_indices": tokens}), folder / "features" / "part-0.parquet")
    return str(folder / "features")


@pytest.fixture
def features(tmp_path: Path, rng: np.random.Generator) -> str:
    """Items with up to three categories and four words, some unknown (1) or there twice."""
    num = NUM_ITEMS - 2
    categories = [rng.integers(1, 6, rng.integers(0, 4)).tolist() for _ in range(num)]
    tokens = [rng.integers(1, 9, rng.integers(0, 5)).tolist() for _ in range(num)]
    return written_features(tmp_path, categories, rng.integers(1, 5, num).tolist(), tokens)


@pytest.fixture
def pool(rng: np.random.Generator) -> Pool:
    """40 users with 0 to 12 candidates; scores in steps, so that many are equal."""
    items, scores = np.zeros((40, 12), np.int32), np.zeros((40, 12))
    for row, num in enumerate(rng.integers(0, 13, 40)):
        items[row, :num] = rng.permutation(np.arange(2, NUM_ITEMS))[:num]
        scores[row, :num] = rng.integers(-3, 4, num) / 4
    return Pool.of(items, scores)


@lru_cache
def features_of(path: str) -> dict[int, set[str]]:
    """What each item is, as a set of names; what no vocabulary knows is none."""
    named = {}
    for row in pq.read_table(path).to_pylist():
        lists = {**row, "brand_index": [row["brand_index"]]}
        kinds = ("category_indices", "brand_index", "token_indices")
        named[row["item_index"]] = {f"{kind}={value}" for kind in kinds for value in lists[kind] if value >= 2}
    return named


def cosine(path: str, one: int, other: int) -> float:
    a, b = features_of(path)[one], features_of(path)[other]
    return len(a & b) / np.sqrt(len(a) * len(b)) if a and b else 0.0


def plain_mmr(pool: Pool, row: int, num: int, diversity: float, path: str, caps: tuple[Cap, ...]) -> list[int]:
    """One user's list by the definition."""
    columns = zip(pool.items[row].tolist(), pool.relevance[row], pool.scores[row], strict=True)
    left = [candidate for candidate in columns if candidate[0]]
    chosen: list[int] = []
    while left and len(chosen) < num:

        def is_free(item: int) -> bool:
            return all(
                not cap.group[item] or sum(cap.group[j] == cap.group[item] for j in chosen) < cap.most for cap in caps
            )

        def value(candidate: tuple[int, float, float]) -> tuple[float, float, float, int]:
            item, relevance, score = candidate
            nearest = max((cosine(path, item, j) for j in chosen), default=0.0)
            return round((1 - diversity) * relevance - diversity * nearest, 9), relevance, score, -item

        free = [candidate for candidate in left if is_free(candidate[0])]
        if not free:
            break
        best = max(free, key=value)
        chosen.append(best[0])
        left.remove(best)
    return chosen


def items_at(pool: Pool, places: np.ndarray, row: int) -> list[int]:
    return pool.items[row, places[row][places[row] >= 0]].tolist()


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("is_capped", [False, True])
def test_all_users_at_once_get_what_the_definition_gives_each(
    pool: Pool, features: str, rng: np.random.Generator, diversity: float, is_capped: bool
) -> None:
    caps = (Cap(2, rng.integers(0, 4, NUM_ITEMS)), Cap(1, rng.integers(0, 9, NUM_ITEMS))) if is_capped else ()
    places = best_places(pool, 6, diversity, item_content(features), caps)
    for row in range(len(pool.items)):
        assert items_at(pool, places, row) == plain_mmr(pool, row, 6, diversity, features, caps)


def test_similarity_is_the_cosine_of_what_items_are(features: str, pool: Pool) -> None:
    cosines = CandidateSimilarity(pool.items, item_content(features)).to(np.zeros(len(pool.items), int))
    for row in range(len(pool.items)):
        first, *others = pool.items[row][pool.items[row] > 0].tolist() or [0]
        assert cosines[row, 1 : 1 + len(others)] == pytest.approx([cosine(features, first, item) for item in others])


def test_a_list_does_not_depend_on_who_else_is_in_the_block(features: str, pool: Pool) -> None:
    together = best_places(pool, 6, 0.4, item_content(features))
    alone = [best_places(pool.rows(np.array([row])), 6, 0.4, item_content(features))[0] for row in range(40)]
    assert (together == np.stack(alone)).all()


def test_the_dial_means_the_same_whatever_the_scale_of_scores(features: str, pool: Pool) -> None:
    larger = Pool.of(pool.items, pool.scores * 1024 - 7)
    content = item_content(features)
    assert (best_places(larger, 6, 0.4, content) == best_places(pool, 6, 0.4, content)).all()


def test_relevance_lies_between_the_best_candidate_and_the_last() -> None:
    pool = Pool.of(np.array([[5, 4, 3, 0], [2, 0, 0, 0]]), np.array([[1.0, 2.0, 5.0, 0.0], [7.0, 0.0, 0.0, 0.0]]))
    assert pool.items.tolist() == [[3, 4, 5, 0], [2, 0, 0, 0]]
    assert pool.relevance.tolist() == [[1.0, 0.25, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]


def lists_of(
    pool: Pool, top_k: int, selection: Selection, fallback: FallbackItems | None = None
) -> list[tuple[int, str]]:
    """The only user's list: items, and what brought them in."""
    chosen = selected_lists(
        pool,
        top_k,
        selection,
        fallback or FallbackItems(np.empty(0, np.int32)),
        [np.empty(0, np.int32)] * len(pool.items),
    )
    names = {BY_MODEL: "model", **dict(enumerate(STAGES))}
    by = [names[place] for place, at in zip(chosen.brought_by[0], chosen.places[0], strict=True) if at >= 0]
    listed = list(zip(items_at(pool, chosen.places, 0), by, strict=True))
    return [*listed, *((int(item), "new filler") for item in chosen.appended_new_items.get(0, []))]


def one_user(scores: dict[int, float], boost: np.ndarray | None = None) -> Pool:
    return Pool.of(np.array([list(scores)]), np.array([list(scores.values())]), boost)


def by_item(size: int, default: float, **values: float) -> np.ndarray:
    array = np.full(size, default)
    for name, value in values.items():
        array[int(name[1:])] = value
    return array


SCORES = {2: 1.0, 3: 0.9, 4: 0.5, 5: 0.4, 6: 0.0}


def test_without_rules_the_best_scores_are_the_list() -> None:
    assert lists_of(one_user(SCORES), 3, Selection()) == [(2, "model"), (3, "model"), (4, "model")]


def test_a_boost_lifts_and_lowers_and_tells_what_it_brought_in() -> None:
    boost = by_item(7, 1.0, i5=2.0, i3=0.1)
    pool = one_user(SCORES, boost)
    assert lists_of(pool, 3, Selection(boost=boost)) == [(2, "model"), (5, "boosts"), (4, "model")]


def test_variety_takes_the_place_of_more_of_the_same(tmp_path: Path) -> None:
    path = written_features(tmp_path, [[2], [2], [2], [3], [2]], [1] * 5, [[]] * 5)
    listed = lists_of(one_user(SCORES), 3, Selection(diversity=0.5, content_path=path))
    assert listed == [(2, "model"), (5, "diversity"), (3, "model")]


def test_a_cap_passes_over_what_is_too_much_of_one_group() -> None:
    group = by_item(7, 0, i2=1, i3=1, i4=1, i5=2).astype(int)
    listed = lists_of(one_user(SCORES), 3, Selection(caps=(Cap(1, group),)))
    assert listed == [(2, "model"), (5, "caps"), (6, "caps")]  # item 6 is of no group


def test_the_best_new_candidates_are_pulled_up_where_a_list_has_too_few() -> None:
    is_new = by_item(7, 0, i5=1, i6=1).astype(bool)
    listed = lists_of(one_user(SCORES), 3, Selection(is_new=is_new, num_new=1))
    assert listed == [(2, "model"), (3, "model"), (5, "new_items")]
    is_new[3] = True
    assert lists_of(one_user(SCORES), 3, Selection(is_new=is_new, num_new=1)) == [
        (2, "model"),
        (3, "model"),
        (4, "model"),
    ]


def test_new_items_have_their_place_before_a_cap_is_used_up_by_others() -> None:
    is_new, group = by_item(9, 0, i4=1, i8=1).astype(bool), by_item(9, 0, i2=1, i3=1, i4=1, i8=2).astype(int)
    fallback = FallbackItems(np.array([2, 8], np.int32), np.array([8], np.int32), (Cap(1, group),))
    listed = lists_of(one_user(SCORES), 3, Selection(caps=fallback.caps, is_new=is_new, num_new=2), fallback)
    assert listed == [(4, "new_items"), (5, "caps"), (8, "new filler")]
