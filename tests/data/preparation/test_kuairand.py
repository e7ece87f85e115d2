import os
import pathlib

import numpy as np
import pandas as pd
import pytest
from kuairand_files import DAY, END_OF_TRAIN, write_official, write_parquet

from dtrn_tf.data.preparation.kuairand import load_kuairand, official_files
from dtrn_tf.data.preparation.prepare_spec import load_prepare_spec
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.tables import merge_duplicates
from dtrn_tf.errors import DataError

ROOT = pathlib.Path(__file__).parents[3]
OFFICIAL_LOGS = official_files("interactions", "pure")
OFFICIAL_ITEMS = official_files("items", "pure")[0]
OUTCOMES = {"play_time_ms", "profile_stay_time", "comment_stay_time"}


@pytest.fixture(scope="module")
def spec():
    return load_prepare_spec(os.path.join(ROOT, "configs/kuairand/prepare.yaml"))


def rows_of(spec, directory):
    return build_rows(merge_duplicates(load_kuairand(spec, directory).read(), spec), spec)


def records_of(spec, directory):
    """By user, in the order of time."""
    by_user = {}
    for record in rows_of(spec, directory).records():
        by_user.setdefault(record["user_id"], []).append(record)
    return by_user


def test_both_layouts_give_the_same_records(spec, tmp_path):
    official = rows_of(spec, write_official(tmp_path / "official"))
    parquet = rows_of(spec, write_parquet(tmp_path / "parquet"))
    larger = rows_of(spec, write_official(tmp_path / "1k", edition="1k"))
    assert list(larger.records()) == list(official.records())
    assert official.times_ms.tolist() == parquet.times_ms.tolist()
    assert list(official.records()) == list(parquet.records())


def test_duplicates_are_merged_with_the_maximum(spec, tmp_path):
    second = records_of(spec, write_official(tmp_path))[3][1]
    assert (second["is_click"], second["is_like"], second["long_view"]) == (1, 1, 0)
    assert sum(map(len, records_of(spec, write_official(tmp_path)).values())) == 8


def test_records(spec, tmp_path):
    by_user = records_of(spec, write_official(tmp_path))
    last = by_user[3][-1]
    assert last["exposed_item"] == [11, 13, 17]
    assert last["exposed_author"] == [101, 103, 101]
    assert last["exposed_tag"] == ["12", "7", ""]
    # 12 days, 11 days and 3 days minus a millisecond, in powers of two seconds.
    assert last["exposed_recency"] == [1 + 19, 1 + 19, 1 + 17]
    assert (last["long_viewed_item"], last["liked_item"], last["deep_item"]) == ([11], [13], [])
    assert by_user[5][1]["deep_item"] == [11]
    assert last["past_clicks"] == int(2 * np.log2(3)) and last["past_likes"] == 2
    assert last["past_gap"] == int(np.log2(1 + 3 * 86_400))
    assert (last["tag"], last["music_type"], last["tab"], last["hour"]) == ("12", 9, 1, 23)
    assert by_user[5][0]["onehot_4"] == by_user[7][0]["author"] == np.iinfo(np.int64).min
    assert by_user[7][0]["active_degree"] == "" and by_user[7][0]["exposed_item"] == []


def test_prehistory_comes_first_and_without_age(spec, tmp_path):
    by_user = records_of(spec, write_parquet(tmp_path, prehistory=True))
    first = by_user[3][0]
    assert (first["exposed_item"], first["exposed_recency"]) == ([17, 13, 11], [0, 0, 0])
    assert (first["long_viewed_item"], first["liked_item"]) == ([13], [])
    assert first["past_exposures"] == 2 * np.log2(1 + 3)
    assert first["past_gap"] == int(np.log2(1 + 86_400))  # Since the last of the prehistory.
    assert first["past_click_rate"] == 16  # Prehistory tells nothing of clicks: the prior.
    assert by_user[3][1]["exposed_item"] == [17, 13, 11, 11]
    assert by_user[3][1]["exposed_recency"] == [0, 0, 0, 1 + 16]
    assert by_user[5][0]["exposed_item"] == [11, 13] * 5  # Cut to the newest ten.
    # Its list of long views is full: half of the listed exposures, so 50 of 100.
    assert by_user[5][0]["past_long_views"] == int(2 * np.log2(1 + 50))
    assert by_user[7][0]["exposed_item"] == []


def test_outcomes_and_the_user_id_are_never_inputs(spec):
    assert not OUTCOMES & set(spec.needed_columns("interactions"))
    assert "user_id" not in {f.column for f in spec.features}
    assert not set(spec.feedback_columns) & {f.column for f in spec.features}


def test_the_future_changes_no_input(spec, tmp_path):
    directory = write_official(tmp_path)
    before = records_of(spec, directory)[5][1]
    path = tmp_path / OFFICIAL_LOGS[1]
    log = pd.read_csv(path)
    later = log.time_ms > END_OF_TRAIN
    assert later.sum() == 4
    log.loc[later | (log.time_ms == END_OF_TRAIN), ["is_click", "is_like", "long_view"]] = 1
    log.loc[later, "time_ms"] += DAY
    log.to_csv(path, index=False)
    after = records_of(spec, directory)[5][1]
    labels = {task.label for task in spec.tasks}
    assert ({k: v for k, v in after.items() if k not in labels}
            == {k: v for k, v in before.items() if k not in labels})


def test_neither_layout(spec, tmp_path):
    with pytest.raises(DataError, match="should hold KuaiRand as .* Received: neither file. Get"):
        load_kuairand(spec, str(tmp_path))


def test_a_missing_file_is_named(spec, tmp_path):
    write_official(tmp_path)
    os.remove(tmp_path / OFFICIAL_LOGS[1])
    with pytest.raises(DataError, match=f"{OFFICIAL_LOGS[1]}: should be a readable Parquet or CSV"):
        load_kuairand(spec, str(tmp_path))


def test_a_missing_column_is_named(spec, tmp_path):
    write_official(tmp_path)
    path = tmp_path / OFFICIAL_ITEMS
    pd.read_csv(path).drop(columns="tag").to_csv(path, index=False)
    with pytest.raises(DataError, match=r"basic_pure.csv: should have the columns \['tag'\]"):
        load_kuairand(spec, str(tmp_path))


def test_a_cut_file_is_named(spec, tmp_path):
    write_parquet(tmp_path)
    path = tmp_path / "items.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="items.parquet: should be a whole Parquet or CSV file"):
        load_kuairand(spec, str(tmp_path))
