"""What TFDS has prepared as a source of `pipelines.prepare`; nothing is downloaded.

The files are read with batched parsing: TFDS itself decodes one example after the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import tensorflow as tf

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Source
from dtrn_tf.errors import DataError

_BATCH_ROWS = 1 << 15
# How the configurations of data sets that hold several tables call ours.
_TABLE_NAMES = {"interactions": ("interactions", "ratings"), "users": ("users",),
                "items": ("items", "movies")}


@dataclass(frozen=True, kw_only=True)
class TfdsShard:
    """Some columns of a TFRecord file of TFDS; calling it reads them in batches.

    Args:
        path: The file.
        dtypes: Per column int64, float32 or string.
        lists: Columns that hold lists; they become text like `3,7`.
    """

    path: str
    dtypes: dict[str, str]
    lists: frozenset[str] = frozenset()

    def __call__(self) -> Iterator[pd.DataFrame]:
        described = {
            name: (tf.io.RaggedFeature(dtype) if name in self.lists
                   else tf.io.FixedLenFeature((), dtype)) for name, dtype in self.dtypes.items()}
        yield self._frame(tf.io.parse_example(tf.zeros([0], tf.string), described))
        for batch in tf.data.TFRecordDataset(self.path).batch(_BATCH_ROWS):
            yield self._frame(tf.io.parse_example(batch, described))

    def _frame(self, parsed: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame({name: _column(parsed[name]) for name in self.dtypes})


def open_tfds(spec: PrepareSpec, name: str, data_dir: str | None = None) -> Source:
    """Opens the tables that a spec needs among the data sets in a directory of TFDS.

    Args:
        spec: Its columns name features of the data sets.
        name: `NAME` or `NAME:CONFIG`. Each table is a data set of its own: of `movielens:100k`,
            interactions are `movielens/100k-ratings` and items `movielens/100k-movies`; of
            `kuairand:pure`, users are `kuairand/pure-users`.
        data_dir: Where TFDS has prepared them; by default TFDS_DATA_DIR or ~/tensorflow_datasets.

    Raises:
        DataError: TFDS is not installed, a data set is not prepared, or a feature is missing.
    """
    data_dir = os.path.expanduser(
        data_dir or os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"))
    needed = {"interactions", *(feature.table for feature in spec.features)}
    builders = {table: _builder(data_dir, name, table) for table in sorted(needed)}
    parts = {table: _shards(builder, spec.needed_columns(table))
             for table, builder in builders.items()}
    return Source(interactions=parts["interactions"], users=parts.get("users", ()),
                  items=parts.get("items", ()),
                  num_rows=builders["interactions"].info.splits["train"].num_examples)


def _builder(data_dir: str, name: str, table: str) -> Any:
    """The prepared data set of a table."""
    try:
        import tensorflow_datasets as tfds  # An extra, and seconds to import.
    except ImportError as error:
        raise DataError("--tfds needs the extra `tfds`. Received: no tensorflow_datasets. "
                        "Remedy: pip install dtrn_tf[tfds].") from error
    dataset, _, config = name.partition(":")
    configs = [f"{config}-{alias}" if config else alias for alias in _TABLE_NAMES[table]]
    for candidate in (*configs, *([config] if table == "interactions" else [])):
        version = _newest_version(os.path.join(data_dir, dataset, candidate))
        if version is not None:
            return tfds.builder_from_directory(version)
    raise DataError(f"{data_dir}: should hold the table `{table}` of {name!r}, prepared by TFDS as "
                    f"{dataset}/{' or '.join(configs)}. Received: no such directory. Remedy: tfds "
                    f"build {dataset}/{configs[-1]} --data_dir={data_dir} (docs/prepare.md).")


def _newest_version(directory: str) -> str | None:
    """The directory of the highest version in which TFDS has finished."""
    found = [entry for entry in (os.listdir(directory) if os.path.isdir(directory) else ())
             if os.path.exists(os.path.join(directory, entry, "dataset_info.json"))]
    newest = max(found, key=lambda version: [int(n) for n in version.split(".")], default=None)
    return None if newest is None else os.path.join(directory, newest)


def _shards(builder: Any, columns: tuple[str, ...]) -> tuple[TfdsShard, ...]:
    info = builder.info
    where = f"{builder.data_path}"
    if info.file_format.value != "tfrecord":
        raise DataError(f"{where}: should hold TFRecord files. Received: "
                        f"{info.file_format.value}. Build it with --file_format=tfrecord.")
    described = info.features.get_serialized_info()
    missing = sorted(set(columns) - set(described))
    if missing:
        raise DataError(f"{where}: should have the features {missing}. Received: "
                        f"{sorted(described)}. Mend the column names in the prepare spec.")
    dtypes = {name: _dtype(described[name].np_dtype) for name in columns}
    lists = frozenset(name for name in columns if described[name].shape)
    return tuple(TfdsShard(path=os.fspath(path), dtypes=dtypes, lists=lists)
                 for path in info.splits["train"].filepaths)


def _dtype(dtype: Any) -> str:
    """The type that a value has in a tf.train.Example."""
    if np.dtype(dtype).kind == "f":
        return "float32"
    return "string" if np.dtype(dtype).kind in "OSU" else "int64"


def _column(values: Any) -> pd.Series:
    if isinstance(values, tf.RaggedTensor):
        text = values if values.dtype == tf.string else tf.strings.as_string(values)
        values = tf.strings.reduce_join(text, axis=-1, separator=",")
    if values.dtype != tf.string:
        return pd.Series(values.numpy())
    return pa.array(values.numpy(), pa.binary()).cast(pa.string()).to_pandas()
