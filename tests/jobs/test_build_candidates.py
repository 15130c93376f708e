"""Candidates from vectors and from neighbours, through Spark, against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from expectations.runtime.program import Night
from expectations.tables import CANDIDATES, INTERACTIONS, ITEM_NEIGHBOURS, ITEM_VECTORS, USER_VECTORS, NightError
from jobs.build_candidates import build_candidates
from jobs.storage import user_blocks
from jobs.storage.user_blocks import Blocks
from models.interface.in_force import ModelsAsOf
from models.train import train_models
from tests.worlds.communities import DAY, community_events, write_world
from tests.worlds.small_night import new_night, write_fit, write_met, write_neighbours, write_sizes, write_vectors

NUM_USERS, NUM_ITEMS, DIM = 40, 30, 4
PAIR = ("user_index", "item_index")


def candidates(night: Night, model: str) -> pa.Table:
    """Rows of one model in the order in which readers take them."""
    order = [("user_index", "ascending"), ("score", "descending"), ("item_index", "ascending")]
    return night.lake.read(CANDIDATES, night.ds, model).sort_by(order)


@pytest.fixture(scope="module")
def built(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Forty users in blocks of seven; whole numbers as vectors, so that products are exact and often equal."""
    night = new_night(tmp_path_factory.mktemp("candidates"))
    night = replace(night, shop=replace(night.shop, models=("two_tower", "item_item", "absent")))
    rng = np.random.default_rng(7)
    users = {i + 2: rng.integers(-2, 3, DIM).tolist() for i in range(NUM_USERS)}
    items = {i + 2: rng.integers(-2, 3, DIM).tolist() for i in range(NUM_ITEMS)}
    write_vectors(night, "two_tower", users, items)
    write_vectors(night, "not_of_this_shop", users, items)
    met = sorted({(int(u), int(i)) for u, i in zip(rng.integers(2, 42, 200), rng.integers(2, 32, 200), strict=True)})
    write_met(night, [(user, item, 1) for user, item in met if user != 41])
    write_neighbours(night, [(2, 2, 1.0), (2, 3, 0.5), (3, 2, 0.5), (4, 31, 2.0), (5, 3, 0.25), (6, 7, -1.0)])
    write_sizes(night, NUM_USERS, NUM_ITEMS)
    for model in ("two_tower", "not_of_this_shop", "item_item"):
        write_fit(night, model)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(user_blocks, "MAX_USERS_PER_BLOCK", 7)
        build_candidates(spark, night, night.ds)
    return night


def expected(night: Night, scores: np.ndarray, n: int) -> list[tuple[int, int, float, bool]]:
    """(user_index, item_index, score, is_seen) by sorting all items of every user. Rows of `scores` are indices."""
    met = set(zip(*(night.lake.read(INTERACTIONS, night.ds)[c].to_pylist() for c in PAIR), strict=True))
    rows = []
    for user in range(2, NUM_USERS + 2):
        order = [i for i in np.lexsort((np.arange(scores.shape[1]), -scores[user])) if scores[user, i] > -np.inf]
        kept = {*order[:n], *[item for item in order if (user, item) not in met][:n]}
        rows += [(user, int(i), float(scores[user, i]), (user, i) in met) for i in order if i in kept]
    return rows


def rows_of(table: pa.Table) -> list[tuple[int, int, float, bool]]:
    columns = ("user_index", "item_index", "score", "is_seen")
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


def test_vectors_give_the_exact_best_of_the_whole_catalogue(built: Night) -> None:
    users, items = (np.zeros((size, DIM)) for size in (NUM_USERS + 2, NUM_ITEMS + 2))
    for table, key, matrix in ((USER_VECTORS, "user_index", users), (ITEM_VECTORS, "item_index", items)):
        for row in built.lake.read(table, built.ds, "two_tower").to_pylist():
            matrix[row[key]] = row["vector"]
    scores = users @ items.T
    scores[:, :2] = -np.inf
    assert rows_of(candidates(built, "two_tower")) == expected(built, scores, built.shop.num_candidates)


def test_neighbours_give_summed_weights_and_only_what_they_speak_for(built: Night) -> None:
    weights = np.zeros((NUM_ITEMS + 2, NUM_ITEMS + 2))
    for row in built.lake.read(ITEM_NEIGHBOURS, built.ds, "item_item").to_pylist():
        weights[row["item_index"], row["neighbour_index"]] = row["weight"]
    met = np.zeros((NUM_USERS + 2, NUM_ITEMS + 2))
    for row in built.lake.read(INTERACTIONS, built.ds).to_pylist():
        met[row["user_index"], row["item_index"]] = 1
    scores = met @ weights
    scores[scores <= 0] = -np.inf
    assert rows_of(candidates(built, "item_item")) == expected(built, scores, built.shop.num_candidates)


def test_only_models_of_the_shop_get_candidates(built: Night) -> None:
    assert built.lake.models(CANDIDATES, built.ds) == ["item_item", "two_tower"]


def test_a_second_build_leaves_the_partition(spark: SparkSession, built: Night) -> None:
    before = built.lake.require(CANDIDATES, built.ds, "two_tower")
    build_candidates(spark, built, built.ds)
    assert built.lake.require(CANDIDATES, built.ds, "two_tower") == before


def test_other_blocks_give_the_same_rows(spark: SparkSession, built: Night, other_code: Callable[[], None]) -> None:
    # Forty users in one block now, and not in six: vectors of whole numbers have exact products.
    before = rows_of(candidates(built, "two_tower"))
    other_code()
    build_candidates(spark, built, built.ds)
    assert rows_of(candidates(built, "two_tower")) == before


def test_without_any_fitted_model_the_night_stops(spark: SparkSession, night: Night) -> None:
    with pytest.raises(NightError, match=r"no retrieval model of .* has vectors or neighbours"):
        build_candidates(spark, night, night.ds)


def test_a_fit_of_other_features_and_vectors_without_a_fit_are_left_alone(spark: SparkSession, night: Night) -> None:
    night = replace(night, shop=replace(night.shop, models=("two_tower", "item_item", "graph")))
    for model in ("two_tower", "graph"):
        write_vectors(night, model, {2: [1.0]}, {2: [1.0]})
    write_neighbours(night, [(2, 3, 1.0)])
    write_sizes(night, 1, 2)
    write_met(night, [(2, 2, 1)])
    write_fit(night, "two_tower")
    write_fit(night, "item_item")
    write_neighbours(night, [(2, 3, 2.0)])  # a fit that failed before it wrote its row
    write_met(night, [(2, 3, 1)])  # a corrected drop, from which two_tower could not be fitted
    with pytest.raises(NightError, match="has vectors or neighbours of the day's features"):
        build_candidates(spark, night, night.ds)
    assert night.lake.models(CANDIDATES, night.ds) == []


def test_the_models_side_takes_what_is_built_from_a_fit_for_its_lists(
    spark: SparkSession, night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # nothing listens there
    write_world(night.lake, community_events())
    models = ("recent_demand", "item_item")
    night = replace(night, ds=DAY, shop=replace(night.shop, models=models), tracking_server="http://127.0.0.1:9")
    train_models(night, DAY, models)
    assert build_candidates(spark, night, DAY) == list(models)
    assert list(ModelsAsOf(night.lake, night.shop, DAY).candidates) == list(models)


def test_blocks_shrink_as_the_catalogue_grows() -> None:
    assert Blocks.of_users(num_users=5, num_items=3).num_users_each == user_blocks.MAX_USERS_PER_BLOCK
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(user_blocks, "MAX_SCORES_PER_BLOCK", 6)
        assert Blocks.of_users(num_users=5, num_items=3) == Blocks(num_users_each=2, num_partitions=6)
