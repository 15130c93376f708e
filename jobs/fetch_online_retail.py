"""Downloads UCI Online Retail and writes one CSV a day, as the shop file `online_retail` reads them.

Writes `{data}/online_retail/YYYY-MM-DD.csv.gz`; days that are there are left alone. The data are by D. Chen (2015),
UCI Machine Learning Repository, https://doi.org/10.24432/C5BW33, under CC BY 4.0. The download's SHA-256 is printed;
pass it with `--sha256` the next time, so that another file is refused.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import logging
import os
import shutil
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from python_calamine import CalamineError, CalamineWorkbook

from expectations.runtime.days import SECONDS_PER_DAY
from expectations.runtime.program import run_program
from expectations.tables import NightError

logger = logging.getLogger(__name__)

SOURCE = "https://archive.ics.uci.edu/static/public/352/online+retail.zip"
COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")
_DATE_PLACE = COLUMNS.index("InvoiceDate")
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


def fetch_online_retail(archive: Path, folder: Path, sha256: str | None) -> int:
    """Writes the days of a downloaded archive into `folder`. Returns how many were written.

    Raises:
        NightError: the archive is not the one that `sha256` names, or does not hold what it should.
    """
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if sha256 is not None and found != sha256:
        raise NightError(f"{archive} has sha256 {found}, not {sha256}. Download it again, or correct --sha256.")
    logger.info("archive: path=%s sha256=%s checked=%s", archive, found, sha256 is not None)
    return write_days(raw_lines(archive), folder)


def raw_lines(archive: Path) -> Iterator[list[str]]:
    """Returns the rows of the workbook, or of the CSV file, in the archive; times as text, without the header."""
    with zipfile.ZipFile(archive) as parts:
        names = [name for name in parts.namelist() if name.lower().endswith((".xlsx", ".csv"))]
        if not names:
            raise NightError(f"{archive} holds no .xlsx and no .csv file. Found: {parts.namelist()}")
        with parts.open(names[0]) as file:
            is_workbook = names[0].lower().endswith(".xlsx")
            rows = _workbook_rows(file) if is_workbook else csv.reader(io.TextIOWrapper(file, "utf-8-sig", newline=""))
            header = tuple(next(iter(rows), ()))
            if header != COLUMNS:
                raise NightError(f"{archive}: {names[0]} has the columns {header}, not {COLUMNS}.")
            for row in rows:
                padded = [*row, *[""] * (len(COLUMNS) - len(row))]
                yield [*padded[:_DATE_PLACE], _time_text(padded[_DATE_PLACE]), *padded[_DATE_PLACE + 1 :]]


def _workbook_rows(file: IO[bytes]) -> Iterator[list[str]]:
    """Returns the rows of a workbook's first sheet as texts; a cell that is not there is an empty text.

    Raises:
        NightError: the file is no workbook.
    """
    try:
        sheet = CalamineWorkbook.from_filelike(file).get_sheet_by_index(0)
    except CalamineError as err:
        raise NightError(f"{file.name} cannot be read as a workbook: {err}. Download it again.") from err
    for row in sheet.iter_rows():
        yield [_cell_text(value) for value in row]


def _cell_text(value: Any) -> str:
    """Returns a number without a fraction as a whole one, a moment to the second, all else as it reads."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return (value + timedelta(milliseconds=500)).strftime(_TIME_FORMAT)
    return str(value)


def write_days(rows: Iterable[Sequence[str]], folder: Path) -> int:
    """Writes each day's rows, in the order in which they come, to a file of its own, whole or not at all."""
    days: dict[str, list[list[str]]] = {}
    for row in rows:
        one_line = [" ".join(text.splitlines()) for text in row]
        days.setdefault(row[_DATE_PLACE][:10], []).append(one_line)
    folder.mkdir(parents=True, exist_ok=True)
    missing = {ds: lines for ds, lines in sorted(days.items()) if not (folder / f"{ds}.csv.gz").exists()}
    for ds, lines in missing.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *lines])
        unfinished = folder / f".{ds}.csv.gz.tmp"
        unfinished.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
        unfinished.rename(folder / f"{ds}.csv.gz")
    logger.info("wrote days: folder=%s written=%d already_there=%d", folder, len(missing), len(days) - len(missing))
    return len(missing)


def _time_text(text: str) -> str:
    """Returns a workbook's days since 1899-12-30 as `YYYY-MM-DD HH:MM:SS`, to the second; text stays as it is."""
    try:
        days = float(text)
    except ValueError:
        return text
    return (datetime(1899, 12, 30) + timedelta(seconds=round(days * SECONDS_PER_DAY))).strftime(_TIME_FORMAT)


def _download(target: Path) -> None:
    logger.info("downloading: %s", SOURCE)
    try:
        with urllib.request.urlopen(SOURCE, timeout=60) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except OSError as err:
        raise NightError(f"{SOURCE} cannot be read: {err}. Download it by other means and pass it with --zip.") from err


def main(argv: Sequence[str] | None = None) -> None:
    """Fetches the archive, unless `--zip` names one, and writes its days."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    data = os.environ.get("NIGHTJAR_DATA", "../shared/data")
    parser.add_argument("--data", default=data, help="folder that gets `online_retail/` (NIGHTJAR_DATA)")
    parser.add_argument("--zip", help="an archive that was downloaded already")
    parser.add_argument("--sha256", help="what the archive must hash to")
    arguments = parser.parse_args(argv)
    folder = Path(arguments.data) / "online_retail"
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(arguments.zip) if arguments.zip else Path(scratch) / "online_retail.zip"
        if not arguments.zip:
            _download(archive)
        fetch_online_retail(archive, folder, arguments.sha256)


if __name__ == "__main__":
    run_program(main)
