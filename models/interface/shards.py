"""Shards of a table that several programs write together, each a part of the users."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from expectations.runtime.arrow_types import arrow_schema
from expectations.runtime.lake import Lake, Version
from expectations.tables import FIRST_VALUE_INDEX, SCORES, NightError, Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """The `index`-th of `count` parts of the users, counted from 1."""

    index: int = 1
    count: int = 1

    @classmethod
    def from_text(cls, text: str) -> Shard:
        """Reads `i/n`.

        Raises:
            NightError: it is not, or i does not lie between 1 and n.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise NightError(f"--shard must be i/n with i from 1 to n, such as 2/4. Received: {text!r}")
        return cls(int(match[1]), int(match[2]))

    def user_blocks(self, num_users: int, users_at_once: int) -> list[np.ndarray]:
        """The shard's users, some at a time, ascending.

        Args:
            num_users: indices of the vocabulary, padding and the unknown user included.
            users_at_once: users of the longest block.

        Returns:
            User indices without padding and the unknown user, int64. Each of shape (users of the block,).
        """
        users = np.arange(FIRST_VALUE_INDEX, num_users)
        return np.array_split(users, max(1, -(-len(users) // users_at_once)))[self.index - 1 :: self.count]


@dataclass(frozen=True)
class ShardedTable:
    """One model's rows of a table, which several programs write into one version, each for its shard of the users.

    Attributes:
        fingerprint: a hash of all that the rows depend on.
    """

    lake: Lake
    table: Table
    as_of: str
    model: str
    fingerprint: str
    shard: Shard

    def built(self) -> Version | None:
        """The current version where it was built from just these inputs, otherwise None."""
        version = self.lake.reuse(self.table, self.as_of, self.fingerprint, self.model)
        if version is not None:
            text = "already built: table=%s ds=%s model=%s rows=%d"
            logger.info(text, self.table.name, self.as_of, self.model, version.rows)
        return version

    def withdraw_others(self) -> None:
        """Takes what was built from other inputs out of force, so that it does not stand in for a build that fails."""
        current = self.lake.current(self.table, self.as_of, self.model)
        if current is not None and current.fingerprint != self.fingerprint:
            self.lake.withdraw(self.table, self.as_of, self.model)

    def write(self, blocks: Iterator[pa.Table], **metadata: str) -> Version | None:
        """Writes the shard's rows. Returns the version if it is current afterwards, None while shards are missing.

        Args:
            blocks: Arrow tables with the columns and types of the table's contract.
            metadata: what the version remembers beside its fingerprint.
        """
        attempt = f"shards-{self.shard.count}"
        path = self.lake.new_version_path(self.table, self.as_of, self.fingerprint, self.model, attempt=attempt)
        write_shard(blocks, path, self.shard, self.table)
        return commit_if_complete(
            self.lake, self.as_of, self.model, path, self.fingerprint, self.shard, self.table, **metadata
        )


def write_shard(blocks: Iterator[pa.Table], path: str, shard: Shard, table: Table = SCORES) -> None:
    """Writes the shard's file. Its name is final only when it is complete; readers skip names that begin with `_`."""
    filesystem, folder = fs.FileSystem.from_uri(path)
    filesystem.create_dir(folder, recursive=True)
    partial = f"{folder}/_{_shard_file(shard)}"
    with pq.ParquetWriter(partial, arrow_schema(table), filesystem=filesystem) as writer:
        for block in blocks:
            writer.write_table(block)
    filesystem.move(partial, f"{folder}/{_shard_file(shard)}")


def commit_if_complete(
    lake: Lake,
    as_of: str,
    name: str,
    path: str,
    fingerprint: str,
    shard: Shard,
    table: Table = SCORES,
    **metadata: str,
) -> Version | None:
    """Makes the version current when the files of all shards are there. Two that finish at once commit the same."""
    filesystem, folder = fs.FileSystem.from_uri(path)
    files = [f"{folder}/{_shard_file(Shard(n, shard.count))}" for n in range(1, shard.count + 1)]
    infos = filesystem.get_file_info(files)
    missing = [info.base_name for info in infos if info.type != fs.FileType.File]
    if missing:
        logger.info("wrote a shard: shard=%d/%d missing=%s", shard.index, shard.count, ",".join(missing))
        return None
    rows = sum(pq.read_metadata(file, filesystem=filesystem).num_rows for file in files)
    version = lake.commit(table, as_of, path, fingerprint, rows, model=name, **metadata)
    logger.info("built: table=%s ds=%s model=%s rows=%d", table.name, as_of, name, rows)
    return version


def _shard_file(shard: Shard) -> str:
    return f"part-{shard.index:05d}-of-{shard.count:05d}.parquet"
