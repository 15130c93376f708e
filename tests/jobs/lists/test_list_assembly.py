"""Whatever the candidates and the rules: K distinct items for everybody, in order, and every rule of lists kept."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.semantics.list_caps import Cap
from jobs.lists import list_assembly as module
from jobs.lists.fallback_fill import FallbackItems
from jobs.lists.list_assembly import AssemblyPlan, assembled_lists
from jobs.lists.mmr_selection import Selection
from jobs.lists.softmax_sampling import SlotSampler

NUM_ITEMS, NUM_USERS, TOP_K = 40, 6, 5
Row = dict[str, Any]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Every third item is of one category."""
    path = tmp_path_factory.mktemp("features")
    index = list(range(2, NUM_ITEMS))
    columns = {"item_index": index, "category_indices": [[2 + i % 3] for i in index], "brand_index": [1] * len(index)}
    pq.write_table(pa.table({**columns, "token_indices": [[2 + i % 7] for i in index]}), path / "part-0.parquet")
    return str(path)


def asked_of(rng: np.random.Generator) -> pa.Table:
    """Some candidates for most users, and one row without an item for each; a user who gets no list comes last."""
    users, items, scores = list(range(2, 2 + NUM_USERS)), [None] * NUM_USERS, [None] * NUM_USERS
    for user in range(2, 3 + NUM_USERS):
        num = int(rng.integers(0, 13))
        users += [user] * num
        items += rng.permutation(np.arange(2, NUM_ITEMS))[:num].tolist()
        scores += (rng.integers(-9, 9, num) / 8).tolist()
    because = [None if item is None or item % 3 else 2 + item % 5 for item in items]
    types = {"user_index": pa.int32(), "item_index": pa.int32(), "score": pa.float32(), "because_index": pa.int32()}
    return pa.table([users, items, scores, because], schema=pa.schema(types.items()))


def met_of(rng: np.random.Generator) -> pa.Table:
    pairs = sorted({(int(rng.integers(2, 8)), int(rng.integers(2, NUM_ITEMS))) for _ in range(12)})
    columns = [*zip(*((user, item, user % 2) for user, item in pairs), strict=True)]
    names = ("user_index", "item_index", "num_purchases")
    return pa.table({name: pa.array(values, pa.int32()) for name, values in zip(names, columns, strict=True)})


def rules_of(
    selection: Selection, is_new: np.ndarray, exclude_bought: bool = False, is_explained: bool = False
) -> AssemblyPlan:
    order = np.arange(NUM_ITEMS - 1, 1, -1, dtype=np.int32)
    fallback = FallbackItems(order, order[is_new[order]], selection.caps)
    return AssemblyPlan(TOP_K, fallback, 10, 5, exclude_bought, False, is_explained, None, selection)


def lists_of(table: pa.Table) -> dict[int, list[Row]]:
    lists: dict[int, list[Row]] = {}
    for row in table.to_pylist():
        lists.setdefault(row["user_index"], []).append(row)
    return lists


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    diversity=st.sampled_from([0.0, 0.4, 1.0]),
    is_boosted=st.booleans(),
    most=st.sampled_from([0, 1, 2]),
    num_new=st.integers(0, TOP_K),
    exclude_bought=st.booleans(),
    randomness=st.sampled_from([0.0, 0.3, 3.0]),
)
def test_every_list_is_whole_and_keeps_the_rules(
    features: str,
    seed: int,
    diversity: float,
    is_boosted: bool,
    most: int,
    num_new: int,
    exclude_bought: bool,
    randomness: float,
) -> None:
    rng = np.random.default_rng(seed)
    group, is_new = rng.integers(0, 9, NUM_ITEMS), rng.random(NUM_ITEMS) < 0.15
    caps = (Cap(most, group),) if most else ()
    boost = rng.choice([0.5, 1.0, 2.0], NUM_ITEMS) if is_boosted else None
    asked, met = asked_of(rng), met_of(rng)
    draw = SlotSampler.for_night(randomness, seed, "2024-03-10")
    selection = Selection(diversity, features, boost, caps, is_new, num_new, draw)
    lists = lists_of(assembled_lists(asked, met, rules_of(selection, is_new, exclude_bought)))
    assert list(lists) == list(range(2, 2 + NUM_USERS))
    fitting = np.arange(2, NUM_ITEMS)[is_new[2:]]
    num_fitting = sum(min(count, most or 99) if g else count for g, count in Counter(group[fitting].tolist()).items())
    bought = {(row["user_index"], row["item_index"]) for row in met.to_pylist() if row["num_purchases"]}
    for user, rows in lists.items():
        items, scores = [row["item_index"] for row in rows], [row["score"] for row in rows]
        assert len(set(items)) == len(items) == TOP_K
        assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < row["propensity"] <= 1 for row in rows)
        assert all(row["propensity"] == 1 for row in rows if row["is_filled"] or not draw)
        counts = Counter(int(group[item]) for item in items if group[item])
        is_lifted = any(row["brought_by"] == "caps_lifted" for row in rows)
        assert is_lifted or not most or max(counts.values(), default=0) <= most
        had = sum((user, item) in bought for item in fitting.tolist()) if exclude_bought else 0
        assert sum(is_new[item] for item in items) >= min(num_new, num_fitting) - had
        if exclude_bought:
            assert not [row for row in rows if row["is_filled"] and (user, row["item_index"]) in bought]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_without_rules_a_list_is_the_best_scores_and_then_demand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    asked = asked_of(rng)
    lists = lists_of(assembled_lists(asked, met_of(rng), rules_of(Selection(), np.zeros(NUM_ITEMS, bool))))
    for user, rows in lists.items():
        mine = [row for row in asked.to_pylist() if row["user_index"] == user and row["item_index"] is not None]
        best = sorted(mine, key=lambda row: (-row["score"], row["item_index"]))[:TOP_K]
        chosen = [(row["item_index"], row["score"]) for row in rows if not row["is_filled"]]
        assert chosen == [(row["item_index"], round(row["score"], 6)) for row in best]
        taken = [item for item, _ in chosen]
        filled = [item for item in range(NUM_ITEMS - 1, 1, -1) if item not in taken][: TOP_K - len(taken)]
        assert [row["item_index"] for row in rows if row["is_filled"]] == filled
        assert {(row["brought_by"], row["is_moved"], row["propensity"]) for row in rows} == {(None, False, 1.0)}


def test_lists_are_the_same_however_many_are_chosen_at_a_time(
    features: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, met, is_new = asked_of(rng), met_of(rng), rng.random(NUM_ITEMS) < 0.1
    selection = Selection(0.5, features, None, (Cap(1, rng.integers(0, 9, NUM_ITEMS)),), is_new, 2, SlotSampler(1.0, 5))
    together = assembled_lists(asked, met, rules_of(selection, is_new))
    monkeypatch.setattr(module, "MAX_PAIRS", 1)
    assert assembled_lists(asked, met, rules_of(selection, is_new)).equals(together)


@pytest.mark.parametrize("seed", range(5))
def test_reasons_cite_what_a_row_owes_most_to_where_its_user_met_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    asked, met = asked_of(rng), met_of(rng)
    rules = rules_of(Selection(), np.zeros(NUM_ITEMS, bool), is_explained=True)
    owed = {(row["user_index"], row["item_index"]): row["because_index"] for row in asked.to_pylist()}
    bought = {(row["user_index"], row["item_index"]): row["num_purchases"] > 0 for row in met.to_pylist()}
    for row in assembled_lists(asked, met, rules).to_pylist():
        user, item = row["user_index"], row["item_index"]
        because = None if row["is_filled"] else owed[user, item]
        if bought.get((user, item)):
            assert (row["reason_code"], row["because_index"]) == ("buy_again", item)
        elif because is not None and because != item and (user, because) in bought:
            code = "because_you_bought" if bought[user, because] else "because_you_viewed"
            assert (row["reason_code"], row["because_index"]) == (code, because)
        else:
            assert row["because_index"] in (0, item)
            assert not row["reason_code"].startswith("because")
