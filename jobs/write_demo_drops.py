"""Writes the demo shop's raw drops, one a day, up to a day; those that are there stay as they are.

    python -m jobs.write_demo_drops --ds 2025-05-31 --root ./data

Writes, under `{root}/raw`:

- `{ds}/events.csv.gz`: the day's events;
- `{ds}/items.csv.gz`: the whole catalogue, as it stood in the evening;
- `{ds}/users.csv.gz`: the people who joined or changed what they tell the shop; no such file on a day without any;
- `pictures/{item}.png`: once for each item;
- `world.json`: which world these drops come from.

A drop's bytes depend on the world and the day alone, so a re-run is safe: it lives through the days again, and writes
what is missing. The events file comes last; where it is, the drop is whole.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np
from pyarrow import fs

from expectations.runtime.program import night_from, night_parser, run_program
from expectations.tables import NightError, ds_from_text
from jobs.demo_shop.config import WorldConfig
from jobs.demo_shop.drop_files import (
    EVENT_COLUMNS,
    ITEM_COLUMNS,
    USER_COLUMNS,
    Row,
    csv_gz,
    event_rows,
    item_rows,
    user_rows,
    with_dirty_events,
    with_dirty_items,
    with_dirty_users,
)
from jobs.demo_shop.pictures import picture
from jobs.demo_shop.world import DemoWorld

EVENTS_PATH = "{root}/raw/{ds}/events.csv.gz"
"""What the shop file of a demo shop says about its events."""
_DIRT = 99
"""Part of the seed of the dirt's draws, which keeps them apart from those of other things."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RawFolder:
    """The folder of raw drops, local or in an object store."""

    filesystem: fs.FileSystem
    path: str

    @classmethod
    def under(cls, root: str) -> RawFolder:
        filesystem, path = fs.FileSystem.from_uri(root)
        return cls(filesystem, f"{path}/raw")

    def holds(self, name: str) -> bool:
        return self.filesystem.get_file_info(f"{self.path}/{name}").type == fs.FileType.File

    def names_in(self, folder: str) -> set[str]:
        selector = fs.FileSelector(f"{self.path}/{folder}", allow_not_found=True)
        return {info.base_name for info in self.filesystem.get_file_info(selector)}

    def read(self, name: str) -> bytes:
        with self.filesystem.open_input_stream(f"{self.path}/{name}", compression=None) as stream:
            content: bytes = stream.readall()
        return content

    def write(self, name: str, content: bytes) -> None:
        """Writes beside the place and moves there, so that nobody reads half a file."""
        path = f"{self.path}/{name}"
        self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(f"{path}.part", compression=None) as stream:
            stream.write(content)
        self.filesystem.move(f"{path}.part", path)


def write_drops(root: str, config: WorldConfig, until: str) -> int:
    """Writes the drops up to `until` that are not there yet. Returns their number.

    Raises:
        NightError: `until` lies before the world's first day, or the root holds the drops of another world.
    """
    last_day = date.fromisoformat(until)
    if last_day < config.first_day:
        raise NightError(f"The demo shop opens on {config.first_day}. Received: ds={until}. Take a later ds.")
    folder = RawFolder.under(root)
    _claim(folder, config)
    num_days = (last_day - config.first_day).days + 1
    days = [date.fromordinal(config.first_day.toordinal() + n).isoformat() for n in range(num_days)]
    missing = [day for day in days if not folder.holds(f"{day}/events.csv.gz")]
    logger.info("drops: until=%s there=%d missing=%d", until, num_days - len(missing), len(missing))
    if missing:
        _live_and_write(folder, config, days[: days.index(missing[-1]) + 1], set(missing))
    return len(missing)


def _claim(folder: RawFolder, config: WorldConfig) -> None:
    """Drops of two worlds in one folder would tell one story that never happened."""
    ours = json.dumps(asdict(config), default=str, indent=1).encode()
    if not folder.holds("world.json"):
        folder.write("world.json", ours)
    elif folder.read("world.json") != ours:
        raise NightError(
            f"{folder.path} holds the drops of another demo world (see world.json in it), and days of two worlds do "
            "not follow each other. Use its --seed, --first-day, --num-users and --num-items, or another root."
        )


def _live_and_write(folder: RawFolder, config: WorldConfig, days: Sequence[str], missing: set[str]) -> None:
    world = DemoWorld(config)
    pictures = folder.names_in("pictures")
    known: set[Row] = set()
    for number, ds in enumerate(days, start=1):
        events = world.step()
        users = user_rows(world.people)
        if ds in missing:
            _write_pictures(folder, world, pictures)
            rng = np.random.default_rng([config.seed, _DIRT, number])
            changed = [row for row in users if row not in known]
            if changed:
                folder.write(f"{ds}/users.csv.gz", csv_gz(USER_COLUMNS, with_dirty_users(changed)))
            items = item_rows(world.goods)
            folder.write(f"{ds}/items.csv.gz", csv_gz(ITEM_COLUMNS, with_dirty_items(items)))
            rows = with_dirty_events(event_rows(events, date.fromisoformat(ds), world.goods, world.people), rng)
            folder.write(f"{ds}/events.csv.gz", csv_gz(EVENT_COLUMNS, rows))
            if number % 10 == 0 or ds == days[-1]:
                logger.info("wrote drop: ds=%s day=%d/%d events=%d", ds, number, len(days), len(rows))
        known = set(users)


def _write_pictures(folder: RawFolder, world: DemoWorld, there: set[str]) -> None:
    for item in range(len(world.goods)):
        name = f"{world.goods.item_id(item)}.png"
        if name not in there:
            folder.write(f"pictures/{name}", picture(world.goods, item))
            there.add(name)


def main(argv: Sequence[str] | None) -> None:
    """Writes what is missing in the world that the flags describe."""
    parser = night_parser(__doc__)
    default = WorldConfig()
    parser.add_argument("--first-day", default=default.first_day.isoformat(), help="the day the shop opens")
    parser.add_argument("--num-users", type=int, default=default.num_users, help="people on the first day")
    parser.add_argument("--num-items", type=int, default=default.num_items, help="goods on the first day")
    parser.add_argument("--seed", type=int, help="of the world; without it, the shop file's `seed`")
    arguments = parser.parse_args(argv)
    night = night_from(arguments)
    if night.shop.events.path != EVENTS_PATH:
        raise NightError(
            f"shop {night.shop.name} reads drops of its own, at {night.shop.events.path}; only a shop whose "
            f"[events] path is {EVENTS_PATH} can be filled with the demo shop's."
        )
    try:
        config = replace(
            default,
            seed=night.shop.seed if arguments.seed is None else arguments.seed,
            first_day=date.fromisoformat(ds_from_text(arguments.first_day)),
            num_users=arguments.num_users,
            num_items=arguments.num_items,
        )
    except ValueError as err:
        raise NightError(f"this world cannot be: {err}") from err
    num_written = write_drops(night.lake.root, config, night.ds)
    logger.info("done: new_drops=%d folder=%s/raw", num_written, night.lake.root)


if __name__ == "__main__":
    run_program(main)
