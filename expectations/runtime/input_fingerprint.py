"""What the tables of a day rest on: the bytes of every drop up to it, and what the shop file says of their meaning.

Both are noted where they are read, and travel with the versions that were made from them (`made_from` among what a
version remembers), up to the row of `run_manifest`. So a manifest tells what its night read, whatever was ingested or
edited while it ran. The code is no part of it: `run_manifest` notes the code apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from expectations.runtime.lake import Lake, Version, fingerprint_of
from expectations.shop.shop import Shop
from expectations.tables import EVENTS

FileHashes = list[list[str]]
"""[kind, SHA-256] of each file of a drop, in order."""
MadeFrom = dict[str, list[str]]
"""The fingerprints of the `drops` and of the `settings` that a version was made from, each once, in order."""

MADE_FROM = "made_from"
"""Under this name a version remembers it."""


def made_from_log(events: Mapping[str, Version], shop: Shop) -> MadeFrom:
    """Returns what is to be noted with a version that was made from the log.

    Args:
        events: day -> version of `events`, of all days up to the one as of which it is.
    """
    drops = drops_fingerprints({ds: version_hashes(version) for ds, version in events.items()})
    return {"drops": list(drops.values())[-1:], "settings": [settings_fingerprint(shop)]}


def made_from_versions(versions: Iterable[Version], shop: Shop | None = None) -> MadeFrom:
    """Returns what is to be noted with a version that was made from these, under this shop file."""
    noted = [version.metadata.get(MADE_FROM, {}) for version in versions]
    found = {kind: {text for parts in noted for text in parts.get(kind, ())} for kind in ("drops", "settings")}
    if shop is not None:
        found["settings"].add(settings_fingerprint(shop))
    return {kind: sorted(texts) for kind, texts in found.items()}


def input_fingerprint(versions: Iterable[Version]) -> str:
    """Returns the fingerprint of all that these versions were made from: of the drops, a dash, of the settings.

    Where they were made from several states of the log or of the shop file, it is none of any single state, so that
    their day counts as stale.
    """
    found = made_from_versions(versions)
    return "-".join(texts[0] if len(texts) == 1 else fingerprint_of(texts) for texts in found.values())


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
    of_drops = [shop.drops.max_user_events, shop.drops.duplicate_days, shop.drops.day_timezone]
    kinds = {"events": shop.events, "items": shop.items, "users": shop.users}
    raws = {kind: raw.settings_of_rows() for kind, raw in kinds.items() if raw is not None}
    more = [raw.settings_of_rows() for raw in shop.more_events]
    others = {"more_events": more, "source": "", "drops": of_drops, "publish": ""}
    return fingerprint_of(shop.as_dict() | raws | others)
