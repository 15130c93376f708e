"""Drafts a shop file from a user's own export: looks at the files, says what it sees, asks what they do not tell.

    python -m jobs.draft_shop ~/export.csv            or     make shop FILE=~/export.csv

Takes files of events, items and users, or folders of them; files of one kind on several days, with the day in their
names, are one. Reads a bounded part of each. Writes a commented TOML, `--out` or `<name>.toml` here, and refuses to
write over one that is there without `--force`. Where the files do not tell and no terminal is attached, or with
`--yes`, the likeliest is taken and marked `# a guess: …`. A log of many days in one file is cut into daily drops with
`--split`, or when you say so. At last the newest day is looked at as `python -m jobs.ingest --check` does; `--no-check`
leaves that out. Safe to run again: the same files make the same text."""

from __future__ import annotations

import argparse
import logging
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from pyspark.sql import SparkSession

from expectations.runtime.days import END_OF_TIME
from expectations.runtime.lake import Lake
from expectations.runtime.program import BY_HAND, Night, root_for, run_program
from expectations.runtime.spark_session import session_from_environment
from expectations.shop.shop import Shop, load_shop
from expectations.tables import NightError
from jobs.ingest import look_at_drop
from jobs.raw.drafting.draft import Draft, LookedAtGroup, drafted_shop
from jobs.raw.drafting.file_groups import FileGroup, files_at, grouped
from jobs.raw.drafting.looked_at import look_at
from jobs.raw.drafting.questions import Asker, AtTerminal, Silent
from jobs.raw.drafting.report import seen_lines
from jobs.raw.reading.opened_file import UnreadableFileError
from jobs.split_days import split_days

logger = logging.getLogger(__name__)

_NONE_ACCEPTED = re.compile(r"^events: [\d,]+ rows, 0 accepted", re.MULTILINE)


def looked_at_groups(paths: Sequence[str]) -> list[LookedAtGroup]:
    """Looks at one file of each group: the newest that holds a row.

    Raises:
        NightError: one of the files cannot be read.
    """
    return [_looked_at(group) for group in grouped(files_at(paths))]


def _looked_at(group: FileGroup) -> LookedAtGroup:
    problem = ""
    for path in reversed(group.paths):
        with tempfile.TemporaryDirectory() as folder:
            try:
                return LookedAtGroup(group, look_at(path, Path(folder)))
            except UnreadableFileError as err:
                problem = problem or f"{path}: {err}"
        if "no row" not in problem and "is empty" not in problem:
            break
    raise NightError(problem)


def shop_name(stem: str) -> str:
    """Returns a name for a shop whose export is called so: lower-case letters, digits and bars."""
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return (name if re.match("[a-z]", name) else f"shop_{name}".strip("_"))[:63]


def write_whole(path: Path, text: str) -> Shop:
    """Writes a shop file in one step, once it is known that it can be loaded. Returns the shop.

    Raises:
        SettingsError: the text is no shop file.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.toml")
    try:
        scratch.write_text(text, encoding="utf-8")
        shop = load_shop(str(scratch))
        scratch.replace(path)
    except OSError as err:
        raise NightError(f"{path} cannot be written: {err.strerror}. Say another place by --out.") from err
    finally:
        scratch.unlink(missing_ok=True)
    return shop


def split_logs(spark: SparkSession, night: Night, draft: Draft) -> str:
    """Cuts the logs of a draft into daily drops. Returns the newest day that has one."""
    catalogues = {kind: Path(path) for kind, path in draft.catalogues.items()}
    log, *more = map(Path, draft.logs)
    split_days(spark, night, log, catalogues.get("items"), more_logs=more, users=catalogues.get("users"))
    return night.drop_folder.days(END_OF_TIME)[-1]


def split_command(draft: Draft, out: str) -> str:
    """The command that cuts the logs of a draft into daily drops."""
    catalogues = [word for kind, path in draft.catalogues.items() for word in (f"--{kind}", path)]
    return shlex.join(["python", "-m", "jobs.split_days", "--shop", out, "--log", *draft.logs, *catalogues])


def main(argv: Sequence[str] | None = None) -> None:
    """Looks, drafts, writes, splits where asked to, and checks.

    Raises:
        NightError: a file cannot be read, no file holds events, the shop file is there already, or not one row of the
            newest day is accepted.
    """
    arguments = _parser().parse_args(argv)
    paths = arguments.files or _from_environment(arguments.file)
    groups = looked_at_groups(paths)
    for looked in groups:
        print("\n".join(seen_lines(looked)), end="\n\n")
    name = arguments.name or shop_name(groups[0].group.stem)
    out = Path(arguments.out or f"{name}.toml")
    if out.exists() and not arguments.force:
        raise NightError(f"{out} is there already. Say --force to write over it, or another place by --out.")
    asker = _asker(arguments.yes)
    draft = drafted_shop(groups, asker, name, out.resolve().parent)
    shop = write_whole(out, draft.text.text())
    shown = str(out) if "/" in str(out) else f"./{out}"
    print(f"Wrote {out}: {_guesses(draft)}{_notes(draft)}")
    splits = bool(draft.logs) and (arguments.split or _wants_split(draft, asker))
    checks = not arguments.no_check and (splits or (bool(draft.ds) and not draft.logs))
    ds = draft.ds
    if splits or checks:
        # The one reading of the clock. A root is bound to the shop only where something is done there.
        root, now = root_for(shop, arguments.root), datetime.now(timezone.utc)
        lake, data = Lake(root), str(Path(arguments.data).resolve())
        lake.bind_shop(shop.name)
        spark = session_from_environment("draft_shop")
        night = Night(lake, data, shop, ds, BY_HAND, now)
        if splits:
            ds = split_logs(spark, night, draft)
            night = Night(lake, data, shop, ds, BY_HAND, now)
            print(f"Cut the log into daily drops under {lake.root}/raw/{draft.name}.")
        if checks:
            check(spark, night, shown)
    if draft.logs and not splits:
        print("Next, make a drop a day of the log, and look at one:")
        print(f"  {split_command(draft, shown)}")
        print(f"  python -m jobs.ingest --check --shop {shlex.quote(shown)} --ds {ds}")
    print(f"A night of the newest day:\n  make nightly SHOP={shlex.quote(shown)} DS={ds or '…'}")


def check(spark: SparkSession, night: Night, out: str) -> None:
    """Prints what would become of the drop of a night.

    Raises:
        NightError: not one row of it is accepted.
    """
    report = look_at_drop(spark, night)
    print(f"What would become of {night.ds}:\n{report}")
    if _NONE_ACCEPTED.search(report):
        raise NightError(
            f"{out}: not one row of {night.ds} is accepted; the reasons stand above. Correct the lines of the file "
            "that are guesses, or answer the questions: run it in a terminal, with --force."
        )


def _wants_split(draft: Draft, asker: Asker) -> bool:
    days = f"{draft.num_days} days" if draft.num_days > 1 else "its days"
    answer = asker.ask(
        f"The log holds {days}, and a night reads a drop a day. Cut it into daily drops now?", "no", ("yes", "no")
    )
    return answer.text == "yes"


def _guesses(draft: Draft) -> str:
    guesses = draft.text.guesses
    if not guesses:
        return "nothing in it is a guess."
    lines = "".join(f"\n  {table}{'.' if table else ''}{line.key}: {line.note}" for table, line in guesses)
    return f"look at what is a guess:{lines}"


def _notes(draft: Draft) -> str:
    return "".join(f"\n  {line}" for line in draft.text.tail)


def _asker(takes_likeliest: bool) -> Asker:
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    return AtTerminal(read=input, say=print) if is_terminal and not takes_likeliest else Silent()


def _from_environment(text: str | None) -> list[str]:
    """What `make shop FILE=…` says: one file, or several as a shell would take them apart."""
    if not text:
        raise NightError(
            "Name the files of your export: make shop FILE=export.csv, or python -m jobs.draft_shop export.csv"
        )
    if Path(text).expanduser().exists():
        return [text]
    try:
        return shlex.split(text)
    except ValueError as err:
        raise NightError(f"FILE={text!r} cannot be taken apart: {err}. Put names with blanks in quotes.") from err


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    env = os.environ
    parser.add_argument("files", nargs="*", help="files of your export, or folders of them (FILE)")
    parser.set_defaults(file=env.get("FILE"))
    parser.add_argument("--out", help="the shop file to write; <name>.toml in this folder unless you say so")
    parser.add_argument(
        "--name", help="of the shop: lower-case letters, digits and _; that of the first file unless you say so"
    )
    parser.add_argument("--force", action="store_true", help="write over a shop file that is there")
    parser.add_argument("--yes", action="store_true", help="ask nothing: take the likeliest, and mark it as a guess")
    parser.add_argument("--split", action="store_true", help="cut a log of many days into daily drops")
    parser.add_argument("--no-check", action="store_true", help="do not look at what would become of the newest day")
    parser.add_argument("--root", default=env.get("NIGHTJAR_ROOT"), help="where drops are written (NIGHTJAR_ROOT)")
    parser.add_argument("--data", default=env.get("NIGHTJAR_DATA", "../shared/data"), help="raw data (NIGHTJAR_DATA)")
    return parser


if __name__ == "__main__":
    run_program(main)
