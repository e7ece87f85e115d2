"""What a check of files finds, and that reading then leaves out exactly that."""

import gzip
import pathlib
from collections import Counter

import pytest
import tensorflow as tf
from damage import DAMAGES, write_damaged, write_rows
from helpers import small_row, small_schema, write_records

from dtrn_tf.data.bad_records import BadRecordLimit
from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import explain, list_shards, read_records, read_serialized
from dtrn_tf.data.record_file import frame
from dtrn_tf.data.shards import check_shards
from dtrn_tf.errors import DataError
from dtrn_tf.schema import CategoricalFeature, Schema, Task, Vocabulary

SCHEMA = small_schema()
ROWS = 23  # as write_small_data writes


@pytest.fixture(scope="module")
def preprocessing(small_data):
    return Preprocessing(SCHEMA, small_data)


@pytest.fixture(scope="module")
def files(small_data):
    return list_shards(small_data, "train")


def test_check_shards_counts_good_files(files):
    assert check_shards(files, SCHEMA).num_records == ROWS


def test_check_shards_finds_a_cut_that_tensorflow_takes_for_the_end(tmp_path):
    path = pathlib.Path(write_rows(tmp_path / "x.tfrecord", {}, {}, {}))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:9])  # the first nine bytes of a fourth record
    with pytest.raises(DataError, match=r"x\.tfrecord, record 3: should be whole \(it begins at"):
        check_shards([str(path)], SCHEMA)


def test_check_shards_missing_file(files, tmp_path):
    with pytest.raises(DataError, match=r"gone\.tfrecord, record 0: should be readable\. "
                                        r"Received: No such file.*Remedy: copy the file again"):
        check_shards([*files, str(tmp_path / "gone.tfrecord")], SCHEMA)


@pytest.mark.parametrize("name", ["empty.tfrecord", "empty.tfrecord.gz"])
def test_check_shards_empty_file(files, tmp_path, name):
    empty = write_records(tmp_path / name, [])
    with pytest.raises(DataError, match=rf"{name}: should hold at least one record\. Received: "
                                        r"an empty file\. Remedy: delete it"):
        check_shards([*files, empty], SCHEMA)


def test_check_shards_absent_feature(files):
    schema = small_schema(features=SCHEMA.features + (
        CategoricalFeature(name="brand", vocabulary="item", level="candidate"),))
    with pytest.raises(DataError, match=r"part-00000-of-00003\.tfrecord, record 0: feature 'brand' "
                                        r"should be present"):
        check_shards(files, schema)


def test_check_shards_wrong_type(files):
    features = tuple(f for f in SCHEMA.features if f.name != "item")
    schema = small_schema(features=features + (
        CategoricalFeature(name="item", vocabulary="city", level="candidate"),))
    with pytest.raises(DataError, match=r"record 0: feature 'item' should be one string "
                                        r"\(bytes_list\)\. Received: int64_list"):
        check_shards(files, schema)


def test_check_shards_label_out_of_range(tmp_path):
    path = write_rows(tmp_path / "x.tfrecord", {"is_click": -1})
    with pytest.raises(DataError, match=r"x\.tfrecord, record 0: label feature 'is_click' of task "
                                        r"'click' should be 0 or 1 .*Received: -1"):
        check_shards([path], SCHEMA)


def test_check_shards_no_tfrecord(tmp_path):
    path = tmp_path / "x.tfrecord"
    path.write_bytes(b"user,item\n1,2\n" * 10)
    with pytest.raises(DataError, match=r"x\.tfrecord, record 0: should begin with the length of "
                                        r"a TFRecord and its checksum\. Received: other bytes"):
        check_shards([str(path)], SCHEMA)


def test_check_shards_no_gzip(tmp_path, files):
    path = tmp_path / "x.tfrecord.gz"
    path.write_bytes(pathlib.Path(files[0]).read_bytes())
    with pytest.raises(DataError, match=r"x\.tfrecord\.gz, record 0: should be readable\. "
                                        r"Received: Not a gzipped file"):
        check_shards([str(path)], SCHEMA)


@pytest.fixture(params=DAMAGES)
def damage(request):
    return DAMAGES[request.param]


@pytest.fixture
def damaged(tmp_path, damage):
    """A good file between two damaged ones."""
    good = write_records(tmp_path / "b.tfrecord",
                         [encode_example(small_row(n), SCHEMA) for n in range(100, 100 + ROWS)])
    return [write_damaged(tmp_path, "a", damage), good,
            write_damaged(tmp_path, "c", damage, first=50)]


def _check(files, max_bad_records):
    return check_shards(files, SCHEMA, BadRecordLimit(max_bad_records))


def _records(files, **arguments):
    """All that reading gives, shuffled with a seed."""
    dataset = read_serialized(files, batch_size=5, shuffle_buffer=9, seed=3, **arguments)
    return [record for batch in dataset.as_numpy_iterator() for record in batch]


def test_good_records_are_read_and_bad_ones_counted(tmp_path, damage, damaged):
    shards = _check(damaged, 2)
    assert [(r.file, r.number, r.reason) for r in shards.bad_records] == [
        (damaged[0], damage.bad, damage.reason), (damaged[2], damage.bad, damage.reason)]
    for record in shards.bad_records:
        assert record.message.startswith(record.file) and damage.text in record.message
    assert shards.num_records == 2 * len(damage.good) + ROWS
    # The same records in the same order as from files that never held the bad ones.
    clean = [write_records(tmp_path / "clean" / f"{first}.tfrecord",
                           [encode_example(small_row(first + n), SCHEMA) for n in numbers])
             for first, numbers in ((0, damage.good), (100, range(ROWS)), (50, damage.good))]
    records, expected = (_records(paths, runs=runs)
                         for paths, runs in ((damaged, shards.runs), (clean, None)))
    assert records == expected and len(records) == shards.num_records


def test_one_bad_record_too_many(damage, damaged):
    with pytest.raises(DataError) as failure:
        _check(damaged, 1)
    text = str(failure.value)
    assert text.startswith("there should be at most --max_bad_records=1 bad records. Received: at "
                           f"least 2 (a.tfrecord{damage.suffix}: 1 {damage.reason}; c.tfrecord")
    assert text.count(damage.text) == 2 and damaged[0] in text and damaged[2] in text
    assert text.endswith("Or allow more with --max_bad_records.")


def test_no_bad_record_allowed(damage, damaged, preprocessing):
    with pytest.raises(DataError) as failure:
        try:
            shards = _check(damaged, 0)
            for _ in read_records(shards.files, SCHEMA, preprocessing, batch_size=5, group=True):
                pass
        except tf.errors.OpError as error:
            raise explain(error, damaged, SCHEMA) from error
    text = str(failure.value)
    assert text.startswith(damaged[0]) and damage.text in text
    assert f"record {damage.bad}: " in text or damage.reason == "empty"
    assert text.endswith("Or leave bad records out with --max_bad_records.")


def test_files_without_a_good_record(tmp_path):
    files = [write_damaged(tmp_path, name, DAMAGES["empty file"]) for name in "ab"]
    with pytest.raises(DataError, match=r"should hold at least one good record\. Received: none in "
                                        r".*a\.tfrecord: should hold at least one record"):
        _check(files, 2)


def test_the_limit_holds_over_all_splits(tmp_path):
    files = [write_damaged(tmp_path, name, DAMAGES["flipped data"]) for name in "ab"]
    limit = BadRecordLimit(1)
    assert len(check_shards(files[:1], SCHEMA, limit).bad_records) == 1
    with pytest.raises(DataError, match="at most --max_bad_records=1 bad records"):
        check_shards(files[1:], SCHEMA, limit)


def test_good_files_are_read_as_without_a_limit(files):
    shards = _check(files, 5)
    assert shards.num_records == ROWS and not shards.bad_records and not shards.runs


def test_a_file_that_was_spoilt_after_the_check(tmp_path, preprocessing):
    """Training stops with the new bad record, not with one that was left out."""
    path = write_damaged(tmp_path, "a", DAMAGES["flipped data"])
    shards = _check([path], 9)
    content = bytearray(pathlib.Path(path).read_bytes())
    content[-10] ^= 1
    pathlib.Path(path).write_bytes(content)
    with pytest.raises(tf.errors.DataLossError) as failure:
        _records([path], runs=shards.runs)
    assert "a.tfrecord, record 6: should have the data that its checksum" in str(
        explain(failure.value, [path], SCHEMA, shards.bad_records))


def test_a_restored_iterator_goes_on_between_bad_records(tmp_path):
    files = [write_damaged(tmp_path, str(n), DAMAGES[name], first=10 * n)
             for n, name in enumerate(["flipped data", "cut in the data", "NaN label", "wrong type",
                                       "empty file"])]
    shards = _check(files, 5)

    def iterator():
        return iter(read_serialized(files, batch_size=4, shuffle_buffer=6, seed=3, repeat=True,
                                    runs=shards.runs))

    first = iterator()
    for _ in range(8):  # into the second epoch of 22 records
        next(first)
    path = tf.train.Checkpoint(iterator=first).save(tmp_path / "checkpoint")
    fresh = iterator()
    tf.train.Checkpoint(iterator=fresh).restore(path).assert_consumed()
    assert shards.num_records == 22
    for _ in range(9):
        assert next(fresh).numpy().tolist() == next(first).numpy().tolist()


TINY = Schema(vocabularies=(Vocabulary(name="tab", kind="identity", size=9),),
              features=(CategoricalFeature(name="tab", vocabulary="tab", level="request"),),
              tasks=(Task(name="click", label="click"),))


@pytest.mark.parametrize("zipped", [False, True])
def test_every_flipped_bit_is_found_or_changes_nothing(tmp_path, zipped):
    """Nothing crashes, nothing is read that was not written, nothing is lost without a word."""
    records = [encode_example({"tab": n, "click": n % 2}, TINY) for n in range(6)]
    content = b"".join(map(frame, records))
    assert len(content) == 288
    if zipped:
        content = gzip.compress(content, mtime=0)
    # Of a file that decompresses wrongly TensorFlow has to say how far it reads, which takes time.
    bits = range(0, 8 * len(content), 13 if zipped else 1)
    files = []
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        files.append(tmp_path / f"{bit:04d}.tfrecord{'.gz' if zipped else ''}")
        files[-1].write_bytes(flipped)
    files = list(map(str, files))
    shards = check_shards(files, TINY, BadRecordLimit(9 * len(files)))
    found = {}
    for record in shards.bad_records:
        found.setdefault(record.file, []).append(record)
    expected = Counter()
    for path in files:
        runs = shards.runs[path]
        good = [number for first, count in runs for number in range(first, first + count)]
        bad = found.get(path, [])
        numbers = sorted(good + [record.number for record in bad])
        assert numbers == list(range(len(numbers)))  # each is either good or bad
        assert len(good) == len(records) or bad
        assert len(numbers) >= len(records) or bad[-1].ends_file  # or the tail is said to be lost
        assert len(bad) == 1 or zipped
        expected.update(records[number] for number in good)
    read = Counter(record for batch in read_serialized(
        files, batch_size=512, runs=shards.runs).as_numpy_iterator() for record in batch)
    assert read == expected and sum(read.values()) == shards.num_records


def test_a_gzip_file_that_only_tensorflow_refuses(tmp_path):
    """Python passes over zeros after the stream, and over header flags that are reserved."""
    content = gzip.compress(b"".join(map(frame, [encode_example(small_row(n), SCHEMA)
                                                 for n in range(7)])))
    padded, flagged = tmp_path / "padded.tfrecord.gz", tmp_path / "flagged.tfrecord.gz"
    padded.write_bytes(content + bytes(100))
    flagged.write_bytes(content[:3] + bytes([content[3] | 0x80]) + content[4:])
    for path, number in ((padded, 7), (flagged, 0)):
        with pytest.raises(tf.errors.DataLossError) as failure:
            _records([str(path)])
        message = f"{path}, record {number}: should be in a sound GZIP stream"
        assert message in str(explain(failure.value, [str(path)], SCHEMA))
    shards = _check([str(flagged), str(padded)], 2)
    assert [(r.file, r.number) for r in shards.bad_records] == [(str(flagged), 0)]
    assert len(_records(shards.files, runs=shards.runs)) == shards.num_records == 7
