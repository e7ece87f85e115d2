import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal, randomize, raw

from dtrn_tf.layers import ParallelDense


def test_hand_computed():
    layer = ParallelDense(2, 1)
    layer.build((None, 2, 2))
    layer.set_weights([np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), np.array([[10.0], [20.0]])])
    outputs = layer(tf.constant([[[1.0, 1.0], [1.0, -1.0]]]))
    assert outputs.numpy().tolist() == [[[13.0], [19.0]]]
    assert layer(tf.constant([[[1.0, 1.0]]])).numpy().tolist() == [[[13.0], [27.0]]]


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("leading", [(), (5,), (5, 3), (5, 3, 2)])
def test_equals_separate_layers(groups, leading):
    layer = ParallelDense(6, 7, "tanh", dtype="float64")
    inputs = normal(*leading, groups, 11)
    layer(inputs)
    randomize(layer)

    def loop():
        return tf.stack(
            [tf.tanh(tf.tensordot(inputs[..., s * groups // 6, :], raw(layer.kernel)[s], 1)
                     + raw(layer.bias)[s]) for s in range(6)], axis=-2)

    assert_equal_with_gradients(
        lambda: layer(inputs), loop, [inputs, *layer.trainable_weights])


def test_every_slice_starts_like_a_layer_of_its_own_and_no_two_equal():
    layer = ParallelDense(8, 50)
    layer.build((None, 1, 70))
    kernel = raw(layer.kernel).numpy()
    limit = np.sqrt(6 / (70 + 50))
    for one in kernel:
        assert 0.98 * limit < np.abs(one).max() <= limit
        assert one.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert not raw(layer.bias).numpy().any()
    correlation = np.corrcoef(kernel.reshape(8, -1)) - np.eye(8)
    assert np.abs(correlation).max() < 0.1


def test_kernel_scale_and_no_bias():
    layer = ParallelDense(2, 5, use_bias=False, kernel_scale=0.1)
    layer.build((None, 2, 3))
    assert len(layer.weights) == 1
    assert np.abs(raw(layer.kernel)).max() <= 0.1 * np.sqrt(6 / 8)


def test_static_shape_is_kept():
    layer = ParallelDense(6, 5)
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec([None, 7, 3, 2]))
    assert graph.outputs[0].shape.as_list() == [None, 7, 6, 5]


def test_gradient_makes_no_outer_product():
    """An einsum with "..." would: [B, S, N, U] elements for the gradient of the kernel."""
    layer = ParallelDense(3, 11)
    layer.build((None, 1, 7))

    @tf.function
    def gradient(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return tape.gradient(loss, layer.trainable_weights)

    graph = gradient.get_concrete_function(tf.TensorSpec([1009, 1, 7])).graph
    sizes = [x.shape.num_elements() or 0 for op in graph.get_operations() for x in op.outputs]
    assert max(sizes) <= 1009 * 3 * 11


def test_input_axis_must_divide():
    with pytest.raises(ValueError, match=r"Axis -2 of the input should divide num_parallel=6. "
                                         r"Received: input of shape \(2, 4, 5\)."):
        ParallelDense(6, 3)(tf.zeros([2, 4, 5]))
