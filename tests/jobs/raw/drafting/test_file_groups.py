"""Files of several days are one kind, and parts of one day are one drop."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.tables import NightError
from jobs.raw.drafting.file_groups import dated, files_at, grouped


@pytest.mark.parametrize(
    ("path", "template", "day"),
    [
        ("/x/events_20240309.json", "/x/events_{ds:%Y%m%d}.json", "2024-03-09"),
        ("/x/2024/03/09/e.csv", "/x/{ds:%Y/%m/%d}/e.csv", "2024-03-09"),
        ("/backup-2023-01-01/2024-03-09.csv", "/backup-2023-01-01/{ds}.csv", "2024-03-09"),
        ("/x/2024-03-09/e_2024-03-09.csv", "/x/{ds}/e_{ds}.csv", "2024-03-09"),
        ("/x/article_20249999.csv", "/x/article_20249999.csv", ""),
    ],
)
def test_the_day_of_a_path_is_left_open(path: str, template: str, day: str) -> None:
    assert dated(path) == (template, day)


def test_days_are_grouped_and_parts_become_a_wildcard() -> None:
    days = [f"/x/2024-03-0{day}/part-0000{part}.csv" for day in (8, 9) for part in (0, 1)]
    group, log = grouped([*days, "/x/orders_1.csv", "/x/orders_2.csv"])
    assert (group.template, group.days) == ("/x/{ds}/part-*.csv", ("2024-03-08", "2024-03-09"))
    assert (log.template, log.paths) == ("", ("/x/orders_1.csv", "/x/orders_2.csv"))


def test_a_folder_stands_for_the_files_in_it(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "_SUCCESS", ".hidden"):
        (tmp_path / name).write_text("x")
    (tmp_path / "empty.csv").write_text("")
    assert [Path(path).name for path in files_at([str(tmp_path)])] == ["a.csv", "b.csv"]


def test_a_file_that_is_not_there_or_cannot_be_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="There is no file"):
        files_at([str(tmp_path / "none.csv")])
    (tmp_path / "a*.csv").write_text("x")
    with pytest.raises(NightError, match="Rename it"):
        files_at([str(tmp_path / "a*.csv")])
