"""Tables in Parquet and CSV files, read in batches."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.source import Source, read_parts
from dtrn_tf.data.preparation.tables import needed_columns
from dtrn_tf.errors import DataError

_BATCH_ROWS = 1 << 17
# Row groups of a Parquet file are read together up to this many rows.
_PART_ROWS = 1 << 19
# The types of a CSV file's columns are those of its first block.
_CSV_BLOCK_BYTES = 1 << 25
_SAMPLE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """Some rows of a Parquet file, or a CSV file; calling it reads them in batches.

    Args:
        path: The file.
        names: Column of the file -> column of the result.
        row_groups: Those of a Parquet file to read; all of them by default.
        num_rows: How many rows it has; of a CSV file, about.
        finish: What to do with every batch.
        header: The columns of a CSV file whose first line does not name them.
    """

    path: str
    names: Mapping[str, str]
    row_groups: tuple[int, ...] | None = None
    num_rows: int = 0
    finish: Callable[[pd.DataFrame], pd.DataFrame] | None = field(default=None)
    header: tuple[str, ...] = ()

    def __call__(self) -> Iterator[pd.DataFrame]:
        with _named_errors(self.path):
            for batch in self._batches():
                frame = batch.select(list(self.names)).to_pandas().rename(columns=self.names)
                yield frame if self.finish is None else self.finish(frame)

    def _batches(self) -> Iterator[pa.Table]:
        if not _is_parquet(self.path):
            with _open_csv(self.path, self.header, list(self.names)) as reader:
                yield reader.schema.empty_table()
                for batch in reader:
                    yield pa.Table.from_batches([batch])
            return
        with pa.parquet.ParquetFile(self.path) as file:
            columns = list(self.names)
            yield file.schema_arrow.empty_table()
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=self.row_groups,
                                           columns=columns):
                yield pa.Table.from_batches([batch])


def file_parts(
    path: str,
    columns: Collection[str],
    renames: Mapping[str, str] | None = None,
    finish: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    header: tuple[str, ...] = (),
) -> tuple[FilePart, ...]:
    """The parts of a Parquet or CSV file, after a look at its columns.

    Args:
        path: File that ends in `.parquet`, `.csv` or `.csv.gz`.
        columns: Columns of the result.
        renames: Column of the result -> column of the file, where they differ.
        finish: What to do with every batch; a function of a module, for other machines.
        header: The columns of a CSV file whose first line does not name them.

    Raises:
        DataError: The file is missing or unreadable, or a column is missing.
    """
    renames = renames or {}
    names = {renames.get(column, column): column for column in columns}
    with _named_errors(path):
        present = _column_names(path, header)
        missing = sorted(set(names) - set(present))
        if missing:
            raise DataError(f"{path}: should have the columns {missing}. Received: {present}. "
                            "Mend the file, or the column names in the prepare spec.")
        if not _is_parquet(path):
            return (FilePart(path=path, names=names, num_rows=_about_lines(path), finish=finish,
                             header=header),)
        return tuple(FilePart(path=path, names=names, row_groups=groups, num_rows=rows,
                              finish=finish) for groups, rows in _groups_of_row_groups(path))


def read_table(
    path: str, columns: Collection[str], renames: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """All rows of a Parquet or CSV file; arguments and errors of `file_parts`."""
    return read_parts(file_parts(path, columns, renames))


def load_tables(spec: PrepareSpec, directory: str) -> Source:
    """Opens the generic tables that the spec names, Parquet or CSV.

    Raises:
        DataError: A file or column is missing.
    """
    if "interactions" not in spec.tables:
        raise DataError("`tables` of the prepare spec should name the file of `interactions` for "
                        f"source 'tables'. Received: {sorted(spec.tables)}.")

    def parts(table: str) -> tuple[FilePart, ...]:
        file = spec.tables.get(table)
        return () if file is None else file_parts(os.path.join(directory, file),
                                                  needed_columns(spec, table))

    log = parts("interactions")
    return Source(interactions=log, users=parts("users"), items=parts("items"),
                  prehistory=parts("prehistory"), num_rows=num_rows(log))


def num_rows(parts: Collection[FilePart]) -> int:
    """Rows of all parts; of CSV files, about."""
    return sum(part.num_rows for part in parts)


@contextmanager
def _named_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: should be a readable Parquet or CSV file. Received: "
                        f"{error.strerror or error}. Put it there, or mend --source_dir or the "
                        "prepare spec.") from error
    except pa.ArrowInvalid as error:
        raise DataError(f"{path}: should be a whole Parquet or CSV file, with values of one type "
                        f"in each column. Received: {error}. Fetch or write it again; Parquet "
                        "tells the types.") from error


def _is_parquet(path: str) -> bool:
    return path.endswith(".parquet")


def _open_csv(
    path: str, header: tuple[str, ...], columns: list[str] | None = None
) -> pa.csv.CSVStreamingReader:
    return pa.csv.open_csv(
        path, read_options=pa.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES,
                                              column_names=list(header)),
        convert_options=pa.csv.ConvertOptions(include_columns=columns))


def _column_names(path: str, header: tuple[str, ...]) -> list[str]:
    if _is_parquet(path):
        return list(pa.parquet.read_schema(path).names)
    with _open_csv(path, header) as reader:
        return list(reader.schema.names)


def _groups_of_row_groups(path: str) -> Iterator[tuple[tuple[int, ...], int]]:
    """Neighbouring row groups, and how many rows they have together."""
    metadata = pa.parquet.read_metadata(path)
    groups: list[int] = []
    rows = 0
    for group in range(metadata.num_row_groups):
        more = metadata.row_group(group).num_rows
        if groups and rows + more > _PART_ROWS:
            yield tuple(groups), rows
            groups, rows = [], 0
        groups.append(group)
        rows += more
    yield tuple(groups), rows


def _about_lines(path: str) -> int:
    """Lines of a text file, from those at its beginning."""
    with open(path, "rb") as file:
        lines = gzip.open(file) if path.endswith(".gz") else file
        sample = lines.read(_SAMPLE_BYTES).count(b"\n")
        return round(sample * os.path.getsize(path) / max(file.tell(), 1))
