"""Reading only the good records of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from dtrn_tf.data.record_file import BadRecord

# The good records of a file: (first, how many), ascending; between two runs are bad ones.
Runs = Sequence[tuple[int, int]]


def open_shard(path: tf.Tensor) -> tf.data.Dataset:
    """The records of a TFRecord file, compressed if it ends in `.gz`."""
    is_gzip = tf.strings.regex_full_match(path, r".*\.gz")
    return tf.data.TFRecordDataset(path, compression_type=tf.where(is_gzip, "GZIP", ""))


def open_runs(
    files: Sequence[str], runs: Mapping[str, Runs]
) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """How to read the good records of the file with a given place in `files`.

    TensorFlow ends a file at a damaged record, but it can pass over it: skipping looks at lengths
    alone. So every run opens its file anew.

    Args:
        files: The files.
        runs: Their good records; files that are not there are read whole.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "letters.tfrecord")
    >>> with tf.io.TFRecordWriter(path) as writer:
    ...     for letter in "abcde":
    ...         writer.write(letter.encode())
    >>> list(open_runs([path], {path: [(0, 1), (3, 2)]})(0).as_numpy_iterator())
    [b'a', b'd', b'e']
    """
    whole = [(0, -1)]
    of_files = [runs.get(path, whole) for path in files]
    paths = tf.constant(list(files))
    flat = [run for of_file in of_files for run in of_file]
    firsts, counts = tf.unstack(tf.constant(flat, tf.int64, [len(flat), 2]), axis=1)
    ends = tf.cumsum(tf.constant([len(of_file) for of_file in of_files], tf.int64))
    starts = tf.concat([[0], ends[:-1]], axis=0)

    def open_file(index: tf.Tensor) -> tf.data.Dataset:
        path = paths[index]
        return tf.data.Dataset.range(starts[index], ends[index]).flat_map(
            lambda run: open_shard(path).skip(firsts[run]).take(counts[run]))

    return open_file


def first_unreadable(path: str, runs: Runs) -> BadRecord | None:
    """The first record that TensorFlow cannot read, though its frame may be sound.

    Where a GZIP stream is broken TensorFlow gives up some records earlier than Python, and it
    refuses streams that Python forgives.

    Args:
        path: A compressed file.
        runs: Records whose frames are sound; (0, -1) is the whole file.
    """
    for first, count in runs:
        read, failed = _count(open_runs([path], {path: [(first, count)]})(0))
        if failed or read < count:
            number = first + read
            return BadRecord(file=path, number=number, reason="cut", message=(
                f"{path}, record {number}: should be in a sound GZIP stream. Received: a damaged "
                "one; nothing from here on can be read. Remedy: copy the file again, or write the "
                "shard again."))
    return None


def _count(records: tf.data.Dataset) -> tuple[int, bool]:
    """How many records can be read, and whether an error ends them."""
    try:
        sizes = records.batch(1024).reduce(
            tf.constant(0), lambda count, batch: count + tf.size(batch))
        return int(sizes), False
    except tf.errors.DataLossError:
        pass
    count = 0
    try:
        for _ in records:
            count += 1
    except tf.errors.DataLossError:
        pass
    return count, True
