"""The page that ends a night."""

from __future__ import annotations

import os
from datetime import datetime, timezone

import pytest

from expectations.runtime.program import Night
from expectations.tables import BACKTESTS, HISTORIES, NEW_ITEM_AUDIENCES, USER_RECOMMENDATIONS, VOCABULARIES, NightError
from jobs.publish_tables import publish_tables
from jobs.show_night import WIDTH, backtest_text, night_text, rules_text
from tests.worlds.small_night import ANN, LANTERN, MUG, write_gate, write_rows
from tests.worlds.staged_night import recommendation, stage_night, stage_rows


@pytest.fixture
def page(night: Night) -> str:
    stage_night(night, "item-2")
    vocabulary = night.lake.read(VOCABULARIES, night.ds).to_pylist()
    event_types = [{"field": "event_type", "value": word, "index": i} for i, word in ((2, "view"), (5, "purchase"))]
    write_rows(night, VOCABULARIES, [*vocabulary, *event_types])
    seconds = [int(datetime(2024, 3, day, tzinfo=timezone.utc).timestamp()) for day in (1, 2, 3, 4)]
    history = {"item_indices": [MUG, MUG, MUG, LANTERN], "event_type_indices": [2, 2, 2, 5], "event_times": seconds}
    write_rows(night, HISTORIES, [{"user_index": ANN, **history}])
    figures = dict.fromkeys(("recall", "map", "mrr", "hit_rate", "coverage", "ndcg_low", "ndcg_high"), 0.25)
    figures |= dict.fromkeys(("novelty", "diversity", "popularity_lift"), 0.25)
    judged = [("two_tower", 0.5), ("recent_demand", 0.125)]
    task = {"task": "new_items", "k": 3, "num_users": 1200, "num_items": 6, **figures}
    write_rows(night, BACKTESTS, [{**task, "model": model, "ndcg": ndcg} for model, ndcg in judged])
    write_gate(night)
    long = "x" * 300
    rows = [
        recommendation("user-2", 1, "item-4", 0.5, reason="Because you bought WHITE METAL LANTERN"),
        recommendation("user-2", 2, "item-5", 0.25, reason_code="popular_now", reason=long, is_fallback=True),
    ]
    stage_rows(night, USER_RECOMMENDATIONS, rows)
    publish_tables(night)
    return night_text(night, None)


def test_a_history_stands_beside_the_recommendations(page: str) -> None:
    lines = page.splitlines()
    start = lines.index("  user user-2")
    assert [[cell.strip() for cell in line.split("│")] for line in lines[start + 1 : start + 4]] == [
        ["history, latest first", "recommended: score, reason (* filled in)"],
        [
            "2024-03-04 purchase WHITE METAL LANTERN",
            "1 {spoon} %s                      0.5 Because you bought WHITE METAL LAN…",
        ],
        ["… and 3 earlier", "2 item-5                         0.25*xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…"],
    ]


def test_the_page_names_the_places_and_the_decision(page: str, night: Night) -> None:
    assert f"  Data Docs                     {night.lake.root}/data_docs/index.html" in page
    assert f"  user_recommendations          {night.lake.root}/tables/user_recommendations" in page
    assert "Published: two_tower. Published before: nothing.\n  two_tower is best." in page


def test_every_need_has_a_part_of_the_page(page: str) -> None:
    lines = page.splitlines()
    assert [line.strip() for line in lines[lines.index("What goes with a few items") + 2 :][:2]] == [
        "WHITE METAL LANTERN",
        f"1 {'MUG':<50}      0.5  Often bought with item-2",
    ]
    assert [line.strip() for line in lines[lines.index("What new users get, by what is known of them") + 2 :][:2]] == [
        "all",
        f"1 {'WHITE METAL LANTERN':<50}      0.5  Popular right now",
    ]
    new = next(place for place, line in enumerate(lines) if line.startswith("Who may want what is new"))
    assert [line.strip() for line in lines[new + 2 : new + 4]] == [
        "{spoon} %s, 1 users",
        f"1 {'user-2':<50}      0.5  Because you bought MUG",
    ]


def test_a_night_without_new_items_says_so(night: Night) -> None:
    stage_night(night, "item-2")
    stage_rows(night, NEW_ITEM_AUDIENCES, [])
    publish_tables(night)
    assert "Nothing was new." in night_text(night, None)


def test_the_backtest_marks_what_is_published(page: str) -> None:
    marked = [line.split()[:3] for line in page.splitlines() if line.startswith("  → ")]
    assert marked == [["→", "two_tower", "0.5000"]]
    assert "new_items, 1,200 users, 6 items, k=3" in page


def test_one_judged_user_has_no_interval_on_the_page() -> None:
    figures = dict.fromkeys(("ndcg", "recall", "map", "mrr", "hit_rate", "coverage", "ndcg_low"), 0.0)
    row = {"model": "two_tower", "task": "new_items", "k": 3, "num_items": 6, "ndcg_high": 1.0, **figures}
    assert backtest_text([{**row, "num_users": 1}], "two_tower", 3).endswith("      too few users")
    assert backtest_text([{**row, "num_users": 2}], "two_tower", 3).endswith("    0.0000 – 1.0000")


def test_the_page_tells_the_rules_and_what_each_did() -> None:
    rules = {
        "version": "2024-03",
        "declared": {"exclude_brands": ["a", "b"], "diversity": 0.2},
        "unknown": {"brands": 1},
        "counts": {"proposed": 1200, "availability": 30, "exclude_brands": 7, "diversity": 55, "caps": 0, "moved": 9},
    }
    assert rules_text(rules).splitlines() == [
        "  version 2024-03: exclude_brands (2), diversity 0.2",
        "  Taken out of 1,200 proposed rows: 30 availability, 7 exclude_brands",
        "  Brought into lists: 55 diversity; 9 moved, 0 filled in",
        "  Named, but not in the catalogue: 1 brands",
    ]
    nothing = {"version": "", "declared": {}, "unknown": {}, "counts": {"proposed": 9, "filled": 2}}
    assert rules_text(nothing).splitlines() == [
        "  The shop file sets none.",
        "  Taken out of 9 proposed rows: none",
        "  Brought into lists: none; 0 moved, 2 filled in",
    ]


def test_no_line_is_wider_than_the_terminal(page: str, night: Night) -> None:
    folder = os.path.dirname(night.lake.root)  # paths are as long as they are
    assert [line for line in page.splitlines() if len(line) > WIDTH + 2 and folder not in line] == []


def test_a_night_that_was_not_published_is_named(night: Night) -> None:
    with pytest.raises(NightError, match="run_manifest ds=2024-03-10: this night was not published"):
        night_text(night, None)
