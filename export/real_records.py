"""Records of a data directory, as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf

from dtrn_tf.data.reader import explain, list_shards
from dtrn_tf.data.shards import check_shards
from dtrn_tf.schema import Schema


def real_records(data_dir: str, schema: Schema, count: int, split: str = "test") -> list[bytes]:
    """The first serialized records of a split, at most `count`.

    Raises:
        DataError: The split is not there or damaged, or does not fit the schema.
    """
    files = list_shards(data_dir, split)
    check_shards(files, schema)
    try:
        return list(_first(files, count))
    except tf.errors.OpError as error:
        raise explain(error, files, schema) from error


def _first(files: Sequence[str], count: int) -> Iterator[bytes]:
    for path in files:
        compression = "GZIP" if path.endswith(".gz") else ""
        for record in tf.data.TFRecordDataset(path, compression).take(count).as_numpy_iterator():
            yield record
            count -= 1
