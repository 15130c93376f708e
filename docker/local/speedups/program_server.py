"""Keeps warm what all programs of one machine share: a Python that has imported their libraries, and a JVM.

A process of its own, started by `speedups.start`. It outlives what breaks in it: every few seconds it looks whether
the Python still answers, and puts another in its place; `shared_jvm` does so for the JVM. Where this process itself is
gone, programs start as they would without it.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from expectations.runtime.code_version import REPOSITORY
from speedups.preloaded_python import PreloadedPython
from speedups.shared_jvm import JvmLender

logger = logging.getLogger(__name__)

_LOOKS_EVERY_SECONDS = 5
_JVM_IDLE_SECONDS = 600
"""Between two nights nobody needs its gigabytes."""
_MOST_LOANS = 300
"""Some twenty nights."""


def serve(folder: Path, until: int | None) -> None:
    """Serves until `until` can be read from, which is when the process at its other end has ended; else for ever."""
    python = PreloadedPython(folder) if sys.platform.startswith("linux") else None
    lender = JvmLender(folder / "jvm", _JVM_IDLE_SECONDS, _MOST_LOANS)
    ends: list[Any] = [] if until is None else [until]
    next_look = time.monotonic()
    while True:
        ready, _, _ = select.select([*ends, *lender.handles()], [], [], _LOOKS_EVERY_SECONDS)
        if until in ready:
            return
        lender.answer(ready)
        if python is not None and time.monotonic() >= next_look:
            next_look = time.monotonic() + _LOOKS_EVERY_SECONDS
            if why := python.why_broken():
                logger.warning("replaced: the Python that programs fork from. Reason: %s", why)
                python.end()
                python = PreloadedPython(folder)


def main() -> None:
    """Parses, and serves until whoever started it ends, or ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--until", type=int, help="a handle; see serve()")
    arguments = parser.parse_args()
    os.chdir(REPOSITORY)  # what programs mean by a relative path, the JVM means as well
    logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr)
    # By default it would end without ending its JVM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with contextlib.suppress(KeyboardInterrupt):
        try:
            serve(arguments.folder, arguments.until)
        finally:
            shutil.rmtree(arguments.folder, ignore_errors=True)
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
