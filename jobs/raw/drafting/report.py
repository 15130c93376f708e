"""What was seen in a user's files, in lines to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jobs.raw.drafting.draft import LookedAtGroup
from jobs.raw.drafting.known_exports import known_export, roles_as_preset
from jobs.raw.drafting.looked_at import LookedAtColumn
from jobs.raw.drafting.oddities import oddities
from jobs.raw.drafting.roles import Role, event_type_of, roles_of
from jobs.raw.drafting.shop_text import plain

_MOST_COLUMNS, _MOST_WORDS = 60, 15
_ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16"}


def seen_lines(looked: LookedAtGroup) -> list[str]:
    """Returns what a file is, and what each column holds and may be, with why."""
    file = looked.file
    lines = [f"{Path(file.path).name}: {_written(looked)}", f"  {_rows(looked)}"]
    known = known_export(file)
    if known:
        lines.append(
            f"  an export that the preset {known.preset} reads: {known.num_columns} columns that it maps are there"
        )
    kind = looked.kind
    found = roles_as_preset(file, known) if known else roles_of(file, kind or "events")
    roles = {role.column.path: role for role in found}
    if not known:
        lines.append(f"  likely {kind}" if kind else "  neither events, items nor users, as far as its columns tell")
    lines += [_column(column, roles.get(column.path)) for column in file.columns[:_MOST_COLUMNS]]
    if len(file.columns) > _MOST_COLUMNS:
        lines.append(f"    … and {len(file.columns) - _MOST_COLUMNS} more columns")
    words = known.shop.events.event_types if known else {}
    lines += [_words(role.column, words) for role in roles.values() if role.name == "event_type"]
    odd = [(role, text) for role in roles.values() for text in oddities(role.column, role.name)]
    lines += [f"  odd: {plain(role.column.path)}: {plain(text)}" for role, text in odd]
    lines += [f"  odd: {count:,} rows are {fault.replace('_', ' ')}" for fault, count in file.faults.items() if count]
    return lines


def _words(column: LookedAtColumn, of_preset: Mapping[str, str]) -> str:
    """The words for events, how often each came, and what it means."""
    meant = [
        f"{plain(word)} {count:,} → {of_preset.get(word) or (None if of_preset else event_type_of(word)) or 'not told'}"
        for word, count in list(column.values.items())[:_MOST_WORDS]
    ]
    more = f", and {len(column.values) - _MOST_WORDS} more" if len(column.values) > _MOST_WORDS else ""
    return f"  words: {', '.join(meant)}{more}"


def _written(looked: LookedAtGroup) -> str:
    sample, found = looked.file.sample, looked.file.found
    parts = [{"csv": "CSV", "json": "JSON", "parquet": "Parquet", "xlsx": "an Excel workbook"}[sample.format]]
    if sample.packing:
        parts.append(f"packed by {sample.packing}")
    if sample.encoding:
        parts.append(_ENCODINGS.get(sample.encoding, sample.encoding))
    if found.delimiter:
        parts.append(f"{_DELIMITERS.get(found.delimiter, found.delimiter)} between cells")
    if not found.has_header:
        parts.append("no header")
    if found.csv.comment:
        parts.append("comment lines")
    return ", ".join(parts)


_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _rows(looked: LookedAtGroup) -> str:
    file, group = looked.file, looked.group
    rows = f"{file.num_rows:,} rows{'' if file.sample.is_whole else ' were looked at, from all over the file'}"
    if len(group.days) > 1:
        return f"{rows}; one of {len(group.paths)} files, of {group.days[0]} to {group.days[-1]}"
    if group.days:
        return f"{rows}; of {group.days[0]}"
    return f"{rows}; one of {len(group.paths)} files without a day" if len(group.paths) > 1 else rows


def _column(column: LookedAtColumn, role: Role | None) -> str:
    examples = plain(" | ".join(column.examples))
    said = f"    {plain(column.path):<28} {_kind(column):<34} {column.share_filled:>4.0%}  {examples}"
    if role is None:
        return said.rstrip()
    return f"{said}  → {role.name}{'?' if role.is_guess else ''} ({role.why})"


def _kind(column: LookedAtColumn) -> str:
    form = column.form
    if form is None:
        return column.kind
    if not form.pattern:
        return f"times {'with' if column.times else 'without'} a zone"
    return f"{'times' if form.has_date else 'times of the day'} {form.pattern}"
