"""Does a reader ever see two nights mixed? Publishes, backfills and rollbacks, while other processes read all tables.

A root of a few days and four tables is published again and again: the latest day, a backfill of an earlier one, every
tenth time a rollback of one day or of all. Each publish marks its rows. The readers, who know deltalake and
docs/reading_tables.md and none of our code, ask for each day in turn through `run_manifest` and the versions that it
names, as often as they can, and every few times for each table's latest version, as a reader would who knows nothing of
the manifest. Counted are polls, and those where the tables of a day were not all of one publish.

    python -m tests.benchmarks.one_night.readers
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from expectations.runtime.program import Night
from jobs.publish_tables import publish_versions
from jobs.publishing.manifest_history import NIGHT_BEFORE, Scope
from jobs.publishing.rollback import roll_back
from tests.benchmarks.harness.parts import record_part
from tests.benchmarks.harness.variants import OURS
from tests.worlds.plain_reader import is_mixed, latest_marks, named_marks
from tests.worlds.small_night import new_night
from tests.worlds.staged_night import stage_marked

NAME, PART = "one_night", "readers"
DAYS = ("2024-03-08", "2024-03-09", "2024-03-10")
NUM_PUBLISHES = 500
ROLLBACK_EVERY = 10
NAIVE_EVERY = 4
NUM_READERS = 3


@dataclass
class Seen:
    """What a reader saw.

    Attributes:
        mixed: polls through the manifest that found tables of more than one publish, or fewer tables than there are.
        naive_mixed: the same of the naive ones.
        naive_polls: polls of each table's latest version.
    """

    polls: int = 0
    mixed: int = 0
    naive_polls: int = 0
    naive_mixed: int = 0


def read_on(tables: str, days: Sequence[str], ended: Path) -> Seen:
    """Polls until the file `ended` is there: a reader's process."""
    seen = Seen()
    names: list[str] = []
    while not ended.exists():
        ds = days[seen.polls % len(days)]
        marks = named_marks(tables, ds)
        names = names or sorted(marks)
        seen.polls += 1
        seen.mixed += is_mixed(marks) or sorted(marks) != names
        if seen.polls % NAIVE_EVERY == 0:
            seen.naive_polls += 1
            seen.naive_mixed += is_mixed(latest_marks(tables, ds, names))
    return seen


def publish_on(night: Night, num_publishes: int) -> dict[str, int]:
    """Publishes, backfills and rolls back. Returns how often it did which."""
    done = {"publishes": 0, "backfills": 0, "rollbacks": 0}
    for number in range(num_publishes):
        ds = DAYS[-1] if number % 3 else DAYS[number % 2]
        if number % ROLLBACK_EVERY == ROLLBACK_EVERY - 1:
            scope = Scope() if number % (2 * ROLLBACK_EVERY) == ROLLBACK_EVERY - 1 else Scope(ds=ds)
            roll_back(night.lake, NIGHT_BEFORE, scope, f"rollback-{number}", datetime.now(timezone.utc))
            done["rollbacks"] += 1
        else:
            publish(replace(night, ds=ds), f"publish-{number}")
            done["publishes" if ds == DAYS[-1] else "backfills"] += 1
    return done


def publish(night: Night, mark: str) -> None:
    """One publish of one day, whose rows carry `mark`."""
    publish_versions(night, stage_marked(night, mark))


def measured(root: Path, num_publishes: int) -> dict[str, Any]:
    """Publishes in this process while others read. Returns the row of the result."""
    night = new_night(root)
    for ds in DAYS:
        # Twice, so that every day has a night before.
        for mark in ("first", "second"):
            publish(replace(night, ds=ds), mark)
    tables, ended = f"{night.lake.root}/tables", root / "ended"
    with ProcessPoolExecutor(NUM_READERS, mp_context=get_context("spawn")) as pool:
        asked = [DAYS[place:] + DAYS[:place] for place in range(NUM_READERS)]
        readers = [pool.submit(read_on, tables, days, ended) for days in asked]
        started = time.monotonic()
        try:
            done = publish_on(night, num_publishes)
            seconds = time.monotonic() - started
        finally:
            ended.touch()
        seen = [asdict(reader.result()) for reader in readers]
    found = {name: sum(by_one[name] for by_one in seen) for name in seen[0]}
    figures = {"readers": NUM_READERS, **found, "polls_per_second": round(found["polls"] / seconds, 1)}
    return {"model": PART, "ours": True, "source": OURS, **done, **figures, "seconds": round(seconds, 1)}


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints, and replaces its row of the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--publishes", type=int, default=NUM_PUBLISHES, help="rollbacks among them")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        row = measured(Path(folder), arguments.publishes)
    print(record_part(NAME, PART, [row]).text())


if __name__ == "__main__":
    main()
