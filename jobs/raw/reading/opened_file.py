"""The bytes and the text of a raw file: unpacked by what they are, not by the file's name, decoded, in whole lines."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import pyarrow as pa
from pyarrow import fs

BLOCK_CHARACTERS = 1 << 22
"""Read at a time, so that memory does not depend on the file's size."""
_MAX_LINE_CHARACTERS = 1 << 26
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""First bytes of a text -> its encoding, by Python's name."""
_GZIP, _BZIP2, _ZSTANDARD, _LZ4, _ZIP = b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"PK\x03\x04"
_PACKINGS = ((_GZIP, "gzip"), (_BZIP2, "bzip2"), (_ZSTANDARD, "Zstandard"), (_LZ4, "LZ4"), (_ZIP, "zip"))
_OTHERS = {b"PAR1": "a Parquet file", b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)", b"Obj\x01": "an Avro file"}


class UnreadableFileError(Exception):
    """A raw file cannot be read. The text says why and what to do, and follows the file's path."""


@contextmanager
def unpacked(path: str) -> Iterator[IO[bytes]]:
    """Opens the file's content, unpacked: gzip, bzip2, Zstandard, LZ4, or a zip archive of one file.

    Raises:
        UnreadableFileError: the archive holds no file or several, or the packing is damaged.
    """
    filesystem, local = fs.FileSystem.from_uri(path)
    with filesystem.open_input_file(local) as file:
        start = file.read(4)
        file.seek(0)
        try:
            yield _unpacked(file, start)
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as err:
            raise UnreadableFileError(
                f"is torn: its packing ends early or is damaged ({err}). Drop it again, whole."
            ) from err
        except OSError as err:
            if start.startswith((_BZIP2, _ZSTANDARD, _LZ4)):
                raise UnreadableFileError(f"is torn: its packing is damaged ({err}). Drop it again, whole.") from err
            raise


def packing_of(start: bytes) -> str:
    """Tells by a file's first bytes how it is packed; empty for one that is not."""
    return next((name for mark, name in _PACKINGS if start.startswith(mark)), "")


def _unpacked(file: Any, start: bytes) -> IO[bytes]:
    if start.startswith(_GZIP):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if start.startswith(_BZIP2):
        return bz2.BZ2File(file)
    if start.startswith((_ZSTANDARD, _LZ4)):
        name = "zstd" if start.startswith(_ZSTANDARD) else "lz4"
        return pa.CompressedInputStream(file, name)  # type: ignore[no-any-return]
    if start.startswith(_ZIP):
        return _only_member(zipfile.ZipFile(file))
    if start in _OTHERS:
        raise UnreadableFileError(
            f"is {_OTHERS[start]}, not text. Say `format` as the file is, or export it as CSV, JSON lines or Parquet."
        )
    return file  # type: ignore[no-any-return]


def _only_member(archive: zipfile.ZipFile) -> IO[bytes]:
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if "[Content_Types].xml" in names:
        raise UnreadableFileError('is an Excel workbook. Say format = "xlsx".')
    # Finder puts a twin of every file there.
    names = [name for name in names if not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise UnreadableFileError(
            f"is a zip archive of {len(names)} files; one is needed. Unpack it. Found: {names[:5]}"
        )
    return archive.open(names[0])


def text_blocks(stream: IO[bytes], encoding: str) -> Iterator[str]:
    """Reads text in blocks of whole lines that end in a line feed, however the file ends its lines.

    Args:
        encoding: Python's name of it; a byte order mark tells better.

    Raises:
        UnreadableFileError: some byte is not of the encoding; names the line. Or a line has no end.
    """
    start = stream.read(4)
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if start.startswith(mark)), encoding)
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("strict"), translate=True)
    rest, lines = "", 0
    data = start + stream.read(BLOCK_CHARACTERS)
    try:
        while data:
            text = rest + decoder.decode(data)
            whole, _, rest = text.rpartition("\n")
            if len(rest) > _MAX_LINE_CHARACTERS:
                raise UnreadableFileError(
                    f"has no end of line within {_MAX_LINE_CHARACTERS:,} characters after line {lines}."
                )
            if whole or text.startswith("\n"):
                lines += whole.count("\n") + 1
                yield whole + "\n"
            data = stream.read(BLOCK_CHARACTERS)
        rest += decoder.decode(b"", final=True)
    except UnicodeDecodeError as err:
        around = bytes(err.object[max(0, err.start - 20) : err.end + 5])
        raise UnreadableFileError(
            f"is not {encoding} in line {lines + 1 + _line_ends(err)} (bytes {around!r}). "
            'Say its encoding, such as encoding = "windows-1252" or "utf-16".'
        ) from err
    if rest:
        yield rest + "\n"


def _line_ends(err: UnicodeDecodeError) -> int:
    """Lines that end in the block before the byte that cannot be decoded."""
    before = bytes(err.object[: err.start])
    return max(before.count(b"\n"), before.count(b"\r"))
