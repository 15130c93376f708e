"""Workbooks: the first sheet, below the row that names the mapped columns."""

from __future__ import annotations

import zipfile
from datetime import datetime, timezone
from pathlib import Path

from expectations.shop.raw_files import RawFile
from tests.worlds.read_raw_file import MAPPING, problem_of, rows_read

_SHEET = """<?xml version="1.0" encoding="UTF-8"?>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>"""
_PARTS = {
    "[Content_Types].xml": """<?xml version="1.0" encoding="UTF-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
<Override PartName="/xl/worksheets/sheet1.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>
<Override PartName="/xl/styles.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/></Types>""",
    "_rels/.rels": """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>
</Relationships>""",
    "xl/workbook.xml": """<?xml version="1.0" encoding="UTF-8"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"
 xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">
<sheets><sheet name="Orders" sheetId="1" r:id="rId1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": """<?xml version="1.0" encoding="UTF-8"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1"
 Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>
<Relationship Id="rId2" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles"
 Target="styles.xml"/></Relationships>""",
    "xl/styles.xml": """<?xml version="1.0" encoding="UTF-8"?>
<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/>
<xf numFmtId="22" applyNumberFormat="1"/></cellXfs></styleSheet>""",
}


def workbook(path: Path, *rows: list[object]) -> Path:
    """Writes a workbook of one sheet. A float beside `True` in a tuple is a day and time as Excel counts them."""

    def cell(place: str, value: object) -> str:
        if isinstance(value, tuple):
            return f'<c r="{place}" s="1"><v>{value[0]}</v></c>'
        if isinstance(value, str):
            return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'
        return f'<c r="{place}"><v>{value}</v></c>'

    text = "".join(
        f'<row r="{number}">'
        + "".join(cell(f"{chr(65 + at)}{number}", value) for at, value in enumerate(row) if value is not None)
        + "</row>"
        for number, row in enumerate(rows, 1)
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in {**_PARTS, "xl/worksheets/sheet1.xml": _SHEET.format(rows=text)}.items():
            archive.writestr(name, part)
    return path


def test_a_workbook_is_read_below_its_header_with_its_own_types(tmp_path: Path) -> None:
    ten = (45360 + 10 / 24, True)
    path = workbook(
        tmp_path / "e.xlsx",
        ["Orders of March"],
        ["time", "customer", "article", "price"],
        [ten, 17850123, "00815", 9.5],
        [ten, "bob", "rug", None],
    )
    rows = rows_read(path, RawFile("{ds}", "xlsx", MAPPING.columns, timezone="Europe/Berlin"))
    assert [(row["line"], row["customer"], row["article"], row["price"], row["moment"]) for row in rows] == [
        (3, "17850123", "00815", "9.5", datetime(2024, 3, 9, 9, tzinfo=timezone.utc)),
        (4, "bob", "rug", None, datetime(2024, 3, 9, 9, tzinfo=timezone.utc)),
    ]


def test_a_workbook_taken_for_text_and_a_text_taken_for_a_workbook_are_named(tmp_path: Path) -> None:
    path = workbook(tmp_path / "e.csv", ["time"])
    assert 'is an Excel workbook. Say format = "xlsx"' in problem_of(path)
    path.write_text("time,customer\n1,2\n")
    assert "cannot be read as a workbook" in problem_of(path, MAPPING, format="xlsx")
    other = workbook(path, ["day", "customer"], [1, 2])
    assert "no column 'article', 'price', 'time'" in problem_of(other, MAPPING, format="xlsx")
