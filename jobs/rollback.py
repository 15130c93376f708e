"""Puts published tables back to how they were: one table or all together, one ds or all. Touches no model.

    python -m jobs.rollback                                              the versions of run_manifest, latest first
    python -m jobs.rollback --ds 2025-05-31 --to night-before            what would change; nothing does
    python -m jobs.rollback --ds 2025-05-31 --to night-before --apply    changes it

`--to` takes a version of run_manifest, which stands for all tables as they were then; a time, in UTC where it names no
zone; or `night-before`, for what was there before the last publish of that ds, or, with `--all-days`, of any. A
rollback is a version, too, so that it can be taken back as well.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime, timezone

from expectations.runtime.lake import Lake
from expectations.runtime.program import run_program
from expectations.tables import RUN_MANIFEST, TABLES, NightError, ds_from_text
from jobs.publishing.manifest_history import Scope, commits, published_manifest, version_meant
from jobs.publishing.rollback import roll_back
from jobs.publishing.rollback_plan import Change, planned_changes

logger = logging.getLogger(__name__)

ALL = "all"
NAME_WIDTH = 30


def main(argv: Sequence[str] | None = None) -> None:
    """Lists the versions, shows what a rollback would change, or rolls back."""
    arguments = _parser().parse_args(argv)
    lake = Lake(arguments.root)
    if not arguments.to:
        print(versions_text(lake))
        return
    scope = _scope(arguments)
    if not arguments.apply:
        to_version = version_meant(lake, arguments.to, scope)
        changes = planned_changes(lake, published_manifest(lake), to_version, scope)
        print(
            f"{changes_text(lake, to_version, changes)}\nThis was a dry run: nothing has changed. Do it with --apply."
        )
        return
    to_version, changes = roll_back(lake, arguments.to, scope, arguments.run_id, datetime.now(timezone.utc))
    print(changes_text(lake, to_version, changes))
    logger.info("rolled back: to=%s version=%d partitions=%d", arguments.to, to_version, len(changes))


def versions_text(lake: Lake) -> str:
    """Returns one line per version of the manifest, latest first: when, what it did to which ds, in whose run."""
    lines = [f"{'version':>7}  {'committed (UTC)':<19}  {'what':<9}  {'ds':<10}  run_id"]
    for commit in commits(published_manifest(lake)):
        what = "rollback" if commit.rollback else "publish" if commit.ds else "–"
        days = commit.rollback["days"] if commit.rollback else [commit.ds or ""]
        ds = days[0] if len(days) == 1 else f"{len(days)} days"
        lines.append(f"{commit.version:>7}  {commit.at:%Y-%m-%d %H:%M:%S}  {what:<9}  {ds:<10}  {commit.run_id}")
    return "\n".join(lines)


def changes_text(lake: Lake, to_version: int, changes: Sequence[Change]) -> str:
    """Returns one line per partition: its version, rows and models now, and as they were."""
    at = next(commit.at for commit in commits(published_manifest(lake)) if commit.version == to_version)
    title = f"to {RUN_MANIFEST.name} version {to_version}, committed {at:%Y-%m-%d %H:%M:%S} UTC"
    if not changes:
        return f"{title}: nothing differs"
    lines = [title, f"  {'ds':<10}  {'table':<{NAME_WIDTH}}{'version':>11}{'rows':>17}  models"]
    for change in changes:
        before, after = change.before or {}, change.after or {}
        version, rows = (
            f"{_shown(before.get(name))} → {_shown(after.get(name))}" for name in ("table_version", "rows")
        )
        lines.append(
            f"  {change.ds:<10}  {change.table.name:<{NAME_WIDTH}}{version:>11}{rows:>17}  "
            f"{_models(before.get('model_versions'), after.get('model_versions'))}"
        )
    return "\n".join(lines)


def _models(before: str | None, after: str | None) -> str:
    """The model versions that differ."""
    now, then = json.loads(before or "{}"), json.loads(after or "{}")
    differ = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    return ", ".join(f"{now.get(name, '–')} → {then.get(name, '–')}" for name in differ) or "the same"


def _shown(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _scope(arguments: argparse.Namespace) -> Scope:
    table = None if arguments.table == ALL else TABLES[arguments.table]
    if arguments.all_days:
        return Scope(table)
    if not arguments.ds:
        raise NightError("No day was given. Set --ds (or DS) to a published day, or say --all-days.")
    return Scope(table, ds_from_text(arguments.ds))


def _parser() -> argparse.ArgumentParser:
    """No shop: a rollback must work when the shop file is what is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    env = os.environ
    published = [name for name, table in TABLES.items() if table.home == "published" and table is not RUN_MANIFEST]
    parser.add_argument("--to", help="a version of run_manifest, a time or night-before; without it they are listed")
    parser.add_argument("--table", default=ALL, choices=(ALL, *published), help="all by default, which go together")
    days = parser.add_mutually_exclusive_group()
    days.add_argument("--ds", default=env.get("DS"), help="the published day, YYYY-MM-DD (DS)")
    days.add_argument("--all-days", action="store_true", help="every day, in place of one; later ones go")
    parser.add_argument(
        "--apply", action=argparse.BooleanOptionalAction, default=False, help="do it; what would change is printed"
    )
    parser.add_argument("--root", default=env.get("NIGHTJAR_ROOT", "./data"), help="NIGHTJAR_ROOT")
    parser.add_argument("--run-id", default=env.get("RUN_ID", "manual"), help="noted in run_manifest (RUN_ID)")
    return parser


if __name__ == "__main__":
    run_program(main)
