import numpy as np
import pytest
import tensorflow as tf

from benchmarks.reference_point import ReferencePoint, make_batch
from benchmarks.reference_records import write_reference_records
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import list_shards, read_records

POINT = ReferencePoint(num_tasks=2, num_behaviors=2, max_length=5, batch_size=23, num_items=97)
HASHED = {"author": 20_000, "city": 500, "category": 1_000}


def _values(tensor, order):
    """Values by row, the rows in the order in which four shards are read."""
    values = tensor.to_list() if isinstance(tensor, tf.RaggedTensor) else tensor.numpy().tolist()
    return [values[i] for i in order]


@pytest.mark.parametrize("split", ["plain", "gzip"])
@pytest.mark.parametrize("candidates", [1, 5])
def test_the_records_give_the_batch_of_the_point(tmp_path, candidates, split):
    directory = str(tmp_path / "records")
    schema = write_reference_records(directory, POINT, 1, candidates)
    read = read_records(list_shards(directory, split), schema, Preprocessing(schema, directory),
                        batch_size=23)
    (features, labels, _), = read
    made, made_labels, _ = make_batch(POINT, 0, candidates)
    num_records = -(-23 // candidates)
    records = [i for shard in range(4) for i in range(shard, num_records, 4)]
    rows = [row for i in records for row in range(23) if row // candidates == i]
    assert set(features) == set(made)
    for feature in schema.id_features:
        order = rows if getattr(feature, "level", "request") == "candidate" else records
        received = _values(features[feature.name], range(len(order)))
        if feature.vocabulary not in HASHED:
            assert received == _values(made[feature.name], order), feature.name
            continue
        # The rows are others, but as many, and equal where the ids are.
        expected = _values(made[feature.name], order)
        pairs = set(zip(np.hstack(expected).tolist(), np.hstack(received).tolist()))
        assert len(pairs) == len({made_id for made_id, _ in pairs}) > 1
        assert all(2 <= row < HASHED[feature.vocabulary] + 2 for _, row in pairs)
    np.testing.assert_array_equal(features["price"], tf.gather(made["price"], rows))
    np.testing.assert_array_equal(features["activity"], tf.gather(made["activity"], records))
    for name, values in labels.items():
        np.testing.assert_array_equal(values, tf.gather(made_labels[name], rows))
