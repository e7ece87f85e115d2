"""TFRecord shards to a tf.data.Dataset of (features, labels, weights)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import tensorflow as tf

from dtrn_tf.data.bad_records import bad_record_error
from dtrn_tf.data.examples import labels_and_weights, parse_examples
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.record_check import RecordCheck, plain_message
from dtrn_tf.data.record_file import BadRecord, scan_records
from dtrn_tf.data.runs import Runs, first_unreadable, open_runs, open_shard
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
    runs: Mapping[str, Runs] | None = None,
    turn: tuple[int, int | tf.Tensor] = (1, 0),
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
        runs: `Shards.runs`, what to read of each file if some hold bad records.
        turn: Of (n, i), only batches i, i + n, i + 2n, ... are parsed and kept.

    Returns:
        Batches of (features, {task: label [B]}, {task: weight [B]}). Of requests, features of the
        request and sequences have R rows; features of the candidates, labels, weights and the
        group key B; and `request_index` int32 [B] among the features says, ascending, to which
        request each candidate belongs. An iterator over it can be saved with tf.train.Checkpoint.
    """
    batches = read_serialized(files, batch_size=batch_size, shuffle_buffer=shuffle_buffer,
                              seed=seed, repeat=repeat, drop_remainder=drop_remainder,
                              runs=runs)
    if turn[0] > 1:
        batches = batches.shard(*turn)
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
    runs: Mapping[str, Runs] | None = None,
) -> tf.data.Dataset:
    """The records before they are parsed: batches of strings [B]; arguments as `read_records`."""
    if not files:
        raise DataError("reading should start from at least one record file. Received: none.")
    shards = tf.data.Dataset.range(len(files)) if runs else tf.data.Dataset.from_tensor_slices(
        list(files))
    if shuffle_buffer:
        shards = shards.shuffle(len(files), seed=seed)
    # One thread reads faster than batches are parsed; handing over records from several costs more
    # than reading them.
    records = shards.interleave(
        open_runs(files, runs) if runs else open_shard,
        cycle_length=min(len(files), _OPEN_FILES), block_length=_BLOCK_LENGTH)
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
    error: tf.errors.OpError, files: Sequence[str], schema: Schema | None = None,
    known: Collection[BadRecord] = (),
) -> DataError:
    """Says which record made reading fail and why, by reading the files again one by one.

    Args:
        error: What reading or a training step raised.
        files: The files that were read.
        schema: What their records should hold; without it only damaged files are found.
        known: Bad records that were not read.

    Returns:
        The error to raise instead, `from error`.

    Raises:
        tf.errors.OpError: `error` itself if it does not come from reading.
    """
    if not isinstance(error, _FILE_ERRORS) and _IN_MAP not in error.message:
        raise error
    scan = scan_records if schema is None else RecordCheck(schema).scan
    for path in files:
        found = _first_bad(path, scan, [record for record in known if record.file == path])
        if found:
            return bad_record_error(found)
    if _IN_MAP not in error.message:
        raise error  # Another file, for example a checkpoint.
    return DataError("records should be readable and fit the schema. Received: "
                     f"{plain_message(error)}. Look into: {list(files)}.")


def _first_bad(
    path: str, scan: Callable[[str], Iterable[tuple[int, bytes | BadRecord]]],
    known: Sequence[BadRecord],
) -> BadRecord | None:
    """The first bad record that is not known."""
    for number, record in scan(path):
        if known and known[-1].ends_file and number >= known[-1].number:
            return None
        if isinstance(record, BadRecord) and record not in known:
            return record
    return first_unreadable(path, [(0, -1)]) if path.endswith(".gz") and not known else None


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


def _check_complete(names: Sequence[str], folder: str) -> None:
    numbered = [match for match in map(_NUMBERED.search, names) if match]
    found = {int(match[1]) for match in numbered}
    expected = max((int(match[2]) for match in numbered), default=0)
    missing = sorted(set(range(expected)) - found)
    if missing:
        raise DataError(f"{folder}: should hold all {expected} numbered files. "
                        f"Missing numbers: {missing[:10]}. Copy or prepare the split again.")
