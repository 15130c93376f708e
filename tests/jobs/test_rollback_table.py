"""One command puts one table back, and touches nothing else."""

from __future__ import annotations

import pytest
from deltalake import DeltaTable

from expectations.runtime.program import Night
from expectations.tables import SIMILAR_ITEMS, USER_RECOMMENDATIONS, NightError
from jobs.publish_tables import publish_tables
from jobs.rollback_table import main, rollback_table
from tests.worlds.staged_night import published_items, stage_night


@pytest.fixture
def twice(night: Night) -> Night:
    """A night published twice: version 1 recommends item-2, version 2 item-3; version 0 is the empty table."""
    publish_tables(stage_night(night, "item-2"))
    publish_tables(stage_night(night, "item-3"))
    return night


def test_a_rollback_restores_an_earlier_version_and_no_other_table(twice: Night) -> None:
    similar_before = DeltaTable(twice.lake.table_path(SIMILAR_ITEMS)).version()
    main(["--root", twice.lake.root, "--table", "user_recommendations", "--to-version", "1"])
    assert published_items(twice) == ["item-2"]
    assert DeltaTable(twice.lake.table_path(SIMILAR_ITEMS)).version() == similar_before


def test_a_rollback_can_be_taken_back(twice: Night) -> None:
    rollback_table(twice.lake, USER_RECOMMENDATIONS, 1, "operator")
    rollback_table(twice.lake, USER_RECOMMENDATIONS, 2, "operator")
    assert published_items(twice) == ["item-3"]


def test_a_rerun_of_the_night_publishes_it_again(twice: Night) -> None:
    rollback_table(twice.lake, USER_RECOMMENDATIONS, 1, "operator")
    publish_tables(twice)
    assert published_items(twice) == ["item-3"]


def test_versions_are_listed_with_their_day_and_run(twice: Night, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--root", twice.lake.root, "--table", "user_recommendations"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["version", "2", "1", "0"]
    assert lines[1].split()[-2:] == ["2024-03-10", "test"]


def test_an_unknown_version_is_refused(twice: Night) -> None:
    with pytest.raises(NightError, match=r"versions 0 to 2\. Received: --to-version 7"):
        rollback_table(twice.lake, USER_RECOMMENDATIONS, 7, "operator")


def test_a_table_that_was_never_published_is_named(night: Night) -> None:
    with pytest.raises(NightError, match="there is no published table at"):
        rollback_table(night.lake, USER_RECOMMENDATIONS, 0, "operator")
