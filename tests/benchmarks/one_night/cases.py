"""Of the nights that once told something untrue, how many are right today?

Each case is a small night that once came out wrong, with the value that is right; it counts as right where every test
that holds it passes. A case without a test counts as wrong.

    python -m tests.benchmarks.one_night.cases
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from expectations.runtime.code_version import REPOSITORY
from expectations.tables import NightError
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS

NAME, PART = "one_night", "cases"


@dataclass(frozen=True)
class Case:
    """A kind of night.

    Attributes:
        is_right_where: what is true of it, in words.
        tests: that hold it, as pytest names them; one with parameters stands for all of them.
    """

    is_right_where: str
    tests: tuple[str, ...] = ()


CASES = {
    "A": Case(
        "a model that fails tonight is missing, and what an earlier run of the day left does not stand in for it",
        (
            "tests/models/test_gate.py::test_the_fit_of_before_a_correction_does_not_stand_in_for_one_that_failed",
            "tests/models/test_gate.py::test_the_lists_and_the_backtest_of_before_a_correction_are_not_judged_again",
            "tests/models/test_gate.py::test_a_model_that_the_shop_no_longer_runs_fills_and_signs_nothing",
            "tests/models/interface/test_in_force.py"
            "::test_a_fit_that_fails_leaves_none_of_before_the_drop_was_corrected",
        ),
    ),
    "B": Case(
        "a drop that is corrected, or a shop file that is edited, while a night trains makes what it publishes stale",
        ("tests/jobs/test_list_stale.py::test_what_is_told_of_a_planted_history",),
    ),
    "C": Case(
        "ids of ten million and more are the same ids after they passed through a column of floats",
        (
            "tests/jobs/test_catalogue_truth.py::test_ids_that_passed_through_a_table_of_floats_are_the_same_ids",
            "tests/jobs/test_catalogue_truth.py::test_an_id_that_has_lost_digits_is_refused",
        ),
    ),
    "D": Case(
        "a full items file that is refused, or cut off, stops the night",
        (
            "tests/jobs/test_catalogue_truth.py::test_an_items_file_that_is_wholly_refused_stops_the_day",
            "tests/jobs/raw/test_drop_limits.py::test_a_file_of_items_has_its_guards_too",
        ),
    ),
    "E": Case(
        "an event puts no item on sale that a file called sold out, and no other title or price in place of the file's",
        ("tests/jobs/test_catalogue_truth.py::test_what_a_file_said_is_not_overwritten_by_events_of_a_later_day",),
    ),
    "F": Case(
        "a stock of 0.0, and every word that means no, is not on sale; what is neither yes nor no is refused",
        ("tests/jobs/test_catalogue_truth.py::test_availability_is_read_word_by_word",),
    ),
    "J": Case(
        "a purchase that many later views push out of a history still bars the item, and still counts as demand",
        (
            "tests/jobs/features/test_older_purchases.py::test_views_let_nothing_come_back_early",
            "tests/jobs/features/test_older_purchases.py::test_a_session_model_bars_the_same",
            "tests/jobs/features/test_older_purchases.py::test_views_take_nothing_from_demand",
        ),
    ),
    "K": Case(
        "one judged user proves nothing: no p-value of 0, no interval of no width, no model promoted by it",
        (
            "tests/models/test_gate.py::test_one_judged_user_proves_nothing",
            "tests/models/evaluation/test_resampling.py::test_the_sample_itself_counts_among_the_resamples",
            "tests/models/evaluation/test_resampling.py::test_one_user_makes_no_interval_and_no_evidence",
        ),
    ),
    "L": Case(
        "the alias of the champion moves when a night is published, and not before",
        ("tests/models/test_gate.py::test_the_winner_is_decided_and_logged_and_becomes_champion_when_it_is_published",),
    ),
    "M": Case(
        "a category that begins with a bracket, and is no list, is kept as text",
        ("tests/jobs/test_catalogue_truth.py::test_availability_is_read_word_by_word",),
    ),
    "O": Case(
        "a root that was moved keeps its marks of validation, its fits and their weights",
        (
            "tests/expectations/runtime/test_lake.py::test_a_root_that_was_moved_keeps_its_marks",
            "tests/models/test_moved_root.py::test_nothing_that_is_noted_names_the_place",
            "tests/models/test_moved_root.py::test_fits_are_there_and_so_are_their_weights",
        ),
    ),
    "P": Case(
        "nothing is said to be bought together where nobody bought anything",
        (
            "tests/jobs/test_build_tables.py::test_nothing_is_bought_together_in_a_shop_of_views",
            "tests/expectations/semantics/test_pair_acts.py"
            "::test_only_what_one_customer_bought_both_of_is_bought_together",
        ),
    ),
}


@dataclass(eq=False)
class Outcomes:
    """Notes of each test whether it passed, while pytest runs; as a plugin of pytest it is no value."""

    passed: dict[str, bool] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Its setup and its end count as well; a test that was skipped shows nothing."""
        self.passed[report.nodeid] = self.passed.get(report.nodeid, True) and report.passed


def right_cases(cases: Mapping[str, Case], passed: Mapping[str, bool]) -> list[str]:
    """Returns the cases all of whose tests were run, and passed.

    Args:
        passed: test with its parameters -> whether it passed.
    """

    def holds(test: str) -> bool:
        found = [is_passed for name, is_passed in passed.items() if name.partition("[")[0] == test]
        return bool(found) and all(found)

    return [letter for letter, case in cases.items() if case.tests and all(map(holds, case.tests))]


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the tests, prints which cases are wrong, and replaces its row of the result."""
    started, outcomes = time.monotonic(), Outcomes()
    tests = list(dict.fromkeys(test for case in CASES.values() for test in case.tests))
    ended = pytest.main(["-q", "--rootdir", str(REPOSITORY), *(str(REPOSITORY / test) for test in tests)], [outcomes])
    if ended not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise NightError(f"pytest could not run the cases' tests: it ended with {ended!r}. Are all of them there?")
    right = right_cases(CASES, outcomes.passed)
    for letter in sorted(CASES.keys() - right):
        print(f"not right, or not tested: {letter}, {CASES[letter].is_right_where}")
    row: dict[str, Any] = {
        "model": PART,
        "ours": True,
        "source": OURS,
        "cases": len(CASES),
        "right": len(right),
        "tests": len(outcomes.passed),
        "seconds": round(time.monotonic() - started, 1),
    }
    print(record_part(NAME, PART, [row]).text())


if __name__ == "__main__":
    main()
