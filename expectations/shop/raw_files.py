"""What a shop file says of its raw files: where they lie, what columns mean, what is no event."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

from expectations.shop.bounds import Bounded, PositiveAmount, one_of
from expectations.shop.raw_file_rules import (
    is_of_a_day,
    require_encoding,
    require_path,
    require_regex,
    require_time_format,
    require_timezone,
)
from expectations.shop.table_source import TABLE_FORMATS, TableSource, require_no_secret, require_table_source
from expectations.tables import EVENT_TYPES, EVENTS

IDS = ("user_id", "item_id", "session_id", "item_group_id")
"""Columns of the contract whose texts name something: two ways to write one name are one."""

NULL_WORDS = ("NULL", "null", "None", "nan", "NaN", "\\N", "(not set)", "undefined", "N/A", "n/a", "#N/A", "<NA>")
"""What exporters write for nothing: databases, pandas, JavaScript, Excel and Google Analytics."""


@dataclass(frozen=True)
class RejectRule:
    """Rows of a raw file that do not become events, by the value of one raw column.

    Exactly one condition is set. Text that is not a number fails `at_most` and `below` only if it is a number.

    Attributes:
        reason: noted beside each such row in `quarantine`.
        column: the raw column that is looked at.
        is_null: true refuses rows that have no value; false, rows that have one.
        matches: a regular expression that refused values match.
        not_matches: a regular expression that refused values do not match.
        at_most: numbers up to this one are refused.
        below: numbers below this one are refused.
        one_of: these values are refused.
    """

    reason: str
    column: str
    is_null: bool | None = None
    matches: str | None = None
    not_matches: str | None = None
    at_most: float | None = None
    below: float | None = None
    one_of: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        conditions = [f.name for f in fields(self)[2:] if getattr(self, f.name) is not None]
        if len(conditions) != 1:
            raise ValueError(f"rule {self.reason!r} needs exactly one condition. Received: {conditions}")
        for pattern in (self.matches, self.not_matches):
            if pattern is not None:
                require_regex(pattern)


@dataclass(frozen=True)
class CsvDialect:
    """How a CSV file is written, as far as its beginning does not tell.

    Attributes:
        delimiter: between cells, one character or several. Empty: a comma, semicolon, tab or bar, by which the mapped
            columns appear in the header.
        quote: around cells that hold a delimiter or a line end. Empty: quotes are characters as others are.
        escape: before a quote within quotes. Empty: quotes are doubled there, or stand behind a backslash where only
            so the first rows have as many cells as the header.
        column_names: of a file without a header, in their order.
        skip_lines: so many first lines are neither header nor rows.
        comment: lines that begin so are no rows.
    """

    delimiter: str = ""
    quote: str = '"'
    escape: str = ""
    column_names: tuple[str, ...] = ()
    skip_lines: int = 0
    comment: str = ""

    def __post_init__(self) -> None:
        for name in ("quote", "escape"):
            if len(getattr(self, name)) > 1:
                raise ValueError(f"`{name}` is one character, or empty. Received: {getattr(self, name)!r}")
        repeated = sorted({name for name in self.column_names if self.column_names.count(name) > 1})
        if repeated:
            raise ValueError(f"`column_names` must differ. Twice: {repeated}")


@dataclass(frozen=True)
class FillDown:
    """Cells that only the first of several rows holds, as order exports have it.

    Attributes:
        key: the raw column that such rows share, such as the number of an order.
        columns: raw columns whose empty cells take the last value above them that stands beside the same key.
    """

    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class JoinedFile(Bounded):
    """A file that completes the rows of another one, such as the orders that belong to the lines of orders.

    Its columns are read by `<name of the join>.<column>`, wherever a raw column may stand.

    Attributes:
        path: where it lies, as that of `RawFile`. Without `{ds}` it is one file that stands for all days: every day
            that is taken in reads it as it is then.
        key: its column by which a row is found; no two rows may have the same.
        of: the column of the rows that are completed, or of a join before this one, that holds the key; empty where it
            has the same name.
        format, encoding, csv, null_words: as those of `RawFile`.
    """

    path: str
    key: str
    of: str = ""
    format: Annotated[str, one_of("csv", "json", "parquet", "xlsx"), "must be csv, json, parquet or xlsx"] = "csv"
    encoding: str = "utf-8"
    csv: CsvDialect = CsvDialect()
    null_words: tuple[str, ...] = NULL_WORDS

    def __post_init__(self) -> None:
        super().__post_init__()
        require_path(self.path)
        require_encoding(self.encoding)

    @property
    def is_standing(self) -> bool:
        """Whether it is one file that stands for all days."""
        return not is_of_a_day(self.path)

    @property
    def source(self) -> str:
        """The column that holds the key in the rows that are completed."""
        return self.of or self.key


@dataclass(frozen=True)
class RawFile(Bounded):
    """A kind of file in the drop of a day.

    Attributes:
        path: where the file of a day lies, or a folder of its parts, or the files of a day by a wildcard (`*`). `{ds}`
            stands for the day, `{ds:%Y%m%d}` for one that is written so, `{data}` for `NIGHTJAR_DATA`, `{root}` for
            `NIGHTJAR_ROOT`; a relative path starts at the shop file's folder. A file of items or users without
            `{ds}` stands for all days: it goes with the first drop and with the newest one. Of a Delta table it is the
            folder, of a DuckDB file the file.
        format: how the file is written: csv, json, parquet or xlsx (the first sheet of a workbook). Packed files
            (gzip, bzip2, Zstandard, LZ4, a zip archive of one file) are known by their bytes. Or what rows come from
            in place of files: delta, iceberg, postgres or duckdb.
        encoding: of text files, by Python's name; a byte order mark tells better.
        csv: how a CSV file is written, where its beginning does not tell.
        table: where the rows of a day are, of a source that is a table.
        columns: contract column -> raw column, or a path into the objects and lists of JSON and Parquet, such as
            `items[].item_id` for one row an element; see `jobs.raw.reading.nested_values`.
        fallback_columns: contract column -> raw columns that are looked at, in turn, where the mapped one is empty.
        time_of_day: the raw column that holds the time of the day, where `event_time` is mapped to that of the date;
            `time_format` is that of both with a blank between.
        fill_down: cells that only the first row of an order or a product holds.
        constants: contract column -> the same text in every row.
        null_words: texts that stand for nothing.
        event_types: raw word -> one of EVENT_TYPES; empty when the raw column already holds these.
        other_event_types: what an event with another word is: `reject`, a row that breaks the contract; or `ignore`,
            an event that the shop has no use for.
        missing_user: what an event without a user is: `reject`, a row that breaks the contract; or `ignore`, that of a
            guest, which is nobody's history.
        time_format: how times are written, in Spark's datetime pattern; or one of UNIX_TIMES. A column of Parquet
            or of a workbook that holds times needs none.
        timezone: the zone that raw times are in.
        decimal: what stands between the whole and the rest of a number: `point`, `comma`, or `auto` where each number
            tells by itself.
        money_scale: a raw price is so many times the price: 100 where prices are in cents.
        price_is: of one `unit`, or of the whole `line` of an order, which the quantity divides.
        rows_are: `events`, or `units`: rows that agree in all mapped columns are one event of as many pieces.
        separator: between the parts of a category path or a list of interests.
        paths_separator: between several category paths in one cell, of which the deepest counts, and of equally deep
            ones the first. Empty: a comma, where what stands between commas begins with the same level each time.
        is_available_words: raw word -> whether such an item may be sold; other words mean what they mean by themselves.
        currency_column: the raw column that holds the currency of each price.
        rates: word of `currency_column` -> what a price in it is multiplied by, to be one in the shop's currency. A
            price in a currency without a rate is unknown.
        duplicate_key: contract columns of the events file; two rows of a day that agree in all of them are one event.
            Empty means every column of the contract that the shop maps.
        image_folder: where relative picture paths of the items file start; may hold `{data}`, `{root}` and `{ds}`.
        join: name -> a file that completes the rows of this one by a key; in the order in which they are joined.
    """

    path: str = ""
    format: Annotated[
        str,
        one_of("csv", "json", "parquet", "xlsx", *TABLE_FORMATS),
        "must be csv, json, parquet, xlsx, delta, iceberg, postgres or duckdb",
    ] = "csv"
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    event_types: dict[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    csv: CsvDialect = CsvDialect()
    table: TableSource | None = None
    fallback_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    time_of_day: str = ""
    fill_down: FillDown | None = None
    null_words: tuple[str, ...] = NULL_WORDS
    other_event_types: Annotated[str, one_of("reject", "ignore"), "must be reject or ignore"] = "reject"
    time_format: str = "yyyy-MM-dd HH:mm:ss"
    timezone: str = "UTC"
    decimal: Annotated[str, one_of("auto", "point", "comma"), "must be auto, point or comma"] = "auto"
    money_scale: PositiveAmount = 1.0
    missing_user: Annotated[str, one_of("reject", "ignore"), "must be reject or ignore"] = "reject"
    price_is: Annotated[str, one_of("unit", "line"), "must be unit or line"] = "unit"
    rows_are: Annotated[str, one_of("events", "units"), "must be events or units"] = "events"
    separator: str = ">"
    paths_separator: str = ""
    is_available_words: dict[str, bool] = field(default_factory=dict)
    currency_column: str = ""
    rates: dict[str, PositiveAmount] = field(default_factory=dict)
    duplicate_key: tuple[str, ...] = ()
    image_folder: str = "{root}"
    reject: tuple[RejectRule, ...] = ()
    join: dict[str, JoinedFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_no_secret("path", self.path)
        require_table_source(self.format, self.path, self.table)
        if self.format not in TABLE_FORMATS:
            require_path(self.path)
        for name in self.join:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(
                    f"the name of a join is letters, digits and _, as in [events.join.orders]. Received: {name!r}"
                )
        require_encoding(self.encoding)
        require_timezone(self.timezone)
        require_time_format(self.time_format)
        both = set(self.columns) & set(self.constants)
        if both:
            raise ValueError(f"{sorted(both)} stand in `columns` and in `constants`; keep one")
        foreign = set(self.event_types.values()) - set(EVENT_TYPES)
        if foreign:
            raise ValueError(f"`event_types` must lead to {', '.join(EVENT_TYPES)}. Received: {sorted(foreign)}")
        if self.paths_separator and self.paths_separator == self.separator:
            raise ValueError(
                f"`paths_separator` stands between paths, `separator` within one; they must differ. "
                f"Received: {self.separator!r} for both"
            )
        if bool(self.currency_column) != bool(self.rates):
            raise ValueError(
                "`currency_column` and `rates` need each other: the column of currencies, and what a price in each is "
                f"multiplied by, such as {{EUR = 1.0, USD = 0.92}}. "
                f"Received: currency_column={self.currency_column!r}, rates={self.rates}"
            )
        self._require_words_that_can_be_met()

    def _require_words_that_can_be_met(self) -> None:
        for name, words in (("is_available_words", self.is_available_words), ("rates", self.rates)):
            unmet = sorted(word for word in words if word != word.strip() or word in {"", *self.null_words})
            if unmet:
                raise ValueError(
                    f"`{name}` names {unmet}, which no cell holds: cells are read without blanks around them, and "
                    "those of `null_words` are empty"
                )

    def sources_of(self, column: str) -> tuple[str, ...]:
        """The raw columns that a column of the contract is read from: the mapped one, then those behind it."""
        mapped = (self.columns[column],) if column in self.columns else ()
        return (*mapped, *self.fallback_columns.get(column, ()))

    @property
    def is_standing(self) -> bool:
        """Whether it is one file that stands for all days."""
        return self.table is None and not is_of_a_day(self.path)

    @property
    def event_key(self) -> tuple[str, ...]:
        """Of a file of events, the contract's columns in which two rows of a day must agree to be one event."""
        return self.duplicate_key or tuple(column for column in EVENTS.column_names if column in self.columns)

    @property
    def raw_columns(self) -> tuple[str, ...]:
        """Every raw column that is named, in order of the alphabet; those of joins with the name of the join."""
        others = [name for names in self.fallback_columns.values() for name in names]
        others += [joined.source for joined in self.join.values()]
        others += [name for name in (self.time_of_day, self.currency_column) if name]
        if self.fill_down:
            others += [self.fill_down.key, *self.fill_down.columns]
        return tuple(sorted({*self.columns.values(), *(rule.column for rule in self.reject), *others}))

    def settings_of_rows(self) -> dict[str, Any]:
        """Every setting but where the rows lie: what the rows become depends on these."""
        joins = {name: {**joined, "path": ""} for name, joined in asdict(self)["join"].items()}
        return {**asdict(self), "path": "", "table": None, "join": joins}

    def is_joined(self, column: str) -> bool:
        """Whether a raw column is one of a joined file."""
        return any(column.startswith(f"{name}.") for name in self.join)

    @property
    def id_columns(self) -> frozenset[str]:
        """The raw columns whose texts name something: those of ids, and those by which files are joined."""
        ids = {name for of in IDS for name in self.sources_of(of)}
        keys = {text for name, joined in self.join.items() for text in (joined.source, f"{name}.{joined.key}")}
        return frozenset(ids | keys)
