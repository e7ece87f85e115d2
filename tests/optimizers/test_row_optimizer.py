import numpy as np
import pytest
import tensorflow as tf
from descent import Descent
from row_reference import train_reference

from dtrn_tf.layers import FeatureEmbedding
from dtrn_tf.layers.variables import table_variable
from dtrn_tf.optimizers import ROW_OPTIMIZER_NAMES, LazyAdam, RowOptimizer, make_row_optimizer

keras = tf.keras
ROWS, WIDTH = 13, 3


def _batches(steps, seed=0):
    """Ids with duplicates and padding; rows 9 to 12 never occur."""
    random = np.random.default_rng(seed)
    for size in random.integers(5, 20, steps):
        yield (random.integers(0, 9, size).astype(np.int32),
               random.normal(size=(size, WIDTH)).astype(np.float32))


def _table(seed=1):
    return np.random.default_rng(seed).normal(size=(ROWS, WIDTH)).astype(np.float32)


def _slices(ids, gradients):
    return tf.IndexedSlices(tf.constant(gradients), tf.constant(ids))


def _train(optimizer, variable, batches):
    optimizer.build([variable])
    for ids, gradients in batches:
        optimizer.apply([_slices(ids, gradients)])
    return variable.numpy()


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("name", ROW_OPTIMIZER_NAMES)
def test_equals_a_dense_numpy_reference(name, weight_decay):
    batches = list(_batches(12))
    got = _train(make_row_optimizer(name, 0.1, weight_decay), tf.Variable(_table()), batches)
    np.testing.assert_allclose(got, train_reference(name, _table(), batches, 0.1, weight_decay),
                               rtol=2e-5, atol=1e-6)
    assert (np.abs(got - _table())[1:9].max(1) > 0.05).all()


@pytest.mark.parametrize("name", ROW_OPTIMIZER_NAMES)
def test_other_rows_and_padding_keep_every_bit(name):
    untouched = [0, 9, 10, 11, 12]
    got = _train(make_row_optimizer(name, 0.1, 0.3), tf.Variable(_table()), _batches(5))
    np.testing.assert_array_equal(got[untouched], _table()[untouched])


@pytest.mark.parametrize("name, dense", [
    ("lazy_adam", keras.optimizers.Adam(0.1)),
    ("lazy_adam", keras.optimizers.AdamW(0.1, weight_decay=0.2)),
    ("rowwise_adagrad", keras.optimizers.Adagrad(0.1, initial_accumulator_value=0.0, epsilon=0.0))])
def test_equals_keras_on_dense_gradients_when_every_row_is_in_every_batch(name, dense):
    width = 1 if name == "rowwise_adagrad" else WIDTH  # one column is all that a row has
    random = np.random.default_rng(2)
    start = random.normal(size=(ROWS, width)).astype(np.float32)
    sparse = make_row_optimizer(name, 0.1, getattr(dense, "weight_decay", None) or 0.0)
    table, reference = keras.Variable(start), keras.Variable(start)
    sparse.build([table])
    dense.build([reference])
    for _ in range(6):
        ids = random.permutation(np.repeat(np.arange(1, ROWS), 2)).astype(np.int32)
        gradients = random.normal(size=(len(ids), width)).astype(np.float32)
        sparse.apply([_slices(ids, gradients)])
        dense.apply_gradients([(tf.convert_to_tensor(
            tf.math.unsorted_segment_sum(gradients, ids, ROWS)), reference)])
    np.testing.assert_allclose(np.array(table)[1:], np.array(reference)[1:], rtol=1e-4, atol=1e-5)


def test_decay_by_hand():
    table = tf.Variable([[5.0], [1.0], [2.0], [3.0]])
    optimizer = RowOptimizer(Descent(), learning_rate=0.5, weight_decay=0.1)
    optimizer.build([table])
    # Row 1: 1 - 0.5 (0.25 + 0.5 + 0.1 * 1); row 2 has no gradient to speak of and decays alone.
    optimizer.apply([_slices([1, 2, 0, 1], [[0.25], [0.0], [9.0], [0.5]])])
    np.testing.assert_allclose(table.numpy().ravel(), [5.0, 0.575, 1.9, 3.0], rtol=1e-6)


def test_two_tables_and_one_without_a_gradient():
    first, second, third = (tf.Variable(np.ones((3, width), np.float32)) for width in (1, 2, 3))
    optimizer = RowOptimizer(Descent(), 1.0)
    optimizer.build([first, second, third])
    optimizer.apply([_slices([2], [[0.5]]), None, _slices([1], [[1.0, 2.0, 3.0]])])
    np.testing.assert_array_equal(first, [[1.0], [1.0], [0.5]])
    np.testing.assert_array_equal(second, np.ones((3, 2)))
    np.testing.assert_array_equal(third, [[1.0] * 3, [0.0, -1.0, -2.0], [1.0] * 3])


def test_a_dense_gradient_updates_every_row_but_padding():
    table = tf.Variable(np.zeros((3, 2), np.float32))
    optimizer = RowOptimizer(Descent(), 1.0)
    optimizer.build([table])
    optimizer.apply([tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])])
    np.testing.assert_array_equal(table, [[0.0, 0.0], [-3.0, -4.0], [-5.0, -6.0]])


@pytest.mark.parametrize("ids", [[], [0], [0, 0]])
def test_a_batch_of_nothing_but_padding_changes_nothing(ids):
    gradients = np.ones((len(ids), WIDTH), np.float32)
    got = _train(make_row_optimizer("lazy_adam", 0.1, 0.3), tf.Variable(_table()),
                 [(np.array(ids, np.int32), gradients)])
    np.testing.assert_array_equal(got, _table())


def test_ids_of_64_bits():
    table = tf.Variable(np.zeros((3, 1), np.float32))
    optimizer = RowOptimizer(Descent(), 1.0)
    optimizer.build([table])
    optimizer.apply([_slices(np.array([2, 2], np.int64), [[1.0], [2.0]])])
    np.testing.assert_array_equal(table, [[0.0], [0.0], [-3.0]])


@pytest.mark.parametrize("name", ROW_OPTIMIZER_NAMES)
def test_a_restored_optimiser_goes_on_bit_for_bit(name, tmp_path):
    batches = list(_batches(8))
    whole = _train(make_row_optimizer(name, 0.1), tf.Variable(_table()), batches)
    optimizer, table = make_row_optimizer(name, 0.1), tf.Variable(_table())
    _train(optimizer, table, batches[:5])
    path = tf.train.Checkpoint(optimizer=optimizer).save(str(tmp_path / "ckpt"))
    optimizer, table = make_row_optimizer(name, 0.1), tf.Variable(np.zeros((ROWS, WIDTH), "f"))
    optimizer.build([table])
    tf.train.Checkpoint(optimizer=optimizer).restore(path).assert_consumed()
    for ids, gradients in batches[5:]:
        optimizer.apply([_slices(ids, gradients)])
    np.testing.assert_array_equal(table, whole)


@pytest.mark.parametrize("name", ROW_OPTIMIZER_NAMES)
def test_a_step_reads_no_table_as_a_whole(name):
    table = tf.Variable(_table())
    optimizer = make_row_optimizer(name, 0.1, 0.3)
    optimizer.build([table])

    @tf.function(autograph=False)
    def step(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(table, ids) ** 2)
        optimizer.apply([tape.gradient(loss, table)])

    graph = step.get_concrete_function(tf.TensorSpec([None], tf.int32)).graph
    reads = [op for op in graph.get_operations() if op.type == "ReadVariableOp"]
    assert all(op.outputs[0].shape.rank == 0 for op in reads)  # the step count
    written = [op for op in graph.get_operations() if op.type == "ResourceScatterUpdate"]
    assert len(written) == 2


def test_an_id_that_stands_twice_in_a_pooled_list_is_updated_once():
    """With its whole gradient, as Keras Adam does when every row is in the batch."""
    ids = tf.ragged.constant([[2, 3, 2, 4], [4, 4, 4, 1]], dtype=tf.int32)
    tables, losses = [], []
    for optimizer in (RowOptimizer(LazyAdam(), 0.1), keras.optimizers.Adam(0.1)):
        layer = FeatureEmbedding({"tag": 5}, {"tags": "tag"}, 3, pooling={"tags": "sum"})
        layer.build(None)
        layer.set_weights([np.arange(15.0).reshape(5, 3) / 10])
        optimizer.build(layer.trainable_variables)
        for _ in range(5):
            with tf.GradientTape() as tape:
                losses.append(tf.reduce_sum(tf.square(layer({"tags": ids})["tags"] - 0.3)))
            gradient = tape.gradient(losses[-1], table_variable(layer.tables["tag"]))
            if isinstance(optimizer, RowOptimizer):
                optimizer.apply([gradient])
            else:  # Dense: Keras sums equal ids wrongly.
                optimizer.apply([tf.convert_to_tensor(gradient)])
        tables.append(layer.get_weights()[0])
    np.testing.assert_allclose(tables[0][1:], tables[1][1:], rtol=1e-4, atol=1e-5)
    assert losses[4] < 0.7 * losses[0]
