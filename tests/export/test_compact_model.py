import numpy as np
import pytest
import tensorflow as tf
from helpers import small_records, small_schema
from small_run import small_model

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.data.preprocessing import Preprocessing
from export.compact_model import MIN_VALUES, CompactModel
from export.folding import fold
from export.stored_weight import StoredWeight

SCHEMA = small_schema()


@pytest.fixture(scope="module")
def inputs(small_data):
    raw = parse_examples(tf.constant(small_records(SCHEMA)), SCHEMA, labels=False)
    return Preprocessing(SCHEMA, small_data)(raw)


def as_numbers(outputs):
    return np.stack([outputs[task] for task in SCHEMA.task_names])


@pytest.mark.parametrize("format, error", [("bfloat16", 0.03), ("float16", 4e-3), ("int8", 0.05)])
def test_stored_weights_give_what_rounded_ones_give(inputs, format, error):
    model = small_model(SCHEMA)
    exact = as_numbers(model(inputs, training=False))
    compact = CompactModel(model, format, min_values=30)
    outputs = as_numbers(compact(inputs, training=False))
    np.testing.assert_array_equal(outputs, as_numbers(model(inputs, training=False)))
    assert 0.0 < np.max(np.abs(outputs - exact)) < error
    assert compact.num_bytes < 0.6 * compact.float32_bytes
    assert compact.float32_bytes == 4 * model.count_params()
    bottom, own = (m.representations(inputs)["bottom"] for m in (compact, model))
    np.testing.assert_array_equal(bottom, own)
    assert compact.interest is model.interest


def test_a_graph_holds_stored_tables_alone_and_reads_their_rows(inputs):
    model = small_model(SCHEMA)
    compact = CompactModel(model, "int8", min_values=30)
    function = tf.function(lambda x: compact(x, training=False)).get_concrete_function(inputs)
    own = {id(table.value) for table in model.embedding_tables}
    assert not own & {id(variable) for variable in function.variables}
    tables = len(model.embedding_tables)
    operations = [node.op for node in function.graph.as_graph_def().node]
    assert operations.count("ResourceGather") == 2 * tables
    assert sum(v.dtype == tf.int8 for v in function.variables) > tables
    assert model.embedding.tables["item"] is not None and not hasattr(
        model.embedding.tables["item"], "scales")  # The model has its own again.


def test_folding_leaves_stored_weights_as_they_are():
    """A dense weight of the least size is no constant in float32 of the folded signature."""
    weight = StoredWeight(np.ones([MIN_VALUES, 1], np.float32), "int8", "w")
    function = tf.function(lambda *, x: {"y": x @ weight.read()}).get_concrete_function(
        x=tf.TensorSpec([None, MIN_VALUES], name="x"))
    folded = fold(function)
    operations = [op.type for op in folded.graph.get_operations()]
    assert "Cast" in operations and {v.dtype for v in folded.variables} == {tf.int8, tf.float32}
    assert folded(x=tf.ones([1, MIN_VALUES]))["y"].numpy() == pytest.approx(MIN_VALUES, rel=1e-5)
    assert folded.graph.as_graph_def().ByteSize() < MIN_VALUES


def test_small_weights_stay():
    model = small_model(SCHEMA)
    of_tables = sum(4 * int(np.prod(table.shape)) for table in model.embedding_tables)
    compact = CompactModel(model, "float16", min_values=10 ** 9)
    assert compact.float32_bytes - compact.num_bytes == of_tables // 2
