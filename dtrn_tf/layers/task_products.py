"""ESMM: the probability of a task that follows another one is a product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.chosen import chosen


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class TaskProducts(tf.keras.layers.Layer):
    """Makes of p(buy | click) the product p(buy) = p(click) * p(buy | click), all as logits.

    The conditional probability (the paper's CVR) is trained through the product (CTCVR) on all
    rows, not on the clicked ones alone. With logits a and b, 1 / p - 1 of the product is
    (1 + e^-a) (1 + e^-b) - 1, so its logit is -log(e^-a + e^-b + e^-(a + b)): no probability is
    ever computed, and nothing overflows or cancels.

    Args:
        earlier: For every task, the index of the task that it follows, or None. Tasks may form
            chains: a product is multiplied on.

    Inputs: logits [B, K]; of a task that follows another one, given that the other one happens.
    Outputs: logits [B, K], given nothing.

    Raises:
        ValueError: `earlier` names no task, or goes round in a circle, or has another length
            than the logits.

    Example:
        >>> ctr, cvr = 0.5, 0.2
        >>> logits = tf.math.log([[ctr / (1 - ctr), cvr / (1 - cvr)]])
        >>> print(tf.sigmoid(TaskProducts(earlier=[None, 0])(logits)).numpy().round(3))
        [[0.5 0.1]]

    References:
        Entire Space Multi-Task Model: An Effective Approach for Estimating Post-Click Conversion
        Rate, SIGIR 2018, arXiv 1804.07931.
    """

    def __init__(self, earlier: Sequence[int | None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.earlier = tuple(earlier)
        self.depth = max(map(self._num_earlier, range(len(self.earlier))), default=0)

    def _num_earlier(self, task: int) -> int:
        """How many tasks come before this one."""
        count, before = 0, self.earlier[task]
        while before is not None:
            count += 1
            if before not in range(len(self.earlier)) or count == len(self.earlier):
                raise ValueError(
                    "`earlier` should give, for every task, None or the index of the task that it "
                    f"follows, without a circle. Received: {self.earlier!r}."
                )
            before = self.earlier[before]
        return count

    def build(self, input_shape: Any) -> None:
        if input_shape[-1] != len(self.earlier):
            raise ValueError(
                f"Input should have one logit for each of the {len(self.earlier)} tasks of "
                f"`earlier`. Received: shape {tuple(input_shape)}."
            )
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, tasks: Sequence[int] | None = None
    ) -> tf.Tensor:
        present = self.input_tasks(range(len(self.earlier)) if tasks is None else tasks)
        # A task that follows none follows one that is certain.
        certain = tf.fill([tf.shape(inputs)[0], 1], tf.constant(float("inf"), inputs.dtype))
        place = {task: number for number, task in enumerate([*present, None])}
        index = [place[self.earlier[task]] for task in present]
        products = inputs
        # Every turn is right for one more place of each chain, and changes nothing before it.
        for _ in range(self.depth):
            before = tf.gather(tf.concat([products, certain], axis=1), index, axis=1)  # [B, K]
            products = _logit_of_product(before, inputs)
        return products if tasks is None else chosen(products, [place[k] for k in tasks], axis=1)

    def input_tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose logits the products of `tasks` need: these and all that they follow."""
        needed = set(tasks)
        for _ in range(self.depth):
            needed.update(before for task in list(needed)
                          if (before := self.earlier[task]) is not None)
        return sorted(needed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "earlier": list(self.earlier)}


def _logit_of_product(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    terms = tf.stack([-first, -second, -(first + second)])
    return -tf.reduce_logsumexp(terms, axis=0)
