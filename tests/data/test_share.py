import collections

import pytest
from helpers import write_small_data

from dtrn_tf.data.reader import list_shards, read_serialized
from dtrn_tf.data.share import share_of_worker
from dtrn_tf.data.shards import Shards
from dtrn_tf.errors import DataError


def _shards(directory, **more):
    files = list_shards(directory, "train")
    return Shards(**{"files": files, "num_records": 23, **more})


def _read(shards, batch_size=4):
    batches = read_serialized(shards.files, batch_size=batch_size, runs=shards.runs,
                              shuffle_buffer=9, seed=1)
    return [record for batch in batches.as_numpy_iterator() for record in batch]


@pytest.mark.parametrize("suffix", [".tfrecord", ".tfrecord.gz"])
@pytest.mark.parametrize("num_workers", [1, 2, 3, 7])
def test_every_record_is_read_by_one_worker_once_a_pass(num_workers, suffix, tmp_path):
    shards = _shards(write_small_data(tmp_path, splits=["train"], suffix=suffix))
    shares = [share_of_worker(shards, worker, num_workers) for worker in range(num_workers)]
    read = [_read(share) for share in shares]
    assert [len(records) for records in read] == [share.num_records for share in shares]
    assert {len(records) for records in read} <= {23 // num_workers, 23 // num_workers + 1}
    seen = collections.Counter(record for records in read for record in records)
    assert seen == collections.Counter(_read(shards)) and set(seen.values()) == {1}


def test_a_worker_opens_its_own_files(tmp_path):
    shards = _shards(write_small_data(tmp_path, splits=["train"], shards=4, rows=24),
                     num_records=24)
    assert [share_of_worker(shards, worker, 2).files for worker in (0, 1)] == [
        shards.files[:2], shards.files[2:]]


def test_bad_records_are_nobodys(tmp_path):
    shards = _shards(write_small_data(tmp_path, splits=["train"]))
    first, second, third = shards.files  # of 8, 8 and 7 records
    left = {first: [], second: [(0, 2), (5, 3)], third: [(0, 7)]}
    good = _shards(tmp_path, num_records=12, runs=left)
    shares = [share_of_worker(good, worker, 2) for worker in (0, 1)]
    assert [share.runs for share in shares] == [{second: [(0, 2), (5, 3)], third: [(0, 1)]},
                                                {third: [(1, 6)]}]
    assert sorted(_read(shares[0]) + _read(shares[1])) == sorted(_read(good))


def test_more_workers_than_records(tmp_path):
    shards = _shards(write_small_data(tmp_path, splits=["train"]))
    with pytest.raises(DataError, match="a split should have a record for each of the 24 workers. "
                                        "Received: 23 in "):
        share_of_worker(shards, 0, 24)
