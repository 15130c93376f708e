"""Is the drop of `ds` there, whole? Prints one word and ends at once; whoever calls it waits.

Prints `complete` or `closed` and exits 0; prints what is missing and exits 75 ("try again later") while it may still
come; exits 1 with the reason when its time has passed and the shop calls a day without a drop an error. Reads file
names and times only, writes nothing, and needs no Spark.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from expectations.runtime.program import night_from, night_parser, run_program
from jobs.raw.drop_readiness import DropNotReadyError, require_drop

TRY_AGAIN_LATER = 75
"""`EX_TEMPFAIL` of sysexits.h."""


def main(argv: Sequence[str] | None = None) -> None:
    """Prints how the drop of `--ds` stands."""
    night = night_from(night_parser(__doc__).parse_args(argv), is_pinned=False)
    drops = night.drop_folder
    try:
        print(require_drop(drops, night.ds, night.now))
    except DropNotReadyError as waiting:
        print(waiting)
        sys.exit(TRY_AGAIN_LATER)


if __name__ == "__main__":
    run_program(main)
