"""Which cases count as right."""

from __future__ import annotations

import pytest

from tests.benchmarks.one_night.cases import Case, right_cases


@pytest.mark.parametrize(
    ("tests", "is_right"),
    [
        (("t.py::test_a",), True),
        (("t.py::test_a", "t.py::test_b"), False),  # one of its parameters fails
        (("t.py::test_never_run",), False),
        ((), False),
    ],
)
def test_a_case_is_right_where_all_its_tests_passed(tests: tuple[str, ...], is_right: bool) -> None:
    passed = {"t.py::test_a": True, "t.py::test_b[1]": True, "t.py::test_b[2]": False, "t.py::test_ab": False}
    assert right_cases({"A": Case("it is so", tests)}, passed) == ["A"] * is_right
