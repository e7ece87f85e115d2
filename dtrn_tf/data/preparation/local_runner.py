"""Prepares a log in this process, one partition after the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from dtrn_tf.data.preparation.negatives import ItemDays
from dtrn_tf.data.preparation.partitions import PartitionedTable, partition_of_rows
from dtrn_tf.data.preparation.shard import Job, prepare_shard
from dtrn_tf.data.preparation.source import Source, read_parts
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.data.preparation.tally import Tally

Progress = Callable[[str, int], Any]


def run_locally(
    source: Source, job: Job, directory: str, progress: Progress = lambda step, rows: None
) -> Tally:
    """Writes all shards; needs memory for one partition and for the items.

    Args:
        source: The log.
        job: What to make of it.
        directory: Gets the shards; what does not fit into memory lies there meanwhile.
        progress: Called with `read` or `write` and how many interactions that was.

    Raises:
        DataError: A file cannot be read, or does not fit the spec.
    """
    parts = source.parts()
    items = read_parts(parts.pop("items")) if "items" in parts else None
    tally = job.tally()
    item_days = ItemDays(job.spec)
    with tempfile.TemporaryDirectory(prefix="partitions-", dir=directory) as temporary:
        stores = {table: PartitionedTable(os.path.join(temporary, table), head, job.num_shards)
                  for table, head in source.heads().items() if table != "items"}
        for table, found in parts.items():
            for part in found:
                for frame in part():
                    stores[table].add(frame, partition_of_rows(
                        frame, table, job.spec.columns.user, job.num_shards, job.seed))
                    if table == "interactions":
                        item_days.add(frame)
                        progress("read", len(frame))
        for shard in range(job.num_shards):
            tables = Tables(**{table: store.pop(shard) for table, store in stores.items()},
                            items=items, item_days=item_days.counts())
            tally.merge(prepare_shard(tables, job, shard, directory))
            progress("write", len(tables.interactions))
    return tally
