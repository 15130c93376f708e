"""The blend as a program: what it learns, what it answers, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expectations.runtime.lake import Lake
from expectations.runtime.program import Night, night_from, night_parser
from expectations.tables import FITTED_MODELS, SCORES, NightError
from models import backtest, blend_lists, gate
from models.families.blend import Blend, BlendConfig
from models.families.blend_features import ListedPairs
from models.gate import challengers_of
from models.interface.in_force import ModelsAsOf
from models.interface.weights_store import fetched_folder
from tests.worlds.judged_night import (
    put_in_force,
    write_events,
    write_features,
    write_interactions,
    write_model,
    write_vocabulary,
)

DS, AS_OF = "2024-03-10", "2024-03-03"
USERS, ITEMS = 40, 12
SHOP = """
name = "corner"
horizon_days = 7
top_k = 3
num_candidates = 12
models = ["recent_demand", "two_tower", "sequence", "blend"]
[events]
path = "{data}/{ds}.csv"
columns = { event_time = "time", user_id = "customer", item_id = "article" }
constants = { event_type = "purchase", domain = "things" }
"""


@pytest.fixture
def flags(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Users who buy two items each: two_tower knows the one, sequence the other, recent_demand neither."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "corner.toml").write_text(SHOP)
    rng = np.random.default_rng(1)
    wanted = np.array([rng.choice(ITEMS, 2, replace=False) for _ in range(USERS)]) + 2
    for as_of in (AS_OF, DS):
        write_vocabulary(lake, as_of, [f"u{n}" for n in range(USERS)], [f"i{n}" for n in range(ITEMS)])
        write_interactions(lake, as_of, [(user + 2, 2) for user in range(USERS)])
        write_features(lake, as_of, USERS, [[]] * ITEMS)
        for place, model in enumerate(("two_tower", "sequence")):
            lists = [
                (user + 2, item, float(rng.normal() + 3 * (item == wanted[user, place])), item == 2)
                for user in range(USERS)
                for item in range(2, ITEMS + 2)
            ]
            write_model(lake, as_of, model, lists, kind="deep")
        everybody = [
            (u + 2, item, float(ITEMS - item), item == 2) for u in range(USERS) for item in range(2, ITEMS + 2)
        ]
        write_model(lake, as_of, "recent_demand", everybody)
    bought = [
        ("09:00:00", f"u{user}", f"i{item - 2}", "purchase", 1.0) for user in range(USERS) for item in wanted[user]
    ]
    write_events(lake, "2024-03-05", bought)
    flags = ["--ds", DS, "--shop", str(tmp_path / "corner.toml"), "--root", lake.root, "--data", str(tmp_path)]
    put_in_force(lake, night_of(flags).shop, AS_OF, DS)
    return flags


def night_of(flags: list[str]) -> Night:
    return night_from(night_parser(None).parse_args(flags))


def test_the_blend_beats_every_list_that_it_joins_and_the_gate_publishes_it(flags: list[str], lake: Lake) -> None:
    for as_of in ("backtest", "refit"):
        blend_lists.main([*flags, "--as-of", as_of])
    backtest.main(flags)
    figures = {challenger.model: challenger.backtest for challenger in challengers_of(night_of(flags))}
    ndcg = {model: row["ndcg"] for model, row in figures.items() if row}
    assert set(ndcg) == {"recent_demand", "two_tower", "sequence", "blend"}
    assert ndcg["blend"] > max(value for model, value in ndcg.items() if model != "blend") + 0.1
    gate.main(flags)
    row = lake.read(FITTED_MODELS, DS, "blend").to_pylist()[0]
    assert (row["kind"], row["role"]) == ("deep", "blending")
    scores = lake.read(SCORES, DS, "blend")
    assert scores.num_rows == USERS * ITEMS
    assert set(scores["model"].to_pylist()) == {"blend"}


def test_weights_say_whose_word_counts(flags: list[str], lake: Lake) -> None:
    blend_lists.main([*flags, "--as-of", "backtest"])
    path = lake.read(FITTED_MODELS, AS_OF, "blend_out_of_fold").to_pylist()[0]["weights_path"]
    with fetched_folder(lake, path) as folder:
        details = Blend.load(folder).as_facts()
    words = {
        model: details[f"{model}: standard score"] + details[f"{model}: gain of rank"]
        for model in ("two_tower", "sequence", "recent_demand")
    }
    assert min(words["two_tower"], words["sequence"]) > max(1, words["recent_demand"])


def test_a_rerun_writes_nothing_and_another_days_answers_are_left_alone(flags: list[str], lake: Lake) -> None:
    for _ in range(2):
        blend_lists.main([*flags, "--as-of", "backtest"])
        blend_lists.main([*flags, "--as-of", "refit"])
    assert lake.models(FITTED_MODELS, AS_OF) == ["blend_out_of_fold", "recent_demand", "sequence", "two_tower"]
    written = lake.require(SCORES, DS, "blend")
    blend_lists.main([*flags, "--as-of", "refit"])
    assert lake.require(SCORES, DS, "blend") == written


def test_nobodys_own_answer_has_a_part_in_what_they_are_judged_by() -> None:
    config = BlendConfig(regularization=0.01, num_folds=2, max_users=10)
    rng = np.random.default_rng(0)
    keys = np.sort(np.array([(user << 32) | item for user in range(2, 12) for item in range(2, 8)]))
    pairs = ListedPairs(keys, np.zeros(60, dtype=bool), rng.normal(size=(60, 5)))
    wanted = rng.random(60) < 0.3
    before = Blend.learnt(["a", "b"], pairs, wanted, config)
    of_user_2 = pairs.user_indices == 2
    after = Blend.learnt(["a", "b"], pairs, np.where(of_user_2, ~wanted, wanted), config)
    own = pairs.where(of_user_2)
    np.testing.assert_array_equal(after.scores_out_of_fold(own), before.scores_out_of_fold(own))
    assert not np.allclose(after.scores(own), before.scores(own))


def test_without_a_backtest_there_is_no_blend(flags: list[str]) -> None:
    with pytest.raises(NightError, match=f"none of {AS_OF}.*--as-of backtest"):
        blend_lists.main([*flags, "--as-of", "refit"])


def test_a_list_that_is_gone_is_named(flags: list[str], lake: Lake) -> None:
    blend_lists.main([*flags, "--as-of", "backtest"])
    write_model(lake, DS, "sequence", [(2, 3, 1.0, False)], kind="deep", hash="other words")
    with pytest.raises(NightError, match=r"recent_demand, two_tower, sequence\. Received: recent_demand, two_tower\."):
        blend_lists.main([*flags, "--as-of", "refit"])


def test_one_list_cannot_be_joined(flags: list[str]) -> None:
    with pytest.raises(NightError, match=r"at least two models\. Received: two_tower"):
        blend_lists.main([*flags, "--as-of", "backtest", "--models", "two_tower,blend"])


def test_a_shop_that_does_not_blend_is_left_alone(flags: list[str], lake: Lake) -> None:
    blend_lists.main([*flags, "--as-of", "backtest", "--models", "two_tower,sequence"])
    assert ModelsAsOf(lake, night_of(flags).shop, AS_OF).lists("blend_out_of_fold") is None


def test_where_nothing_may_return_it_learns_from_what_is_new(flags: list[str]) -> None:
    night = night_of(flags)
    never = replace(night, shop=replace(night.shop, repeats="never"))
    lists = list(blend_lists.lists_to_join(ModelsAsOf(never.lake, never.shop, AS_OF)).values())
    pairs, _ = blend_lists.examples(never, AS_OF, lists, max_users=10)
    assert len(np.unique(pairs.user_indices)) <= 10
    assert not pairs.is_seen.any()
    assert blend_lists.examples(night, AS_OF, lists, max_users=10)[0].is_seen.any()
