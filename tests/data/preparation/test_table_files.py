import dataclasses
import gzip
import os
import pickle

import numpy as np
import pandas as pd
import pytest
from test_prepare_spec import CONFIG

from dtrn_tf.data.preparation import table_files
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.sources import open_source
from dtrn_tf.data.preparation.table_files import file_parts, load_tables, num_rows, read_table
from dtrn_tf.errors import DataError

SPEC = PrepareSpec.from_dict(CONFIG)


def log(num_users=13, rows=101, seed=3):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"user": rng.integers(num_users, size=rows),
                         "item": rng.integers(7, size=rows),
                         "time": np.arange(rows), "purchase": rng.integers(2, size=rows)})


def items():
    return pd.DataFrame({"item": range(7), "brand": list("abcdefg")})


def test_generic_tables_of_either_format(tmp_path):
    log().to_csv(tmp_path / "log.csv", index=False)
    items().assign(unused=1).to_parquet(tmp_path / "items.parquet")
    spec = dataclasses.replace(SPEC, tables={"interactions": "log.csv", "items": "items.parquet"})
    source = load_tables(spec, str(tmp_path))
    tables = source.read()
    pd.testing.assert_frame_equal(tables.interactions, log()[["user", "item", "time", "purchase"]])
    assert list(tables.items) == ["item", "brand"] and tables.users is None
    heads = source.heads()
    assert list(heads) == ["interactions", "items"] and len(heads["items"]) == 0
    assert heads["interactions"].dtypes.tolist() == tables.interactions.dtypes.tolist()


def test_parts_of_a_parquet_file_are_some_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "_PART_ROWS", 25)
    monkeypatch.setattr(table_files, "_BATCH_ROWS", 7)
    path = str(tmp_path / "log.parquet")
    log().to_parquet(path, row_group_size=10)
    parts = file_parts(path, ["time"])
    assert [part.row_groups for part in parts] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9, 10)]
    assert [part.num_rows for part in parts] == [20] * 4 + [21] and num_rows(parts) == 101
    again = pickle.loads(pickle.dumps(parts))
    times = [frame.time.tolist() for part in again for frame in part()]
    assert sum(times, []) == list(range(101)) and max(map(len, times)) == 7


def test_a_file_without_rows_has_types(tmp_path):
    for name in ("log.parquet", "log.csv"):
        path = str(tmp_path / name)
        frame = log().iloc[:0]
        if name.endswith("csv"):
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        table = read_table(path, ["time", "user"])
        assert list(table) == ["time", "user"] and len(table) == 0


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_the_rows_of_a_csv_file_are_estimated(tmp_path, name, monkeypatch):
    monkeypatch.setattr(table_files, "_SAMPLE_BYTES", 1 << 14)
    path = str(tmp_path / name)
    log(rows=50_000).to_csv(path, index=False)
    (part,) = file_parts(path, ["time"])
    assert part.num_rows == pytest.approx(50_000, rel=0.6)
    assert len(read_table(path, ["time"])) == 50_000


def test_interactions_must_be_named(tmp_path):
    spec = dataclasses.replace(SPEC, tables={"items": "items.csv"})
    with pytest.raises(DataError, match=r"`tables` .* should name the file of `interactions`"):
        load_tables(spec, str(tmp_path))


def test_a_missing_file_or_column_is_named(tmp_path):
    with pytest.raises(DataError, match="log.csv: should be a readable Parquet or CSV file"):
        load_tables(SPEC, str(tmp_path))
    log().drop(columns="purchase").to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(DataError, match=r"log.csv: should have the columns \['purchase'\]"):
        load_tables(SPEC, str(tmp_path))


def test_a_broken_csv_is_named(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n1\n")
    with pytest.raises(DataError, match="log.csv: should be a whole Parquet or CSV file"):
        read_table(str(path), ["a", "b"])


def test_a_csv_of_two_types_is_named(tmp_path, monkeypatch):
    """Types are those of the first block: text after it cannot silently change ids."""
    monkeypatch.setattr(table_files, "_CSV_BLOCK_BYTES", 1 << 10)
    path = tmp_path / "log.csv"
    path.write_text("a\n" + "1\n" * 2000 + "x\n")
    with pytest.raises(DataError, match="values of one type in each column. Received: .*'x'.*"
                                        "Parquet tells the types"):
        read_table(str(path), ["a"])


def test_columns_are_renamed(tmp_path):
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("video_id\n7\n")
    table = read_table(str(tmp_path / "t.csv.gz"), ["item_id"], {"item_id": "video_id"})
    assert table["item_id"].tolist() == [7]


def test_sources(tmp_path):
    log().to_csv(tmp_path / "log.csv", index=False)
    items().to_csv(tmp_path / "items.csv", index=False)
    source = open_source(SPEC, str(tmp_path), seed=0)
    assert len(source.interactions) == len(source.items) == 1 and not source.users
    assert not source.distinct and os.listdir(tmp_path)
    with pytest.raises(DataError, match="--num_users should be given for source 'synthetic' only"):
        open_source(SPEC, str(tmp_path), seed=0, num_users=3)
    with pytest.raises(DataError, match="--source_dir should be the directory with the tables"):
        open_source(SPEC, str(tmp_path / "absent"), seed=0)
    with pytest.raises(DataError, match="--source_dir should be .* Received: None"):
        open_source(SPEC, None, seed=0)
