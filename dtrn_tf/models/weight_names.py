"""Names of weights that do not depend on what else was built before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow as tf

keras = tf.keras
_STAGES = ("interest", "refinement", "network", "task_order")


def weight_names(model: Any) -> dict[str, Any]:
    """Every weight of a DTRN model by a name that says where it is.

    Keras numbers the layers of a process, so that the paths of equal models differ. These names are
    made of attributes: `network/experts/hidden/0/kernel`, `embedding/item`, `towers/bias`. Layers
    that belong to one feature, behaviour or level have its name: `liked_embedding/positions`.

    Args:
        model: A `DTRN` that is built.

    >>> from dtrn_tf.layers import SharedBottom
    >>> from dtrn_tf.models import DTRN
    >>> from dtrn_tf.schema import Schema
    >>> schema = Schema.from_dict({
    ...     "vocabularies": [{"name": "item", "kind": "hash", "size": 50}],
    ...     "features": [{"name": "item", "vocabulary": "item", "level": "candidate"}],
    ...     "tasks": [{"name": "click", "label": "click"}]})
    >>> model = DTRN(schema, network=SharedBottom([8]))
    >>> model.build()
    >>> list(weight_names(model))  # doctest: +NORMALIZE_WHITESPACE
    ['network/bottom/hidden/0/kernel', 'network/bottom/hidden/0/bias', 'embedding/item',
     'towers/bias', 'towers/heads/kernel']
    """
    stages = {id(stage): name for name in _STAGES
              if (stage := getattr(model, name, None)) is not None}
    names = {name: weight for layer in _sublayers(model).values()
             for name, weight in _walk(layer, stages.get(id(layer), layer.name))}
    missing = {id(weight) for weight in model.weights} - {id(weight) for weight in names.values()}
    assert not missing, [w.name for w in model.weights if id(w) in missing]
    return names


def _walk(layer: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    sublayers = _sublayers(layer)
    below = {id(weight) for sublayer in sublayers.values() for weight in sublayer.weights}
    for weight in layer.weights:
        if id(weight) not in below:
            yield f"{prefix}/{weight.name}", weight
    for name, sublayer in sublayers.items():
        yield from _walk(sublayer, f"{prefix}/{name}")


def _sublayers(layer: Any) -> dict[str, Any]:
    """Layers that are attributes, or members of lists or dicts that are, each once."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for attribute, value in vars(layer).items():
        if attribute.startswith("_"):
            continue
        for name, member in _members(attribute, value):
            if isinstance(member, keras.layers.Layer) and id(member) not in seen:
                seen.add(id(member))
                found[name] = member
    return found


def _members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{name}/{key}", member) for key, member in value.items())
    elif isinstance(value, (list, tuple)):
        yield from ((f"{name}/{index}", member) for index, member in enumerate(value))
    else:
        yield name, value
