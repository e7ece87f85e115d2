import gzip
import os

import pytest
import tensorflow as tf

from dtrn_tf.data import record_file
from dtrn_tf.data.record_file import BadRecord, frame, scan_records

RECORDS = [b"", b"a" * 7, b"b" * 300]


def _scan(path, content, **arguments):
    path.write_bytes(content)
    return [(number, record.reason if isinstance(record, BadRecord) else record)
            for number, record in scan_records(path, **arguments)]


def test_frames_are_those_of_tensorflow(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        for record in RECORDS:
            writer.write(record)
    content = b"".join(map(frame, RECORDS))
    assert (tmp_path / "x").read_bytes() == content
    assert _scan(tmp_path / "x", content) == list(enumerate(RECORDS))
    assert _scan(tmp_path / "x.gz", gzip.compress(content)) == list(enumerate(RECORDS))
    parts = gzip.compress(content[:20]) + gzip.compress(content[20:])
    assert _scan(tmp_path / "x.gz", parts) == list(enumerate(RECORDS))


def test_a_wrong_checksum_costs_one_record_and_a_broken_length_the_rest(tmp_path):
    frames = list(map(frame, RECORDS))
    data = bytearray(frames[1])
    data[14] ^= 1
    assert _scan(tmp_path / "x", frames[0] + data + frames[2]) == [
        (0, b""), (1, "checksum"), (2, RECORDS[2])]
    length = bytearray(frames[1])
    length[0] ^= 1
    for path, content in ((tmp_path / "x", bytes), (tmp_path / "x.gz", gzip.compress)):
        assert _scan(path, content(frames[0] + length + frames[2])) == [(0, b""), (1, "cut")]
    assert _scan(tmp_path / "x", length + frames[2]) == [(0, "not_tfrecord")]


def test_headers_alone(tmp_path):
    content = b"".join(map(frame, RECORDS))
    spoilt = bytearray(content)
    spoilt[-1] ^= 1
    for path, pack in ((tmp_path / "x", bytes), (tmp_path / "x.gz", gzip.compress)):
        assert _scan(path, pack(spoilt), headers_only=True) == [(0, b""), (1, b""), (2, b"")]
        assert _scan(path, pack(content[:-1]), headers_only=True) == [
            (0, b""), (1, b""), (2, "cut")]


def test_what_cannot_be_opened(tmp_path):
    for path, text in ((tmp_path / "gone", "No such file"), (tmp_path, "Is a directory")):
        (number, record), = scan_records(path)
        assert (number, record.reason) == (0, "unreadable") and record.ends_file
        assert record.message.startswith(f"{path}, record 0: should be readable. Received: {text}")


def test_a_disk_that_fails_in_the_middle(tmp_path, monkeypatch):
    class Failing(gzip.GzipFile):
        def read(self, size=-1):
            if self.tell() > 40:
                raise OSError(5, "Input/output error")
            return super().read(size)

    monkeypatch.setattr(record_file.gzip, "GzipFile", Failing)
    assert _scan(tmp_path / "x.gz", gzip.compress(b"".join(map(frame, RECORDS)))) == [
        (0, b""), (1, b"a" * 7), (2, "unreadable")]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_length_beyond_the_file_is_never_believed(tmp_path, suffix):
    """TensorFlow crashes on this one."""
    length = (2 ** 36).to_bytes(8, "little")
    content = frame(b"good") + length + frame(length)[-4:] + os.urandom(50)
    packed = gzip.compress(content) if suffix else content
    assert _scan(tmp_path / f"x{suffix}", packed) == [(0, b"good"), (1, "cut")]
