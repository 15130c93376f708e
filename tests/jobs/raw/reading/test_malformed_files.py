"""Files that are damaged in any way: every one is read or refused by a sentence, and no row is lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.raw.reading.cells import UNREADABLE_FILE
from tests.worlds.odd_shops.damaged_files import DAMAGES, FILES, Damage, damaged
from tests.worlds.read_raw_file import MAPPING, rows_read

SOME_DAMAGES = st.lists(
    st.tuples(st.sampled_from(DAMAGES), st.integers(0, 10_000), st.binary(max_size=6)), min_size=1, max_size=4
)


@pytest.mark.parametrize(("file_format", "whole"), FILES, ids=[f"{f}-{whole.__name__}" for f, whole in FILES])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damages=SOME_DAMAGES)
def test_a_damaged_file_is_read_or_refused_by_a_sentence(
    tmp_path: Path, file_format: str, whole: Callable[[], bytes], damages: list[Damage]
) -> None:
    path = tmp_path / "e"
    path.write_bytes(damaged(whole(), damages))
    rows = rows_read(path, MAPPING, format=file_format)
    for row in rows:
        if row.get("fault") == UNREADABLE_FILE:
            assert row["raw"].endswith((".", "]")), row["raw"]
            assert "\n" not in row["raw"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(st.sampled_from('abc,;" \t0'), max_size=12), max_size=25))
def test_every_line_of_a_csv_file_is_in_some_row(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "e"
    path.write_text("\n".join(["time,customer,article,price,note", *lines, ""]))
    rows = rows_read(path, MAPPING)
    starts = sorted(row["line"] for row in rows)
    assert len(set(starts)) == len(starts)
    filled = [number for number, line in enumerate(lines, 2) if line.strip()]
    # A row of several lines has a quote that is open at their ends; every other line begins a row.
    within = set(filled) - set(starts)
    assert set(starts) <= set(filled)
    assert all(_is_within_quotes(lines, starts, number) for number in within)


def _is_within_quotes(lines: list[str], starts: list[int], number: int) -> bool:
    start = max(begin for begin in starts if begin < number)
    return "\n".join(lines[start - 2 : number - 2]).count('"') % 2 == 1
