import numpy as np
import pytest
import sklearn.metrics

from dtrn_tf import metrics


def make_rows(rows=509, groups=23, seed=0):
    """Random labels, scores with many ties, weights with zeros, group keys as raw ids."""
    random = np.random.default_rng(seed)
    scores = random.integers(-6, 7, rows) / 3.0
    labels = (random.random(rows) < 1 / (1 + np.exp(-scores))).astype(np.float32)
    weights = random.integers(0, 4, rows) * 0.75
    return labels, scores, weights, random.integers(0, groups, rows) * 1_000_003


def pairwise_auc(labels, scores, weights):
    """The definition, as a plain loop over pairs."""
    won = total = 0.0
    for label, score, weight in zip(labels, scores, weights):
        for other_label, other_score, other_weight in zip(labels, scores, weights):
            if label == 1 and other_label == 0:
                pair = weight * other_weight
                won += pair * ((score > other_score) + 0.5 * (score == other_score))
                total += pair
    return won / total if total else np.nan


def test_auc_counts_a_tie_as_half_a_pair():
    # Pairs (0.8, 0.5), (0.8, 0.8): one right, one tied; (0.1, ...): both wrong.
    assert metrics.auc([1, 1, 0, 0], [0.8, 0.1, 0.5, 0.8]) == 1.5 / 4


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_auc_equals_the_definition_and_sklearn(seed, weighted):
    labels, scores, weights, _ = make_rows(rows=113, seed=seed)
    weights = weights if weighted else np.ones(len(labels))
    value = metrics.auc(labels, scores, weights)
    assert value == pytest.approx(pairwise_auc(labels, scores, weights), abs=1e-12)
    assert value == pytest.approx(
        sklearn.metrics.roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12)
    if not weighted:
        assert value == metrics.auc(labels, scores)


def test_auc_is_that_of_the_subset_without_rows_of_weight_zero():
    labels, scores, weights, _ = make_rows()
    keep = weights > 0
    assert metrics.auc(labels, scores, keep) == metrics.auc(labels[keep], scores[keep])


def test_auc_does_not_change_with_the_order_or_a_monotone_map_of_the_scores():
    labels, scores, weights, _ = make_rows()
    order = np.random.default_rng(1).permutation(len(labels))
    value = metrics.auc(labels, scores, weights)
    assert metrics.auc(labels[order], scores[order], weights[order]) == pytest.approx(value)
    assert metrics.auc(labels, np.exp(scores), weights) == pytest.approx(value)
    assert metrics.auc(labels, -scores, weights) == pytest.approx(1 - value)


def test_auc_orders_infinite_scores():
    assert metrics.auc([0, 0, 1, 1], [-np.inf, np.inf, np.inf, 0.0]) == 2.5 / 4


@pytest.mark.parametrize("labels, scores, weights", [
    ([1, 1], [0.1, 0.2], None),
    ([0, 0], [0.1, 0.2], None),
    ([0, 1], [0.1, 0.2], [1.0, 0.0]),
    ([0, 1, 1], [0.1, np.nan, 0.2], None),
    ([], [], None),
])
def test_auc_of_one_class_of_nothing_or_of_nan_is_undefined(labels, scores, weights):
    assert np.isnan(metrics.auc(labels, scores, weights))


def test_grouped_auc_by_hand():
    # a: 2 rows, its pair is right; b: 4 rows, of its 3 pairs one is tied and two are wrong;
    # c: one class, left out.
    labels = [0, 1, 1, 0, 0, 0, 1]
    scores = [0.1, 0.2, 0.3, 0.3, 0.9, 0.8, 0.5]
    groups = ["a", "a", "b", "b", "b", "b", "c"]
    expected = (2 * 1.0 + 4 * (0.5 / 3)) / 6
    assert metrics.grouped_auc(labels, scores, groups) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_grouped_auc_equals_a_loop_over_groups(weighted):
    labels, scores, weights, groups = make_rows(rows=211, groups=67)
    weights = weights if weighted else np.ones(len(labels))
    total = rows = 0.0
    for group in set(groups):
        inside = groups == group
        value = pairwise_auc(labels[inside], scores[inside], weights[inside])
        if not np.isnan(value):
            total += weights[inside].sum() * value
            rows += weights[inside].sum()
    value = metrics.grouped_auc(labels, scores, groups, weights if weighted else None)
    assert value == pytest.approx(total / rows, abs=1e-12)
    as_bytes = np.array([b"user-%d" % group for group in groups], object)
    assert metrics.grouped_auc(labels, scores, as_bytes, weights) == pytest.approx(value)


def test_grouped_auc_of_a_single_group_is_the_auc():
    labels, scores, weights, _ = make_rows()
    groups = np.zeros(len(labels), int)
    value = metrics.auc(labels, scores, weights)
    assert metrics.grouped_auc(labels, scores, groups, weights) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("labels, scores", [
    ([0, 0, 1], [0.1, 0.2, 0.3]),
    ([0, 1, 1], [0.1, np.nan, 0.3]),
    ([], []),
])
def test_grouped_auc_without_a_group_of_both_classes_or_with_nan_is_undefined(labels, scores):
    assert np.isnan(metrics.grouped_auc(labels, scores, [1, 1, 2][:len(labels)]))


@pytest.mark.parametrize("weighted", [False, True])
def test_log_loss_and_normalized_entropy_equal_sklearn(weighted):
    labels, logits, weights, _ = make_rows()
    weights = weights if weighted else np.ones(len(labels))
    probabilities = 1 / (1 + np.exp(-logits))
    loss = sklearn.metrics.log_loss(labels, probabilities, sample_weight=weights)
    base_rate = np.full(len(labels), np.average(labels, weights=weights))
    base_loss = sklearn.metrics.log_loss(labels, base_rate, sample_weight=weights)
    assert metrics.log_loss(labels, logits, weights) == pytest.approx(loss, rel=1e-9)
    assert metrics.normalized_entropy(labels, logits, weights) == pytest.approx(
        loss / base_loss, rel=1e-9)


def test_log_loss_of_extreme_logits_is_exact():
    assert metrics.log_loss([0, 1], [800.0, 800.0]) == 400.0


def test_normalized_entropy_of_the_base_rate_is_one():
    logit = np.log(0.25 / 0.75)
    assert metrics.normalized_entropy([1, 0, 0, 0], [logit] * 4) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_normalized_entropy_of_one_class_is_undefined(labels):
    assert np.isnan(metrics.normalized_entropy(labels, [0.1, 0.2][:len(labels)]))


def test_log_loss_of_nothing_is_undefined():
    assert np.isnan(metrics.log_loss([], []))
    assert np.isnan(metrics.log_loss([1], [0.0], [0.0]))


def test_calibration_ratio_by_hand():
    assert metrics.calibration_ratio([1, 0, 1], [0.6, 0.3, 0.0]) == pytest.approx(0.45)
    weighted = metrics.calibration_ratio([1, 0, 1], [0.6, 0.3, 0.0], [1.0, 2.0, 0.0])
    assert weighted == pytest.approx(1.2)
    assert metrics.calibration_ratio([2.0, 6.0], [3.0, 3.0]) == 0.75


def test_calibration_ratio_without_positives_is_undefined():
    assert np.isnan(metrics.calibration_ratio([0, 0], [0.1, 0.2]))


def test_mean_squared_error_equals_sklearn():
    values, predictions, weights, _ = make_rows()
    expected = sklearn.metrics.mean_squared_error(values, predictions, sample_weight=weights)
    value = metrics.mean_squared_error(values, predictions, weights)
    assert value == pytest.approx(expected, rel=1e-12)
    assert np.isnan(metrics.mean_squared_error([], []))


@pytest.mark.parametrize("metric", [
    metrics.auc, metrics.log_loss, metrics.normalized_entropy, metrics.calibration_ratio,
    metrics.mean_squared_error])
def test_unequal_shapes_and_negative_weights_are_errors(metric):
    with pytest.raises(ValueError, match=r"equal length\. Received: shapes \(2,\), \(3,\)"):
        metric([0, 1], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"equal length\. Received: shapes \(2, 1\)"):
        metric([[0], [1]], [[0.1], [0.2]])
    with pytest.raises(ValueError, match=r"`weights` should be >= 0\. Received: -0\.5"):
        metric([0, 1], [0.1, 0.2], [1.0, -0.5])


@pytest.mark.parametrize("metric", [metrics.auc, metrics.log_loss, metrics.normalized_entropy])
def test_a_label_that_is_not_binary_is_an_error(metric):
    with pytest.raises(ValueError, match=r"`labels` should be 0 or 1\. Received: 2\.0"):
        metric([0, 2], [0.1, 0.2])


def test_grouped_auc_needs_one_group_key_a_row():
    with pytest.raises(ValueError, match=r"`groups` should have the shape .* \(2,\)\. Received"):
        metrics.grouped_auc([0, 1], [0.1, 0.2], [1, 2, 3])
