"""One shard: the users of a partition -> their records in one file per split."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dtrn_tf.data.preparation.encoding import encode_rows
from dtrn_tf.data.preparation.leakage import check_leakage
from dtrn_tf.data.preparation.negatives import count_item_days
from dtrn_tf.data.preparation.partitions import partition_of_rows
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.record_writer import shard_path, write_records
from dtrn_tf.data.preparation.requests import records_of_requests
from dtrn_tf.data.preparation.rows import Rows, build_rows
from dtrn_tf.data.preparation.splits import split_rows
from dtrn_tf.data.preparation.tables import Tables, merge_duplicates
from dtrn_tf.data.preparation.tally import SPLITS, Tally
from dtrn_tf.schema import Schema


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is the same for every shard, on every machine.

    Args:
        spec: What to make of the tables.
        schema: Of the records; the sizes of vocabularies are not yet known.
        num_shards: Files per split.
        gzip: Whether to compress them.
        max_candidates: The most candidates of a record; a longer request becomes several.
        seed: Of the order of records and of which user comes into which shard.
        distinct: Whether rows of the same user, item and time are different events.
    """

    spec: PrepareSpec
    schema: Schema
    num_shards: int
    gzip: bool = False
    max_candidates: int = 100
    seed: int = 0
    distinct: bool = False

    def tally(self) -> Tally:
        """Nothing counted yet."""
        return Tally(self.schema, self.spec)

    def shards_of_rows(self, table: str, rows: pd.DataFrame) -> np.ndarray:
        """The shard of every row of a table with users.

        Raises:
            DataError: A row has no user.
        """
        return partition_of_rows(rows, table, self.spec.columns.user, self.num_shards, self.seed)

    def item_days(self, interactions: pd.DataFrame) -> list[pd.DataFrame]:
        """What is to be counted in the whole log before rows are built; nothing for most specs."""
        return [] if self.spec.negatives is None else [count_item_days(interactions, self.spec)]


def prepare_shard(tables: Tables, job: Job, shard: int, directory: str) -> Tally:
    """Writes the records of a shard's users and counts them.

    The bytes depend on the rows of the tables, but not on their order.

    Args:
        tables: The log of these users.
        job: What to make of it.
        shard: Its number.
        directory: Gets SPLIT/part-00000-of-00004.tfrecord[.gz].

    Raises:
        DataError: A table does not fit the spec.
    """
    if not job.distinct:
        tables = merge_duplicates(tables, job.spec)
    rows = build_rows(tables, job.spec, job.schema.layout)
    rng = np.random.default_rng([job.seed, shard])
    tally = job.tally()
    indices = split_rows(rows, job.spec)
    check_leakage(rows, indices, job.schema)
    for split in SPLITS:
        part = _shuffled_records(rows, indices[split], job, rng)
        tally.add(split, part)
        write_records(shard_path(os.path.join(directory, split), shard, job.num_shards, job.gzip),
                      encode_rows(part, job.schema))
    return tally


def _shuffled_records(rows: Rows, index: np.ndarray, job: Job, rng: np.random.Generator) -> Rows:
    """The records of some impressions in random order."""
    if rows.first_impressions is None or job.schema.layout == "impression":
        return rows.take(rng.permutation(index))
    candidates = records_of_requests(index, rows.first_impressions, job.max_candidates)
    shuffled = candidates.take(rng.permutation(len(candidates.lengths)))
    return rows.requests(shuffled, job.schema.candidate_lists)
