"""A stranger's export becomes a shop file that ingestion reads, or one line that says why not."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import jobs.draft_shop
from expectations.runtime.code_version import REPOSITORY
from expectations.shop.shop import Shop, load_shop
from expectations.tables import NightError
from jobs.draft_shop import main, shop_name
from tests.jobs.raw.reading.test_workbook_rows import workbook
from tests.shops.test_presets import DS, EXPORTS

GERMAN = "Bestelldatum;Kundennr.;Artikel-Nr.;Menge;Stückpreis;Käufername\n" + "".join(
    f"09.03.2024 1{n % 8}:05;K{n % 4};00{n}15;1;{n},50;Müller\n" for n in range(1, 9)
)
CLICKS = "".join(f"{n % 5}::{n}::2024-03-09T10:0{n}:00.000Z::{n % 3}\n" for n in range(1, 9))


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("NIGHTJAR_ROOT", "FILE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def spark_of_tests(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs.draft_shop, "session_from_environment", lambda name: spark)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def drafted(*paths: Path, flags: tuple[str, ...] = ()) -> tuple[Shop, str]:
    main([*map(str, paths), "--yes", "--no-check", "--out", "own.toml", *flags])
    return load_shop("./own.toml"), Path("own.toml").read_text("utf-8")


def guesses(text: str) -> list[str]:
    return re.findall(r"^(\w+) = .*# a guess: ", text, re.MULTILINE)


@pytest.mark.parametrize("preset", EXPORTS)
def test_an_export_that_a_preset_reads_becomes_a_shop_of_a_few_lines(preset: str, tmp_path: Path) -> None:
    of_preset = load_shop(str(written(tmp_path, "preset.toml", f'name = "own"\npreset = "{preset}"\n')))
    path = written(tmp_path, f"export_{DS}", EXPORTS[preset][0].encode(of_preset.events.encoding))
    shop, text = drafted(path)
    assert f'preset = "{preset}"' in text
    assert shop.events.columns == of_preset.events.columns
    assert shop.events.path.endswith("/export_{ds}")


def test_a_german_export_is_read_with_its_encoding_its_pattern_and_its_zone_as_a_guess(tmp_path: Path) -> None:
    shop, text = drafted(written(tmp_path, f"bestellungen_{DS}.csv", GERMAN.encode("windows-1252")))
    assert (shop.events.encoding, shop.events.time_format) == ("windows-1252", "dd.MM.yyyy HH:mm")
    assert shop.events.columns == {
        "event_time": "Bestelldatum",
        "user_id": "Kundennr.",
        "item_id": "Artikel-Nr.",
        "quantity": "Menge",
        "price": "Stückpreis",
    }
    assert shop.events.constants == {"event_type": "purchase"}
    assert guesses(text) == ["horizon_days", "timezone"]


def test_who_the_customers_are_does_not_stand_in_the_shop_file(tmp_path: Path) -> None:
    rows = "".join(f"2024-03-09 10:00:00,ann{n}@example.com,a{n},Brand\n" for n in range(5))
    shop, text = drafted(written(tmp_path, f"o_{DS}.csv", "order_date,email,sku,vendor\n" + rows))
    assert shop.events.columns["user_id"] == "email"
    assert "example.com" not in text


def test_columns_without_a_header_are_numbered_and_marked(tmp_path: Path) -> None:
    shop, text = drafted(written(tmp_path, f"clicks_{DS}.dat", CLICKS))
    assert shop.events.csv.delimiter == "::"
    assert shop.events.csv.column_names == ("column_1", "column_2", "column_3", "column_4")
    assert {name: shop.events.columns[name] for name in ("user_id", "item_id", "event_time")} == {
        "user_id": "column_1",
        "item_id": "column_2",
        "event_time": "column_3",
    }
    assert {"column_names", "user_id", "item_id"} <= set(guesses(text))


def test_nested_orders_are_unrolled(tmp_path: Path) -> None:
    orders = [
        {
            "created": "2024-03-09T10:00:00Z",
            "order_date": f"2024-03-09T10:0{n}:00Z",
            "customer": {"id": f"u{n % 2}", "email": "x@example.com"},
            "line_items": [{"sku": f"a{n}", "qty": 2, "price": "9.50"}],
        }
        for n in range(4)
    ]
    shop, _ = drafted(written(tmp_path, f"orders_{DS}.json", json.dumps(orders)))
    assert (shop.events.format, shop.events.columns["user_id"]) == ("json", "customer.id")
    assert shop.events.columns["item_id"] == "line_items[].sku"
    assert shop.events.price_is == "unit"


def test_parquet_with_times_needs_no_pattern(tmp_path: Path) -> None:
    at = pa.array([1_709_949_600_000_000 + n for n in range(4)], pa.timestamp("us", "UTC"))
    table = pa.table({"ts": at, "user": ["a", "b", "a", "b"], "product": ["x", "y", "y", "z"], "action": ["pv"] * 4})
    pq.write_table(table, tmp_path / f"log_{DS}.parquet")
    shop, text = drafted(tmp_path / f"log_{DS}.parquet")
    assert shop.events.format == "parquet" and "time_format" not in text and "timezone" not in text
    assert shop.events.event_types == {"pv": "view"} and shop.target_events == ("view",)


def test_a_workbook_is_drafted(tmp_path: Path) -> None:
    ten = (45360 + 10 / 24, True)
    rows = [[ten, f"k{n}", f"00{n}", 9.5] for n in range(4)]
    path = workbook(tmp_path / f"orders {DS}.xlsx", ["Orders"], ["Date", "Customer", "Article", "Price"], *rows)
    shop, _ = drafted(path)
    assert (shop.events.format, shop.events.columns["item_id"]) == ("xlsx", "Article")


def test_files_of_several_days_and_kinds_are_told_apart(tmp_path: Path) -> None:
    for day in ("2024-03-07", "2024-03-09"):
        written(tmp_path, f"x/{day}/e.csv", f"time,number,article\n{day} 10:00:00,77001,a1\n{day} 11:00:00,77002,a2\n")
        written(tmp_path, f"x/{day}/i.csv", "sku,title,category\na1,Lamp,Home\na2,Rug,Home\n")
        written(tmp_path, f"x/{day}/u.csv", "id,country,age\n77001,DE,33\n77002,FR,45\n")
    shop, text = drafted(tmp_path / "x")
    assert shop.items is not None and shop.users is not None
    assert shop.events.path.endswith("x/{ds}/e.csv") and shop.items.path.endswith("x/{ds}/i.csv")
    # Its name does not say that the number is a customer's; the ids of the customers do.
    assert shop.events.columns["user_id"] == "number"
    assert "of its values are ids of the users" in text
    assert (shop.items.columns["title"], shop.users.columns["country"]) == ("title", "country")
    assert shop.drops.missing_day == "closed"


def test_a_log_is_to_be_split_and_the_lines_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = written(
        tmp_path, "my log.csv", "time,user,item\n" + "".join(f"2024-03-0{n} 10:00:00,u{n % 2},i\n" for n in range(1, 9))
    )
    shop, _ = drafted(log)
    assert (shop.events.path, shop.events.format) == ("{root}/raw/my_log/{ds}/events.json.gz", "json")
    printed = capsys.readouterr().out
    assert f"python -m jobs.split_days --shop ./own.toml --log '{log}'" in printed
    assert "make nightly SHOP=./own.toml DS=2024-03-08" in printed


def test_the_day_in_a_name_tells_day_and_month_apart(tmp_path: Path) -> None:
    rows = "when,user,item\n" + "".join(f"02/03/2025,u{n},i{n}\n" for n in range(4))
    shop, _ = drafted(written(tmp_path, "2025-03-02/e.csv", rows))
    assert shop.events.time_format == "dd/MM/yyyy"
    other, _ = drafted(written(tmp_path, "2025-02-03/e.csv", rows), flags=("--force",))
    assert other.events.time_format == "MM/dd/yyyy"


def test_words_for_events_are_told_with_their_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["view_item"] * 5 + ["scroll"] * 3 + ["purchase"] * 2
    rows = "".join(f"2024-03-09 10:00:00,u{n % 3},i{n % 4},{word}\n" for n, word in enumerate(words))
    shop, text = drafted(written(tmp_path, f"e_{DS}.csv", "time,user,item,event_name\n" + rows))
    assert "words: view_item 5 → view, scroll 3 → not told, purchase 2 → purchase" in capsys.readouterr().out
    assert shop.events.event_types == {"view_item": "view", "purchase": "purchase"}
    assert shop.events.other_event_types == "ignore" and "scroll 3" in text


def test_oddities_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"2024-03-09 10:0{n}:00,1785{n}.0,{n}.5E+12,{'NULL' if n % 2 else '9,50'}\n" for n in range(1, 9))
    shop, _ = drafted(
        written(tmp_path, f"e_{DS}.csv", "time;user;item;price\n" + rows.replace(",", ";").replace("9;50", "9,50"))
    )
    printed = capsys.readouterr().out
    assert "odd: user: every id ends in .0" in printed
    assert "odd: item: 100% of the ids are numbers with an exponent" in printed
    assert "odd: price: words for nothing: NULL 4" in printed
    assert shop.events.csv.delimiter == ""


def test_visitors_stand_in_for_users_and_guests_are_nobody(tmp_path: Path) -> None:
    rows = "".join(f"2024-03-09 10:00:00,{f'u{n}' if n % 3 else ''},v{n},i{n}\n" for n in range(9))
    shop, _ = drafted(written(tmp_path, f"e_{DS}.csv", "time,user_id,visitor_id,item\n" + rows))
    assert shop.events.sources_of("user_id") == ("user_id", "visitor_id")
    shop, _ = drafted(written(tmp_path, f"f_{DS}.csv", "time,user_id,x,item\n" + rows), flags=("--force",))
    assert shop.events.missing_user == "ignore"


def test_a_shop_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, f"e_{DS}.csv", f"time,user,item\n{DS} 10:00:00,u,i\n{DS} 10:00:00,v,j\n")
    drafted(path)
    before = Path("own.toml").read_bytes()
    with pytest.raises(NightError, match=r"is there already\. Say --force"):
        drafted(path)
    drafted(path, flags=("--force",))
    assert Path("own.toml").read_bytes() == before
    assert [other.name for other in Path().iterdir() if other.name.startswith(".own")] == []


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "is empty"),
        (b"\xd0\xcf\x11\xe0rest of it", "old Excel workbook"),
        (b"time,user,item\n", "no row that can be read"),
        (b"a,b\n1,2\n3,4\n", "no column holds times and users and items"),
        (b"user_id,item_id,time_stamp\n1,2,0829\n2,3,0830\n", "time_stamp holds 0829, 0830, which is no time"),
        (b"\x1f\x8btorn", "is torn"),
    ],
)
def test_what_is_no_export_is_refused_in_one_line(tmp_path: Path, content: bytes, rule: str) -> None:
    path = written(tmp_path, f"e_{DS}.csv", content)
    with pytest.raises(NightError, match=rule) as stopped:
        drafted(path)
    assert "\n" not in str(stopped.value)
    assert not Path("own.toml").exists()


def test_a_name_is_made_of_a_files() -> None:
    assert [shop_name(stem) for stem in ("orders_export", "Büro 1", "2024", "")] == [
        "orders_export",
        "b_ro_1",
        "shop_2024",
        "shop",
    ]


def test_files_of_real_exports_become_shops_or_one_line(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = real_data.parent / "cases" / "files"
    if not cases.is_dir():
        pytest.skip(f"no sample files under {cases}")
    refused = []
    for case in sorted(cases.iterdir()):
        files = [path for path in case.rglob("*") if path.is_file() and path.suffix not in (".md", ".toml")]
        files = [path for path in files if path.name not in ("case.json", "_SUCCESS")]
        try:
            main([*map(str, files), "--yes", "--no-check", "--force", "--out", str(tmp_path / "case.toml")])
            load_shop(str(tmp_path / "case.toml"))
        except NightError as err:
            assert "\n" not in str(err)
            refused.append(case.name)
    # Joined tables, a log without days or without a year, and a cell with a whole list in it.
    assert refused == ["instacart", "olist", "tmall_mmdd", "woocommerce_line_items_cell"]


def test_rows_of_a_german_export_are_accepted(
    spark_of_tests: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, f"bestellungen_{DS}.csv", GERMAN.encode("windows-1252"))
    main([str(path), "--yes", "--out", "own.toml"])
    assert "events: 8 rows, 8 accepted, from 2024-03-09 10:05 to 2024-03-09 17:05 UTC" in capsys.readouterr().out


def test_an_orders_export_is_split_and_orders_stay_whole(
    spark_of_tests: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = "Name,Email,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Vendor\n"
    orders = "".join(
        f"#{1000 + n},c{n % 3}@example.com,2024-03-{n:02d} 09:00:00 -0500,1,Fern,16.00,FERN,,Acme\n"
        f"#{1000 + n},c{n % 3}@example.com,,2,Mug,20.00,00042,,Acme\n"
        for n in range(9, 6, -1)
    )
    main([str(written(tmp_path, "orders_export.csv", header + orders)), "--yes", "--split"])
    printed = capsys.readouterr().out
    assert "events: 2 rows, 2 accepted, from 2024-03-09 14:00 to 2024-03-09 14:00 UTC" in printed
    assert "make nightly SHOP=./orders_export.toml DS=2024-03-09" in printed


def test_a_file_of_which_no_row_is_accepted_ends_with_an_error(spark_of_tests: None, tmp_path: Path) -> None:
    rows = "".join(f"2024-03-09 10:00:00,8.85E+12,8.85E+1{n % 3}\n" for n in range(4))
    path = written(tmp_path, f"e_{DS}.csv", "time,user,item\n" + rows)
    with pytest.raises(NightError, match="not one row of 2024-03-09 is accepted"):
        main([str(path), "--yes", "--out", "own.toml"])


def test_questions_are_asked_at_a_terminal(tmp_path: Path, somewhere: Path) -> None:
    rows = "".join(f"2024-03-09 10:0{n}:00,u{n},i{n},{'seen_it' if n % 2 else 'kept'}\n" for n in range(8))
    path = written(tmp_path, f"e_{DS}.csv", "time,user,item,action\n" + rows)
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-m", "jobs.draft_shop", str(path), "--no-check", "--out", "own.toml"],
        cwd=somewhere,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    # The zone, once wrongly; then what both words mean, by its number and by its word.
    os.write(ours, b"Berlin\nEurope/Berlin\n1\npurchase\n")
    printed = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break  # the program has ended, and with it the terminal
        if not part:
            break
        printed += part
    assert program.wait(60) == 0, printed.decode()
    shop = load_shop(str(somewhere / "own.toml"))
    assert shop.events.timezone == "Europe/Berlin"
    assert shop.events.event_types == {"kept": "view", "seen_it": "purchase"}
    assert b"Did you mean 'Europe/Berlin'?" in printed
    assert guesses((somewhere / "own.toml").read_text("utf-8")) == ["horizon_days"]


def test_a_catalogue_goes_with_a_log_and_with_what_its_preset_says_of_items(tmp_path: Path) -> None:
    header = "Name,Email,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,Vendor\n"
    rows = "".join(
        f"#{n},c@example.com,2024-03-{n:02d} 09:00:00 -0500,1,Fern,16.00,a{n % 2},,Acme\n" for n in range(1, 9)
    )
    orders = written(tmp_path, "orders_export.csv", header + rows)
    products = written(
        tmp_path, "products_2024-03-09.csv", "Handle,Variant SKU,Title,Vendor\nx,a0,Fern,A\ny,a1,Mug,A\n"
    )
    shop, _ = drafted(orders, products)
    assert shop.items is not None and shop.items.columns["item_id"] == "Variant SKU"
    assert (shop.items.path, shop.items_file) == ("{root}/raw/orders_export/{ds}/items.json.gz", "changes")


def test_a_catalogue_without_a_day_beside_daily_events_stands_for_all_days(tmp_path: Path) -> None:
    events = [
        written(tmp_path, f"e_{day}.csv", f"time,user,item,brand\n{day} 10:00:00,u,i,x\n{day} 11:00:00,v,j,y\n")
        for day in ("2024-03-08", "2024-03-09")
    ]
    shop, text = drafted(*events, written(tmp_path, "items.csv", "sku,title\ni,Lamp\nj,Rug\n"))
    assert shop.items is not None and shop.items.is_standing and shop.items.path.endswith("items.csv")
    assert "no {ds}: one file that stands for all days" in text
