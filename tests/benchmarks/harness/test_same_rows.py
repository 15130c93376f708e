"""How many rows two roots publish differently."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from tests.benchmarks.harness.same_rows import num_differing

OLD = {"ds": "2024-03-10", "user_id": ["ann", "bob"], "rank": [1, 1], "item_id": ["mug", "lamp"], "score": [0.5, None]}


def rows(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame({**OLD, **changes})


@pytest.mark.parametrize(
    ("new", "num"),
    [
        (rows(), 0),
        (rows(score=[0.50001, None]), 0),
        (rows(score=[0.51, None]), 1),
        (rows(score=[None, 0.5]), 2),
        (rows(item_id=["mug", "rug"]), 1),
        (rows().iloc[:1], 1),
        (rows(user_id=["ann", "cyd"]), 2),  # bob's is missing, and cyd's is one too many
        (rows().iloc[:0], 2),
        (rows().drop(columns="score"), 2),
    ],
)
def test_a_row_that_one_has_and_the_other_has_not_or_has_otherwise_differs(new: pd.DataFrame, num: int) -> None:
    assert num_differing("user_recommendations", rows(), new) == num
