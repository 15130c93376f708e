"""How finished lists stand beside earlier ones, on literal lists; see test_publish_tables for real tables."""

from __future__ import annotations

import pytest

from jobs.publishing import list_drift
from jobs.publishing.list_drift import overlap, picked


def test_owners_are_picked_evenly_and_whatever_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_drift, "MAX_OWNERS", 3)
    owners = [f"user-{n}" for n in range(9)]
    assert picked(owners[::-1]) == ["user-0", "user-4", "user-8"]
    assert picked(owners[:2]) == ["user-0", "user-1"]
    assert picked([]) == []


def test_overlap_is_the_mean_over_owners_who_had_a_list() -> None:
    before = {"ann": {"a", "b"}, "bob": {"a"}}
    assert overlap({"ann": {"b", "c"}, "bob": {"a"}, "new": {"x"}}, before) == 0.75
    assert overlap({"new": {"x"}}, before) is None
