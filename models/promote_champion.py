"""Moves MLflow's alias `champion` to the fit whose lists readers of the tables find.

Runs when the night is published, and reads `run_manifest`, which the last commit of a night writes: a night that fails
before it leaves the alias where it is, and so does one that is not the latest. A re-run names the same fit again. A
server that is away costs a line in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from expectations.runtime.program import Night, night_from, night_parser, run_program
from expectations.tables import RUN_MANIFEST, NightError
from models.interface import tracking
from models.interface.published_lists import published_nights

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Moves the alias, if it is this night's to move."""
    promote_champion(night_from(night_parser(__doc__).parse_args(argv)))


def promote_champion(night: Night) -> None:
    """Names the published fit of the night.

    Raises:
        NightError: the night was not published.
    """
    published = published_nights(night.lake)
    if night.ds not in published.models:
        raise NightError(
            f"{RUN_MANIFEST.name} ds={night.ds}: this night was not published under {night.lake.root}, and the alias "
            f"{tracking.CHAMPION} names what readers find. Was jobs.publish_tables run for it?"
        )
    if not published.is_latest(night.ds):
        logger.info("alias %s stays: a later night than ds=%s is published", tracking.CHAMPION, night.ds)
        return
    tracking.promote(night.tracking, night.shop.name, published.models[night.ds], published.versions[night.ds])


if __name__ == "__main__":
    run_program(main)
