"""What the tables of a day rest on: the bytes of every drop up to it, and what the shop file says of their meaning.

The code is no part of it. `run_manifest` notes the code apart: an edit of the programs does not make what was published
before a partition of older inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.shop import Shop
from expectations.tables import EVENTS

FileHashes = list[list[str]]
"""[kind, SHA-256] of each file of a drop, in order."""


def input_fingerprint(lake: Lake, ds: str, shop: Shop) -> str:
    """Returns the fingerprint of what the lake held when the night of `ds` read it."""
    by_day = ingested_hashes(lake, ds)
    return f"{list(drops_fingerprints(by_day).values())[-1]}-{settings_fingerprint(shop)}"


def ingested_hashes(lake: Lake, until: str) -> dict[str, FileHashes]:
    """Maps each day to the files that the lake's events, catalogue and users of that day came from."""
    return {ds: version_hashes(version) for ds, version in lake.versions(EVENTS, until).items()}


def version_hashes(version: Version) -> FileHashes:
    """Returns the files that `jobs.ingest` noted with a version of `events`."""
    return hashes_of((file["kind"], file["sha256"]) for file in version.metadata.get("files", ()))


def hashes_of(files: Iterable[tuple[str, str]]) -> FileHashes:
    """Returns (kind, SHA-256) of the files of a day in the one order that is compared."""
    return sorted([kind, sha256] for kind, sha256 in files)


def drops_fingerprints(by_day: Mapping[str, FileHashes]) -> dict[str, str]:
    """Maps each day to one hash over the drops up to it, in order; each goes on from that of the day before."""
    fingerprints: dict[str, str] = {}
    so_far = ""
    for ds in sorted(by_day):
        so_far = fingerprint_of(so_far, ds, by_day[ds])
        fingerprints[ds] = so_far
    return fingerprints


def settings_fingerprint(shop: Shop) -> str:
    """Returns a hash of every setting that a row may depend on: where drops lie and what is refused change no row."""
    settings = shop.as_dict() | {"source": "", "drops": shop.drops.max_user_events, "publish": ""}
    for kind in ("events", "items", "users"):
        if settings[kind] is not None:
            settings[kind] = settings[kind] | {"path": ""}
    return fingerprint_of(settings)
