"""What the rows of published lists owe most to, as the program writes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night
from expectations.shop.shop import Shop
from expectations.tables import ATTRIBUTIONS, FITTED_MODELS
from models import explain, train
from models.data.dataset import Dataset
from models.families.attribution import candidate_causes
from models.interface.registry import model_class
from models.interface.shards import Shard
from models.interface.weights_store import fetched_folder
from tests.models.conftest import NO_SERVER
from tests.worlds.best_items import recommend
from tests.worlds.communities import DAY, USERS, community_events, write_world
from tests.worlds.judged_night import write_lists
from tests.worlds.named_by_gate import publish_model


@pytest.fixture
def night_of_lists(night: Night, world_shop: Shop, dataset: Dataset) -> Night:
    """item_item and recent_demand are fitted, and their lists written."""
    write_world(night.lake, community_events())
    world_night = replace(night, shop=world_shop, ds=DAY, tracking_server=NO_SERVER)
    train.train_models(world_night, DAY, ["item_item", "recent_demand"])
    for name in ("item_item", "recent_demand"):
        row = night.lake.read(FITTED_MODELS, DAY, name).to_pylist()[0]
        with fetched_folder(night.lake, row["weights_path"]) as folder:
            model = model_class(name).load(folder)
        items, scores = recommend(model, dataset, np.array(USERS), 6, exclude_seen=False)
        rows = [
            (user, int(item), float(score), False)
            for user, own, own_scores in zip(USERS, items, scores, strict=True)
            for item, score in zip(own, own_scores, strict=True)
            if item > 0
        ]
        write_lists(night.lake, DAY, name, rows)
    return world_night


def publish(lake: Lake, model: str) -> None:
    publish_model(lake, DAY, model, similar_model="item_item")


def explained(night: Night) -> Version | None:
    return explain.explain(night, Shard())


def test_the_cited_item_is_of_the_history_and_is_the_largest_summand(night_of_lists: Night, dataset: Dataset) -> None:
    lake = night_of_lists.lake
    publish(lake, "item_item")
    assert explained(night_of_lists) is not None
    with fetched_folder(lake, lake.read(FITTED_MODELS, DAY, "item_item").to_pylist()[0]["weights_path"]) as folder:
        weights = model_class("item_item").load(folder).weights.toarray()  # type: ignore[attr-defined]
    seen = dataset.seen_by(np.arange(dataset.num_users)).toarray() > 0
    rows = lake.read(ATTRIBUTIONS, DAY, "item_item").to_pylist()
    assert {row["user_index"] for row in rows} == set(USERS)
    for row in rows:
        met = seen[row["user_index"]]
        assert met[row["because_index"]]
        assert row["score_drop"] == pytest.approx((weights[:, row["item_index"]] * met).max(), rel=1e-4)
        assert row["because_index"] % 2 == row["item_index"] % 2, "communities keep to themselves"


def test_shards_together_are_the_whole(night_of_lists: Night) -> None:
    publish(night_of_lists.lake, "item_item")
    explained(night_of_lists)
    whole = night_of_lists.lake.read(ATTRIBUTIONS, DAY, "item_item").to_pylist()
    other_settings = replace(night_of_lists, shop=replace(night_of_lists.shop, top_k=2))
    assert explain.explain(other_settings, Shard(1, 2)) is None
    assert explain.explain(other_settings, Shard(2, 2)) is not None
    assert night_of_lists.lake.read(ATTRIBUTIONS, DAY, "item_item").to_pylist() == whole


def test_a_rerun_finds_its_work_done(night_of_lists: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(night_of_lists.lake, "item_item")
    before = explained(night_of_lists)
    monkeypatch.setattr(explain, "load_dataset", lambda *_: pytest.fail("nothing had to be read"))
    assert explained(night_of_lists) == before


def test_what_was_explained_of_before_does_not_stand_in_for_what_fails(
    night_of_lists: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(night_of_lists.lake, "item_item")
    assert explained(night_of_lists) is not None
    monkeypatch.setattr(explain, "load_dataset", lambda *_: pytest.fail("as if the worker had died"))
    with pytest.raises(pytest.fail.Exception):
        explained(replace(night_of_lists, shop=replace(night_of_lists.shop, top_k=2)))
    assert night_of_lists.lake.models(ATTRIBUTIONS, DAY) == []


def test_a_model_that_knows_no_histories_leaves_no_attributions(night_of_lists: Night) -> None:
    publish(night_of_lists.lake, "recent_demand")
    assert explained(night_of_lists) is None
    assert night_of_lists.lake.models(ATTRIBUTIONS, DAY) == []


def test_who_may_speak_is_who_weighs_most_and_then_who_came_last(dataset: Dataset) -> None:
    user = np.array([2])
    events = dataset.events
    history = events.item_index[events.offsets[2] : events.offsets[3]].tolist()
    latest = list(dict.fromkeys(reversed(history)))
    found = candidate_causes(dataset, user, np.array([[3, 5]]), None, num_causes=20)[0]
    assert found[found > 0].tolist() == latest
    weights = np.zeros((dataset.num_items, dataset.num_items), dtype=np.float32)
    weights[latest[-1], 3] = 0.5
    assert (
        candidate_causes(dataset, user, np.array([[3, 5]]), explain.sparse.csr_matrix(weights), 1)[0, 0] == latest[-1]
    )
    assert candidate_causes(dataset, user, np.array([[latest[1], 5]]), None, 1)[0, 0] == latest[1], (
        "a repeat speaks first"
    )
