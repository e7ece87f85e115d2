import gzip

import pytest
import tensorflow as tf

from dtrn_tf.data.record_count import count_records
from dtrn_tf.errors import DataError


def _write(path, records, compression=None):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.fixture
def records():
    return [b"", b"a" * 7, b"b" * 300]


def test_counts_all_files(tmp_path, records):
    plain = _write(tmp_path / "a.tfrecord", records)
    zipped = _write(tmp_path / "b.tfrecord.gz", records[:2], "GZIP")
    assert count_records([str(plain), str(zipped), str(plain)]) == 8


@pytest.mark.parametrize("cut", [1, 5, 290, 310, 316, 320])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_cut_file_is_named_with_record_and_byte(tmp_path, records, cut, zipped):
    whole = _write(tmp_path / "a", records).read_bytes()
    path = tmp_path / ("cut.tfrecord.gz" if zipped else "cut.tfrecord")
    path.write_bytes(gzip.compress(whole[:-cut]) if zipped else whole[:-cut])
    # The third record takes 12 + 300 + 4 bytes.
    record, byte = (2, 39) if cut < 316 else (1, 16)
    if cut == 316:
        assert count_records([str(path)]) == 2
        return
    with pytest.raises(DataError, match=rf"cut.tfrecord.*, record {record}: should be whole \(it "
                                        rf"begins at byte {byte}\). Received: a file that ends"):
        count_records([str(path)])


def test_a_broken_length_is_an_error_and_no_endless_read(tmp_path, records):
    whole = bytearray(_write(tmp_path / "a", records).read_bytes())
    whole[16 + 6] = 0xFF
    path = tmp_path / "flipped.tfrecord"
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"record 1: should be whole \(it begins at byte 16\)"):
        count_records([str(path)])


def test_empty_and_missing_files(tmp_path):
    empty = tmp_path / "empty.tfrecord"
    empty.touch()
    with pytest.raises(DataError, match="empty.tfrecord: should hold at least one record. "
                                        "Received: an empty file"):
        count_records([str(empty)])
    with pytest.raises(DataError, match="none.tfrecord, record 0: should be readable. Received: No "
                                        "such file"):
        count_records([str(tmp_path / "none.tfrecord")])


def test_a_cut_gzip_stream(tmp_path, records):
    path = _write(tmp_path / "a.tfrecord.gz", records, "GZIP")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="a.tfrecord.gz, record 3: should be readable. Received: "
                                        "Compressed file ended"):
        count_records([str(path)])
