"""Which files of a user belong together: those of one kind on several days, and the parts of one day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from expectations.tables import NightError

_DAYS = (
    (re.compile(r"(?<!\d)20\d\d-[01]\d-[0-3]\d(?!\d)"), "%Y-%m-%d", "{ds}"),
    (re.compile(r"(?<!\d)20\d\d_[01]\d_[0-3]\d(?!\d)"), "%Y_%m_%d", "{ds:%Y_%m_%d}"),
    (re.compile(r"(?<!\d)20\d\d/[01]\d/[0-3]\d(?!\d)"), "%Y/%m/%d", "{ds:%Y/%m/%d}"),
    (re.compile(r"(?<!\d)20\d\d[01]\d[0-3]\d(?!\d)"), "%Y%m%d", "{ds:%Y%m%d}"),
    (re.compile(r"(?<!\d)[0-3]\d-[01]\d-20\d\d(?!\d)"), "%d-%m-%Y", "{ds:%d-%m-%Y}"),
    (re.compile(r"(?<!\d)[0-3]\d\.[01]\d\.20\d\d(?!\d)"), "%d.%m.%Y", "{ds:%d.%m.%Y}"),
)
"""How days stand in paths, how Python reads them, and how a shop file writes them."""
_MOST_FILES = 20_000


@dataclass(frozen=True)
class FileGroup:
    """Files of one kind.

    Attributes:
        template: their path with the day and the parts left open, as a shop file writes it; empty for files without a
            day in their paths.
        days: of the files, in order; empty where their paths hold none.
        paths: in the order of the days.
    """

    template: str
    days: tuple[str, ...]
    paths: tuple[str, ...]

    @property
    def stem(self) -> str:
        """What the files are called, without day, part and ending."""
        name = Path(self.template or self.paths[0]).name
        return re.sub(r"\{ds[^}]*\}|\*", "", name).partition(".")[0].strip("-_ ") or Path(self.paths[0]).parent.name


def files_at(paths: Iterable[str]) -> list[str]:
    """Returns the files that a user names, absolute: each file, and all that lies in a folder, in order.

    Raises:
        NightError: nothing is there, or there are too many files to look through.
    """
    found: dict[str, None] = {}
    for name in paths:
        path = Path(name).expanduser().absolute()
        if path.is_dir():
            inside = sorted(inner for inner in path.rglob("*") if inner.is_file() and _is_meant(inner, path))
            found.update(dict.fromkeys(map(str, inside)))
        elif path.is_file():
            found[str(path)] = None
        else:
            raise NightError(f"There is no file {path}. Name the files of your export, or the folder that they lie in.")
    if not found:
        raise NightError("There is no file to look at. Name the files of your export: make shop FILE=export.csv")
    if len(found) > _MOST_FILES:
        raise NightError(f"{len(found):,} files are too many to look through. Name a folder that holds one export.")
    odd = next((path for path in found if re.search(r"[*\n\r]", path) or re.search(r"\{[A-Za-z_]\w*[:}]", path)), None)
    if odd is not None:
        raise NightError(f"{odd!r}: `path` in a shop file cannot hold such a name, with a star or braces. Rename it.")
    return list(found)


def grouped(paths: Sequence[str]) -> list[FileGroup]:
    """Puts together the files that differ in their day, and those that are parts of one day or of one log.

    Returns:
        The groups in the order in which the user named them.
    """
    by_template: dict[str, dict[str, str]] = {}
    undated: dict[str, list[str]] = {}
    for path in paths:
        template, day = dated(path)
        if day:
            by_template.setdefault(template, {})[day] = path
        else:
            undated.setdefault(_without_numbers(path), []).append(path)
    parts: dict[str, list[str]] = {}
    for template in by_template:
        parts.setdefault(_without_numbers(template), []).append(template)
    groups = []
    for wild, templates in parts.items():
        files = sorted((day, path) for template in templates for day, path in by_template[template].items())
        days = tuple(dict.fromkeys(day for day, _ in files))
        groups.append(FileGroup(wild if len(templates) > 1 else templates[0], days, tuple(path for _, path in files)))
    groups += [FileGroup("", (), tuple(sorted(of))) for of in undated.values()]
    order = {path: place for place, path in enumerate(paths)}
    return sorted(groups, key=lambda group: min(order[path] for path in group.paths))


def dated(path: str) -> tuple[str, str]:
    """Returns a path with its day left open, and that day; the path itself and an empty text where it holds none."""
    found = []
    for pattern, written, of_shop in _DAYS:
        for match in pattern.finditer(path):
            try:
                day = f"{datetime.strptime(match[0], written):%Y-%m-%d}"
            except ValueError:
                continue
            found.append((match.start(), match[0], of_shop, day))
    if not found:
        return path, ""
    # Of a day in a folder's name and one in the file's, the file's is meant.
    day = max(found)[3]
    template = path
    for _, text, of_shop, of_day in sorted(found, reverse=True):
        template = template.replace(text, of_shop) if of_day == day else template
    return template, day


def _without_numbers(path: str) -> str:
    """The path with stars in place of what tells the parts of one export apart."""
    folder, _, name = path.rpartition("/")
    pieces = re.split(r"(\{ds[^}]*\})", name)
    stem = [
        piece if place % 2 else re.sub(r"[0-9a-f]{8,}(?:-[0-9a-f]{4,})*|\d+", "*", piece)
        for place, piece in enumerate(pieces)
    ]
    return f"{folder}/{re.sub(r'[*][*-]*[*]', '*', ''.join(stem))}"


def _is_meant(path: Path, folder: Path) -> bool:
    """What a job keeps for itself, or has not finished, begins with a dot or a bar; an empty file holds nothing."""
    inside = path.relative_to(folder).parts
    return not any(part.startswith((".", "_")) for part in inside) and path.stat().st_size > 0
