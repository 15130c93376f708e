"""A downloaded archive becomes one CSV a day."""

from __future__ import annotations

import gzip
import zipfile
from datetime import datetime
from pathlib import Path

import pytest

from expectations.tables import NightError
from jobs.fetch_online_retail import COLUMNS, _cell_text, fetch_online_retail

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
SHARED = [*COLUMNS, "85123A", "WHITE HANGING HEART, T-LIGHT", "United Kingdom"]


def cell(reference: str, value: str) -> str:
    place = SHARED.index(value) if value in SHARED else None
    return f'<c r="{reference}"><v>{value}</v></c>' if place is None else f'<c r="{reference}" t="s"><v>{place}</v></c>'


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    # 40513.3512 days after 1899-12-30 is 2010-12-01 08:25:44; the second row has no customer, so no cell in G.
    rows = [
        dict(zip("ABCDEFGH", COLUMNS, strict=True)),
        dict(
            zip(
                "ABCDEFGH",
                ("536365", SHARED[8], SHARED[9], "6", "40513.3512", "2.55", "17850", SHARED[10]),
                strict=True,
            )
        ),
        {"A": "536366", "B": SHARED[8], "D": "-1", "E": "40514", "F": "0", "H": SHARED[10]},
    ]
    sheet = "".join(
        f'<row r="{n}">{"".join(cell(f"{letter}{n}", value) for letter, value in row.items())}</row>'
        for n, row in enumerate(rows, 1)
    )
    texts = "".join(f"<si><t>{text}</t></si>" for text in SHARED)
    workbook = tmp_path / "Online Retail.xlsx"
    with zipfile.ZipFile(workbook, "w") as parts:
        parts.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}">'
            f'<Relationship Id="rId1" Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        parts.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets>'
            '<sheet name="Online Retail" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        parts.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}">'
            f'<Relationship Id="rId1" Type="{DOCUMENT}/worksheet" Target="worksheets/sheet1.xml"/>'
            f'<Relationship Id="rId2" Type="{DOCUMENT}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        )
        parts.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{texts}</sst>')
        parts.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData></worksheet>'
        )
    path = tmp_path / "online_retail.zip"
    with zipfile.ZipFile(path, "w") as parts:
        parts.write(workbook, workbook.name)
    return path


def test_each_day_of_the_workbook_becomes_a_file(archive: Path, tmp_path: Path) -> None:
    assert fetch_online_retail(archive, tmp_path / "days", None) == 2
    header = ",".join(COLUMNS)
    assert {path.name: gzip.decompress(path.read_bytes()).decode() for path in (tmp_path / "days").iterdir()} == {
        "2010-12-01.csv.gz": f'{header}\n536365,85123A,"WHITE HANGING HEART, T-LIGHT",6,'
        "2010-12-01 08:25:44,2.55,17850,United Kingdom\n",
        "2010-12-02.csv.gz": f"{header}\n536366,85123A,,-1,2010-12-02 00:00:00,0,,United Kingdom\n",
    }


def test_days_that_are_there_are_left_alone(archive: Path, tmp_path: Path) -> None:
    fetch_online_retail(archive, tmp_path / "days", None)
    (tmp_path / "days" / "2010-12-01.csv.gz").unlink()
    assert fetch_online_retail(archive, tmp_path / "days", None) == 1


def test_another_archive_than_the_one_named_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(NightError, match=r"has sha256 [0-9a-f]{64}, not 00"):
        fetch_online_retail(archive, tmp_path / "days", "00")
    assert not (tmp_path / "days").exists()


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr("other.csv", "Invoice,Code\n1,2\n")
    with pytest.raises(NightError, match=r"other\.csv has the columns \('Invoice', 'Code'\)"):
        fetch_online_retail(path, tmp_path / "days", None)


def test_a_cell_reads_as_the_sheet_shows_it() -> None:
    cells = (6.0, 2.55, "85123A", "", datetime(2010, 12, 1, 8, 25, 59, 999_000))
    assert [_cell_text(value) for value in cells] == ["6", "2.55", "85123A", "", "2010-12-01 08:26:00"]
