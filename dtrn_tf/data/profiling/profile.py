"""What was seen of some record files: the one thing that starter schemas and drift rest on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.occurrences import Occurrences, add_to
from dtrn_tf.data.profiling.scan import Batch, scan_batches, share_limit
from dtrn_tf.data.profiling.value_counts import MAX_VALUES
from dtrn_tf.data.record_file import BadRecord


class Profile:
    """Counts over records of any number of files; profiles of files merge to that of all.

    Args:
        max_values: How many different values of a feature are counted exactly.
    """

    def __init__(self, max_values: int = MAX_VALUES) -> None:
        self._max_values = max_values
        self.records = 0  # Good ones.
        self.files: dict[str, int] = {}  # Good records of each file.
        self.bad: dict[tuple[str, str], Occurrences] = {}  # By (file, reason).
        self._features: dict[str, FeatureProfile] = {}

    def add(self, batch: Batch | BadRecord) -> None:
        """Adds what `scan_batches` yields."""
        self.files.setdefault(batch.file, 0)
        if isinstance(batch, BadRecord):
            add_to(self.bad, (batch.file, batch.reason),
                   Occurrences(1, batch.file, batch.number, batch.message))
            return
        self.records += len(batch.records)
        self.files[batch.file] += len(batch.records)
        keys = _record_keys(batch)
        for (name, kind), column in batch.columns.items():
            self._feature(name).add(kind, column, keys[column.rows])

    def merge(self, other: Profile) -> None:
        """Adds what another profile has seen of other files."""
        self.records += other.records
        self.files.update(other.files)
        for key, occurrences in other.bad.items():
            add_to(self.bad, key, occurrences)
        for name, feature in other._features.items():
            self._feature(name).merge(feature)

    @property
    def features(self) -> dict[str, FeatureProfile]:
        """By name, in the order of the names."""
        return dict(sorted(self._features.items()))

    @property
    def num_bad(self) -> int:
        return sum(occurrences.count for occurrences in self.bad.values())

    def presence(self, name: str) -> float:
        """The share of the good records that hold a feature."""
        feature = self._features.get(name)
        return feature.present / self.records if feature and self.records else 0.0

    def _feature(self, name: str) -> FeatureProfile:
        return self._features.setdefault(name, FeatureProfile(self._max_values))


def profile_files(
    files: Sequence[str],
    *,
    max_records: int = 0,
    max_values: int = MAX_VALUES,
    consumers: Iterable[Callable[[Batch | BadRecord], None]] = (),
    progress: Callable[[int], object] = lambda count: None,
) -> Profile:
    """Reads record files once.

    Args:
        files: TFRecord files, compressed if they end in `.gz`.
        max_records: How many records to read, about equally many of the beginning of each file;
            0 reads all.
        max_values: How many different values of a feature are counted exactly.
        consumers: Get all that is read too.
        progress: Gets the number of records of every batch.

    >>> import os, tempfile
    >>> from dtrn_tf.data.record_file import frame
    >>> path = os.path.join(tempfile.mkdtemp(), "a.tfrecord")
    >>> with open(path, "wb") as file:
    ...     _ = file.write(frame(b"") + frame(b"no Example"))
    >>> profile = profile_files([path])
    >>> profile.records, [reason for _, reason in profile.bad]
    (1, ['not_example'])
    """
    profile = Profile(max_values)
    receivers = [profile.add, *consumers]
    for batch in all_batches(files, max_records):
        for receive in receivers:
            receive(batch)
        progress(1 if isinstance(batch, BadRecord) else len(batch.records))
    return profile


def all_batches(files: Sequence[str], max_records: int) -> Iterator[Batch | BadRecord]:
    """What `scan_batches` yields of all files; the beginning of each if not all records are read.

    Args:
        files: TFRecord files.
        max_records: How many records to read, about equally many of each file; 0 reads all.
    """
    for path, limit in zip(files, share_limit(max_records, len(files))):
        if limit is None or limit > 0:
            yield from scan_batches(path, limit)


def _record_keys(batch: Batch) -> np.ndarray:
    """Odd 64-bit numbers, different for different records of different files."""
    seed = np.uint64(zlib.crc32(batch.file.encode())) << np.uint64(32)
    x = (batch.numbers.astype(np.uint64) + seed + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return (x ^ (x >> np.uint64(27))) | np.uint64(1)
