"""Fields of candidates, those of their requests stored and multiplied once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from dtrn_tf.layers.candidate_rows import CandidateRows
from dtrn_tf.layers.parallel_affine import parallel_affine


class SplitFields(NamedTuple):
    """Fields [B, J, F, D] of candidates without the copies of what belongs to their requests.

    A linear map of fields side by side is a sum over the fields, and a weight of a field can be
    applied after its product:

        sum_f (s_f x_f) W_f  =  sum_{of the request} s_f (x_f W_f)  +  sum_{others} (s_f x_f) W_f.

    The products x_f W_f are made once per request, and only their sum runs per candidate.

    Args:
        requests: The first Q fields, of requests. [R, J, Q, D]
        candidates: The other C fields. [B, J, C, D]; in either, J = 1 is the same for all tasks.
        request_index: The request of each candidate, ascending. [B]
        weights: One factor per field, or None for ones; `requests` then has K views. [B, K, F]

    Example:
        >>> fields = SplitFields(tf.constant([[[[5.0]]], [[[7.0]]]]),
        ...                      tf.constant([[[[1.0]]], [[[2.0]]], [[[3.0]]]]),
        ...                      tf.constant([0, 0, 1]))
        >>> fields.join().numpy()[:, 0, :, 0].tolist()
        [[5.0, 1.0], [5.0, 2.0], [7.0, 3.0]]
        >>> fields.affine(tf.constant([[[10.0], [1.0]]])).numpy().ravel().tolist()
        [51.0, 52.0, 73.0]
    """

    requests: Any
    candidates: Any
    request_index: Any
    weights: Any = None

    def weighted(self, weights: tf.Tensor) -> SplitFields:
        """The same with one weight per field and task. [B, K, F]"""
        repeats = weights.shape[1] // self.requests.shape[1]
        return self._replace(requests=tf.repeat(self.requests, repeats, axis=1), weights=weights)

    def each_view(self) -> SplitFields:
        """The same as inputs of layers that all views share. [B, J, F, D] -> [B, J, 1, F, D]"""
        weights = None if self.weights is None else tf.expand_dims(self.weights, 2)
        return SplitFields(tf.expand_dims(self.requests, 2), tf.expand_dims(self.candidates, 2),
                           self.request_index, weights)

    def join(self) -> tf.Tensor:
        """The fields themselves. [B, J, F, D]"""
        fields = side_by_side([tf.gather(self.requests, self.request_index), self.candidates])
        return fields if self.weights is None else self.weights[..., tf.newaxis] * fields

    def affine(self, kernel: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        """As `parallel_affine` of the fields side by side, with N = F * D. [..., S, U]"""
        fields, width = self.requests.shape[-2:]
        of_requests, of_candidates = tf.split(kernel, [fields * width, -1], axis=1)
        if self.weights is None:
            candidates = self.candidates
            products = parallel_affine(_flat(self.requests), of_requests)  # [R, ..., S, U]
            requests = tf.gather(products, self.request_index)
        else:
            candidates = self.weights[..., fields:, tf.newaxis] * self.candidates
            requests = self._weighted_requests(of_requests)
        return requests + parallel_affine(_flat(candidates), of_candidates, bias)

    def _weighted_requests(self, kernel: tf.Tensor) -> tf.Tensor:
        """sum_q s_q (x_q W_q). [..., S, U]"""
        # Letters: g view, p map of that view; S = G * P.
        groups, fields, width = self.requests.shape[-3:]
        views = self.weights.shape[1]
        num_parallel, _, units = kernel.shape
        kernels = tf.reshape(kernel, [groups, -1, fields, width, units])  # [G, P, Q, D, U]
        kernels = tf.reshape(
            tf.transpose(kernels, [0, 2, 3, 1, 4]), [groups * fields, width, -1]
        )  # [G * Q, D, P * U]
        requests = tf.reshape(self.requests, [-1, groups * fields, width])
        products = parallel_affine(requests, kernels)
        products = tf.reshape(products, [-1, views, fields, kernels.shape[-1]])  # [R, K, Q, P * U]
        rows = CandidateRows(self.request_index, tf.shape(self.requests)[0])
        weights = tf.reshape(self.weights[..., :fields], [-1, views, fields])
        weights = tf.transpose(rows.group(weights), [0, 2, 1, 3])  # [R, K, M, Q]
        sums = tf.transpose(tf.matmul(weights, products), [0, 2, 1, 3])  # [R, M, K, P * U]
        shape = [-1, *self.weights.shape[1:-2], num_parallel, units]
        return tf.reshape(rows.ungroup(sums), shape)


Fields: TypeAlias = "tf.Tensor | SplitFields"


def flat_fields(fields: Fields) -> Fields:
    """Fields side by side, as dense layers take them; split ones know it themselves.

    [B, J, F, D] -> [B, J, F * D]

    >>> flat_fields(tf.ones([2, 1, 3, 5])).shape
    TensorShape([2, 1, 15])
    """
    return fields if isinstance(fields, SplitFields) else _flat(fields)


def each_view(inputs: Fields) -> Fields:
    """Inputs of layers that all views share. [B, J, N] -> [B, J, 1, N]

    >>> each_view(tf.ones([2, 3, 5])).shape
    TensorShape([2, 3, 1, 5])
    """
    if isinstance(inputs, SplitFields):
        return inputs.each_view()
    return tf.expand_dims(inputs, 2)


def joined(fields: Fields) -> tf.Tensor:
    """The fields themselves, whichever way they came. [B, J, F, D]

    >>> joined(tf.ones([2, 1, 3, 5])).shape
    TensorShape([2, 1, 3, 5])
    """
    return fields.join() if isinstance(fields, SplitFields) else fields


def side_by_side(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Parts of the fields as one tensor; one view serves for all. [B, 1 or J, F, D] each

    >>> side_by_side([tf.ones([2, 1, 3, 5]), tf.ones([2, 7, 2, 5])]).shape
    TensorShape([2, 7, 5, 5])
    """
    views = max(part.shape[1] for part in parts)
    return tf.concat([tf.repeat(part, views // part.shape[1], axis=1) if part.shape[1] < views
                      else part for part in parts], axis=2)


def _flat(fields: tf.Tensor) -> tf.Tensor:
    """[..., F, D] -> [..., F * D]"""
    num_fields, width = fields.shape[-2:]
    shape = tf.concat([tf.shape(fields)[:-2], [num_fields * width]], 0)
    return tf.ensure_shape(tf.reshape(fields, shape), [*fields.shape[:-2], num_fields * width])
