"""The backtest on a week of five users and six items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from expectations.runtime.program import Night
from expectations.tables import NightError
from models.backtest import judged_night, lists_to_evaluate, read_backtest, write_backtest
from models.evaluation import list_evaluation, slices
from models.evaluation.backtest_report import backtest_figures, backtest_text
from models.evaluation.held_out import NEW_ITEMS, WITH_REPEATS, HeldOut, held_out_tasks
from models.evaluation.list_evaluation import list_scores_of
from models.evaluation.population_stats import population_stats
from models.evaluation.ranking_metrics import relevant_from_pairs
from models.interface.model import NO_ITEM
from models.interface.ranked_lists import read_list_rows, top_items
from tests.worlds.judged_night import (
    put_in_force,
    write_events,
    write_features,
    write_interactions,
    write_lists,
    write_model,
    write_vocabulary,
)

AS_OF = "2024-03-03"  # seven days before the night's ds

USERS = ["ann", "bob", "cem", "dee", "eve"]  # 2, 3, 4, 5, 6
ITEMS = ["apple", "bread", "candle", "drum", "egg", "fan"]  # 2, 3, 4, 5, 6, 7


@pytest.fixture
def judged(night: Night) -> Night:
    """Ann repeats an apple and tries bread; Bob repeats only; Cem was not known; Dee does nothing."""
    shop = replace(night.shop, models=("recent_demand", "item_item", "deep_cf"), top_k=2)
    night = replace(night, shop=shop)
    write_vocabulary(night.lake, AS_OF, USERS, ITEMS)
    write_interactions(night.lake, AS_OF, [(2, 2), (3, 3), (3, 4), (5, 2)])
    write_features(night.lake, AS_OF, len(USERS), [[2], [2], [3], [3, 4], [], [5]])
    write_events(night.lake, AS_OF, [("12:00:00", "dee", "bread", "purchase", 1.0)])
    write_events(
        night.lake,
        "2024-03-05",
        [
            ("09:00:00", "ann", "apple", "purchase", 1.0),
            ("09:00:00", "ann", "bread", "purchase", 2.0),
            ("09:05:00", "ann", "bread", "purchase", 1.0),
            ("10:00:00", "bob", "candle", "purchase", 1.0),
            ("11:00:00", "cem", "drum", "purchase", 1.0),
        ],
    )
    return night


def pairs_of(task: HeldOut) -> list[tuple[int, int]]:
    users = task.user_indices[task.relevant.user_rows]
    return list(zip(users.tolist(), task.relevant.item_indices.tolist(), strict=True))


def held_out(night: Night) -> dict[str, list[tuple[int, int]]]:
    return {task.task: pairs_of(task) for task in held_out_tasks(night.lake, night.ds, AS_OF, night.shop)}


def test_known_users_are_judged_on_new_items_and_with_repeats(judged: Night) -> None:
    assert held_out(judged) == {NEW_ITEMS: [(2, 3)], WITH_REPEATS: [(2, 2), (2, 3), (3, 4)]}


@pytest.mark.parametrize(
    ("ds", "event"),
    [
        ("2024-03-06", ("09:00:00", "dee", "egg", "view", 1.0)),  # not a target event
        ("2024-03-06", ("09:00:00", "dee", "egg", "purchase", -1.0)),  # it came back
        ("2024-03-06", ("09:00:00", "dee", "spade", "purchase", 1.0)),  # unknown on the earlier day
        ("2024-03-06", ("2024-03-03 23:59:59", "dee", "egg", "purchase", 1.0)),  # details late, but before the cut
        ("2024-03-10", ("2024-03-11 00:00:00", "dee", "egg", "purchase", 1.0)),  # after ds
        ("2024-03-11", ("2024-03-10 09:00:00", "dee", "egg", "purchase", 1.0)),  # details after ds
    ],
)
def test_other_events_are_no_truth(judged: Night, ds: str, event: tuple[str, str, str, str, float]) -> None:
    before = held_out(judged)
    write_events(judged.lake, ds, [event])
    assert held_out(judged) == before


@pytest.mark.parametrize("time", ["2024-03-04 00:00:00", "2024-03-10 23:59:59"])
def test_the_first_and_the_last_moment_of_the_window_count(judged: Night, time: str) -> None:
    write_events(judged.lake, "2024-03-10", [(time, "dee", "egg", "purchase", 1.0)])
    assert (5, 6) in held_out(judged)[NEW_ITEMS]


def test_the_quantity_of_a_view_says_nothing(judged: Night) -> None:
    night = replace(judged, shop=replace(judged.shop, target_events=("view", "purchase")))
    write_events(night.lake, "2024-03-06", [("09:00:00", "dee", "egg", "view", 0.0)])
    assert (5, 6) in held_out(night)[NEW_ITEMS]


def test_a_window_without_known_buyers_is_an_error_that_says_so(judged: Night) -> None:
    write_events(judged.lake, "2024-03-05", [("11:00:00", "cem", "drum", "purchase", 1.0)])
    with pytest.raises(NightError, match="no user known on 2024-03-03 has a purchase"):
        held_out_tasks(judged.lake, judged.ds, AS_OF, judged.shop)


def test_lists_are_ordered_by_score_and_ties_by_item_index(judged: Night) -> None:
    rows = [(2, 7, 1.0, False), (2, 4, 1.0, False), (2, 5, 3.0, True), (3, 2, 9.0, True)]
    users = np.array([2, 3, 4])
    read = read_list_rows(write_lists(judged.lake, AS_OF, "recent_demand", rows), users)
    assert top_items(read, users, 2, exclude_seen=False).tolist() == [[5, 4], [2, NO_ITEM], [NO_ITEM, NO_ITEM]]
    assert top_items(read, users, 2, exclude_seen=True).tolist() == [[4, 7], [NO_ITEM, NO_ITEM], [NO_ITEM, NO_ITEM]]


def test_a_score_that_is_no_number_comes_last(judged: Night) -> None:
    lists = write_lists(judged.lake, AS_OF, "recent_demand", [(2, 4, float("nan"), False), (2, 5, -3.0, False)])
    read = read_list_rows(lists, np.array([2]))
    assert top_items(read, np.array([2]), 2, exclude_seen=False).tolist() == [[5, 4]]


def test_other_users_rows_are_not_read(judged: Night) -> None:
    lists = write_lists(judged.lake, AS_OF, "recent_demand", [(u, 2, 1.0, False) for u in range(2, 9)])
    assert read_list_rows(lists, np.array([3, 6])).user_indices.tolist() == [3, 6]


def test_judging_in_ranges_of_users_gives_what_judging_at_once_gives(
    judged: Night, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = np.arange(2, 25, 2)
    rows = [(int(u), int(i), float(rng.integers(5)), bool(rng.integers(2))) for u in users for i in range(2, 8)]
    lists = write_lists(judged.lake, AS_OF, "recent_demand", rows)
    truth = relevant_from_pairs(rng.integers(0, 12, 40), rng.integers(2, 8, 40), 12)
    some = relevant_from_pairs(np.array([0, 1, 1]), np.array([4, 2, 5]), 2)
    tasks = [HeldOut(NEW_ITEMS, users[[3, 10]], some), HeldOut(WITH_REPEATS, users, truth)]
    stats = population_stats(judged.lake, AS_OF)
    asked = [(task, [1, 3]) for task in tasks]
    at_once = list_scores_of("recent_demand", lists, asked, stats)
    monkeypatch.setattr(list_evaluation, "USERS_PER_CHUNK", 5)
    in_ranges = list_scores_of("recent_demand", lists, asked, stats)
    for list_scores, again in zip(at_once, in_ranges, strict=True):
        assert again.recommended == list_scores.recommended
        for name, k in list_scores.parts:
            np.testing.assert_array_equal(again.values(name, k), list_scores.values(name, k))


@pytest.fixture
def with_models(judged: Night) -> Night:
    """Recent demand offers everybody apple, bread, candle; deep_cf knows what Ann and Bob will do."""
    seen = {(2, 2), (3, 3), (3, 4), (5, 2)}
    demand = [(user, item, 10.0 - item, (user, item) in seen) for user in (2, 3, 5) for item in (2, 3, 4, 5)]
    write_model(judged.lake, AS_OF, "recent_demand", demand)
    right = [(2, 3, 2.0, False), (2, 2, 1.0, True), (3, 4, 1.0, True), (3, 7, 0.5, False)]
    write_model(judged.lake, AS_OF, "deep_cf", right, kind="deep", role="ranking")
    put_in_force(judged.lake, judged.shop, AS_OF)
    return judged


def test_models_are_judged_on_both_tasks_at_every_cutoff_that_the_lists_reach(with_models: Night) -> None:
    rows = judged_night(with_models, lists_to_evaluate(with_models)).rows
    found = {(r["model"], r["task"], r["k"]): r for r in rows}
    # num_candidates is 6: a list is not judged at rank 10 or 20, which it cannot have.
    assert sorted(found) == sorted(
        (model, task, k) for model in ("recent_demand", "deep_cf") for task in (NEW_ITEMS, WITH_REPEATS) for k in (2, 5)
    )
    demand = found["recent_demand", WITH_REPEATS, 2]
    # Ann finds both in two ranks; Bob's candle stands third.
    assert (demand["num_users"], demand["num_items"]) == (2, 6)
    assert (demand["recall"], demand["hit_rate"], demand["ndcg"]) == (0.5, 0.5, pytest.approx(0.5))
    assert demand["coverage"] == pytest.approx(2 / 6)
    assert found["recent_demand", WITH_REPEATS, 5]["recall"] == 1.0
    assert found["recent_demand", WITH_REPEATS, 5]["mrr"] == pytest.approx((1 + 1 / 3) / 2)
    # Without what she had, bread is the first of Ann's list.
    assert (found["recent_demand", NEW_ITEMS, 2]["num_users"], found["recent_demand", NEW_ITEMS, 2]["mrr"]) == (1, 1.0)
    assert found["deep_cf", WITH_REPEATS, 2]["ndcg"] == pytest.approx(1.0)


def test_a_model_whose_scores_are_shuffled_loses(with_models: Night) -> None:
    shuffled = [(2, 7, 2.0, False), (2, 6, 1.0, False), (3, 5, 1.0, False), (3, 2, 0.5, False)]
    write_model(with_models.lake, AS_OF, "item_item", shuffled, kind="deep")
    put_in_force(with_models.lake, with_models.shop, AS_OF)
    rows = judged_night(with_models, lists_to_evaluate(with_models)).rows
    at_two = {row["model"]: row["ndcg"] for row in rows if (row["task"], row["k"]) == (WITH_REPEATS, 2)}
    assert at_two["item_item"] < at_two["recent_demand"] < at_two["deep_cf"]


def test_intervals_hold_the_mean_and_are_the_same_in_every_run(with_models: Night) -> None:
    backtest = judged_night(with_models, lists_to_evaluate(with_models))
    rows = backtest.rows
    assert all(row["ndcg_low"] <= row["ndcg"] + 1e-12 and row["ndcg"] <= row["ndcg_high"] + 1e-12 for row in rows)
    demand = next(r for r in rows if (r["model"], r["task"], r["k"]) == ("recent_demand", WITH_REPEATS, 2))
    assert (demand["ndcg_low"], demand["ndcg_high"]) == (0.0, 1.0)  # two users, one right and one wrong
    assert judged_night(with_models, lists_to_evaluate(with_models)) == backtest


def test_a_model_without_lists_is_named_and_does_not_stop_the_others(
    with_models: Night, caplog: pytest.LogCaptureFixture
) -> None:
    assert list(lists_to_evaluate(with_models)) == ["recent_demand", "deep_cf"]
    assert "not judged: model=item_item" in caplog.text


def test_lists_under_another_vocabulary_are_not_judged(with_models: Night) -> None:
    write_vocabulary(with_models.lake, AS_OF, ["bob", "ann"], ["bread", "apple"], hash="other words")
    with pytest.raises(NightError, match="none of recent_demand, item_item, deep_cf has lists as of 2024-03-03"):
        lists_to_evaluate(with_models)


def test_who_is_better_than_whom_is_told_user_by_user(with_models: Night) -> None:
    gains = {
        (r["model"], r["rival"], r["task"]): r for r in judged_night(with_models, lists_to_evaluate(with_models)).gains
    }
    assert len(gains) == 4
    gain = gains["deep_cf", "recent_demand", WITH_REPEATS]
    # Ann's list is perfect in both; of Bob, deep_cf knows all and demand nothing.
    assert (gain["gain"], gain["gain_low"], gain["gain_high"]) == (pytest.approx(0.5), 0.0, 1.0)
    assert gains["recent_demand", "deep_cf", WITH_REPEATS]["gain"] == -gain["gain"]
    alike = gains["deep_cf", "recent_demand", NEW_ITEMS]  # both are right about Ann, who alone was judged
    assert (alike["gain"], alike["gain_low"], alike["gain_high"], alike["p_value"]) == (0.0, -1.0, 1.0, 1.0)


def test_one_judged_user_proves_nothing(with_models: Night) -> None:
    write_events(with_models.lake, "2024-03-05", [("10:00:00", "bob", "candle", "purchase", 1.0)])
    backtest = judged_night(with_models, lists_to_evaluate(with_models))
    demand, deep = (next(r for r in backtest.rows if r["model"] == m) for m in ("recent_demand", "deep_cf"))
    assert (demand["ndcg"], deep["ndcg"], deep["num_users"]) == (0.0, 1.0, 1)
    assert {(row["ndcg_low"], row["ndcg_high"]) for row in backtest.rows} == {(0.0, 1.0)}, "anything is possible"
    gain = backtest.gain(WITH_REPEATS, "deep_cf", "recent_demand")
    assert (gain["gain"], gain["gain_low"], gain["gain_high"], gain["p_value"]) == (1.0, -1.0, 1.0, 1.0)
    text = backtest_text(backtest, with_models.ds, with_models.shop)
    assert "deep_cf against recent_demand: +1.0000, too few users for an interval, p = 1.000" in text
    assert text.count("too few users") == 3
    labels = {axes.get_xlabel() for axes in backtest_figures(backtest, 2)["backtest"].axes}
    assert labels == {"ndcg@2, too few users for an interval"}


def test_who_is_better_is_told_in_what_the_gate_compares(with_models: Night) -> None:
    by_hits = replace(with_models, shop=replace(with_models.shop, primary_metric="mrr"))
    backtest = judged_night(by_hits, lists_to_evaluate(by_hits))
    demand, deep = (
        next(r for r in backtest.rows if (r["model"], r["task"], r["k"]) == (m, WITH_REPEATS, 2))
        for m in ("recent_demand", "deep_cf")
    )
    gain = backtest.gain(WITH_REPEATS, "deep_cf", "recent_demand")
    assert gain["gain"] == pytest.approx(deep["mrr"] - demand["mrr"])
    assert "deep_cf against recent_demand in mrr: +0.5000" in backtest_text(backtest, by_hits.ds, by_hits.shop)


def test_lists_are_told_by_what_they_hold(with_models: Night) -> None:
    rows = judged_night(with_models, lists_to_evaluate(with_models)).rows
    demand = next(r for r in rows if (r["model"], r["task"], r["k"]) == ("recent_demand", WITH_REPEATS, 2))
    # Apple (met by two of three) and bread (by one); both titles are one and the same word.
    assert demand["novelty"] == pytest.approx((np.log2(3 / 2) + np.log2(3)) / 2)
    assert demand["diversity"] == pytest.approx(0.0)
    assert demand["popularity_lift"] == pytest.approx(1.5 / ((1.5 + 1) / 2))


def test_slices_are_the_task_for_some_users_or_some_items(with_models: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "MIN_USERS", 1)
    monkeypatch.setattr(slices, "LIGHT_USER", 2)
    monkeypatch.setattr(slices, "COLD_ITEM", 2)
    found = judged_night(with_models, lists_to_evaluate(with_models)).slices
    ndcg = {
        r["slice"]: (r["num_users"], r["ndcg"])
        for r in found
        if (r["model"], r["task"]) == ("recent_demand", WITH_REPEATS)
    }
    assert ndcg["users=new"] == (1, pytest.approx(1.0))  # Ann
    assert ndcg["users=light"] == (1, 0.0)  # Bob
    assert ndcg["items=warm"] == (1, pytest.approx(1.0))  # Ann's apple
    assert ndcg["items=cold"] == (2, pytest.approx(0.5 / np.log2(3)))  # Ann's bread stands second; Bob's candle


def test_what_was_written_is_read_again(with_models: Night) -> None:
    backtest = judged_night(with_models, lists_to_evaluate(with_models))
    write_backtest(with_models, backtest, "print")
    read = read_backtest(with_models.lake, with_models.ds)
    assert [{k: v for k, v in row.items() if k != "ds"} for row in read.gains] == backtest.gains


def test_the_report_shows_every_model_and_names_the_missing(with_models: Night) -> None:
    backtest = judged_night(with_models, lists_to_evaluate(with_models))
    text = backtest_text(backtest, with_models.ds, with_models.shop, ["item_item"])
    assert "catalogue of 6 items" in text
    assert "with_repeats (2 users judged)" in text
    assert text.index("deep_cf", text.index(WITH_REPEATS)) < text.index("recent_demand", text.index(WITH_REPEATS))
    assert "deep_cf against recent_demand: +0.5000, 95 % interval +0.0000 to +1.0000" in text
    assert text.endswith("Not judged, because they have no lists of that day: item_item")
    assert max(len(line) for line in text.splitlines()) <= 120


def test_the_figures_have_panels_for_each_task(with_models: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "MIN_USERS", 1)
    figures = backtest_figures(judged_night(with_models, lists_to_evaluate(with_models)), 2)
    titles = {name: [axes.get_title() for axes in figure.axes] for name, figure in figures.items()}
    assert titles["backtest"] == ["new_items (1 users)", "with_repeats (2 users)"]
    assert titles["backtest_lists"] == [NEW_ITEMS] * 4 + [WITH_REPEATS] * 4
    assert titles["backtest_slices"] == [NEW_ITEMS, WITH_REPEATS]
    colours: dict[object, set[object]] = {}
    for axes in figures["backtest_lists"].axes:
        for line in axes.lines:
            colours.setdefault(line.get_label(), set()).add(line.get_color())
    assert [len(found) for found in colours.values()] == [1] * len(colours), "a model has one colour in all panels"
    assert len(set().union(*colours.values())) == len(colours)


EARLIER = "2024-02-25"


@pytest.fixture
def two_windows(with_models: Night) -> Night:
    """A week earlier the shop knew four items, and Ann alone: she came back for an egg, which only demand offers."""
    night = replace(with_models, shop=replace(with_models.shop, num_windows=2))
    write_vocabulary(night.lake, EARLIER, ["ann"], ["apple", "bread", "egg", "fan"])
    write_interactions(night.lake, EARLIER, [(2, 2)])
    write_features(night.lake, EARLIER, 1, [[2], [2], [3], [3]])
    write_model(night.lake, EARLIER, "recent_demand", [(2, 4, 2.0, False), (2, 2, 1.0, True)])
    write_model(night.lake, EARLIER, "deep_cf", [(2, 5, 2.0, False), (2, 2, 1.0, True)], kind="deep", role="ranking")
    put_in_force(night.lake, night.shop, EARLIER)
    write_events(night.lake, "2024-02-28", [("09:00:00", "ann", "egg", "purchase", 1.0)])
    return night


def test_a_second_window_is_judged_with_the_first(two_windows: Night) -> None:
    backtest = judged_night(two_windows, lists_to_evaluate(two_windows))
    found = {(r["model"], r["task"], r["k"]): r for r in backtest.rows}
    demand, deep = (found[model, WITH_REPEATS, 2] for model in ("recent_demand", "deep_cf"))
    assert (demand["num_users"], demand["num_items"]) == (3, 6)  # Ann twice, Bob; the latest catalogue
    # Demand finds Ann's in both weeks and nothing of Bob; deep_cf finds all of the later week and not the egg.
    assert demand["ndcg"] == pytest.approx(2 / 3)
    assert deep["ndcg"] == pytest.approx(2 / 3)
    assert demand["coverage"] == pytest.approx((2 / 6 + 2 / 4) / 2)
    gain = backtest.gain(WITH_REPEATS, "deep_cf", "recent_demand")
    assert gain["gain"] == pytest.approx(0.0)
    assert gain["gain_low"] < 0 < gain["gain_high"]
    text = backtest_text(backtest, two_windows.ds, two_windows.shop)
    assert "2 windows, one after another, each fitted 7 days earlier" in text


def test_what_came_after_a_window_is_no_truth_of_it(two_windows: Night) -> None:
    write_events(two_windows.lake, "2024-03-04", [("00:00:00", "ann", "fan", "purchase", 1.0)])
    (new_items,) = [
        task
        for task in held_out_tasks(two_windows.lake, two_windows.ds, EARLIER, two_windows.shop)
        if task.task == NEW_ITEMS
    ]
    assert pairs_of(new_items) == [(2, 4)]


def test_a_model_that_missed_a_window_is_not_judged(two_windows: Night, caplog: pytest.LogCaptureFixture) -> None:
    write_model(two_windows.lake, AS_OF, "item_item", [(2, 3, 1.0, False)])
    put_in_force(two_windows.lake, two_windows.shop, AS_OF)
    assert list(lists_to_evaluate(two_windows)) == ["recent_demand", "deep_cf"]
    assert "not judged: model=item_item as_of=2024-02-25" in caplog.text
