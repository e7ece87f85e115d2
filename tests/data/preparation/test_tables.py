import dataclasses

import numpy as np
import pandas as pd
import pytest
from test_prepare_spec import CONFIG

from dtrn_tf.data.preparation.prepare_spec import PrepareSpec
from dtrn_tf.data.preparation.sources import open_source
from dtrn_tf.data.preparation.tables import (
    Tables, chunks_of_users, load_tables, merge_duplicates, read_table,
)
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
    tables = load_tables(spec, str(tmp_path))
    pd.testing.assert_frame_equal(tables.interactions, log()[["user", "item", "time", "purchase"]])
    assert list(tables.items) == ["item", "brand"] and tables.users is None


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


def test_columns_are_renamed(tmp_path):
    (tmp_path / "t.csv").write_text("video_id\n7\n")
    table = read_table(str(tmp_path / "t.csv"), ["item_id"], {"item_id": "video_id"})
    assert table["item_id"].tolist() == [7]


def test_duplicates_keep_the_maximum_of_feedback():
    twice = pd.DataFrame({"user": [1, 1, 1], "item": [2, 2, 2], "time": [3, 3, 4],
                          "purchase": [0, 1, 0], "tab": [5, 9, 7]})
    merged = merge_duplicates(Tables(interactions=twice), SPEC).interactions
    assert merged.to_dict("list") == {"user": [1, 1], "item": [2, 2], "time": [3, 4],
                                      "purchase": [1, 0], "tab": [5, 7]}


def test_chunks_hold_every_row_once_and_whole_users():
    users = pd.DataFrame({"user": range(13)})
    tables = Tables(interactions=log(), users=users, items=items())
    chunks = list(chunks_of_users(tables, SPEC.columns, 5, seed=1))
    seen = [set(c.interactions["user"]) for c in chunks]
    assert [len(s) for s in seen] == [5, 5, 3] and len(set.union(*seen)) == 13
    assert all(set(c.users["user"]) == s for c, s in zip(chunks, seen))
    pd.testing.assert_frame_equal(
        pd.concat([c.interactions for c in chunks]).sort_index(), log())
    other = next(chunks_of_users(tables, SPEC.columns, 5, seed=2))
    assert set(other.interactions["user"]) != seen[0]


def test_sources(tmp_path):
    log().to_csv(tmp_path / "log.csv", index=False)
    items().to_csv(tmp_path / "items.csv", index=False)
    source = open_source(SPEC, str(tmp_path), seed=0, users_per_chunk=5)
    assert source.num_users == 13 and len(list(source.chunks)) == 3
    with pytest.raises(DataError, match="--num_users should be given for source 'synthetic' only"):
        open_source(SPEC, str(tmp_path), seed=0, num_users=3)
    with pytest.raises(DataError, match="--source_dir should be the directory with the tables"):
        open_source(SPEC, str(tmp_path / "absent"), seed=0)
    with pytest.raises(DataError, match="--source_dir should be .* Received: None"):
        open_source(SPEC, None, seed=0)
