"""The page that ends a night."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from expectations.program import Night
from expectations.tables import BACKTESTS, HISTORIES, USER_RECOMMENDATIONS, VOCABULARIES, NightError
from jobs.publish_tables import publish_tables
from jobs.show_night import WIDTH, night_text
from tests.jobs.small_night import ANN, LANTERN, MUG, write_rows
from tests.jobs.staged_night import recommendation, stage_night, stage_rows


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


def test_the_backtest_marks_what_is_published(page: str) -> None:
    marked = [line.split()[:3] for line in page.splitlines() if line.startswith("  → ")]
    assert marked == [["→", "two_tower", "0.5000"]]
    assert "new_items, 1,200 users, 6 items, k=3" in page


def test_no_line_is_wider_than_the_terminal(page: str, night: Night) -> None:
    assert [line for line in page.splitlines() if len(line) > WIDTH + 2 and night.lake.root not in line] == []


def test_a_night_that_was_not_published_is_named(night: Night) -> None:
    with pytest.raises(NightError, match="run_manifest ds=2024-03-10: this night was not published"):
        night_text(night, None)
