"""The gate on the tables of a small night."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations

import pytest
from deltalake import write_deltalake

from expectations.runtime.program import Night
from expectations.shop.shop import Gate
from expectations.tables import BACKTEST_GAINS, BACKTESTS, GATE_DECISIONS, RUN_MANIFEST, SCORES
from models.data.arrow_rows import arrow_rows
from models.evaluation.judged_lists import backtest_fingerprint, judged_lists, lists_by_day
from models.evaluation.promotion_decision import Decision, decide
from models.gate import challengers_of, comparison_of, decision_text, write_decision
from models.interface.published_lists import PublishedNights, published_nights
from tests.worlds.judged_night import (
    Listed,
    manifest_contract,
    manifest_row,
    put_in_force,
    write_interactions,
    write_lists,
    write_model,
    write_neighbours,
    write_vocabulary,
)

EARLIER = "2024-03-03"
USERS, ITEMS = [f"user {n}" for n in range(6)], ["apple", "bread", "candle", "drum"]


def everybodys(scores: list[float]) -> list[Listed]:
    return [(user, item, score, False) for user in range(2, 8) for item, score in enumerate(scores, start=2)]


def write_backtest(night: Night, ndcg: dict[str, float]) -> None:
    figures = dict.fromkeys(("recall", "map", "mrr", "hit_rate", "coverage", "ndcg_low", "ndcg_high"), 0.0)
    figures |= dict.fromkeys(("novelty", "diversity", "popularity_lift"), 0.0)
    rows = [
        {"model": m, "task": task, "k": k, "num_users": 90, "num_items": 4, **figures, "ndcg": value if counts else 1.0}
        for m, value in ndcg.items()
        for task in ("new_items", "with_repeats")
        for k in (night.shop.top_k, 5)
        for counts in [(task, k) == ("with_repeats", night.shop.top_k)]
    ]
    night.lake.write(BACKTESTS, night.ds, arrow_rows(BACKTESTS, night.ds, rows), "figures")
    gains = [
        {"model": m, "rival": r, "task": "with_repeats", "k": night.shop.top_k, "p_value": 0.01}
        | {"gain": ndcg[m] - ndcg[r], "gain_low": ndcg[m] - ndcg[r] - 0.05, "gain_high": ndcg[m] - ndcg[r] + 0.05}
        for m, r in permutations(ndcg, 2)
    ]
    night.lake.write(BACKTEST_GAINS, night.ds, arrow_rows(BACKTEST_GAINS, night.ds, gains), "gains")


@pytest.fixture
def gated(night: Night) -> Night:
    """Two healthy models, of which deep_cf won the backtest."""
    night = replace(night, shop=replace(night.shop, models=("recent_demand", "item_item", "deep_cf")))
    for as_of in (EARLIER, night.ds):
        write_vocabulary(night.lake, as_of, USERS, ITEMS)
        write_interactions(night.lake, as_of, [(user, 2) for user in range(2, 8)])
        write_model(night.lake, as_of, "recent_demand", everybodys([4.0, 3.0, 2.0, 1.0]))
        write_model(night.lake, as_of, "item_item", everybodys([1.0, 2.0, 3.0, 4.0]))
        write_model(night.lake, as_of, "deep_cf", everybodys([0.1, 0.4, 0.3, 0.2]), kind="deep", role="ranking")
    write_backtest(night, {"recent_demand": 0.1, "item_item": 0.2, "deep_cf": 0.3})
    return night


def put_all_in_force(night: Night) -> None:
    put_in_force(night.lake, night.shop, EARLIER, night.ds)
    lists = judged_lists(lists_by_day(night.lake, night.shop, [EARLIER]))
    fingerprint = backtest_fingerprint(night.lake, night.shop, night.ds, [EARLIER], lists)
    for table in (BACKTESTS, BACKTEST_GAINS):
        if version := night.lake.current(table, night.ds):
            night.lake.commit(table, night.ds, version.path, fingerprint, version.rows)


def decision_of(night: Night, champion: str | None = None) -> Decision:
    """All that is there counts."""
    put_all_in_force(night)
    return decide(night.ds, challengers_of(night), champion, comparison_of(night), night.shop.gate)


def test_the_row_that_counts_is_the_shops_task_and_cutoff(gated: Night) -> None:
    decision = decision_of(gated)
    assert (decision.published_model, decision.is_fallback) == ("deep_cf", False)
    assert [details["ndcg"] for details in decision.models] == [0.1, 0.2, 0.3]
    assert comparison_of(replace(gated, shop=replace(gated.shop, repeats="never"))).task == "new_items"


def test_constant_scores_are_not_published(gated: Night) -> None:
    write_model(gated.lake, gated.ds, "deep_cf", everybodys([0.5] * 4), kind="deep", role="ranking")
    decision = decision_of(gated)
    assert (decision.published_model, decision.is_fallback) == ("item_item", True)
    assert "deep_cf (scores vary for at least 50% of users: 0.0%)" in decision.reason


def test_shuffled_scores_lose_the_backtest_and_are_not_published(gated: Night) -> None:
    write_backtest(gated, {"recent_demand": 0.1, "item_item": 0.2, "deep_cf": 0.01})
    assert decision_of(gated).published_model == "item_item"


def test_a_model_that_lists_few_users_is_not_published(gated: Night) -> None:
    few = [row for row in everybodys([0.1, 0.4, 0.3, 0.2]) if row[0] < 4]
    write_model(gated.lake, gated.ds, "deep_cf", few, kind="deep", role="ranking")
    assert "at least 80% of users with interactions have a list: 33.3%" in decision_of(gated).reason


def test_a_model_fitted_under_another_vocabulary_is_not_published(gated: Night) -> None:
    lists = everybodys([0.1, 0.4, 0.3, 0.2])
    put_all_in_force(gated)
    write_model(gated.lake, gated.ds, "deep_cf", lists, kind="deep", role="ranking", hash="old words")
    decision = decide(gated.ds, challengers_of(gated), None, comparison_of(gated), gated.shop.gate)
    assert decision.published_model == "item_item"


def test_a_night_without_a_backtest_is_a_fallback(night: Night) -> None:
    night = replace(night, shop=replace(night.shop, models=("recent_demand",)))
    write_vocabulary(night.lake, night.ds, USERS, ITEMS)
    write_interactions(night.lake, night.ds, [(user, 2) for user in range(2, 8)])
    write_model(night.lake, night.ds, "recent_demand", everybodys([4.0, 3.0, 2.0, 1.0]))
    decision = decision_of(night)
    assert (decision.published_model, decision.is_fallback) == ("recent_demand", True)


def test_the_refits_top_items_are_compared_with_those_of_the_fit_that_was_judged(gated: Night) -> None:
    write_lists(gated.lake, EARLIER, "item_item", [(2, 2, 1.0, False), (2, 3, 0.5, False)])
    write_lists(
        gated.lake, gated.ds, "item_item", [(user, item, float(item), False) for user in (2, 3) for item in (3, 4)]
    )
    overlaps = {details["model"]: details["refit_overlap"] for details in decision_of(gated).models}
    assert overlaps == {"recent_demand": 1.0, "item_item": 0.5, "deep_cf": 1.0}


def taste(user: int) -> list[float]:
    """Each user prefers another item, and then the one after it."""
    return [float((item - user) % 8) for item in range(8)]


@pytest.fixture
def idle(gated: Night) -> Night:
    """Nobody did anything between the backtest and the night; deep_cf knows everybody's taste, and said so twice."""
    for as_of in (EARLIER, gated.ds):
        write_vocabulary(gated.lake, as_of, USERS, [f"item {n}" for n in range(8)])
        write_lists(gated.lake, as_of, "deep_cf", tastes(), SCORES)
    return gated


def tastes(shift: int = 0) -> list[Listed]:
    return [(user, item, score, False) for user in range(2, 8) for item, score in enumerate(taste(user + shift), 2)]


def kept_of(night: Night) -> dict[str, float]:
    return {details["model"]: details["kept_share"] for details in decision_of(night).models}


def test_a_sound_refit_keeps_the_lists_of_the_idle(idle: Night) -> None:
    assert kept_of(idle)["deep_cf"] == 1.0
    write_lists(idle.lake, idle.ds, "deep_cf", tastes(shift=1), SCORES)
    assert kept_of(idle)["deep_cf"] == pytest.approx(2 / 3)
    assert decision_of(idle).published_model == "deep_cf"


@pytest.mark.parametrize("poison", ["other users' lists", "worst first"])
def test_a_poisoned_refit_is_not_published_however_well_its_twin_was_judged(idle: Night, poison: str) -> None:
    worst = [(user, item, -score, is_seen) for user, item, score, is_seen in tastes()]
    write_lists(idle.lake, idle.ds, "deep_cf", tastes(shift=4) if poison == "other users' lists" else worst, SCORES)
    decision = decision_of(idle)
    assert (decision.published_model, decision.is_fallback) == ("item_item", True)
    assert "users who did nothing since the backtest keep at least 15% of their list: 0.0%" in decision.reason


def test_a_refit_that_offers_everybody_the_same_is_not_published(idle: Night) -> None:
    many = [f"item {n}" for n in range(80)]
    # All had item 0 before, and each had others of their own.
    judged = [(user, 2 + n * (5 * user + n), 9.0 - n, False) for user in range(2, 8) for n in range(3)]
    popular = [(user, 2, 9.0, False) for user in range(2, 8)]
    for as_of, lists in ((EARLIER, judged), (idle.ds, popular)):
        write_vocabulary(idle.lake, as_of, USERS, many)
        write_lists(idle.lake, as_of, "deep_cf", lists, SCORES)
    decision = decision_of(idle)
    assert (decision.published_model, decision.is_fallback) == ("item_item", True)
    assert "deep_cf (their lists hold at least 10% as many different items" in decision.reason


def test_who_did_something_since_is_not_asked(idle: Night) -> None:
    write_interactions(idle.lake, EARLIER, [(user, 2) for user in range(2, 4)] * 2)
    write_lists(idle.lake, idle.ds, "deep_cf", tastes(shift=4), SCORES)
    assert kept_of(idle)["deep_cf"] is None


def test_indices_of_two_vocabularies_are_told_apart(idle: Night) -> None:
    write_vocabulary(idle.lake, idle.ds, USERS[::-1], [f"item {n}" for n in range(8)][::-1])
    turned = [(9 - user, 11 - item, score, is_seen) for user, item, score, is_seen in tastes()]
    write_lists(idle.lake, idle.ds, "deep_cf", turned, SCORES)
    assert kept_of(idle)["deep_cf"] == 1.0


def test_the_row_of_the_decision_says_what_is_published_and_why(gated: Night) -> None:
    write_neighbours(gated.lake, gated.ds, "item_item", [(2, 3, 0.5)])
    write_decision(gated, decision_of(gated, champion="item_item"))
    (row,) = gated.lake.read(GATE_DECISIONS, gated.ds).to_pylist()
    assert {name: row[name] for name in ("published_model", "similar_model", "is_fallback", "champion")} == {
        "published_model": "deep_cf",
        "similar_model": "item_item",
        "is_fallback": False,
        "champion": "item_item",
    }
    assert json.loads(row["model_versions"]) == {
        model: f"{model}-2024-03-10" for model in ("deep_cf", "recent_demand", "item_item")
    }
    details = {details["model"]: details for details in json.loads(row["decision"])["models"]}
    assert all(rule["passed"] for rule in details["deep_cf"]["rules"])
    # item_item is champion, and recent_demand does not beat it.
    assert [rule["rule"] for rule in details["deep_cf"]["rules"]][-2:] == ["is in the backtest", "beats item_item"]
    assert [rule["rule"] for rule in details["item_item"]["rules"]][-1] == "is in the backtest"


def test_without_neighbours_no_model_says_what_goes_together(gated: Night) -> None:
    write_decision(gated, decision_of(gated))
    assert gated.lake.read(GATE_DECISIONS, gated.ds)["similar_model"].to_pylist() == [""]


def test_the_same_figures_decide_the_same_twice(gated: Night) -> None:
    first = write_decision(gated, decision_of(gated))
    rows = gated.lake.read(GATE_DECISIONS, gated.ds)
    assert write_decision(gated, decision_of(gated)).fingerprint == first.fingerprint
    assert gated.lake.read(GATE_DECISIONS, gated.ds).equals(rows)


def test_the_text_marks_what_is_published_and_what_failed(gated: Night) -> None:
    write_model(gated.lake, gated.ds, "deep_cf", everybodys([0.5] * 4), kind="deep", role="ranking")
    lines = decision_text(decision_of(gated)).splitlines()
    assert lines[0] == "Gate: ndcg@3 on with_repeats"
    assert lines[2] == "→ item_item              0.2000  passed"
    assert lines[3] == "  deep_cf                0.3000  failed: scores vary for at least 50% of users: 0.0%"


def test_a_gain_that_is_not_sure_leaves_the_champion_unless_the_shop_wants_the_best(gated: Night) -> None:
    write_backtest(gated, {"recent_demand": 0.1, "item_item": 0.28, "deep_cf": 0.3})
    decision = decision_of(gated, champion="item_item")
    assert (decision.published_model, decision.is_fallback) == ("item_item", False)
    assert "it does not surely beat item_item (95 % interval -0.0300 to +0.0700 of the gain)" in decision.reason
    best = replace(gated, shop=replace(gated.shop, gate=Gate(promotion="best")))
    assert decision_of(best, champion="item_item").published_model == "deep_cf"


def test_with_too_few_judged_users_no_deep_model_replaces_a_baseline(gated: Night) -> None:
    careful = replace(gated, shop=replace(gated.shop, gate=Gate(min_judged_users=91)))
    assert decision_of(gated).published_model == "deep_cf"
    decision = decision_of(careful)
    assert (decision.published_model, decision.is_fallback) == ("item_item", False)
    assert "Only 90 users were judged, fewer than the 91 of `min_judged_users`" in decision.reason


def test_a_deep_model_that_was_not_fitted_tonight_has_to_beat_the_baselines_in_the_backtest(gated: Night) -> None:
    """What it is, deep or not, is known without a fit."""
    gated = replace(gated, shop=replace(gated.shop, models=("recent_demand", "item_item", "two_tower")))
    write_backtest(gated, {"recent_demand": 0.1, "item_item": 0.2, "two_tower": 0.24})
    decision = decision_of(gated)
    assert (decision.published_model, decision.is_fallback) == ("item_item", False)
    assert "would not have been published: two_tower (is fitted as of ds: no fit; judged 0.2400)." in decision.reason
    write_backtest(gated, {"recent_demand": 0.1, "item_item": 0.2, "two_tower": 0.4})
    assert decision_of(gated).is_fallback


def test_the_champion_is_the_model_of_the_latest_earlier_night() -> None:
    nights = PublishedNights({"2024-03-07": "item_item", "2024-03-09": "two_tower", "2024-03-12": "deep_cf"})
    assert nights.champion("2024-03-10") == "two_tower"
    assert nights.champion("2024-03-07") is None


def test_a_backfill_of_the_past_does_not_count_as_the_latest_night() -> None:
    nights = PublishedNights({"2024-03-09": "two_tower", "2024-03-12": "deep_cf"})
    assert not nights.is_latest("2024-03-10")
    assert nights.is_latest("2024-03-12")
    assert PublishedNights({}).is_latest("2024-03-10")


def test_published_nights_are_read_from_the_manifest(night: Night) -> None:
    assert published_nights(night.lake) == PublishedNights({})
    rows = [manifest_row("similar_items", "item_item"), manifest_row("user_recommendations", "two_tower")]
    path = night.lake.table_path(RUN_MANIFEST)
    write_deltalake(path, arrow_rows(manifest_contract(), "2024-03-09", rows), partition_by=["ds"])
    assert published_nights(night.lake) == PublishedNights({"2024-03-09": "two_tower"})
