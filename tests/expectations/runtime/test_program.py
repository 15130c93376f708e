"""How a program starts and how it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from expectations.runtime.code_version import REPOSITORY
from expectations.runtime.days import days_before, end_of
from expectations.runtime.failures import EXIT_CODE
from expectations.runtime.program import Night, add_as_of, days_from, night_from, night_parser
from expectations.tables import NightError
from tests.worlds.corner_shop import SHOP


@pytest.fixture
def shop_file(tmp_path: Path) -> str:
    path = tmp_path / "corner.toml"
    path.write_text(SHOP, encoding="utf-8")
    return str(path)


@pytest.fixture
def flags(shop_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for name in ("DS", "SHOP", "NIGHTJAR_ROOT", "NIGHTJAR_DATA", "MODELS", "TOP_K", "RUN_ID", "AS_OF"):
        monkeypatch.delenv(name, raising=False)
    return ["--ds", "2024-03-10", "--shop", shop_file, "--root", str(tmp_path / "root")]


def night_of(flags: list[str]) -> Night:
    return night_from(night_parser(None).parse_args(flags))


def test_flags_win_over_the_environment(flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DS", "2020-01-01")
    monkeypatch.setenv("NIGHTJAR_ROOT", "/nowhere")
    monkeypatch.setenv("NIGHTJAR_DATA", str(tmp_path / "raw"))
    monkeypatch.setenv("RUN_ID", "scheduled")
    night = night_of(flags)
    assert (night.ds, night.lake.root) == ("2024-03-10", str(tmp_path / "root"))
    assert (night.data, night.run_id) == (str(tmp_path / "raw"), "scheduled")


def test_what_the_shop_names_is_taken_from_the_environment_and_never_shown(
    flags: list[str], shop_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        'format = "postgres"\ntable = { connection = "SHOP_DATABASE", query = "SELECT $1", days_query = "SELECT 1" }'
    )
    text = Path(shop_file).read_text()
    Path(shop_file).write_text(re.sub('path = ".*"', source, text, count=1))
    assert night_of(flags).connections == {}
    monkeypatch.setenv("SHOP_DATABASE", "postgresql://shop:hunter2@db/shop")
    night = night_of(flags)
    assert night.connections == {"SHOP_DATABASE": "postgresql://shop:hunter2@db/shop"}
    assert "hunter2" not in repr(night) + repr(night.drop_folder) + repr(night.drop_folder.table(night.shop.events))


def test_models_and_top_k_take_the_place_of_the_shop_file(flags: list[str]) -> None:
    shop = night_of([*flags, "--models", "recent_demand, deep_cf,", "--top-k", "5"]).shop
    assert (shop.models, shop.top_k) == (("recent_demand", "deep_cf"), 5)


def test_empty_fields_of_a_form_say_nothing(flags: list[str]) -> None:
    assert night_of([*flags, "--models", "", "--top-k", ""]).shop.top_k == 10


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--top-k", "many"], "--top-k must be a whole number from 1. Received: 'many'"),
        (["--top-k", "²"], "--top-k must be a whole number from 1. Received: '²'"),
        (["--top-k", "0"], "shop corner: `top_k` must be at least 1. Received: 0"),
        (["--top-k", "60"], "shop corner: `num_candidates` must be at least twice `top_k`"),
        (["--models", ","], "shop corner: `models` must name at least one model"),
        (["--ds", ""], "No day was given. Set --ds"),
        (["--ds", "10.3.2024"], "`ds` must be a day written YYYY-MM-DD"),
        (["--shop", "nowhere"], "There is no shop file"),
    ],
)
def test_a_flag_that_cannot_be_is_refused(flags: list[str], more: list[str], message: str) -> None:
    with pytest.raises(NightError) as caught:
        night_of([*flags, *more])
    assert message in str(caught.value)


def test_a_root_of_another_shop_is_refused(flags: list[str], tmp_path: Path) -> None:
    night_of(flags)
    other = tmp_path / "other.toml"
    other.write_text(SHOP.replace("corner", "other"), encoding="utf-8")
    with pytest.raises(NightError, match="belongs to the shop 'corner'"):
        night_of([*flags, "--shop", str(other)])


@pytest.mark.parametrize(
    ("text", "day"), [("refit", "2024-03-10"), ("backtest", "2024-03-03"), ("2024-02-29", "2024-02-29")]
)
def test_as_of_is_a_day_or_what_it_is_for(flags: list[str], text: str, day: str) -> None:
    parser = night_parser(None)
    add_as_of(parser)
    arguments = parser.parse_args([*flags, "--as-of", text])
    assert days_from(arguments, night_from(arguments)) == (day,)


def test_a_backtest_of_several_windows_goes_back_a_horizon_each(flags: list[str], tmp_path: Path) -> None:
    shop = tmp_path / "three_windows.toml"
    shop.write_text("num_windows = 3\n" + SHOP, encoding="utf-8")
    parser = night_parser(None)
    add_as_of(parser)
    arguments = parser.parse_args([*flags, "--shop", str(shop), "--as-of", "backtest"])
    assert days_from(arguments, night_from(arguments)) == ("2024-03-03", "2024-02-25", "2024-02-18")


@pytest.mark.parametrize(
    ("ds", "day"), [("2024-03-09", "2024-02-25"), ("2024-03-10", "2024-03-03"), ("2024-03-16", "2024-03-03")]
)
def test_a_weekly_backtest_is_that_of_a_sunday(flags: list[str], tmp_path: Path, ds: str, day: str) -> None:
    shop = tmp_path / "weekly.toml"
    shop.write_text("weekly_backtest = true\nnum_windows = 2\n" + SHOP, encoding="utf-8")
    night = night_from(night_parser(None).parse_args([*flags, "--shop", str(shop), "--ds", ds]))
    assert night.backtest_days == (day, days_before(day, 7))


def test_as_of_may_not_lie_in_the_future(flags: list[str]) -> None:
    parser = night_parser(None)
    add_as_of(parser)
    arguments = parser.parse_args([*flags, "--as-of", "2024-03-11"])
    with pytest.raises(NightError, match=r"--as-of must not lie after ds=2024-03-10"):
        days_from(arguments, night_from(arguments))


def test_days_are_counted_over_the_end_of_february() -> None:
    assert days_before("2024-03-01", 1) == "2024-02-29"
    assert end_of("2024-02-28").isoformat() == "2024-02-29T00:00:00+00:00"


def ended(tmp_path: Path, body: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """What a program with this `main` leaves behind."""
    program = (
        "from expectations.runtime.program import night_from, night_parser, run_program\n"
        "from expectations.tables import NightError\n"
        f"def main(argv):\n    night = night_from(night_parser(None).parse_args(argv))\n    {body}\n"
        "run_program(main)\n"
    )
    command = [sys.executable, "-c", program, "--root", str(tmp_path / "root"), *flags]
    return subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "DS": "2024-03-10"}, capture_output=True, text=True, check=False
    )


def test_an_error_is_one_last_line_and_exit_1(tmp_path: Path, shop_file: str) -> None:
    done = ended(tmp_path, "raise NightError('events ds=2024-03-10: torn. Send it again')", "--shop", shop_file)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["ERROR events ds=2024-03-10: torn. Send it again"]
    assert done.stdout == ""


def test_an_error_of_the_shop_file_ends_in_the_same_way(tmp_path: Path) -> None:
    done = ended(tmp_path, "pass", "--shop", "nowhere")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ERROR There is no shop file")


def test_a_result_goes_to_standard_output_alone(tmp_path: Path, shop_file: str) -> None:
    done = ended(tmp_path, "print(night.ds)", "--shop", shop_file)
    assert (done.returncode, done.stdout) == (0, "2024-03-10\n")
    assert "finished: seconds=" in done.stderr.splitlines()[-1]


def test_a_fault_of_the_code_keeps_its_trace_and_ends_in_one_line(tmp_path: Path, shop_file: str) -> None:
    done = ended(tmp_path, "raise ZeroDivisionError('division by zero')", "--shop", shop_file)
    assert done.returncode == EXIT_CODE
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "ERROR -c: the program must end without a fault. Received: ZeroDivisionError: division by zero. The trace is "
        "above in the log. Clear the task to try again; if it fails so once more, it is a fault of the code."
    )
