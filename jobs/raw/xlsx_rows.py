"""Reads the first sheet of an .xlsx workbook row by row, with the standard library and little memory.

A workbook is a zip of XML files: texts stand once in `sharedStrings.xml`, and cells refer to them by place.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

_NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def xlsx_rows(workbook: IO[bytes]) -> Iterator[list[str]]:
    """Rows of `xl/worksheets/sheet1.xml` as texts; a cell that is not there is an empty text.

    Dates come as the workbook holds them: days since 1899-12-30, with the time as a fraction.
    """
    with zipfile.ZipFile(workbook) as parts:
        texts = _shared_texts(parts)
        with parts.open("xl/worksheets/sheet1.xml") as sheet:
            for row in _elements(sheet, "row"):
                yield _row_texts(row, texts)


def _elements(xml: IO[bytes], tag: str) -> Iterator[ElementTree.Element]:
    """Elements as they end; each is emptied afterwards, and so are its parents."""
    root = None
    for event, element in ElementTree.iterparse(xml, events=("start", "end")):
        root = element if root is None else root
        if event == "end" and element.tag == f"{_NAMESPACE}{tag}":
            yield element
            element.clear()
            root.clear()


def _shared_texts(parts: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in parts.namelist():
        return []
    with parts.open("xl/sharedStrings.xml") as xml:
        return [_text(element) for element in _elements(xml, "si")]


def _row_texts(row: ElementTree.Element, shared: list[str]) -> list[str]:
    values: list[str] = []
    for cell in row.iter(f"{_NAMESPACE}c"):
        place = _column_place(cell.get("r", "")) if cell.get("r") else len(values)
        values.extend([""] * (place - len(values)))
        value = cell.find(f"{_NAMESPACE}v")
        text = _text(cell) if value is None else value.text or ""
        values.append(shared[int(text)] if cell.get("t") == "s" else text)
    return values


def _text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{_NAMESPACE}t"))


def _column_place(reference: str) -> int:
    """`A1` is in column 0, `AB7` in column 27."""
    place = 0
    for letter in re.match(r"[A-Z]*", reference)[0]:  # type: ignore[index]
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1
