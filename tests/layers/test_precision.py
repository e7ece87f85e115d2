import pytest
import tensorflow as tf

from dtrn_tf.layers.precision import at_least_float32


@pytest.mark.parametrize("given, expected", [
    (tf.bfloat16, tf.float32), (tf.float16, tf.float32),
    (tf.float32, tf.float32), (tf.float64, tf.float64)])
def test_only_16_bits_are_widened(given, expected):
    assert at_least_float32(tf.constant([0.5], given)).dtype == expected
