import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, customized_gate_control, normal, randomize

from dtrn_tf.layers import CustomizedGateControl


@pytest.mark.parametrize("views, shared_views", [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize("shared_gate", [False, True])
def test_equals_a_loop(views, shared_views, shared_gate):
    layer = CustomizedGateControl(3, 2, 5, [11, 7], shared_gate=shared_gate, dtype="float64")
    x, s = normal(2, views, 13), normal(2, shared_views, 17, seed=1)
    layer([x, s])
    randomize(layer)

    def flat(outputs, stream=None):
        parts = [outputs] if stream is None else [outputs, stream]
        return tf.concat([tf.reshape(part, [-1]) for part in parts], 0)

    def vectorized():
        return flat(*layer([x, s])) if shared_gate else flat(layer([x, s]))

    def loop():
        rows = [customized_gate_control(layer, [x[b, k % views] for k in range(3)],
                                        [s[b, k % shared_views] for k in range(3)])
                for b in range(2)]
        outputs = tf.stack([tf.stack(outputs) for outputs, _ in rows])
        if not shared_gate:
            return flat(outputs)
        return flat(outputs, tf.stack([tf.stack(stream[:shared_views]) for _, stream in rows]))

    assert_equal_with_gradients(vectorized, loop, [x, s, *layer.trainable_weights])
