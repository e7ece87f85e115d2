"""The physical limit of a training step: its floating-point operations over the GEMM rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.reference_point import Batch, ReferencePoint, make_schema


def gemm_size() -> int:
    """Side of square matrices that are large enough for the device to be at its best."""
    return 8192 if tf.config.list_logical_devices("GPU") else 1024


def training_flops(point: ReferencePoint, num_interests: int, batch: Batch) -> float:
    """Floating-point operations of one training step, matrix products only.

    What the model's function needs, not what a program spends: events count, padding does not,
    and what does not depend on the task counts once. With n_s the length of sequence s, N the
    sum of n_s, S the sum of n_s^2, J the interests per behaviour (1 or K), W = 2 D:

        tokens        2 N (2 D) D
        attention     2 N 4 D^2 + 4 S D            once in the first block, J times in the others
        feed-forward  J 4 N D W                    per block
        TRM           2 K ((R Q + B C) D H + B H (Q + C))
        MMoE          2 K ((R Q + B C) D M + B E U), M = E U + E; for requests also 2 K B Q M
        towers        2 B K (U V + V)

    H are TRM's hidden units, Q the fields of the request (its features and interests), C those of
    the candidate. Impressions have R = B; for requests, TRM's weights of the Q fields are applied
    in a sum over products that were made once per request.

    A product [m, k] x [k, n] is 2 m k n; its gradients are two products of the same size, so a
    training step is three times its forward pass. Element-wise work, lookups, and the optimiser
    are left out: the limit is a lower bound.

    Args:
        point: Sizes.
        num_interests: J.
        batch: What is trained on, not padded.

    Returns:
        The number of operations.
    """
    features, labels, _ = batch
    lengths = np.concatenate([features[b.features[0].name].row_lengths().numpy()
                              for b in make_schema(point).behaviors])
    rows, requests = len(next(iter(labels.values()))), len(lengths) // point.num_behaviors
    return 3.0 * (_encoder(point, num_interests, lengths) + _head(point, rows, requests))


def _encoder(point: ReferencePoint, num_interests: int, lengths: np.ndarray) -> float:
    events, pairs, width = lengths.sum(), (lengths ** 2).sum(), point.width
    attention = 2 * events * 4 * width ** 2 + 4 * pairs * width
    feedforward = 4 * events * width * point.feedforward_units
    repeated = point.num_blocks - 1
    return (2 * events * 2 * width * width + attention * (1 + num_interests * repeated)
            + feedforward * num_interests * point.num_blocks)


def _head(point: ReferencePoint, rows: int, requests: int) -> int:
    """TRM, MMoE and towers of all tasks and rows."""
    levels = [feature.level for feature in make_schema(point).features]
    of_requests = levels.count("request") + point.num_behaviors
    of_rows = levels.count("candidate")
    units, hidden = point.expert_units, point.refinement_units
    mixed = point.num_experts * (units + 1)  # experts' outputs and gate values
    products = (requests * of_requests + rows * of_rows) * point.width * (hidden + mixed)
    sums = 0 if requests == rows else of_requests * mixed
    rest = hidden * (of_requests + of_rows) + point.num_experts * units
    towers = (units + 1) * point.tower_units
    return 2 * point.num_tasks * (products + rows * (sums + rest + towers))


def gemm(shape: Sequence[int]) -> Callable[[], Any]:
    """A product of two float32 matrices [m, k] x [k, n], to time."""
    m, k, n = shape
    left, right = tf.random.normal([m, k]), tf.random.normal([k, n])
    return lambda: tf.matmul(left, right)[0, 0].numpy()


def gemm_rate(shape: Sequence[int], seconds: Sequence[float]) -> float:
    """Operations a second of a product [m, k] x [k, n], from the median of its times.

    >>> gemm_rate((10, 10, 10), [2.0, 1.0, 8.0])
    1000.0
    """
    return 2.0 * float(np.prod(shape)) / float(np.median(seconds))
