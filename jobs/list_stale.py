"""Lists the published days that rest on other inputs than there are now, with the line that builds them again.

A drop may come late, or be corrected after it was read. Compares what `run_manifest` noted of each published day with
what the drops, the shop file and the code are today; a drop that waits to be ingested counts. So does the
champion: a night that was built before an earlier one was decided against another model than that one publishes now,
and is listed where its rows would be others. Days of the same drops and settings, but of other code, are listed
apart: whether a release is worth building them again is for people to say. Reads names, sizes and times of files, and
the bytes only of those that may have changed. Writes nothing, and needs no Spark. Takes no `--ds`, or the last day to
look at.
"""

from __future__ import annotations

import json
import shlex
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Any

from expectations.runtime.code_version import code_version
from expectations.runtime.days import END_OF_TIME
from expectations.runtime.drops import DropFolder
from expectations.runtime.input_fingerprint import (
    FileHashes,
    drops_fingerprints,
    hashes_of,
    ingested_hashes,
    settings_fingerprint,
    version_hashes,
)
from expectations.runtime.lake import Lake, Version
from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.runtime.published_tables import manifest_rows
from expectations.runtime.table_drops import NOT_YET_READ
from expectations.semantics.champions import decided_otherwise, published_decision
from expectations.tables import EVENTS, USER_RECOMMENDATIONS
from jobs.publishing.manifest_history import rolled_back_days
from jobs.raw.dropped_files import DroppedFile, sha256_of
from jobs.raw.ingest_plan import DropsOnDisk

DAG_ID = "nightly_recommendations"
CHAMPION = "champion"
REASONS = ("drops", "settings", CHAMPION, "code")


@dataclass(frozen=True)
class StaleDay:
    """A published day, and what is no longer as it was: the `drops`, the `settings`, the `champion`, the `code`."""

    ds: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Staleness:
    """How the published days stand.

    Attributes:
        stale: those that rest on other drops or settings than there are now, or were decided against another champion.
        of_other_code: those that rest on the same, and were built by other code.
        waiting: days whose drops the lake does not hold as they are now.
        rolled_back: ds -> what was done; these days rest on other inputs because somebody wanted it so.
    """

    num_published: int
    stale: tuple[StaleDay, ...]
    of_other_code: tuple[StaleDay, ...]
    waiting: tuple[str, ...]
    rolled_back: Mapping[str, str] = field(default_factory=dict)


def staleness(night: Night) -> Staleness:
    """Tells how the days up to `night.ds` stand."""
    drop_folder = night.drop_folder
    ingested = ingested_hashes(night.lake, night.ds)
    hashes = ingested | _dropped_hashes(night.lake, night.ds, drop_folder)
    drops = drops_fingerprints(hashes)
    days, published = list(drops), _published(night.lake, night.ds)
    rolled_back = {ds: done for ds, done in sorted(rolled_back_days(night.lake).items()) if ds <= night.ds}
    now = {"drops": "", "settings": settings_fingerprint(night.shop), "code": code_version()}
    of_champion = decided_otherwise(_decisions(night.lake), rolled_back)
    found = []
    for ds, notes in sorted(published.items()):
        place = bisect_right(days, ds)
        now["drops"] = drops[days[place - 1]] if place else ""
        others = {name for name, part in now.items() if any(note[name] != part for note in notes)}
        if ds in of_champion:
            others.add(CHAMPION)
        reasons = tuple(name for name in REASONS if name in others)
        if reasons and ds not in rolled_back:
            found.append(StaleDay(ds, reasons))
    stale = tuple(day for day in found if day.reasons != ("code",))
    of_other_code = tuple(day for day in found if day not in stale)
    waiting = tuple(ds for ds in days if hashes[ds] != ingested.get(ds))
    return Staleness(len(published), stale, of_other_code, waiting, rolled_back)


def staleness_text(found: Staleness, shop: str) -> str:
    """Returns what to say, and what to paste.

    Args:
        shop: as `SHOP` names it.
    """
    lines = [f"waiting to be ingested: the drop of {ds} is new or has changed" for ds in found.waiting]
    lines += [f"rolled back: {ds} ({done})" for ds, done in found.rolled_back.items()]
    if found.stale:
        lines += [f"{len(found.stale)} of {found.num_published} published days are stale", *_lines(found.stale, shop)]
    else:
        lines.append(f"{found.num_published} published days, none is stale")
    if found.of_other_code:
        lines.append(f"\n{len(found.of_other_code)} rest on the same drops and settings, and were built by other code")
        lines += _lines(found.of_other_code, shop)
    return "\n".join(lines)


def _lines(found: Sequence[StaleDay], shop: str) -> list[str]:
    """Returns why days are listed, and what builds them again."""
    lines = []
    for days in _runs(found):
        first, last = days[0].ds, days[-1].ds
        reasons = " and ".join(reason for reason in REASONS if any(reason in day.reasons for day in days))
        conf = shlex.quote(json.dumps({"shop": shop}))
        lines += [
            f"\n{first if first == last else f'{first} … {last}'}: other {reasons}",
            f"  make backfill FROM={first} TO={last} SHOP={shlex.quote(shop)}",
            f"  airflow backfill create --dag-id {DAG_ID} --from-date {first} --to-date {last} "
            f"--reprocess-behavior completed --dag-run-conf {conf}",
        ]
    return lines


def _runs(stale: Sequence[StaleDay]) -> list[list[StaleDay]]:
    """Returns days that follow each other without a gap, together."""
    places = groupby(enumerate(stale), key=lambda pair: date.fromisoformat(pair[1].ds).toordinal() - pair[0])
    return [[day for _, day in run] for _, run in places]


def _published(lake: Lake, until: str) -> dict[str, list[dict[str, str]]]:
    """Maps each day to what its tables rest on, each combination once; of one night it is the same for all."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in manifest_rows(lake, columns=("ds", "input_fingerprint", "code_version")):
        drops, _, settings = row["input_fingerprint"].partition("-")
        note, notes = (
            {"drops": drops, "settings": settings, "code": row["code_version"]},
            found.setdefault(row["ds"], []),
        )
        if note not in notes:
            notes.append(note)
    return {ds: notes for ds, notes in found.items() if ds <= until}


def _decisions(lake: Lake) -> dict[str, dict[str, Any]]:
    """Maps each published day to the decision of its gate."""
    rows = manifest_rows(lake, columns=("ds", "table_name", "metrics"))
    return {
        row["ds"]: published_decision(row["metrics"]) for row in rows if row["table_name"] == USER_RECOMMENDATIONS.name
    }


def _dropped_hashes(lake: Lake, until: str, drops: DropFolder) -> dict[str, FileHashes]:
    """Maps each day to the files of its drop as they lie there now."""
    days = drops.days(END_OF_TIME)

    def hashed(files: Sequence[DroppedFile]) -> list[DroppedFile]:
        return [replace(file, sha256=_hash_of(file, lake.current(EVENTS, file.ds))) for file in files]

    found = DropsOnDisk(lake, drops, days).as_noted(until, hashed)
    return {ds: hashes_of((file.kind, file.sha256) for file in files) for ds, files in found.items()}


def _hash_of(file: DroppedFile, version: Version | None) -> str:
    # What the lake never held is new whatever its bytes are.
    is_held = version is not None and file.kind in dict(version_hashes(version))
    return sha256_of(file.path) if is_held and not file.path.endswith(NOT_YET_READ) else "new"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the stale days."""
    parser = night_parser(__doc__)
    arguments = parser.parse_args(argv)
    arguments.ds = arguments.ds or END_OF_TIME
    night = night_from(arguments)
    print(staleness_text(staleness(night), arguments.shop))


if __name__ == "__main__":
    run_program(main)
