import numpy as np
import pytest

from dtrn_tf.data.vocabulary import read_vocabulary, write_vocabulary
from dtrn_tf.errors import DataError


@pytest.mark.parametrize("ids, dtype, text", [
    ([7, -5, 2**63 - 1, 0], "int64", f"7\n-5\n{2**63 - 1}\n0\n"),
    (np.array([7, 5], np.int32), "int64", "7\n5\n"),
    # Other characters that end lines elsewhere stay inside their id.
    (["b", "ž x", "a\rb", "c\x85d", "\u2028"], "string", "b\nž x\na\rb\nc\x85d\n\u2028\n"),
])
def test_round_trip_keeps_ids_and_order(tmp_path, ids, dtype, text):
    path = tmp_path / "new" / "item.txt"
    write_vocabulary(path, ids)
    assert path.read_bytes() == text.encode()
    assert read_vocabulary(path, dtype) == list(ids)
    assert [p.name for p in path.parent.iterdir()] == ["item.txt"]


def test_bytes_are_utf8_strings(tmp_path):
    write_vocabulary(tmp_path / "v", ["ž".encode()])
    assert read_vocabulary(tmp_path / "v", "string") == ["ž"]


def test_a_last_line_without_line_break_counts(tmp_path):
    (tmp_path / "v").write_text("3\n5")
    assert read_vocabulary(tmp_path / "v", "int64") == [3, 5]


@pytest.mark.parametrize("ids, message", [
    ([], r"v: a vocabulary should hold at least one id\. Received: none"),
    (["a", "b\nc"], r"v: an id should hold no line break.*Received: 'b\\nc'"),
    (["a", ""], r"v:2: a line of a vocabulary should hold an id\. Received: an empty line"),
    ([5, 7, 5], r"v:3: every id should stand on one line only\. Received again: '5', first on "
                r"line 1"),
])
def test_write_rejects_and_writes_nothing(tmp_path, ids, message):
    with pytest.raises(DataError, match=message):
        write_vocabulary(tmp_path / "v", ids)
    assert not list(tmp_path.iterdir())


def test_write_rejects_bytes_that_are_no_utf8(tmp_path):
    with pytest.raises(DataError, match=r"v: an id should be UTF-8\. Received: b'\\xff'"):
        write_vocabulary(tmp_path / "v", [b"\xff"])


@pytest.mark.parametrize("content, dtype, message", [
    (b"", "int64", r"v: a vocabulary should hold at least one id\. Received: none"),
    (b"5\n\n7\n", "int64", r"v:2: a line of a vocabulary should hold an id"),
    (b"a\nb\na\n", "string", r"v:3: every id should stand on one line only\. Received again: 'a', "
                             r"first on line 1"),
    (b"5\nann\n", "int64", r"v:2: an id of a vocabulary with dtype 'int64' should be a 64-bit "
                           r"integer\. Received: 'ann'"),
    (b"5\n 7\n", "int64", r"v:2: .* 64-bit integer\. Received: ' 7'"),
    (b"5\n05\n", "int64", r"v:2: .* 64-bit integer\. Received: '05'"),
    (b"5\r\n7\r\n", "int64", r"v:1: .* 64-bit integer\. Received: '5\\r'"),
    (b"9223372036854775808\n", "int64", r"v:1: .* 64-bit integer"),
    (b"a\n\xff\n", "string", r"v: should be UTF-8 text, one id a line\. Received: .*0xff"),
])
def test_read_names_file_and_line(tmp_path, content, dtype, message):
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_vocabulary(tmp_path / "v", dtype)


def test_read_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"v: should be a readable vocabulary file\. Received: "
                                        r"No such file.*Run prepare again"):
        read_vocabulary(tmp_path / "v", "int64")
