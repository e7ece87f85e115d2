import pytest
import tensorflow as tf


@pytest.fixture(autouse=True)
def seed():
    """The same initial weights in every run."""
    tf.keras.utils.set_random_seed(17)
