"""Texts of values that a file holds with a type: those of a Parquet file, or of a workbook."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_EXACT_BELOW = {pa.float16(): 2**11, pa.float32(): 2**24, pa.float64(): 2**53}
"""Below these, each whole number is a floating-point number of its own."""


def texts_of(values: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Returns the texts of a column, and which of them are no text, number or yes-or-no; None where all are.

    A whole number is written without a point or an exponent as long as it is exact, since a table of floats made it of
    one; beyond, it keeps its exponent, by which the rules of ids know it. What is no number (NaN) is nothing.
    """
    of = values.type
    if isinstance(of, pa.BaseExtensionType):
        if of.extension_name == "arrow.uuid":
            return _from_python(values.storage, lambda value: str(uuid.UUID(bytes=value))), None
        return texts_of(values.storage)
    if pa.types.is_dictionary(of):
        return texts_of(values.dictionary_decode())
    if pa.types.is_floating(of):
        return _texts_of_floats(values), None
    if pa.types.is_decimal(of):
        return pc.replace_substring_regex(values.cast(pa.string()), r"\.0+$", ""), None
    if pa.types.is_fixed_size_binary(of):
        return _from_python(values, bytes.hex), None
    if pa.types.is_binary(of) or pa.types.is_large_binary(of) or pa.types.is_binary_view(of):
        return _texts_of_bytes(values)
    if pa.types.is_nested(of):
        return _from_python(values, _json), values.is_valid()
    if pa.types.is_timestamp(of):
        return pc.strftime(values.cast(pa.timestamp("s", of.tz), safe=False), "%Y-%m-%d %H:%M:%S"), None
    try:
        return values.cast(pa.string()), None
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return _from_python(values, str), None


def moments_of(values: pa.Array, timezone: str, is_instant: bool = False) -> pa.Array | None:
    """Returns times as moments in UTC; None for a column that holds no times.

    Args:
        timezone: of times and dates that have none; the first of an hour that comes twice is meant.
        is_instant: whether times without a zone count from 1970 in UTC all the same, as INT96 does.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        return None
    has_zone = pa.types.is_timestamp(values.type) and values.type.tz is not None
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s")) if pa.types.is_date32(values.type) else values.cast(pa.timestamp("ms"))
    moment = pa.timestamp("us", "UTC")
    if has_zone:
        return values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(moment)
    local = values.cast(pa.timestamp("us"), safe=False)
    return pc.assume_timezone(
        local, "UTC" if is_instant else timezone, ambiguous="earliest", nonexistent="latest"
    ).cast(moment)


def plain_value(value: Any) -> Any:
    """Returns a value inside an object or a list as JSON holds it, with numbers as `texts_of` writes them."""
    if isinstance(value, Mapping):
        return {name: plain_value(of) for name, of in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(of) for of in value]
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, Decimal):
        return str(int(value)) if value == value.to_integral_value() else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date):
        return str(value)
    return value


def _json(value: Any) -> str:
    return json.dumps(plain_value(value), ensure_ascii=False, default=str)


def _from_python(values: pa.Array, text: Any) -> pa.Array:
    return pa.array([None if value is None else text(value) for value in values.to_pylist()], pa.string())


def _texts_of_floats(values: pa.Array) -> pa.Array:
    bound = _EXACT_BELOW[values.type]
    if values.type == pa.float16():
        values = values.cast(pa.float32())
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    is_whole, is_exact = pc.equal(pc.floor(values), values), pc.less(pc.abs(values), bound)
    nothing = pa.scalar(None, values.type)
    whole = pc.if_else(pc.and_(is_whole, is_exact), values, nothing).cast(pa.int64()).cast(pa.string())
    # Arrow writes most of these as if they were exact.
    inexact = pc.if_else(pc.and_(is_whole, pc.invert(is_exact)), values, nothing)
    if inexact.null_count < len(values):
        whole = pc.coalesce(whole, _from_python(inexact, "{:.9e}".format))
    return pc.coalesce(whole, values.cast(pa.string()))


def _texts_of_bytes(values: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Older writers hold texts as bytes. Bytes that are no text are written as digits, and marked."""
    try:
        return values.cast(pa.binary()).cast(pa.string()), None
    except pa.ArrowInvalid:
        texts, is_other = [], []
        for value in values.to_pylist():
            try:
                texts.append(None if value is None else value.decode())
                is_other.append(False)
            except UnicodeDecodeError:
                texts.append(value.hex())
                is_other.append(True)
        return pa.array(texts, pa.string()), pa.array(is_other)
