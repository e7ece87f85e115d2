"""Metrics of one task as pure functions on NumPy arrays; what is not defined is NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


def auc(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Area under the ROC curve, exact: the share of (positive, negative) pairs in right order.

    `AUC = sum_{p,n} w_p w_n ([s_p > s_n] + [s_p = s_n] / 2) / (sum_p w_p * sum_n w_n)`

    Args:
        labels: [B] of 0 and 1.
        scores: [B] numbers that order the rows: logits and probabilities give the same value.
        weights: Optional [B], >= 0.

    Returns:
        A number in [0, 1]; NaN if one class has no weight or if a score is NaN.

    Raises:
        ValueError: Arrays of unequal shape, a label that is not 0 or 1, a negative weight.

    >>> auc([0, 1, 0, 1], [0.1, 0.1, 0.2, 0.3])
    0.625
    """
    labels, scores, weights = _checked_binary(labels, scores, weights)
    whole = np.zeros(len(labels), np.int64)
    areas, _ = _auc_per_group(labels, scores, weights, whole, 1)
    return float(areas[0])


def grouped_auc(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
) -> float:
    """GAUC: the mean AUC of the groups (users), each weighted by its rows.

    `GAUC = sum_g w_g AUC_g / sum_g w_g`, over the groups with both classes; `w_g` is the weight
    of the group's rows, their number when no weights are given.

    Args:
        labels: [B] of 0 and 1.
        scores: [B] numbers that order the rows.
        groups: [B] group keys, integers or strings.
        weights: Optional [B], >= 0.

    Returns:
        A number in [0, 1]; NaN if no group has both classes or if a score is NaN.

    Raises:
        ValueError: Arrays of unequal shape, a label that is not 0 or 1, a negative weight.

    >>> grouped_auc([0, 1, 1, 0, 0, 1], [1, 2, 0, 5, 4, 3], groups=[7, 7, 7, 8, 8, 9])
    0.5

    References:
        Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", section 5.3.
    """
    labels, scores, weights = _checked_binary(labels, scores, weights)
    keys, codes = np.unique(np.asarray(groups), return_inverse=True)
    if codes.shape != labels.shape:
        raise ValueError(f"`groups` should have the shape of `labels`, {labels.shape}. "
                         f"Received: shape {codes.shape}.")
    areas, rows = _auc_per_group(labels, scores, weights, codes, len(keys))
    if np.isnan(scores).any():
        return float("nan")
    both_classes = ~np.isnan(areas)
    return _ratio(float(np.sum(rows[both_classes] * areas[both_classes])),
                  float(np.sum(rows[both_classes])))


def log_loss(
    labels: npt.ArrayLike, logits: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Mean binary cross-entropy in nats, from logits: `mean(log(1 + e^z) - y z)`.

    Taken from logits because a probability rounds to 0 or 1 where the loss is large.

    Args:
        labels: [B] of 0 and 1.
        logits: [B].
        weights: Optional [B], >= 0.

    Returns:
        A number >= 0; NaN without rows.

    Raises:
        ValueError: Arrays of unequal shape, a label that is not 0 or 1, a negative weight.

    >>> round(log_loss([1, 0], [0.0, 0.0]), 6)
    0.693147
    """
    labels, logits, weights = _checked_binary(labels, logits, weights)
    return _mean(np.logaddexp(0.0, logits) - labels * logits, weights)


def normalized_entropy(
    labels: npt.ArrayLike, logits: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Log loss divided by that of always predicting the base rate; below 1 is better than it.

    `NE = log_loss / -(p log p + (1 - p) log(1 - p))`, with `p` the mean label.

    Args:
        labels: [B] of 0 and 1.
        logits: [B].
        weights: Optional [B], >= 0.

    Returns:
        A number >= 0; NaN if one class has no weight.

    Raises:
        ValueError: Arrays of unequal shape, a label that is not 0 or 1, a negative weight.

    >>> normalized_entropy([1, 0], [0.0, 0.0])
    1.0

    References:
        He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", section 3.
    """
    loss = log_loss(labels, logits, weights)
    labels, _, weights = _checked_binary(labels, logits, weights)
    rate = _mean(labels, weights)
    if not 0.0 < rate < 1.0:
        return float("nan")
    return loss / -(rate * math.log(rate) + (1.0 - rate) * math.log1p(-rate))


def calibration_ratio(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Mean prediction divided by mean label; 1 is calibrated, above 1 predicts too much.

    Args:
        labels: [B]; 0 and 1, or the values of a regression.
        predictions: [B] probabilities, or predicted values.
        weights: Optional [B], >= 0.

    Returns:
        The ratio; NaN if the mean label is 0 or there are no rows.

    Raises:
        ValueError: Arrays of unequal shape, a negative weight.

    >>> calibration_ratio([1, 0, 0, 1], [0.5, 0.25, 0.5, 0.5])
    0.875
    """
    labels, predictions, weights = _checked(labels, predictions, weights)
    return _ratio(_mean(predictions, weights), _mean(labels, weights))


def mean_squared_error(
    labels: npt.ArrayLike, predictions: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Mean of `(prediction - label)^2`, for a regression.

    Args:
        labels: [B] values.
        predictions: [B] values.
        weights: Optional [B], >= 0.

    Returns:
        A number >= 0; NaN without rows.

    Raises:
        ValueError: Arrays of unequal shape, a negative weight.

    >>> mean_squared_error([1.0, 2.0], [4.0, 6.0], weights=[1.0, 0.0])
    9.0
    """
    labels, predictions, weights = _checked(labels, predictions, weights)
    return _mean(np.square(predictions - labels), weights)


def _auc_per_group(
    labels: Array, scores: Array, weights: Array, codes: Codes, num_groups: int
) -> tuple[Array, Array]:
    """AUC and weight of every group [G] at once: one sort, then sums over runs of equal scores."""
    order = np.lexsort((scores, codes))
    labels, scores, weights = labels[order], scores[order], weights[order]
    codes = codes[order]
    positive, negative = weights * labels, weights * (1.0 - labels)
    ties = _tie_numbers(scores, codes)
    num_ties = int(ties[-1]) + 1 if len(ties) else 0
    tie_positive = _sums(ties, positive, num_ties)
    tie_negative = _sums(ties, negative, num_ties)
    tie_group = np.zeros(num_ties, np.int64)
    tie_group[ties] = codes
    group_positive = _sums(codes, positive, num_groups)
    group_negative = _sums(codes, negative, num_groups)
    below_group = np.cumsum(group_negative) - group_negative
    below_tie = np.cumsum(tie_negative) - tie_negative - below_group[tie_group]
    won = _sums(tie_group, tie_positive * (below_tie + tie_negative / 2), num_groups)
    pairs = group_positive * group_negative
    defined = (pairs > 0) & (_sums(codes, np.isnan(scores), num_groups) == 0)
    areas = np.full(num_groups, np.nan)
    areas[defined] = won[defined] / pairs[defined]
    return areas, group_positive + group_negative


def _sums(codes: Codes, values: npt.NDArray[Any], size: int) -> Array:
    """Sum of the values of every code 0..size-1."""
    return np.asarray(np.bincount(codes, values, size), np.float64)


def _tie_numbers(scores: Array, codes: Codes) -> Codes:
    """Numbers the runs of equal (group, score) from 0; the rows are sorted by both."""
    starts = (codes[1:] != codes[:-1]) | (scores[1:] != scores[:-1])
    return np.concatenate([np.zeros(min(len(codes), 1), np.int64), np.cumsum(starts)])


def _checked_binary(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[Array, Array, Array]:
    checked = _checked(labels, scores, weights)
    wrong = checked[0][(checked[0] != 0.0) & (checked[0] != 1.0)]
    if wrong.size:
        raise ValueError(f"`labels` should be 0 or 1. Received: {wrong[0]}.")
    return checked


def _checked(
    labels: npt.ArrayLike, scores: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[Array, Array, Array]:
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    weights = np.ones(labels.shape) if weights is None else np.asarray(weights, np.float64)
    if labels.ndim != 1 or not labels.shape == scores.shape == weights.shape:
        raise ValueError("labels, scores and weights should be vectors of equal length. Received: "
                         f"shapes {labels.shape}, {scores.shape} and {weights.shape}.")
    if not (weights >= 0.0).all():
        raise ValueError(f"`weights` should be >= 0. Received: {weights.min()}.")
    return labels, scores, weights


def _mean(values: Array, weights: Array) -> float:
    return _ratio(float(np.sum(values * weights)), float(np.sum(weights)))


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
