import pytest

from dtrn_tf.optimizers import make_optimizer, make_row_optimizer


def test_unknown_names():
    with pytest.raises(ValueError, match=r"`name` should be one of .*'adam'.*Received: 'sgdd'"):
        make_optimizer("sgdd", 0.1)
    with pytest.raises(ValueError, match=r"one of .*'lazy_adam'.*Received: 'adam'"):
        make_row_optimizer("adam", 0.1)
