"""Decides what a shop file says of a user's files: which are of events, items and users, and what their columns are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

from expectations.runtime.days import days_before
from expectations.tables import NightError
from jobs.raw.drafting.event_settings import say_events
from jobs.raw.drafting.file_groups import FileGroup
from jobs.raw.drafting.known_exports import KnownExport, known_export
from jobs.raw.drafting.looked_at import LookedAtColumn, LookedAtFile
from jobs.raw.drafting.name_hints import name_score
from jobs.raw.drafting.oddities import note_of
from jobs.raw.drafting.questions import Asker
from jobs.raw.drafting.roles import Kind, Role, kind_of, roles_of
from jobs.raw.drafting.shop_text import ShopText
from jobs.raw.drafting.time_forms import TimeForm

_QUICK_MODELS = ("all_time_popularity", "recent_demand", "item_item")
_MOST_HORIZON = 30
_DEFAULT_ENCODING = "utf-8"
_CERTAIN = 0.9
"""A role of a higher score is not given up because a column happens to hold ids, too."""


@dataclass(frozen=True)
class LookedAtGroup:
    """Files that belong together, and the one of them that was looked at."""

    group: FileGroup
    file: LookedAtFile

    @property
    def kind(self) -> Kind | None:
        return kind_of(self.file)


@dataclass(frozen=True)
class Draft:
    """A drafted shop.

    Attributes:
        text: of its file.
        preset: that reads the events; empty where none does.
        ds: the newest day that there is; empty where no time tells it.
        num_days: from the first day of the events to the last, as far as was looked.
        logs: files of events that are to be split into days; empty where each file is of a day.
        catalogues: kind -> the file without a day that goes with the first one, when the logs are split.
    """

    name: str
    text: ShopText
    preset: str
    ds: str
    num_days: int
    logs: tuple[str, ...]
    catalogues: dict[str, str] = field(default_factory=dict)


def drafted_shop(looked: Sequence[LookedAtGroup], asker: Asker, name: str, folder: Path) -> Draft:
    """Drafts a shop.

    Args:
        name: of the shop.
        folder: where its file will lie; paths below it are written relative to it.

    Raises:
        NightError: no file is one of events.
    """
    items, users = _other(looked, "items"), _other(looked, "users")
    others_ids = {"item_id": items, "user_id": users}
    events = _events_of(looked, others_ids, asker)
    roles = _roles(events.file, others_ids)
    known = known_export(events.file)
    is_log = not _is_daily(events, roles, known)
    text = ShopText(head=_head(looked, known))
    items, users = (_usable(other, text, is_log=is_log) for other in (items, users))
    draft = Draft(
        name=name,
        text=text,
        preset=known.preset if known else "",
        ds="",
        num_days=0,
        logs=events.group.paths if is_log else (),
        catalogues=_catalogues(items, users) if is_log else {},
    )
    text.say("", "name", name)
    if known:
        text.say("", "preset", known.preset, f"{known.num_columns} columns that it reads are there")
    _say_path(text, "events", events, draft, folder, known)
    time: TimeForm | None
    if known:
        time = known.time
        if known.time_format:
            text.say("events", "time_format", known.time_format, "how this export writes times")
    else:
        time = say_events(
            text, events.file, roles, asker, has_items=items is not None, days=() if is_log else events.group.days
        )
    others: tuple[tuple[Kind, LookedAtGroup | None], ...] = (("items", items), ("users", users))
    for kind, other in others:
        if other is not None:
            _say_other(text, kind, other, draft, folder, known)
    span = time.span if time is not None else ("", "")
    days = events.group.days if not is_log else tuple(day for day in span if day)
    first, last = (min(days, default=""), max(days, default=""))
    num_days = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1 if last else 0
    _say_night(text, num_days, is_log, events.group)
    _say_the_rest(text, looked, (events, items, users))
    return replace(draft, ds=last, num_days=num_days)


def _events_of(looked: Sequence[LookedAtGroup], others: dict[str, LookedAtGroup | None], asker: Asker) -> LookedAtGroup:
    events = [of for of in looked if of.kind == "events" or known_export(of.file) is not None]
    if not events:
        rest = [of for of in looked if of not in others.values()]
        events = [of for of in rest if set(_roles(of.file, others)) >= {"event_time", "user_id", "item_id"}]
    if not events:
        raise NightError(_no_events(looked))
    if len(events) == 1:
        return events[0]
    # A shop file has one file of events a day; the one that says most is the likeliest.
    events.sort(key=lambda of: -len(roles_of(of.file, "events")))
    names = [Path(of.file.path).name for of in events]
    chosen = asker.ask("Several files hold events, and one is read a day. Which one?", names[0], names)
    return events[names.index(chosen.text)]


def _no_events(looked: Sequence[LookedAtGroup]) -> str:
    """Says what a file of events must have, and what the one that is most like one lacks."""
    found = {of.file.path: {role.name: role for role in roles_of(of.file, "events")} for of in looked}
    path, roles = max(found.items(), key=lambda item: len(item[1]))
    missing = [
        words
        for name, words in (("event_time", "times"), ("user_id", "users"), ("item_id", "items"))
        if name not in roles
    ]
    there = ", ".join(f"{name} = {role.column.path}" for name, role in roles.items())
    columns = ", ".join(column.path for column in next(of for of in looked if of.file.path == path).file.columns[:20])
    odd = _unread_times(next(of for of in looked if of.file.path == path).file) if "times" in missing else ""
    return (
        f"{path}: no column holds {' and '.join(missing) or 'what an event needs'}, so that it is no file of events, "
        f"which has a time, a user and an item in each row. Found: {there or 'none of these'}; columns: {columns}."
        f"{odd} Name the file that holds your orders or clicks, or join the tables that share a key into one."
    )


def _unread_times(file: LookedAtFile) -> str:
    """Names a column that is called like one of times and holds none that can be read."""
    for column in file.columns:
        if name_score(column.path, "event_time") >= 1.0 and column.values and column.form is None:
            return f" {column.path} holds {', '.join(column.examples)}, which is no time with a year."
    return ""


def _other(looked: Sequence[LookedAtGroup], kind: Kind) -> LookedAtGroup | None:
    """The file of items or of users with the most columns that count; None where there is none."""
    found = [of for of in looked if of.kind == kind and known_export(of.file) is None]
    return max(found, key=lambda of: len(roles_of(of.file, kind)), default=None)


def _roles(file: LookedAtFile, others: dict[str, LookedAtGroup | None]) -> dict[str, Role]:
    """The roles of an events file; an id is the column that holds the ids of the catalogue or of the customers."""
    roles = {role.name: role for role in roles_of(file, "events")}
    for name, other in others.items():
        if other is None:
            continue
        kind: Kind = "items" if name == "item_id" else "users"
        ids = next((set(role.column.values) for role in roles_of(other.file, kind) if role.name == name), set())
        kept = {role.column.path for role in roles.values() if role.name != name and role.score >= _CERTAIN}
        shares = {column.path: _share_in(column, ids) for column in file.columns if column.path not in kept}
        best = max(shares, key=lambda path: shares[path], default="")
        chosen = roles.get(name)
        of_chosen = shares.get(chosen.column.path, 0.0) if chosen is not None else 0.0
        column = file.column(best)
        if column is not None and shares[best] > 0.5 and of_chosen < 0.5 * shares[best]:
            roles = {of: role for of, role in roles.items() if role.column.path != best}
            roles[name] = Role(name, column, 1.0, f"{shares[best]:.0%} of its values are ids of the {kind}")
    return roles


def _share_in(column: LookedAtColumn, ids: set[str]) -> float:
    values = list(column.compared)
    return sum(value in ids for value in values) / len(values) if values else 0.0


def _is_daily(events: LookedAtGroup, roles: dict[str, Role], known: KnownExport | None) -> bool:
    """Whether each file is of the day in its name; a name may also hold the day of the export of a whole log."""
    if not events.group.days:
        return False
    form = known.time if known else roles["event_time"].column.form
    if form is None or not form.days:
        return True
    day = events.group.days[-1]
    near = {days_before(day, -1), day, days_before(day, 1)}
    of_other = form.other_days or {}
    return any(
        sum(count for of, count in days.items() if of in near) >= 0.5 * sum(days.values())
        for days in (form.days, of_other)
        if days
    )


def _usable(of: LookedAtGroup | None, text: ShopText, *, is_log: bool) -> LookedAtGroup | None:
    """The file of items or users, unless it is one of several days beside a log, which goes with none of them."""
    if of is None or not is_log or len(of.group.days) <= 1:
        return of
    text.tail.append(
        f"{Path(of.file.path).name} holds {of.kind} of one day of several, and the events are one log: split them "
        "first, then draft again."
    )
    return None


def _catalogues(*others: LookedAtGroup | None) -> dict[str, str]:
    return {str(of.kind): of.group.paths[-1] for of in others if of is not None}


def _head(looked: Sequence[LookedAtGroup], known: KnownExport | None) -> list[str]:
    names = ", ".join(sorted({Path(of.file.path).name for of in looked})[:5])
    lines = [
        f"Drafted by jobs.draft_shop from {names}. `# a guess:` marks what the files do not tell: look there first."
    ]
    if known:
        lines.append(
            f"What the preset says stands in jobs/shops/presets/{known.preset}.toml; what stands here goes before it."
        )
    return [*lines, "All settings: docs/configuration.md, docs/own_shop.md."]


def _say_path(
    text: ShopText, kind: Kind, of: LookedAtGroup, draft: Draft, folder: Path, known: KnownExport | None = None
) -> None:
    """Says where the files of a kind lie and how they are written."""
    sample, found = of.file.sample, of.file.found
    if draft.logs:
        place = f"{{root}}/raw/{draft.name}/{{ds}}/{kind}.json.gz"
        text.say(kind, "path", place, "jobs.split_days makes these drops of the log")
        text.say(kind, "format", "json")
    else:
        is_standing = "" if of.group.days else "no {ds}: one file that stands for all days"
        text.say(kind, "path", _shown_path(of.group.template or of.group.paths[-1], folder), is_standing)
        if not known or known.shop.events.format != sample.format:
            text.say(kind, "format", sample.format)
    if sample.encoding not in ("", _DEFAULT_ENCODING, "utf-16") and not known:
        text.say(kind, "encoding", sample.encoding, "of the file; not UTF-8")
    if known:
        return
    csv = found.csv
    table = f"{kind}.csv"
    if csv.delimiter:
        text.say(table, "delimiter", csv.delimiter)
    if csv.comment:
        text.say(table, "comment", csv.comment)
    if csv.skip_lines:
        text.say(table, "skip_lines", csv.skip_lines)
    if csv.column_names:
        text.say(
            table, "column_names", csv.column_names, "the file has no header; name them as you like", is_guess=True
        )


def _shown_path(template: str, folder: Path) -> str:
    """A path as the shop file writes it: relative where it lies below the file's folder."""
    relative = os.path.relpath(template, folder)
    return template if relative.startswith("..") else relative


def _say_other(
    text: ShopText, kind: Kind, of: LookedAtGroup, draft: Draft, folder: Path, known: KnownExport | None
) -> None:
    """Says what a file of items or users holds."""
    _say_path(text, kind, of, draft, folder)
    of_preset = (known.shop.items if kind == "items" else known.shop.users) if known else None
    if of_preset is not None and all(of.file.column(path) is not None for path in of_preset.columns.values()):
        return  # the preset says what the columns are
    if kind == "items":
        # What the events say of items counts only beside a file of changes.
        full = not draft.logs and not (known and known.shop.items_from_events)
        text.say(
            "",
            "items_file",
            "full" if full else "changes",
            "what a file does not name is not for sale" if full else "an item stands as last written",
            is_guess=full,
        )
    for role in roles_of(of.file, kind):
        text.say(f"{kind}.columns", role.name, role.column.path, note_of(role), role.is_guess)


def _say_night(text: ShopText, num_days: int, is_log: bool, group: FileGroup) -> None:
    """Says what a first night needs: quick models, and a backtest that fits into the days that there are."""
    horizon = max(1, min(_MOST_HORIZON, num_days // 4))
    text.say(
        "",
        "horizon_days",
        horizon,
        f"the backtest judges on the last of {num_days} days"
        if num_days > 1
        else "one day alone judges nothing; add more",
        is_guess=num_days <= 1,
    )
    text.say("", "models", _QUICK_MODELS, "quick ones; then add two_tower, deep_cf, sequence, …")
    if is_log:
        text.say("drops", "missing_day", "closed", "a day without a row in the log")
        text.say("drops", "settle_seconds", 0, "jobs.split_days writes drops whole")
        text.say("drops", "min_rows_share", 0.0, "a log may begin and end in the middle of a day")
    elif _has_gaps(group.days):
        text.say(
            "drops",
            "missing_day",
            "closed",
            'some days have no file; "error" would stop the night there',
            is_guess=True,
        )


def _has_gaps(days: Sequence[str]) -> bool:
    parsed = [date.fromisoformat(day) for day in days]
    return any(later - earlier > timedelta(days=1) for earlier, later in pairwise(parsed))


def _say_the_rest(text: ShopText, looked: Sequence[LookedAtGroup], used: Sequence[LookedAtGroup | None]) -> None:
    """Names the files and the columns that nothing was made of."""
    for of in looked:
        if of not in used:
            text.tail.append(f"Not used: {Path(of.file.path).name}")
    events = used[0]
    said = {str(line.value) for lines in text.tables.values() for line in lines}
    if events is not None and "preset" not in {line.key for line in text.tables[""]}:
        left = [column.path for column in events.file.columns if column.path not in said and column.values]
        if left:
            more = f" and {len(left) - 30} more" if len(left) > 30 else ""
            text.tail.append(f"Columns of the events that nothing was made of: {', '.join(left[:30])}{more}")
