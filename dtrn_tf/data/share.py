"""Which records each of several workers reads."""

from __future__ import annotations

from dataclasses import replace

from dtrn_tf.data.record_count import count_records
from dtrn_tf.data.runs import Runs
from dtrn_tf.data.shards import Shards
from dtrn_tf.errors import DataError


def share_of_worker(shards: Shards, worker: int, num_workers: int) -> Shards:
    """The records of one worker: a stretch of files and of parts of files.

    The stretches of all workers hold every good record once, and each as many as the others,
    give or take one, so that all workers come to the end of a pass together. Only a file in
    which a stretch ends is opened by two workers.

    Args:
        shards: The files of a split.
        worker: 0 <= worker < num_workers.
        num_workers: How many workers share the records.

    Raises:
        DataError: There are fewer records than workers.
    """
    if num_workers == 1:
        return shards
    total = shards.num_records
    if total < num_workers:
        raise DataError(f"a split should have a record for each of the {num_workers} workers. "
                        f"Received: {total} in {list(shards.files)}.")
    first, last = (total * edge // num_workers for edge in (worker, worker + 1))
    runs: dict[str, Runs] = {}
    seen = 0
    for path in shards.files:
        of_file = shards.runs[path] if path in shards.runs else [(0, count_records([path]))]
        kept = []
        for start, count in of_file:
            skip, end = max(first - seen, 0), min(last - seen, count)
            if skip < end:
                kept.append((start + skip, end - skip))
            seen += count
        if kept:
            runs[path] = kept
    return replace(shards, files=list(runs), num_records=last - first, runs=runs)
