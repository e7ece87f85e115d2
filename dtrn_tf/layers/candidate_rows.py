"""Candidates beside the requests that they belong to."""

from __future__ import annotations

import tensorflow as tf


class CandidateRows:
    """Which request each of B candidates belongs to; without `request_index` each has its own.

    Args:
        request_index: The request of each candidate, ascending, or None. [B]
        num_requests: R.

    Example:
        >>> rows = CandidateRows(tf.constant([0, 0, 2]), num_requests=3)
        >>> by_request = rows.group(tf.constant([[1.0], [2.0], [3.0]]))
        >>> by_request.numpy()[:, :, 0].tolist()
        [[1.0, 2.0], [0.0, 0.0], [3.0, 0.0]]
        >>> rows.ungroup(by_request).numpy()[:, 0].tolist()
        [1.0, 2.0, 3.0]
    """

    def __init__(self, request_index: tf.Tensor | None, num_requests: int | tf.Tensor) -> None:
        self._num_requests = num_requests
        self._places = None
        if request_index is not None:
            index = tf.cast(request_index, tf.int32)
            firsts = tf.searchsorted(index, tf.range(num_requests))  # [R]
            rank = tf.range(tf.size(index)) - tf.gather(firsts, index)  # [B], within the request
            self._most = tf.reduce_max(tf.pad(rank + 1, [[1, 0]]))
            self._places = index * self._most + rank  # [B]

    def group(self, values: tf.Tensor) -> tf.Tensor:
        """Candidates of each request side by side, padded with zeros. [B, ...] -> [R, M, ...]"""
        if self._places is None:
            return values[:, tf.newaxis]
        shape = [self._num_requests * self._most, *values.shape[1:]]
        flat = tf.scatter_nd(self._places[:, tf.newaxis], values, shape)
        return tf.reshape(flat, [self._num_requests, self._most, *values.shape[1:]])

    def ungroup(self, values: tf.Tensor) -> tf.Tensor:
        """What `group` did, backwards. [R, M, ...] -> [B, ...]"""
        if self._places is None:
            return tf.squeeze(values, 1)
        return tf.gather(tf.reshape(values, [-1, *values.shape[2:]]), self._places)
