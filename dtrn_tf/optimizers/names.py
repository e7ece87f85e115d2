"""Optimisers by the names that flags give them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from dtrn_tf.optimizers.lazy_adam import LazyAdam
from dtrn_tf.optimizers.row_optimizer import RowOptimizer
from dtrn_tf.optimizers.rowwise_adagrad import RowwiseAdagrad
from dtrn_tf.optimizers.schedules import Schedule

keras = tf.keras

_KERAS = {"adam": keras.optimizers.Adam, "adagrad": keras.optimizers.Adagrad}
_RULES = {"lazy_adam": LazyAdam, "rowwise_adagrad": RowwiseAdagrad}
OPTIMIZER_NAMES = tuple(_KERAS)
ROW_OPTIMIZER_NAMES = tuple(_RULES)


def make_optimizer(name: str, learning_rate: float | Schedule) -> Any:
    """A Keras optimiser of dense weights by name.

    Args:
        name: One of `OPTIMIZER_NAMES`.
        learning_rate: Its learning rate, or what `make_schedule` gives.

    Raises:
        ValueError: Unknown name.

    >>> float(make_optimizer("adagrad", 0.5).learning_rate)
    0.5
    """
    _check_name(name, OPTIMIZER_NAMES)
    return _KERAS[name](learning_rate=learning_rate)


def make_row_optimizer(name: str, learning_rate: float | Schedule,
                       weight_decay: float = 0.0) -> RowOptimizer:
    """An optimiser of embedding tables by name.

    Args:
        name: One of `ROW_OPTIMIZER_NAMES`.
        learning_rate: Its learning rate, or what `make_schedule` gives.
        weight_decay: Of the rows that a batch looks up.

    Raises:
        ValueError: Unknown name.
    """
    _check_name(name, ROW_OPTIMIZER_NAMES)
    return RowOptimizer(_RULES[name](), learning_rate, weight_decay)


def _check_name(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise ValueError(f"`name` should be one of {names}. Received: {name!r}.")
