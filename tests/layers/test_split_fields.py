import numpy as np
import pytest
import tensorflow as tf
from reference import assert_equal_with_gradients, normal, randomize

from dtrn_tf.layers import MMoE, PLE, ParallelDense, SharedBottom, TaskRefinement
from dtrn_tf.layers.split_fields import SplitFields, each_view, flat_fields, joined, side_by_side

# Requests 0, 2 and 3 of five have candidates; 3 views, 2 + 4 fields of width 7.
INDEX, REQUESTS, VIEWS, OWN, OTHER, WIDTH = [0, 2, 2, 2, 2, 3], 5, 3, 2, 4, 7
ROWS, FIELDS = len(INDEX), OWN + OTHER


def _split(request_views=VIEWS, candidate_views=1, weighted=False):
    fields = SplitFields(normal(REQUESTS, request_views, OWN, WIDTH),
                         normal(ROWS, candidate_views, OTHER, WIDTH, seed=1), tf.constant(INDEX))
    return fields.weighted(normal(ROWS, VIEWS, FIELDS, seed=2)) if weighted else fields


def _sources(fields):
    return [x for x in fields if x is not None and x.dtype.is_floating]


@pytest.mark.parametrize("request_views, candidate_views", [(1, 1), (1, 3), (3, 1), (3, 3)])
def test_joined_one_row_and_field_at_a_time(request_views, candidate_views):
    fields = _split(request_views, candidate_views)
    views = max(request_views, candidate_views)
    weights = np.random.default_rng(3).normal(size=(ROWS, VIEWS, FIELDS))
    assert joined(fields).shape == (ROWS, views, FIELDS, WIDTH)
    for values, factors, count in [(joined(fields), np.ones_like(weights), views),
                                   (joined(fields.weighted(tf.constant(weights))), weights, VIEWS)]:
        for b, r in enumerate(INDEX):
            for k in range(count):
                of_request = fields.requests[r, k % request_views]
                of_candidate = fields.candidates[b, k % candidate_views]
                for f in range(FIELDS):
                    x = of_request[f] if f < OWN else of_candidate[f - OWN]
                    np.testing.assert_allclose(values[b, k, f], factors[b, k, f] * x)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("request_views, candidate_views", [(1, 1), (1, 3), (3, 1), (3, 3)])
@pytest.mark.parametrize("shared", [False, True], ids=["layers per view", "layers of all views"])
def test_a_product_equals_that_of_the_joined_fields(
        shared, request_views, candidate_views, weighted):
    """Six layers, two for every view, or six for each; no request's product depends on another."""
    fields = _split(request_views, candidate_views, weighted)
    layer = ParallelDense(6, 5, "tanh", dtype="float64")
    inputs = (lambda x: each_view(flat_fields(x))) if shared else flat_fields
    layer(inputs(joined(fields)))
    randomize(layer)
    assert_equal_with_gradients(
        lambda: layer(inputs(fields)), lambda: layer(inputs(joined(fields))),
        [*_sources(fields), *layer.trainable_weights])


NETWORKS = {"shared_bottom": lambda: SharedBottom((5, 4), dtype="float64"),
            "mmoe": lambda: MMoE(VIEWS, 2, (5, 4), dtype="float64"),
            "ple": lambda: PLE(VIEWS, 2, 1, (5,), num_levels=2, dtype="float64")}


@pytest.mark.parametrize("granularity", [None, "field", "element"])
@pytest.mark.parametrize("views", [1, VIEWS])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_and_refinement_equal_those_of_joined_fields(name, views, granularity):
    fields, network = _split(views), NETWORKS[name]()
    refinement = TaskRefinement(
        VIEWS, (5,), granularity, dtype="float64") if granularity else lambda x: x

    def outputs(x):
        return network(flat_fields(refinement(x)))

    outputs(joined(fields))
    layers = [network] if granularity is None else [refinement, network]
    for layer in layers:
        randomize(layer)
    assert_equal_with_gradients(
        lambda: outputs(fields), lambda: outputs(joined(fields)),
        [*_sources(fields), *(w for layer in layers for w in layer.trainable_weights)])


def test_mixed_precision():
    """Products in bfloat16, weights in float32; the values are those of float32, rounded."""
    fields, gradients = _split(weighted=True), []
    exact, mixed = (MMoE(VIEWS, 2, (5,), dtype=dtype) for dtype in ("float32", "mixed_bfloat16"))
    exact.build((None, VIEWS, FIELDS * WIDTH))
    mixed.build((None, VIEWS, FIELDS * WIDTH))
    mixed.set_weights(exact.get_weights())
    for layer in (exact, mixed):
        with tf.GradientTape() as tape:
            outputs = layer(fields)
            assert outputs.dtype == layer.compute_dtype
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 2)
        gradients.append(tape.gradient(loss, layer.trainable_weights))
    for one, other in zip(*gradients):
        assert other.dtype == tf.float32
        assert np.abs(one - other).max() < 0.05 * np.abs(one).max()


def test_one_graph_for_any_number_of_requests_and_candidates():
    layer = MMoE(VIEWS, 2, (5,))
    layer.build((None, VIEWS, FIELDS * WIDTH))

    @tf.function(input_signature=[
        tf.TensorSpec([None, VIEWS, OWN, WIDTH]), tf.TensorSpec([None, 1, OTHER, WIDTH]),
        tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, VIEWS, FIELDS])])
    def graph(*parts):
        outputs = layer(SplitFields(*parts))
        assert outputs.shape == (None, VIEWS, 5)
        return outputs

    for index, requests in ([0, 0, 0], 1), ([1], 2), (INDEX, REQUESTS), ([], 1), (range(4), 4):
        index = tf.constant(list(index), tf.int32)
        rows = len(index)
        fields = SplitFields(tf.random.normal([requests, VIEWS, OWN, WIDTH]),
                             tf.random.normal([rows, 1, OTHER, WIDTH]), index,
                             tf.random.normal([rows, VIEWS, FIELDS]))
        np.testing.assert_allclose(
            graph(*fields), layer(flat_fields(joined(fields))), rtol=1e-4, atol=1e-5)


def test_what_belongs_to_the_request_is_multiplied_once_per_request():
    """No operation has the fields of requests, or their products, once per candidate."""
    rows, width, units = 1009, 11, 13
    layer = ParallelDense(VIEWS, units)
    layer.build((None, VIEWS, 8 * width))
    fields = SplitFields(tf.TensorSpec([REQUESTS, VIEWS, 7, width]),
                         tf.TensorSpec([rows, 1, 1, width]), tf.TensorSpec([rows], tf.int32),
                         tf.TensorSpec([rows, VIEWS, 8]))
    graph = tf.function(lambda *parts: layer(SplitFields(*parts))).get_concrete_function(*fields)
    sizes = [x.shape.num_elements() or 0 for op in graph.graph.get_operations() for x in op.outputs]
    assert max(sizes) <= rows * VIEWS * units


def test_side_by_side_gives_one_view_to_all():
    one, three = normal(2, 1, 1, 4), normal(2, 3, 2, 4, seed=1)
    values = side_by_side([three, one])
    np.testing.assert_array_equal(values[:, :, :2], three)
    np.testing.assert_array_equal(values[:, :, 2], np.repeat(one[:, :, 0], 3, axis=1))
