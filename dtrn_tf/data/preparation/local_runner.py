"""Prepares a log in this process, one partition after the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import pandas as pd

from dtrn_tf.data.preparation.negatives import merge_item_days
from dtrn_tf.data.preparation.partitions import PartitionedTable
from dtrn_tf.data.preparation.shard import Job, prepare_shard
from dtrn_tf.data.preparation.source import Source, read_batches, read_parts
from dtrn_tf.data.preparation.tables import Tables
from dtrn_tf.data.preparation.tally import Tally

# Counts of as many batches are held before they become one.
_MERGED_COUNTS = 64
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
    items = read_parts(source.items) if source.items else None
    tally = job.tally()
    with tempfile.TemporaryDirectory(prefix="partitions-", dir=directory) as temporary:
        stores = {table: PartitionedTable(os.path.join(temporary, table), head, job.num_shards)
                  for table, head in source.heads().items() if table != "items"}
        item_days = _fill(stores, source, job, progress)
        for shard in range(job.num_shards):
            tables = Tables(**{table: store.pop(shard) for table, store in stores.items()},
                            items=items, item_days=item_days)
            tally.merge(prepare_shard(tables, job, shard, directory))
            progress("write", len(tables.interactions))
    return tally


def _fill(stores: dict[str, PartitionedTable], source: Source, job: Job,
          progress: Progress) -> pd.DataFrame | None:
    """Reads all tables of users into their partitions and counts what needs the whole log."""
    item_days: list[pd.DataFrame] = []
    for table, store in stores.items():
        for frame in read_batches(source.parts()[table]):
            store.add(frame, job.shards_of_rows(table, frame))
            if table == "interactions":
                item_days += job.item_days(frame)
                if len(item_days) == _MERGED_COUNTS:
                    item_days = [merge_item_days(item_days)]
                progress("read", len(frame))
    return merge_item_days(item_days) if item_days else None
