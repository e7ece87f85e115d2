"""TFRecord shards to a tf.data.Dataset of (features, labels, weights)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from dtrn_tf.data.examples import check_examples, labels_and_weights, parse_examples
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.record_count import count_records
from dtrn_tf.errors import DataError
from dtrn_tf.schema import REQUEST_INDEX, Schema

_SHARD = re.compile(r"^[^._].*\.tfrecord(-\d+-of-\d+)?(\.gz)?$")
_NUMBERED = re.compile(r"-(\d+)-of-(\d+)")
_OPEN_FILES = 16
# Records read from one file before the next: longer runs read faster, shorter ones mix better.
_BLOCK_LENGTH = 16
# What tf.data says when parsing or preprocessing fails; a model's own errors do not say it.
_IN_MAP = "user-defined function passed to"
_FILE_ERRORS = (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError)


def list_shards(directory: str | os.PathLike[str], split: str) -> list[str]:
    """Lists the record files of a split, in order.

    Args:
        directory: A data directory as written by `pipelines.prepare`.
        split: Name of the sub-directory, usually `train`, `valid` or `test`.

    Raises:
        DataError: The directory is missing or unreadable, holds no shard, or a shard of a numbered
            set (`-00000-of-00004`) is missing.
    """
    folder = os.path.join(directory, split)
    try:
        names = sorted(name for name in os.listdir(folder) if _SHARD.match(name))
    except OSError as error:
        raise DataError(f"{folder}: should be a readable directory of record files. "
                        f"Received: {error.strerror}. Name the directory that `python -m "
                        "pipelines.prepare` wrote.") from error
    if not names:
        raise DataError(f"{folder}: should hold at least one *.tfrecord or *.tfrecord.gz file. "
                        "Received: none (empty split). Run prepare again.")
    _check_complete(names, folder)
    return [os.path.join(folder, name) for name in names]


def check_shards(files: Sequence[str], schema: Schema) -> int:
    """Checks that every file can be read to its end and that its first record fits.

    Returns:
        The number of records in all files.

    Raises:
        DataError: A file is missing, unreadable, empty, damaged or cut, or its first record does
            not fit the schema; the message names file and feature.
    """
    for path in files:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise DataError(f"{path}: should be a readable record file. Received: "
                            f"{error.strerror}. Run prepare again.") from error
        record = next(_records(path, limit=1), None)
        if record is None:
            raise DataError(f"{path}: should hold at least one record. Received: none. "
                            "Delete the file, or prepare the split again.")
        check_examples(record, schema, f"{path}, record 0")
    return count_records(files)


def read_records(
    files: Sequence[str],
    schema: Schema,
    preprocessing: Callable[..., dict[str, tf.Tensor]] | Preprocessing,
    *,
    batch_size: int,
    shuffle_buffer: int = 0,
    seed: int | None = None,
    repeat: bool = False,
    drop_remainder: bool = False,
    labels: bool = True,
    group: bool = False,
) -> tf.data.Dataset:
    """Reads shards into batches; the order depends on nothing but the arguments.

    Args:
        files: TFRecord files, compressed if they end in `.gz`.
        schema: What a record holds.
        preprocessing: Maps raw features to model inputs.
        batch_size: Records a batch: impressions or, with that layout, requests.
        shuffle_buffer: Records to draw from at random; 0 keeps one order. If > 0, files and
            records come in a different order in each epoch.
        seed: Seed of the shuffling.
        repeat: Whether to repeat for ever; then batches run across the ends of epochs.
        drop_remainder: Whether to drop a smaller last batch.
        labels: Whether to read labels; without them the dataset yields the features alone.
        group: Whether to keep the group key among the features.

    Returns:
        Batches of (features, {task: label [B]}, {task: weight [B]}). Of requests, features of the
        request and sequences have R rows; features of the candidates, labels, weights and the
        group key B; and `request_index` int32 [B] among the features says, ascending, to which
        request each candidate belongs. An iterator over it can be saved with tf.train.Checkpoint.
    """
    batches = read_serialized(files, batch_size=batch_size, shuffle_buffer=shuffle_buffer,
                              seed=seed, repeat=repeat, drop_remainder=drop_remainder)
    # Parsing a batch at once is ten times faster than parsing record by record.
    rows = batches.map(
        lambda serialized: _rows(serialized, schema, preprocessing, labels, group),
        num_parallel_calls=tf.data.AUTOTUNE)
    return rows.prefetch(2)


def read_serialized(
    files: Sequence[str],
    *,
    batch_size: int,
    shuffle_buffer: int = 0,
    seed: int | None = None,
    repeat: bool = False,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """The records before they are parsed: batches of strings [B]; arguments as `read_records`."""
    if not files:
        raise DataError("reading should start from at least one record file. Received: none.")
    paths = tf.data.Dataset.from_tensor_slices(list(files))
    if shuffle_buffer:
        paths = paths.shuffle(len(files), seed=seed)
    # One thread reads faster than batches are parsed; handing over records from several costs more
    # than reading them.
    records = paths.interleave(
        _open_shard, cycle_length=min(len(files), _OPEN_FILES), block_length=_BLOCK_LENGTH)
    if shuffle_buffer:
        records = records.shuffle(shuffle_buffer, seed=seed)
    if repeat:
        records = records.repeat()
    options = tf.data.Options()
    # Tuning takes the time of every record at every stage: a tenth of all that reading costs.
    # Without it, each core parses a batch, up to 16.
    options.autotune.enabled = False
    return records.batch(batch_size, drop_remainder=drop_remainder).with_options(options)


def explain(
    error: tf.errors.OpError, files: Sequence[str], schema: Schema | None = None
) -> DataError:
    """Says which record made reading fail and why, by reading the files again one by one.

    Args:
        error: What reading or a training step raised.
        files: The files that were read.
        schema: What their records should hold; without it only damaged files are found.

    Returns:
        The error to raise instead, `from error`.

    Raises:
        tf.errors.OpError: `error` itself if it does not come from reading.
    """
    if not isinstance(error, _FILE_ERRORS) and _IN_MAP not in error.message:
        raise error
    for path in files:
        try:
            for number, record in enumerate(_records(path)):
                if schema is not None:
                    check_examples(record, schema, f"{path}, record {number}")
        except DataError as found:
            return found
    if _IN_MAP not in error.message:
        raise error  # Another file, for example a checkpoint.
    return DataError("records should be readable and fit the schema. Received: "
                     f"{_plain_message(error)}. Look into: {list(files)}.")


def _rows(
    serialized: tf.Tensor, schema: Schema, preprocessing: Callable[..., dict[str, tf.Tensor]],
    labels: bool, group: bool,
) -> tuple[dict[str, tf.Tensor], ...] | dict[str, tf.Tensor]:
    """Records to rows, in either layout."""
    raw = parse_examples(serialized, schema, labels, group)
    if group and schema.group and REQUEST_INDEX in raw:
        # Metrics group rows, so it goes beside the labels.
        raw[schema.group.name] = tf.gather(raw[schema.group.name], raw[REQUEST_INDEX])
    features = preprocessing(raw)
    return (features, *labels_and_weights(raw, schema)) if labels else features


def _open_shard(path: tf.Tensor) -> tf.data.Dataset:
    is_gzip = tf.strings.regex_full_match(path, r".*\.gz")
    return tf.data.TFRecordDataset(path, compression_type=tf.where(is_gzip, "GZIP", ""))


def _records(path: str, limit: int = -1) -> Iterator[bytes]:
    """The records of one file; a damaged one raises DataError with its number."""
    compression = "GZIP" if path.endswith(".gz") else ""
    number = 0
    try:
        for record in tf.data.TFRecordDataset(path, compression).take(limit).as_numpy_iterator():
            yield record
            number += 1
    except tf.errors.OpError as error:
        raise DataError(f"{path}, record {number}: should be a whole TFRecord. Received: "
                        f"{_plain_message(error)}. Copy or prepare the file again.") from error


def _plain_message(error: tf.errors.OpError) -> str:
    """TensorFlow's message without the names of graph nodes."""
    assertion = re.search(r"assertion failed: \[(.*)\] \[(.*)\]", error.message)
    if assertion:
        return " ".join(assertion.groups()).replace("\\'", "'")
    return re.sub(r"\{\{.*?\}\} *| \[Op:.*", "", error.message).split("\n")[0]


def _check_complete(names: Sequence[str], folder: str) -> None:
    numbered = [match for match in map(_NUMBERED.search, names) if match]
    found = {int(match[1]) for match in numbered}
    expected = max((int(match[2]) for match in numbered), default=0)
    missing = sorted(set(range(expected)) - found)
    if missing:
        raise DataError(f"{folder}: should hold all {expected} numbered files. "
                        f"Missing numbers: {missing[:10]}. Copy or prepare the split again.")
