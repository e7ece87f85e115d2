from helpers import small_row, small_schema, write_records

from dtrn_tf.data import record_check
from dtrn_tf.data.examples import encode_example
from dtrn_tf.data.record_check import RecordCheck

SCHEMA = small_schema()


def test_only_the_neighbours_of_a_bad_record_are_looked_at_one_by_one(tmp_path, monkeypatch):
    """The second batch of 1,024 holds the bad ones: halved until 32 records are left."""
    rows = [encode_example(small_row(n), SCHEMA) for n in (0, 1)] * 1025
    rows[1100] = rows[1101] = encode_example(small_row(0, is_click=3), SCHEMA)
    path = write_records(tmp_path / "x.tfrecord", rows)
    looked = []
    check = record_check.check_record
    monkeypatch.setattr(record_check, "check_record",
                        lambda *args: looked.append(args[-1]) or check(*args))
    found = list(RecordCheck(SCHEMA).scan(path))
    assert [number for number, _ in found] == list(range(2050))
    assert [(n, r.reason) for n, r in found if not isinstance(r, bytes)] == [
        (1100, "bad_label"), (1101, "bad_label")]
    assert [record for _, record in found if isinstance(record, bytes)] == \
        rows[:1100] + rows[1102:]
    assert looked == list(range(1088, 1120))


def test_what_only_tensorflow_knows_is_found_too(tmp_path, monkeypatch):
    monkeypatch.setattr(record_check, "check_record", lambda record, *_: record)
    path = write_records(tmp_path / "x.tfrecord",
                         [encode_example(small_row(n, is_click=n // 2), SCHEMA)
                          for n in range(5)])
    found = [record for _, record in RecordCheck(SCHEMA).scan(path)]
    assert [isinstance(record, bytes) for record in found] == [True] * 4 + [False]
    assert (found[4].number, found[4].reason) == (4, "invalid")
    assert found[4].message.startswith(
        f"{path}, record 4: should fit the schema. Received: label feature 'is_click' of task")
