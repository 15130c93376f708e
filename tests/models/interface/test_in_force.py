"""What an earlier run left is absent: a table-driven look at every kind of partition that models write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night
from expectations.semantics.models_in_force import models_in_force
from expectations.tables import (
    CANDIDATES,
    FITTED_MODELS,
    HISTORY_VECTORS,
    INTERACTIONS,
    ITEM_NEIGHBOURS,
    ITEM_VECTORS,
    SCORES,
    USER_VECTORS,
    NightError,
    Table,
)
from models import train
from models.interface.in_force import VECTOR_TABLES, ModelsAsOf
from tests.models.conftest import NO_SERVER
from tests.worlds.communities import DAY, community_events, write_world
from tests.worlds.judged_night import (
    put_in_force,
    write_interactions,
    write_lists,
    write_model,
    write_vocabulary,
)
from tests.worlds.named_by_gate import publish_model

MODELS = ("recent_demand", "item_item", "deep_cf")
OWNER = {SCORES: "deep_cf"}
"""Whose partition is looked at; recent_demand's, where nothing is said."""
TABLES = (FITTED_MODELS, *VECTOR_TABLES, CANDIDATES, SCORES)


@pytest.fixture
def whole(night: Night) -> Night:
    """A partition of every kind, all made from what is there."""
    night = replace(night, shop=replace(night.shop, models=MODELS))
    lake, ds = night.lake, night.ds
    write_vocabulary(lake, ds, ["ann"], ["apple", "bread"])
    write_interactions(lake, ds, [(2, 2)])
    for model in MODELS:
        write_model(lake, ds, model, [(2, 3, 1.0, False)], role="ranking" if model == "deep_cf" else "retrieval")
    rows = write_lists(lake, ds, "recent_demand", [(2, 3, 1.0, False)])
    for table in VECTOR_TABLES:
        lake.commit(table, ds, rows.path, "as yet unsigned", 1, "recent_demand")
    put_in_force(lake, night.shop, ds)
    publish_model(lake, ds, "recent_demand")
    return night


def found_before_the_gate(night: Night, table: Table) -> bool:
    models, model = ModelsAsOf(night.lake, night.shop, night.ds), OWNER.get(table, "recent_demand")
    ask: dict[Table, Callable[[], object]] = {
        FITTED_MODELS: lambda: models.fit(model),
        CANDIDATES: lambda: models.lists(model),
        SCORES: lambda: models.lists(model),
    }
    return ask.get(table, lambda: models.vectors(table, model))() is not None


def found_after_the_gate(night: Night, table: Table) -> bool:
    return (
        models_in_force(night.lake, night.ds).version(night.lake, table, OWNER.get(table, "recent_demand")) is not None
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_partition_of_another_run_is_absent(whole: Night, table: Table) -> None:
    model = OWNER.get(table, "recent_demand")
    assert found_before_the_gate(whole, table) and found_after_the_gate(whole, table)
    now = whole.lake.require(table, whole.ds, model)
    whole.lake.commit(table, whole.ds, now.path, "of another run", now.rows, model)
    assert not found_before_the_gate(whole, table)
    assert not found_after_the_gate(whole, table)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_with_other_features_nothing_of_before_counts(whole: Night, table: Table) -> None:
    write_interactions(whole.lake, whole.ds, [(2, 3)])
    assert not found_before_the_gate(whole, table)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_what_the_shop_does_not_run_is_absent(whole: Night, table: Table) -> None:
    others = tuple(model for model in MODELS if model != OWNER.get(table, "recent_demand"))
    assert not found_before_the_gate(replace(whole, shop=replace(whole.shop, models=others)), table)


def test_lists_rest_on_the_lists_and_the_settings_of_tonight(whole: Night) -> None:
    deeper = replace(whole.shop, num_candidates=whole.shop.num_candidates + 1)
    assert ModelsAsOf(whole.lake, deeper, whole.ds).fit("recent_demand") is not None
    assert ModelsAsOf(whole.lake, deeper, whole.ds).lists("recent_demand") is None
    # What was scored beside a model that has no lists any more was made from other candidates.
    whole.lake.withdraw(CANDIDATES, whole.ds, "item_item")
    assert ModelsAsOf(whole.lake, whole.shop, whole.ds).lists("deep_cf") is None


def test_without_a_decision_nothing_counts(lake: Lake) -> None:
    assert models_in_force(lake, DAY).lists(lake, "recent_demand") is None


def test_a_fit_that_fails_leaves_none_of_before_the_drop_was_corrected(night: Night) -> None:
    shop = replace(night.shop, models=("recent_demand", "item_item"))
    night = replace(night, ds=DAY, shop=shop, tracking_server=NO_SERVER)
    write_world(night.lake, community_events())
    train.train_models(night, DAY, shop.models)
    assert set(ModelsAsOf(night.lake, shop, DAY).partitions()[FITTED_MODELS.name]) == set(shop.models)
    # The vocabulary stays as it was; the settings of one model are wrong from now on.
    rows = night.lake.read(INTERACTIONS, DAY)
    night.lake.write(INTERACTIONS, DAY, rows.slice(1), "corrected")
    wrong = replace(shop, settings={"item_item": {"shrinkage": -1.0}})
    with pytest.raises(NightError, match="shrinkage"):
        train.train_models(replace(night, shop=wrong), DAY, shop.models)
    assert ModelsAsOf(night.lake, wrong, DAY).partitions() == {
        table.name: {"recent_demand": night.lake.require(table, DAY, "recent_demand").fingerprint}
        for table in (FITTED_MODELS, USER_VECTORS, ITEM_VECTORS)
    }
    assert night.lake.current(ITEM_NEIGHBOURS, DAY, "item_item") is not None, "the files of before are still there"
    assert night.lake.current(HISTORY_VECTORS, DAY, "recent_demand") is None


def test_a_setting_under_its_old_name_is_the_same_fit(night: Night) -> None:
    shop = replace(night.shop, models=("item_item",), settings={"item_item": {"shrinkage": 7.0}})
    night = replace(night, ds=DAY, shop=shop, tracking_server=NO_SERVER)
    write_world(night.lake, community_events())
    train.train_models(night, DAY, shop.models)
    fit = night.lake.require(FITTED_MODELS, DAY, "item_item")
    # As if the note had been taken of other words that mean the same.
    noted = {**fit.metadata, "settings": "in other words"}
    night.lake.commit(FITTED_MODELS, DAY, fit.path, fit.fingerprint, fit.rows, "item_item", **noted)
    assert ModelsAsOf(night.lake, shop, DAY).fit("item_item") is None
    train.train_models(night, DAY, shop.models)
    assert ModelsAsOf(night.lake, shop, DAY).fit("item_item") == fit
