"""A bounded sample of a file that nobody has described yet: its format, its encoding, and a part that readers can read.

Of a text file the sample holds the beginning and blocks from later on, of a Parquet file first and later rows; it is a
file itself, so that what is seen of it is what ingestion reads.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.raw.reading.json_rows import begins_as_json
from jobs.raw.reading.opened_file import BYTE_ORDER_MARKS, UnreadableFileError, packing_of, unpacked

_FIRST_BYTES, _FIRST_LINES = 1 << 23, 30_000
_LATER_BYTES, _LATER_LINES = 1 << 18, 2_000
_LATER_BLOCKS = 8
_READ_PACKED_BYTES = 1 << 27
"""Of a packed file, which must be read to get to a later block; what lies behind is not looked at."""
_FIRST_ROWS, _LATER_ROWS = 20_000, 2_000
_MAX_WORKBOOK_BYTES = 1 << 28


@dataclass(frozen=True)
class FileSample:
    """A file, and a sample of it.

    Attributes:
        path: of the file.
        sample: of the part that is looked at.
        format: csv, json, parquet or xlsx, told by the bytes.
        packing: gzip, bzip2, Zstandard, LZ4 or zip; empty for a file that is not packed.
        encoding: of a text file, by Python's name; empty for others.
        is_whole: whether the sample is all of the file.
    """

    path: str
    sample: str
    format: str
    packing: str
    encoding: str
    is_whole: bool


def sample_of(path: str, folder: Path) -> FileSample:
    """Writes a sample of the file at `path` into `folder`.

    Raises:
        UnreadableFileError: it is empty, of no format that can be read, or damaged.
    """
    filesystem, local = fs.FileSystem.from_uri(path)
    if filesystem.get_file_info(local).type != fs.FileType.File:
        raise UnreadableFileError("is not there, or is no file.")
    with filesystem.open_input_file(local) as file:
        start = file.read(4)
        size = file.size()
    if start == b"PAR1":
        return _parquet_sample(path, folder)
    if packing_of(start) == "zip" and _is_workbook(path):
        if size > _MAX_WORKBOOK_BYTES:
            raise UnreadableFileError(f"is a workbook of {size:,} bytes; export so many rows as CSV.")
        return FileSample(path, path, "xlsx", "", "", True)
    return _text_sample(path, packing_of(start), folder)


def format_of(path: str) -> str:
    """Tells by its bytes how a file is written: csv, json, parquet or xlsx.

    Raises:
        UnreadableFileError: it is of another format, or damaged.
    """
    filesystem, local = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(local) as file:
        start = file.read(4)
    if start == b"PAR1":
        return "parquet"
    if packing_of(start) == "zip" and _is_workbook(path):
        return "xlsx"
    with unpacked(path) as stream:
        head = _read(stream, 1 << 16)
    return "json" if begins_as_json(head.decode(encoding_of(head), errors="replace")) else "csv"


def encoding_of(data: bytes) -> str:
    """Tells the encoding of a text by its first bytes, which may end within a character.

    Western texts that are not UTF-8 are taken for Windows-1252, which holds all of Latin-1 that exports use.
    """
    marked = next((name for mark, name in BYTE_ORDER_MARKS if data.startswith(mark)), None)
    if marked is not None:
        return "utf-8" if marked == "utf-8-sig" else marked
    zeros = data[:4096].count(0)
    if zeros * 5 > len(data[:4096]):
        return "utf-16-le" if data[1:4096:2].count(0) >= data[:4096:2].count(0) else "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as err:
        if err.end < len(data) - 3 or err.reason != "unexpected end of data":
            return _other_encoding(data)
    return "utf-8"


def _other_encoding(data: bytes) -> str:
    high = [byte > 0x7F for byte in data[: 1 << 16]]
    pairs = sum(is_high and (high[place - 1] or high[place + 1]) for place, is_high in enumerate(high[:-1]))
    # Letters with an accent stand among others; Chinese characters are pairs of such bytes.
    if pairs > 0.9 * sum(high) and _decodes(data, "gb18030"):
        return "gb18030"
    return "windows-1252" if _decodes(data, "windows-1252") else "latin-1"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data[: len(data) // 2 * 2].decode(encoding)
    except UnicodeDecodeError as err:
        return err.end >= len(data) - 4
    return True


def _is_workbook(path: str) -> bool:
    filesystem, local = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(local) as file:
        try:
            return "[Content_Types].xml" in zipfile.ZipFile(file).namelist()
        except zipfile.BadZipFile as err:
            raise UnreadableFileError(f"is a torn zip archive ({err}). Drop it again, whole.") from err


def _text_sample(path: str, packing: str, folder: Path) -> FileSample:
    with unpacked(path) as stream:
        data = _read(stream, _FIRST_BYTES)
        is_whole = not stream.read(1)
        if not data.strip():
            raise UnreadableFileError("is empty: there is nothing to look at.")
        first = data if is_whole else _whole_lines(data)
        encoding = encoding_of(first)
        # Blocks begin behind a line feed, which is one byte only in these; the objects of an array have no lines.
        has_lines = not encoding.startswith("utf-16") and not first.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"[")
        if has_lines:
            first = _lines_of(first, _FIRST_LINES)
            later = _later_blocks(io.BytesIO(data) if is_whole else stream, len(first), bool(packing) and not is_whole)
            sampled = first + b"".join(later)
        else:
            sampled = first
    is_whole = is_whole and len(sampled) == len(data)
    sample = folder / "sample"
    sample.write_bytes(sampled)
    encoding = encoding_of(sampled)
    text = first[: 1 << 20].decode(encoding, errors="replace")
    return FileSample(path, str(sample), "json" if begins_as_json(text) else "csv", packing, encoding, is_whole)


def _read(stream: IO[bytes], size: int) -> bytes:
    """Reads so many bytes, or all; a packed stream may give fewer at a time."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _whole_lines(data: bytes) -> bytes:
    end = max(data.rfind(b"\n"), data.rfind(b"\r"))
    return data[: end + 1] if end >= 0 else data


def _lines_of(data: bytes, most: int) -> bytes:
    """The first lines of a block, with what ends them."""
    end = b"\n" if b"\n" in data else b"\r"
    parts = data.split(end, most)
    return data if len(parts) <= most else data[: len(data) - len(parts[-1])]


def _later_blocks(stream: IO[bytes], begin: int, is_packed: bool) -> Iterator[bytes]:
    """Blocks of whole lines from evenly spread places behind the beginning, and from the end."""
    if is_packed:
        passed = _FIRST_BYTES
        while passed < _READ_PACKED_BYTES and (data := _read(stream, _READ_PACKED_BYTES // _LATER_BLOCKS)):
            passed += len(data)
            yield _lines_of(_inner_lines(data[-_LATER_BYTES:]), _LATER_LINES)
        return
    size = stream.seek(0, io.SEEK_END) or stream.tell()
    for number in range(1, _LATER_BLOCKS + 1):
        place = max(begin, size * number // _LATER_BLOCKS - _LATER_BYTES)
        if place >= size:
            return
        stream.seek(place)
        data = _read(stream, min(_LATER_BYTES, size - place))
        lines = _inner_lines(data if place + len(data) < size or data.endswith((b"\n", b"\r")) else data + b"\n")
        begin = place + len(data)
        # Of the last block the end, which tells the last day.
        yield (
            _lines_of(lines, _LATER_LINES)
            if number < _LATER_BLOCKS
            else lines[-(_LATER_BYTES // 4) :].partition(b"\n")[2]
        )


def _inner_lines(data: bytes) -> bytes:
    """The lines of a block that have both of their ends in it."""
    whole = _whole_lines(data)
    start = min((place for place in (whole.find(b"\n"), whole.find(b"\r")) if place >= 0), default=-1)
    return whole[start + 1 :].lstrip(b"\r\n") if start >= 0 else b""


def _parquet_sample(path: str, folder: Path) -> FileSample:
    filesystem, local = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(local) as stream:
        try:
            file = pq.ParquetFile(stream)
            num_rows, num_groups = file.metadata.num_rows, file.metadata.num_row_groups
            if num_rows <= 2 * _FIRST_ROWS or num_groups == 1:
                return FileSample(path, path, "parquet", "", "", num_rows <= 2 * _FIRST_ROWS)
            first = next(file.iter_batches(batch_size=_FIRST_ROWS), None)
            tables = [pa.Table.from_batches([first])] if first is not None else []
            for number in range(1, _LATER_BLOCKS + 1):
                group = max(1, num_groups * number // _LATER_BLOCKS - 1)
                rows = next(file.iter_batches(batch_size=_LATER_ROWS, row_groups=[group]), None)
                tables += [pa.Table.from_batches([rows])] if rows is not None else []
        except (pa.ArrowException, OSError, ValueError) as err:
            reason = " ".join(str(err).split())
            raise UnreadableFileError(f"cannot be read as parquet: {reason[:300]}. Drop it again, whole.") from err
    sample = folder / "sample.parquet"
    pq.write_table(pa.concat_tables(tables), sample)
    return FileSample(path, str(sample), "parquet", "", "", False)
