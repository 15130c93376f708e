"""What settings are chosen on: the last purchase of each user, and nothing left of it in the history."""

from __future__ import annotations

import pyarrow as pa

from tests.benchmarks.accuracy.retailrocket import without_last_purchases


def test_the_last_purchase_is_asked_and_all_else_of_that_pair_is_gone() -> None:
    rows = [
        (1, 10, "view", 1), (1, 10, "buy", 2), (1, 11, "view", 3), (1, 11, "buy", 5), (1, 12, "buy", 5),
        (2, 20, "view", 4), (3, 30, "view", 1), (3, 30, "buy", 2),
    ]  # fmt: skip
    columns = dict(zip(("user_id", "item_id", "event", "timestamp"), zip(*rows, strict=True), strict=True))
    kept, wanted = without_last_purchases(pa.table({name: list(values) for name, values in columns.items()}))
    # Of equal times the larger item is the later one; user 2 bought nothing, and of user 3 nothing is left.
    assert wanted == {("1", "12")}
    pairs = set(zip(kept["user_id"].to_pylist(), kept["item_id"].to_pylist(), strict=True))
    assert pairs == {(1, 10), (1, 11), (2, 20)}
