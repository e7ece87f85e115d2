import gzip

import numpy as np
from any_records import profile_of, record, write

from dtrn_tf.data.profiling.profile import profile_files
from dtrn_tf.data.record_file import frame

RECORDS = [
    record(user="ann", tags=[1, 2], weights=[0.5, 1.0], price=3.0, old=1),
    record(user="bob", tags=[], weights=[], price=float("nan")),
    record(user="ann", tags=[2], weights=[0.25], price=float("inf"), vector=[1.0, 2.0]),
    record(tags=[2, 2], weights=[1.0, 1.0], price=-1.0, vector=[3.0, 2.0]),
]


def _summary(profile):
    return {name: (seen.kind, dict(seen.kinds), seen.present, dict(seen.lengths), seen.alignment,
                   seen.values.counts, seen.numbers.__dict__, seen.moments("log1p"))
            for name, seen in profile.features.items()}


def test_counts_of_hand_made_records(tmp_path):
    profile = profile_of(tmp_path, RECORDS)
    assert (profile.records, profile.num_bad, list(profile.files.values())) == (4, 0, [4])
    features = profile.features
    assert list(features) == ["old", "price", "tags", "user", "vector", "weights"]
    assert {name: seen.kind for name, seen in features.items()} == {
        "old": "int64", "price": "float32", "tags": "int64", "user": "string",
        "vector": "float32", "weights": "float32"}
    assert profile.presence("user") == 0.75 and profile.presence("none") == 0.0
    assert features["tags"].lengths == {2: 2, 0: 1, 1: 1}
    assert features["tags"].values.counts == {2: 4, 1: 1}
    assert features["user"].values.counts == {b"ann": 2, b"bob": 1}
    price = features["price"].numbers
    assert (price.count, price.num_nan, price.num_inf, price.minimum, price.maximum) == (
        2, 1, 1, -1.0, 3.0)
    assert features["vector"].moments("identity") == ((2.0, 2.0), (1.0, 1.0))
    assert features["weights"].moments("identity").mean == np.mean([0.5, 1.0, 0.25, 1.0, 1.0])
    # Equal lengths in every record, whether the list is empty or absent.
    assert features["tags"].alignment == features["weights"].alignment
    assert len({seen.alignment for seen in features.values()}) == 5


def test_profiles_of_files_merge_to_that_of_all(tmp_path):
    files = [write(tmp_path / "a.tfrecord", RECORDS[:1]),
             write(tmp_path / "b.tfrecord", RECORDS[1:])]
    whole = profile_files(files)
    parts = [profile_files([path]) for path in files]
    parts[0].merge(parts[1])
    assert _summary(parts[0]) == _summary(whole)
    assert (parts[0].records, parts[0].files) == (whole.records, whole.files)


def test_the_main_kind_is_the_most_frequent_one(tmp_path):
    profile = profile_of(tmp_path, [record(a=1), record(a="x"), record(a="y"), record(a=None)])
    seen = profile.features["a"]
    assert (seen.kind, dict(seen.kinds), seen.present) == (
        "string", {"string": 2, "int64": 1, "none": 1}, 4)
    assert seen.values.counts == {b"x": 1, b"y": 1}


def test_bad_records_are_counted_with_their_first_place_and_cost_nothing_else(tmp_path):
    whole = [frame(r) for r in RECORDS]
    broken = bytearray(whole[1])
    broken[14] ^= 1
    path = tmp_path / "bad.tfrecord"
    path.write_bytes(b"".join([whole[0], broken, frame(b"\xff"), whole[2], broken, whole[3][:-1]]))
    good = write(tmp_path / "good.tfrecord", RECORDS[:2])
    profile = profile_files([str(path), good])
    assert (profile.records, profile.num_bad) == (4, 4)
    assert profile.files == {str(path): 2, good: 2}
    assert {reason: (found.count, found.record) for (_, reason), found in profile.bad.items()} == {
        "checksum": (2, 1), "not_example": (1, 2), "cut": (1, 5)}
    message = profile.bad[str(path), "not_example"].example
    assert message.startswith(f"{path}, record 2: should be a serialized tf.train.Example. "
                              "Received: b'\\xff'")


def test_a_sample_has_the_beginning_of_every_file(tmp_path):
    files = [write(tmp_path / f"{name}.tfrecord", [record(a=i) for i in range(10)])
             for name in "abc"]
    seen = []
    profile = profile_files(files, max_records=7, progress=seen.append)
    assert list(profile.files.values()) == [3, 2, 2] and sum(seen) == profile.records == 7
    assert profile.features["a"].values.counts == {0: 3, 1: 3, 2: 1}
    assert profile_files(files, max_records=1).files == {files[0]: 1}


def test_compressed_files(tmp_path):
    path = tmp_path / "a.tfrecord.gz"
    path.write_bytes(gzip.compress(b"".join(map(frame, RECORDS))))
    assert profile_files([str(path)]).records == 4
