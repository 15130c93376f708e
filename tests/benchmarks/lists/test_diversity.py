"""The curve is drawn from the lists that a night would choose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.interface.model import NO_ITEM
from tests.benchmarks.lists.diversity import DIAL, chosen_items, curve_figure

CANDIDATES = pa.table(
    {
        "user_index": pa.array([3, 3, 3, 3, 5, 9], pa.int32()),
        "item_index": pa.array([2, 3, 4, 5, 4, 2], pa.int32()),
        "score": pa.array([0.9, 0.8, 0.7, 0.1, 0.5, 0.5], pa.float32()),
    }
)


@pytest.fixture
def features(tmp_path: Path) -> str:
    """Items 2 and 3 are the same thing."""
    columns = {"item_index": [2, 3, 4, 5], "category_indices": [[2], [2], [3], [4]], "brand_index": [1] * 4}
    pq.write_table(pa.table({**columns, "token_indices": [[2], [2], [3], [4]]}), tmp_path / "part-0.parquet")
    return str(tmp_path)


def test_the_dial_runs_from_the_best_scores_to_what_differs(features: str) -> None:
    users = np.array([3, 5])
    of_dial = {d: chosen_items(CANDIDATES, users, 3, d, features)[:, :3].tolist() for d in (0.0, 1.0)}
    # Item 5 is not among the best three candidates.
    assert of_dial == {
        0.0: [[2, 3, 4], [4, NO_ITEM, NO_ITEM]],
        1.0: [[2, 4, 3], [4, NO_ITEM, NO_ITEM]],
    }


def test_the_chart_has_a_point_for_each_position(tmp_path: Path) -> None:
    row = {"ndcg@10 with_repeats": 0.3, "ndcg@10 new_items": 0.1, "diversity": 0.5, "coverage": 0.2}
    figure = curve_figure([row] * len(DIAL))
    assert [len(np.asarray(line.get_xdata())) for line in figure.axes[1].lines] == [len(DIAL)] * 2
    figure.savefig(tmp_path / "curve.svg")
