"""Whether a file is what a preset reads: the columns that it maps are there, and hold what it says of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from expectations.shop.presets import PRESETS, with_preset
from expectations.shop.raw_file_rules import UNIX_TIMES
from expectations.shop.raw_files import RawFile
from expectations.shop.shop import Shop
from expectations.shop.toml_settings import settings_from_mapping
from jobs.raw.drafting.looked_at import LookedAtColumn, LookedAtFile
from jobs.raw.drafting.roles import Role
from jobs.raw.drafting.time_forms import TimeForm
from jobs.raw.ingest_plan import required_columns
from jobs.raw.reading.nested_values import steps_of

_ESSENTIAL = ("event_time", "user_id", "item_id", "event_type")


@dataclass(frozen=True)
class KnownExport:
    """A preset that reads a file.

    Attributes:
        num_columns: how many columns of the file it maps.
        time: how the times of the events are written.
        time_format: of the file, where it is not what the preset says; empty where it is.
    """

    preset: str
    shop: Shop
    num_columns: int
    time: TimeForm
    time_format: str


def known_export(file: LookedAtFile) -> KnownExport | None:
    """Returns the preset that fits a file of events best, by the columns that it maps; None where none fits."""
    fits = [fit for path in sorted(PRESETS.glob("*.toml")) if (fit := _fit(file, path.stem)) is not None]
    return max(fits, key=lambda fit: fit.num_columns, default=None)


def roles_as_preset(file: LookedAtFile, known: KnownExport) -> list[Role]:
    """The roles that the preset gives the columns of the file."""
    raw = known.shop.events
    names = _named(file, raw) or {}
    return [
        Role(role, _of_file(file, names[path]), 1.0, f"so says the preset {known.preset}")
        for role in raw.columns
        for path in raw.sources_of(role)
        if path in names
    ]


def _of_file(file: LookedAtFile, column: LookedAtColumn) -> LookedAtColumn:
    """The column as the file calls it, which has no header where the preset makes names up."""
    return next(of for of in file.columns if of.values is column.values)


def _fit(file: LookedAtFile, preset: str) -> KnownExport | None:
    values = with_preset({"name": "own", "preset": preset}, preset)
    if not isinstance(values.get("events"), dict):
        return None  # several sources that are joined; one file alone does not tell
    shop = settings_from_mapping(Shop, values, preset)
    raw = shop.events
    names = _named(file, raw)
    if names is None:
        return None
    required = required_columns(shop)["events"]
    stand_ins = {name for of in raw.fallback_columns for name in raw.sources_of(of)}
    if any(name not in stand_ins and not _is_there(file, names, name) for name in required):
        return None
    essential = [[names[of] for of in raw.sources_of(role) if of in names] for role in _ESSENTIAL]
    if any(not columns and role in raw.columns for role, columns in zip(_ESSENTIAL, essential, strict=True)):
        return None
    time, words = essential[0][0], essential[3]
    is_time = time.form is not None and time.form.has_date and _is_same_unit(time, raw)
    knows_words = not raw.event_types or any(set(raw.event_types) & set(column.values) for column in words)
    if not is_time or not knows_words or time.form is None:
        return None
    other = time.form.pattern if time.form.pattern not in ("", *UNIX_TIMES, raw.time_format) else ""
    if _reads_alike(raw.time_format, other):
        other = ""
    return KnownExport(preset, shop, sum(name in names for name in required), time.form, other)


def _named(file: LookedAtFile, raw: RawFile) -> dict[str, LookedAtColumn] | None:
    """The file's columns by the names that the preset knows; None for a file that is written in another way."""
    if not raw.csv.column_names:
        return {column.path: column for column in file.columns} if file.found.has_header else None
    is_alike = not file.found.has_header and file.found.delimiter == raw.csv.delimiter
    if not is_alike or len(file.columns) != len(raw.csv.column_names):
        return None
    return {name: replace(column, path=name) for name, column in zip(raw.csv.column_names, file.columns, strict=True)}


def _is_there(file: LookedAtFile, names: dict[str, LookedAtColumn], name: str) -> bool:
    """Whether the readers find a column: in JSON and Parquet a path may be absent in the rows that were looked at."""
    if name in names or file.sample.format in ("csv", "xlsx"):
        return name in names
    roots = {steps_of(path)[0].name for path in names}
    return steps_of(name)[0].name in roots


def _is_same_unit(time: LookedAtColumn, raw: RawFile) -> bool:
    """Counts are in the preset's unit, and texts are texts; times that are no texts fit always."""
    pattern = time.form.pattern if time.form is not None else ""
    if pattern in UNIX_TIMES or raw.time_format in UNIX_TIMES:
        return pattern == raw.time_format or time.times is not None
    return True


def _reads_alike(of_preset: str, told: str) -> bool:
    """Whether the preset's pattern reads what the told one does: it may leave a fraction open."""
    return of_preset.replace("[.SSSSSSSSS]", "") == told.replace("[.SSSSSSSSS]", "")
