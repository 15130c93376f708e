"""What a run of a night reads, fixed when the run begins: the log, the shop file and the name of the code.

`jobs.ingest` is the first program of a run to read drops. When they are in the lake it writes the pin, under
`{root}/runs/…`; every later program of the run finds it by the run's id. Whatever is ingested or edited meanwhile, and
whatever another run builds, is for later runs: see `expectations.runtime.lake.RunView`.

A run that begins again with other drops, another shop file or other code gets another pin, and so sees nothing of what
it built before but what would come out the same. Programs that are started by hand, without the id of a run, have no
pin; they read what is current.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from expectations.runtime.code_version import code_version
from expectations.runtime.lake import Lake, RunView, Version, fingerprint_of
from expectations.runtime.small_files import read_json, write_json
from expectations.shop.shop import Shop
from expectations.shop.toml_settings import settings_from_mapping
from expectations.tables import EVENTS, ITEM_UPDATES, QUARANTINE, USER_UPDATES

BY_HAND = "manual"
"""The id of what no run started."""
PINNED_TABLES = {table.name: table for table in (EVENTS, ITEM_UPDATES, USER_UPDATES, QUARANTINE)}
"""What `jobs.ingest` writes."""


@dataclass(frozen=True)
class Pin:
    """What one run reads.

    Attributes:
        shop: as its file, and the form of the run, said when the run began.
        code: the version of all code, then.
        view: what the run sees of the lake.
    """

    shop: Shop
    code: str
    view: RunView


def pin_run(lake: Lake, run_id: str, ds: str, days: Iterable[str], shop: Shop, now: datetime) -> Pin:
    """Fixes what the run reads from now on: the log up to `ds` as it stands, the shop, and the code.

    Args:
        lake: as it is, not as a run sees it.
        days: as of which the run computes, beside `ds`.
        now: noted, in UTC.
    """
    log = {name: lake.versions(table, ds) for name, table in PINNED_TABLES.items()}
    settings, code = asdict(shop), code_version()
    versions = {name: {day: version.fingerprint for day, version in of.items()} for name, of in log.items()}
    name = fingerprint_of(settings, code, versions)
    folder = run_folder(run_id, ds)
    pin = {
        "run_id": run_id,
        "ds": ds,
        "pinned_at": now.isoformat(),
        "code": code,
        "shop": settings,
        "days": sorted({ds, *days}),
        "folder": f"{folder}/{name}",
        "log": {name: {day: _relative(lake, name, version) for day, version in of.items()} for name, of in log.items()},
    }
    write_json(f"{lake.root}/{folder}/pin.json", pin)
    return Pin(shop, code, RunView(f"{folder}/{name}", ds, frozenset(pin["days"]), log))


def read_pin(lake: Lake, run_id: str, ds: str) -> Pin | None:
    """Returns what the run reads; None where it has fixed nothing yet, or is none."""
    pin = read_json(f"{lake.root}/{run_folder(run_id, ds)}/pin.json") if run_id != BY_HAND else None
    if pin is None:
        return None
    log = {name: {day: _absolute(lake, name, noted) for day, noted in of.items()} for name, of in pin["log"].items()}
    shop = settings_from_mapping(Shop, pin["shop"], f"the shop as pinned by run {run_id}")
    return Pin(shop, pin["code"], RunView(pin["folder"], ds, frozenset(pin["days"]), log))


def run_folder(run_id: str, ds: str) -> str:
    """Returns where the pin of a run lies, under the root; the id may be any text, so it is not pasted into it."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", run_id)[:40].strip("-")
    return f"runs/ds={ds}/{readable}-{fingerprint_of(run_id)[:8]}"


def _relative(lake: Lake, name: str, version: Version) -> Mapping[str, Any]:
    return {**asdict(version), "path": version.path.removeprefix(f"{lake.table_path(PINNED_TABLES[name])}/")}


def _absolute(lake: Lake, name: str, noted: Mapping[str, Any]) -> Version:
    return Version(**{**noted, "path": f"{lake.table_path(PINNED_TABLES[name])}/{noted['path']}"})
