"""The lists of domains, from arrays that a reader can rank."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from expectations.semantics.list_caps import Cap
from jobs.tables.domain_lists import DomainRules, domain_lists

NUM_ITEMS = 40


def test_a_list_holds_one_variant_of_an_item_and_the_next_best_instead() -> None:
    """The user met an item of another domain, and must not get the first of this one; all others score alike."""
    domain_of, groups = np.zeros(NUM_ITEMS, np.int32), np.zeros(NUM_ITEMS, np.int32)
    domain_of[-1] = 1
    groups[2:20] = 1
    groups[20] = 2
    asking = pa.table({"user_index": pa.array([5], pa.int32()), "vector": pa.array([[1.0]], pa.list_(pa.float32()))})
    met = pa.table(
        {
            "user_index": pa.array([5, 5], pa.int32()),
            "item_index": pa.array([NUM_ITEMS - 1, 2], pa.int32()),
            "weight": [1.0, -1.0],
            "is_bought": [False, False],
            "is_excluded": [False, True],
        }
    )
    found = {}
    for most in (None, 1, 2, 9):
        rules = DomainRules(
            top_k=3,
            domains=("things", "others"),
            domain_of=domain_of,
            is_available=np.arange(NUM_ITEMS) >= 2,
            items_in_demand=np.arange(0),
            num_popular=1,
            item_vectors_path=None,
            history_vectors_path=None,
            variants=Cap(most, groups) if most else None,
        )
        found[most] = domain_lists(asking, met, rules)["item_index"].to_pylist()
    assert found == {None: [3, 4, 5], 1: [3, 20, 21], 2: [3, 4, 20], 9: [3, 4, 5]}
