"""How lists for new users and audiences of new items are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expectations.shop.shop import load_shop
from tests.benchmarks.lists.new_users_items import AUDIENCE, audience_figures, list_figures, most_active, write_shop


def test_lists_are_judged_by_where_their_hits_are() -> None:
    lists = [["a", "b", *"uvwxyzst"], ["b", "a", *"uvwxyzst"]]
    figures = list_figures(lists, [{"a"}, {"a", "q"}], np.array([False, True]))
    second = (1 / np.log2(3)) / (1 + 1 / np.log2(3))
    assert figures["hr@10"] == 1.0
    assert figures["ndcg@10, 1 abroad"] == round(second, 4)
    assert figures["ndcg@10"] == round((1 + second) / 2, 4)


def test_an_audience_is_judged_by_the_buyers_that_it_reaches() -> None:
    crowd = [f"u{n}" for n in range(AUDIENCE)]
    figures = audience_figures([crowd, []], [{"u3", "u50", "elsewhere", "u11"}, {"u1"}], num_known=500)
    assert figures["items"] == 2
    assert figures["audience hr@10"] == 0.5
    assert figures["buyers reached, 100"] == pytest.approx(0.75 / 2)
    assert figures["lift, 100"] == pytest.approx((0.03 / 2) / (2.5 / 500))


def test_the_most_active_bought_most_different_items() -> None:
    events = pd.DataFrame({"user_id": ["b", "b", "a", "c", "c", "c"], "item_id": ["x", "x", "x", "x", "y", "y"]})
    assert most_active(events) == ["c", "a", "b"]


def test_the_shop_learns_the_titles_of_what_is_sold_later(tmp_path: Path) -> None:
    header = {"StockCode": "10001", "Description": "LAMP", "UnitPrice": "2.5", "CustomerID": "7"}
    late = [{**header, "StockCode": "20002", "Description": "RUG"}, header, {**header, "StockCode": "POST"}]
    for day, rows in (("2011-10-10", [header]), ("2011-10-12", late)):
        pd.DataFrame(rows).to_csv(tmp_path / f"{day}.csv.gz", index=False)
    path = write_shop(str(tmp_path / "root"), tmp_path, "2011-10-10")
    shop = load_shop(path)
    assert shop.items_file == "changes"
    assert shop.items is not None
    written = pd.read_csv(tmp_path / "root" / "raw" / "2011-10-10" / "items.csv", dtype=str)
    assert written.to_numpy().tolist() == [["20002", "RUG", "2.5"]]
