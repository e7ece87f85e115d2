"""What every layer must do, whatever it computes: run by test_conformance.py on all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

BATCH, LENGTH = 5, 7


def values_of(spec: Any, seed: int = 0) -> Any:
    """Random inputs for nested TensorSpecs; unknown axes 0 and 1 get BATCH and LENGTH."""
    rng = np.random.default_rng(seed)

    def one(leaf: tf.TensorSpec) -> tf.Tensor:
        shape = [size or default for size, default in zip(leaf.shape, (BATCH, LENGTH))]
        shape += list(leaf.shape[2:])
        if leaf.dtype == tf.bool:
            kept = rng.random(shape) < 0.7
            kept[:, 0] = True
            return tf.constant(kept)
        if leaf.dtype.is_integer:
            return tf.constant(rng.integers(-2, 13, shape), leaf.dtype)
        return tf.constant(rng.normal(size=shape), leaf.dtype)

    return tf.nest.map_structure(one, spec)


def check_layer(make: Callable[..., tf.keras.layers.Layer], args: tuple[Any, ...],
                directory: Any, unused_weights: tuple[str, ...] = ()) -> None:
    """Checks a layer that `make(**kwargs)` creates and that is called as `layer(*args)`.

    `args` are TensorSpecs, nested as the layer takes them; `unused_weights` name weights that may
    have a zero gradient at the start.
    """
    _check_config(make)
    _check_build(make, args)
    _check_function(make, args)
    _check_gradient_step(make, args, unused_weights)
    _check_saving(make, args, directory)
    _check_mixed_precision(make, args, directory)


def outputs_of(layer: Any, args: Any) -> list[np.ndarray]:
    return [x.numpy() for x in tf.nest.flatten(layer(*args))]


def _check_config(make: Any) -> None:
    layer = make(name="renamed")
    config = layer.get_config()
    json.dumps(config)
    assert type(layer).from_config(config).get_config() == config
    assert config["name"] == "renamed"
    assert type(layer).__doc__ and "Example:" in type(layer).__doc__


def _check_build(make: Any, args: Any) -> None:
    """Build makes every weight, once, from the shape of the first argument alone."""
    layer = make()
    layer.build(tf.nest.map_structure(lambda spec: tuple(spec.shape), args[0]))
    assert layer.built
    weights = [tuple(w.shape) for w in layer.weights]
    called = make()
    called(*values_of(args))
    assert [tuple(w.shape) for w in called.weights] == weights
    layer(*values_of(args))
    assert len(layer.weights) == len(weights)


def _check_function(make: Any, args: Any) -> None:
    """One graph for all sizes of batch and sequence gives the eager outputs."""
    layer = make()
    values = values_of(args)
    eager = outputs_of(layer, values)
    # The last comma lost would make a single argument look like its parts.
    compiled = tf.function(lambda *flat: layer(*tf.nest.pack_sequence_as(args, flat)),
                           input_signature=tf.nest.flatten(args))
    for graph, expected in zip(tf.nest.flatten(compiled(*tf.nest.flatten(values))), eager):
        assert graph.shape == expected.shape
        np.testing.assert_allclose(graph, expected, rtol=1e-5, atol=1e-5)


def _check_gradient_step(make: Any, args: Any, unused_weights: tuple[str, ...]) -> None:
    """Every weight gets a finite gradient, not all zero, and one step follows it."""
    layer = make()
    values = values_of(args)
    layer(*values)
    factors = None
    losses = []
    optimizer = tf.keras.optimizers.SGD(1e-3)
    for _ in range(2):
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(layer(*values))
            if factors is None:
                factors = [tf.random.stateless_normal(x.shape, (7, i))
                           for i, x in enumerate(outputs)]
            loss = tf.add_n([tf.reduce_sum(x * f) for x, f in zip(outputs, factors)])
        losses.append(float(loss))
        if not layer.trainable_weights:
            return
        gradients = tape.gradient(loss, layer.trainable_weights)
        optimizer.apply_gradients(zip(gradients, layer.trainable_weights))
        for gradient, weight in zip(gradients, layer.trainable_weights):
            assert gradient is not None, weight.name
            gradient = tf.convert_to_tensor(gradient).numpy()
            assert np.isfinite(gradient).all(), weight.name
            assert gradient.any() or _short(weight) in unused_weights, weight.name
    assert losses[1] < losses[0]


def _short(weight: Any) -> str:
    """The name as given to add_weight; Keras 2 adds the layer's name and `:0`."""
    return weight.name.split("/")[-1].split(":")[0]


def _functional(layer: Any, args: Any) -> tf.keras.Model:
    inputs = tf.nest.map_structure(
        lambda spec: tf.keras.Input(shape=tuple(spec.shape[1:]), batch_size=spec.shape[0],
                                    dtype=spec.dtype.name), args)
    outputs = layer(*inputs)
    return tf.keras.Model(tf.nest.flatten(inputs), tf.nest.flatten(outputs))


def _check_saving(make: Any, args: Any, directory: Any) -> None:
    """A model with the layer, called on symbolic inputs, is the same after save and load."""
    layer = make()
    model = _functional(layer, args)
    values = values_of(args)
    expected = outputs_of(layer, values)
    for got, want in zip(tf.nest.flatten(model(tf.nest.flatten(values))), expected):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    path = str(directory / "model.keras")
    model.save(path)
    loaded = tf.keras.models.load_model(path)
    for got, want in zip(tf.nest.flatten(loaded(tf.nest.flatten(values))), expected):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    for got, want in zip(loaded.weights, model.weights):
        np.testing.assert_array_equal(got.numpy(), want.numpy())


def _check_mixed_precision(make: Any, args: Any, directory: Any) -> None:
    """In bfloat16 the weights stay float32 and the outputs are those of float32, rounded."""
    values = values_of(args)
    layer, mixed = make(), make(dtype="mixed_bfloat16")
    exact = outputs_of(layer, values)
    mixed(*values)
    mixed.set_weights(layer.get_weights())
    for got, want in zip(tf.nest.flatten(mixed(*values)), exact):
        assert got.dtype in (tf.bfloat16, tf.float32)
        error = np.abs(tf.cast(got, tf.float32).numpy() - want).max()
        assert error <= 0.05 * np.abs(want).max(), error
    assert {tf.as_dtype(w.dtype) for w in mixed.trainable_weights} <= {tf.float32}
    path = str(directory / "mixed.keras")
    model = _functional(mixed, args)
    model.save(path)
    loaded = tf.keras.models.load_model(path)
    for got, want in zip(tf.nest.flatten(loaded(tf.nest.flatten(values))),
                         tf.nest.flatten(mixed(*values))):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(tf.cast(got, tf.float32), tf.cast(want, tf.float32))
