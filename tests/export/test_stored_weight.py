import numpy as np
import pytest
import tensorflow as tf

from dtrn_tf.errors import UserError
from export.stored_weight import StoredWeight

VALUES = np.random.default_rng(3).normal(0.0, 1.0, (7, 5)).astype(np.float32)
# Half of the distance between numbers next to each other, relative to the row's largest value.
ERRORS = {"bfloat16": 2.0 ** -8, "float16": 2.0 ** -11, "int8": 0.5 / 127}


@pytest.mark.parametrize("format", list(ERRORS))
def test_values_are_rounded_to_the_nearest(format):
    read = StoredWeight(VALUES, format, "w").read().numpy()
    largest = np.max(np.abs(VALUES), axis=1, keepdims=True)
    assert read.dtype == np.float32
    assert np.max(np.abs(read - VALUES) / largest) <= ERRORS[format] * 1.001
    assert not np.array_equal(read, VALUES)


@pytest.mark.parametrize("format", list(ERRORS))
def test_rows_equal_the_whole_and_no_more_is_read(format):
    weight = StoredWeight(VALUES, format, "w")
    ids = tf.constant([[3, 0], [3, 6]])
    np.testing.assert_array_equal(tf.gather(weight, ids), weight.read().numpy()[ids.numpy()])
    graph = tf.function(lambda i: tf.gather(weight, i)).get_concrete_function(ids).graph
    operations = [node.op for node in graph.as_graph_def().node]
    assert "ReadVariableOp" not in operations
    assert operations.count("ResourceGather") == (2 if format == "int8" else 1)


def test_rounding_again_changes_nothing():
    for format in ERRORS:
        once = StoredWeight(VALUES, format, "w").read().numpy()
        np.testing.assert_allclose(
            StoredWeight(once, format, "w").read(), once, rtol=1e-6, atol=0)


def test_every_row_has_its_own_scale_and_a_row_of_zeros_stays_zero():
    values = np.float32([[1e-6, -1e-6], [0.0, 0.0], [1e6, 5e5]])
    np.testing.assert_allclose(StoredWeight(values, "int8", "w").read(), values, rtol=0.01)


@pytest.mark.parametrize("format, num_bytes", [("bfloat16", 70), ("float16", 70), ("int8", 63)])
def test_size(format, num_bytes):
    assert StoredWeight(VALUES, format, "w").num_bytes == num_bytes


def test_a_value_out_of_range_is_an_error():
    values = np.float32([[1e5, 1.0]])
    with pytest.raises(UserError, match=r"weight 'w' should be finite in float16. Received: values "
                                        r"up to 1e\+05. Remedy: --weights=bfloat16"):
        StoredWeight(values, "float16", "w")
    for format in ("bfloat16", "int8"):
        np.testing.assert_allclose(StoredWeight(values, format, "w").read(), values, atol=500)
