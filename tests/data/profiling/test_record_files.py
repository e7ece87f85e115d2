import pytest

from dtrn_tf.data.profiling.record_files import find_record_files
from dtrn_tf.errors import DataError


@pytest.fixture
def tree(tmp_path):
    for name in ("a/x.tfrecord", "a/deep/y.tfrecord.gz", "a/note.txt", "a/.z.tfrecord", "b/part-1",
                 "c/train/t.tfrecord-00000-of-00001", "c/test/u.tfrecord"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize("arguments, found", [
    (["a"], ["a/deep/y.tfrecord.gz", "a/x.tfrecord"]),
    (["a/x.tfrecord", "a"], ["a/x.tfrecord", "a/deep/y.tfrecord.gz"]),
    (["b/*"], ["b/part-1"]),
    (["**/*.gz"], ["a/deep/y.tfrecord.gz"]),
    (["c"], ["c/train/t.tfrecord-00000-of-00001"]),
])
def test_files_patterns_and_directories(tree, arguments, found):
    files = find_record_files([str(tree / argument) for argument in arguments])
    assert sorted(files) == sorted(str(tree / name) for name in found)


def test_nothing_found(tree):
    with pytest.raises(DataError, match="b: should be a TFRecord file, a pattern that finds some"):
        find_record_files([str(tree / "b")])
    with pytest.raises(DataError, match="none.tfrecord: should be a TFRecord file"):
        find_record_files([str(tree / "none.tfrecord")])
    with pytest.raises(DataError, match="FILES should name at least one TFRecord file"):
        find_record_files([])
