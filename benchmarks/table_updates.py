"""Steps that look up rows of one table and update them: what an optimiser costs by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.variables import table_variable
from dtrn_tf.optimizers import ROW_OPTIMIZER_NAMES, make_optimizer, make_row_optimizer

Tensor = Any
# Dense updates of every row, the peers; and no update at all, which leaves lookup and gradient.
PEERS = {"keras adam": "adam", "keras adagrad": "adagrad"}
NO_UPDATE = "no update"
OPTIMIZERS = (NO_UPDATE, *ROW_OPTIMIZER_NAMES, *PEERS)


def update_steps(optimizer: str, rows: int, width: int, num_ids: int, ids: str,
                 steps: int) -> Callable[[], Any]:
    """What to time: some steps in one graph call, each with new ids.

    Args:
        optimizer: One of `OPTIMIZERS`.
        rows: Rows of the table.
        width: D, its width.
        num_ids: Ids that a step looks up.
        ids: How they are drawn, `uniform` or `popular`; see `draw`.
        steps: Steps of one call.

    >>> update_steps("lazy_adam", rows=10, width=2, num_ids=5, ids="uniform", steps=3)() > 0.0
    True
    """
    table = tf.keras.Variable(tf.random.stateless_uniform((rows, width), (1, 2)), trainable=True)
    update = _update(optimizer, table)

    def step(_: Tensor) -> Tensor:
        variable = table_variable(table)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(tf.gather(variable, draw(ids, rows, num_ids))))
        return loss + update(tape.gradient(loss, variable))

    def run() -> Tensor:
        return tf.while_loop(lambda i, _: i < steps, lambda i, loss: (i + 1, step(loss)),
                             (0, 0.0))[1]

    traced = tf.function(run, autograph=False).get_concrete_function()
    return lambda: float(traced())


def draw(kind: str, rows: int, num_ids: int) -> Tensor:
    """Ids from 1 to rows - 1.

    `uniform`: all alike, so that nearly every row comes from memory. `popular`: id i with a
    probability near 1 / i (Zipf's law), as ids sorted by frequency have it.
    """
    share = tf.random.uniform((num_ids,))
    ids = tf.pow(float(rows), share) if kind == "popular" else 1.0 + share * (rows - 1)
    return tf.minimum(tf.cast(ids, tf.int32), rows - 1)


def state_bytes(optimizer: str, width: int) -> int:
    """Memory of the optimiser for one row of a table, besides the row itself.

    >>> {name: state_bytes(name, width=16) for name in ("lazy_adam", "rowwise_adagrad")}
    {'lazy_adam': 128, 'rowwise_adagrad': 4}
    """
    numbers = {NO_UPDATE: 0, "lazy_adam": 2 * width, "rowwise_adagrad": 1,
               "keras adam": 2 * width, "keras adagrad": width}
    return 4 * numbers[optimizer]


def _update(optimizer: str, table: Any) -> Callable[[tf.IndexedSlices], Tensor]:
    """Applies a gradient and returns 0; without an update, what makes TensorFlow compute it."""
    if optimizer == NO_UPDATE:
        return lambda gradient: 0.0 * tf.reduce_sum(gradient.values)
    peer = optimizer in PEERS
    made = (make_optimizer(PEERS[optimizer], 1e-3) if peer else
            make_row_optimizer(optimizer, 1e-3))
    made.build([table])

    def update(gradient: tf.IndexedSlices) -> Tensor:
        # Keras is right with ids that occur twice only if the gradient is dense.
        made.apply([tf.convert_to_tensor(gradient) if peer else gradient])
        return tf.zeros(())

    return update
