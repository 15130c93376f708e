"""How the times of a column are written: Spark's pattern, or the unit of a count, told from their texts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from expectations.shop.raw_file_rules import UNIX_TIMES

_EARLIEST, _LATEST = datetime(1995, 1, 1, tzinfo=timezone.utc), datetime(2040, 1, 1, tzinfo=timezone.utc)
"""Of counts since 1970; larger and smaller numbers are something else, such as article numbers of 13 digits."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FORM = re.compile(
    r"(?:(?P<y>(?:19|20)\d\d)(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})"
    r"|(?P<a>\d{1,2})(?P<t>[-/.])(?P<b>\d{1,2})(?P=t)(?P<e>(?:19|20)\d\d|\d\d)"
    r"|(?P<c>(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    r"|(?P<dd>\d{1,2})(?P<u>[- ])(?P<mon>[A-Za-z]{3})(?P=u)(?P<yy>(?:19|20)\d\d)"
    r"|(?P<mon2>[A-Za-z]{3}) (?P<dd2>\d{1,2}), (?P<yy2>(?:19|20)\d\d))"
    r"(?:(?P<sep>T| |, |)(?P<clock>(?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d)(?P<F>[.,]\d{1,9})?)?"
    r"(?P<ap> ?[AaPp][Mm])?|(?<=\d{8})\d{6}))?"
    r"(?:(?P<gap> ?)(?P<zone>Z|UTC|GMT|[+-]\d\d:\d\d|[+-]\d{4}|[+-]\d\d))?"
)
_CLOCK_ONLY = re.compile(r"(?P<H>\d{1,2}):\d\d(?P<S>:\d\d)?(?P<F>\.\d{1,9})?")
_ZONES = ((r"Z|[+-]\d\d:\d\d", "XXX"), (r"[+-]\d{4}", "Z"), (r"[+-]\d\d", "X"), ("UTC|GMT", ""))


@dataclass(frozen=True)
class TimeForm:
    """How a column's times are written.

    Attributes:
        pattern: `time_format` of a shop file; empty where the file holds times as times.
        share: of the column's values, how many are written so.
        days: day -> rows; in the zone in which the times are written.
        has_date, has_clock: whether a value tells the day, and the time of the day.
        zone: the zone that the values name themselves, in words; empty where they name none.
        other_pattern: where day and month cannot be told apart, the pattern with these the other way round.
        other_days: as `days`, by that pattern.
        odd: some values that are written otherwise.
    """

    pattern: str
    share: float
    days: Mapping[str, int]
    has_date: bool = True
    has_clock: bool = True
    zone: str = ""
    other_pattern: str = ""
    other_days: Mapping[str, int] | None = None
    odd: tuple[str, ...] = ()

    @property
    def span(self) -> tuple[str, str]:
        """The first and the last day; empty texts where no value tells a day."""
        return (min(self.days, default=""), max(self.days, default=""))

    def swapped(self) -> TimeForm:
        """The form with day and month the other way round."""
        return replace(
            self,
            pattern=self.other_pattern,
            days=self.other_days or {},
            other_pattern=self.pattern,
            other_days=self.days,
        )


def time_form(values: Mapping[str, int]) -> TimeForm | None:
    """Tells how most of the texts write times; None where most are none.

    Args:
        values: text -> rows that hold it.
    """
    forms = [form for form in (_counted(values), _written(values), _clock(values)) if form is not None]
    best = max(forms, key=lambda form: form.share, default=None)
    return best if best is not None and best.share >= 0.5 else None


def typed_times(values: Mapping[str, int], has_zone: bool) -> TimeForm:
    """The form of a column of times that are no texts."""
    days = Counter({text[:10]: 0 for text in values})
    for text, count in values.items():
        days[text[:10]] += count
    has_clock = any(len(text) > 10 and text[11:19] != "00:00:00" for text in values)
    return TimeForm("", 1.0, days, has_clock=has_clock, zone="UTC" if has_zone else "")


def _counted(values: Mapping[str, int]) -> TimeForm | None:
    """Counts since 1970, whose unit is told by their size."""
    found: dict[str, Counter[str]] = {}
    for text, count in values.items():
        if not re.fullmatch(r"\d+(\.\d{1,9})?([eE]\+?\d+)?", text):
            continue
        for unit, micros in UNIX_TIMES.items():
            seconds = float(text) * micros / 1e6
            if _EARLIEST.timestamp() <= seconds < _LATEST.timestamp():
                day = f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}"
                found.setdefault(unit, Counter())[day] += count
    if not found:
        return None
    unit, days = max(found.items(), key=lambda item: item[1].total())
    is_day = all(float(text) * UNIX_TIMES[unit] % 86_400e6 == 0 for text in values if re.fullmatch(r"\d+", text))
    return TimeForm(unit, days.total() / sum(values.values()), days, has_clock=not is_day, zone="UTC")


def _clock(values: Mapping[str, int]) -> TimeForm | None:
    """Times of the day without a day."""
    matches = [(match, count) for text, count in values.items() if (match := _CLOCK_ONLY.fullmatch(text))]
    if not matches:
        return None
    pattern = _clock_pattern([match.groupdict() for match, _ in matches])
    return TimeForm(pattern, sum(c for _, c in matches) / sum(values.values()), {}, has_date=False)


def _written(values: Mapping[str, int]) -> TimeForm | None:
    shapes: dict[tuple[object, ...], list[tuple[dict[str, str | None], int]]] = {}
    odd: list[str] = []
    for text, count in values.items():
        match = _FORM.fullmatch(text)
        if match is None:
            odd.append(text)
            continue
        shapes.setdefault(_shape(match), []).append((match.groupdict(), count))
    if not shapes:
        return None
    of = max(shapes.values(), key=lambda parts: sum(count for _, count in parts))
    share = sum(count for _, count in of) / sum(values.values())
    parts = [part for part, _ in of]
    orders = _orders(parts)
    forms = [
        TimeForm(
            pattern=_date_pattern(parts, order) + _rest_of_pattern(parts),
            share=share,
            days=_days(of, order),
            has_clock=parts[0]["clock"] is not None,
            zone="the offset in each value" if re.match(r"[+Z-]", parts[0]["zone"] or "") else parts[0]["zone"] or "",
            odd=tuple(odd[:3]),
        )
        for order in orders
    ]
    # A log is days in a row: the order by which it spans fewer of them is the likelier one.
    forms.sort(key=lambda form: _length(form.span))
    if len(forms) == 1:
        return forms[0]
    return replace(forms[0], other_pattern=forms[1].pattern, other_days=forms[1].days)


def _shape(match: re.Match[str]) -> tuple[object, ...]:
    """What must be alike for one pattern to read two values."""
    part = match.groupdict()
    date = next(name for name in ("y", "a", "c", "dd", "dd2") if part[name] is not None)
    separator = part["s"] or part["t"] or part["u"]
    zone = next((pattern for of, pattern in _ZONES if part["zone"] and re.fullmatch(of, part["zone"])), None)
    length = len(part["e"] or "")
    is_compact = part["clock"] is not None and part["H"] is None
    return (date, separator, length, part["sep"], is_compact, len(part["ap"] or ""), part["gap"], zone)


def _orders(parts: Iterable[Mapping[str, str | None]]) -> list[str]:
    """Which of the first two numbers of 03/09/2024 is the day; both where it cannot be told."""
    pairs = [(int(part["a"] or 0), int(part["b"] or 0), part["t"]) for part in parts]
    if not any(a for a, _, _ in pairs):
        return ["as written"]
    if any(a > 12 for a, _, _ in pairs):
        return ["day first"]
    if any(b > 12 for _, b, _ in pairs):
        return ["month first"]
    return ["day first"] if pairs[0][2] == "." else ["day first", "month first"]


def _date_pattern(parts: list[dict[str, str | None]], order: str) -> str:
    first = parts[0]

    def letters(letter: str, name: str) -> str:
        return letter * (2 if all(len(part[name] or "") == 2 for part in parts) else 1)

    if first["y"]:
        return f"yyyy{first['s']}{letters('M', 'm')}{first['s']}{letters('d', 'd')}"
    if first["c"]:
        return "yyyyMMdd"
    if first["mon"]:
        return f"{letters('d', 'dd')}{first['u']}MMM{first['u']}yyyy"
    if first["mon2"]:
        return f"MMM {letters('d', 'dd2')}, yyyy"
    names = ("d", "M") if order == "day first" else ("M", "d")
    year = "yyyy" if len(first["e"] or "") == 4 else "yy"
    return f"{letters(names[0], 'a')}{first['t']}{letters(names[1], 'b')}{first['t']}{year}"


def _rest_of_pattern(parts: list[dict[str, str | None]]) -> str:
    first = parts[0]
    text = ""
    if first["clock"] is not None:
        between = f"'{first['sep']}'" if first["sep"] == "T" else first["sep"] or ""
        text += between + ("HHmmss" if first["H"] is None else _clock_pattern(parts))
    if first["zone"]:
        letters = next(pattern for of, pattern in _ZONES if re.fullmatch(of, first["zone"]))
        text += (first["gap"] or "") + (letters or f"'{first['zone']}'")
    return text


def _clock_pattern(parts: list[dict[str, str | None]]) -> str:
    has_half = any(part.get("ap") for part in parts)
    hour = "h" if has_half else "H"
    text = hour * (2 if all(len(part["H"] or "") == 2 for part in parts) else 1) + ":mm"
    seconds = [part["S"] is not None for part in parts]
    fractions = [part["F"] for part in parts if part["F"]]
    if any(seconds):
        fraction = f"[{fractions[0][0]}SSSSSSSSS]" if fractions else ""
        text += f":ss{fraction}" if all(seconds) else f"[:ss{fraction}]"
    if has_half:
        text += "a" if len(parts[0]["ap"] or "") == 2 else " a"
    return text


def _days(of: list[tuple[dict[str, str | None], int]], order: str) -> Counter[str]:
    days: Counter[str] = Counter()
    for part, count in of:
        day = _day(part, order)
        if day is not None:
            days[day] += count
    return days


def _day(part: Mapping[str, str | None], order: str) -> str | None:
    """The day of a value in UTC, where the value names its offset; else in its own zone. None where there is none."""
    if part["y"]:
        year, month, day = int(part["y"]), int(part["m"] or 0), int(part["d"] or 0)
    elif part["c"]:
        year, month, day = int(part["c"][:4]), int(part["c"][4:6]), int(part["c"][6:])
    elif part["a"]:
        first, second = int(part["a"]), int(part["b"] or 0)
        day, month = (first, second) if order == "day first" else (second, first)
        year = int(part["e"] or 0)
        year += 2000 if year < 100 else 0
    else:
        name = (part["mon"] or part["mon2"] or "").casefold()
        year, day = int(part["yy"] or part["yy2"] or 0), int(part["dd"] or part["dd2"] or 0)
        month = _MONTHS.index(name) + 1 if name in _MONTHS else 0
    try:
        moment = datetime(year, month, day, min(int(part["H"] or 0), 23), int(part["M"] or 0) % 60)
    except ValueError:
        return None
    offset = re.fullmatch(r"([+-])(\d\d):?(\d\d)?", part["zone"] or "")
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        moment -= timedelta(minutes=minutes if offset[1] == "+" else -minutes)
    return f"{moment:%Y-%m-%d}"


def _length(span: tuple[str, str]) -> int:
    if not span[0]:
        return 1 << 30
    return (datetime.fromisoformat(span[1]) - datetime.fromisoformat(span[0])).days
