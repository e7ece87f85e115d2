"""A request to try a served model with: one user with candidates, as `export.client` takes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.data.examples import parse_examples
from dtrn_tf.schema import REQUEST_INDEX, Schema

_CANDIDATES = 5


def sample_request(schema: Schema, records: Sequence[bytes]) -> dict[str, Any]:
    """The user of the first record with its candidates, or of impressions those of the next ones.

    Args:
        schema: Of the records.
        records: Serialized examples, at least one.

    Returns:
        {"user": features, "candidates": [features, ...]}, for JSON: strings are text.
    """
    is_request = schema.layout == "request"
    raw = parse_examples(tf.constant(list(records[:1 if is_request else _CANDIDATES])), schema,
                         labels=False)
    raw.pop(REQUEST_INDEX, None)
    of_candidates = {f.name for f in schema.features if f.level == "candidate"}
    of_candidates |= {f.weights_name for f in schema.multiple_features
                      if f.level == "candidate" and f.weights}
    rows = {name: _plain(value) for name, value in raw.items()}
    count = len(next((rows[name] for name in of_candidates), [0]))
    return {"user": {name: values[0] for name, values in rows.items() if name not in of_candidates},
            "candidates": [{name: rows[name][row] for name in rows if name in of_candidates}
                           for row in range(count)]}


def _plain(value: Any) -> list[Any]:
    rows = value.to_list() if isinstance(value, tf.RaggedTensor) else value.numpy().tolist()
    return _text(rows)


def _text(value: Any) -> Any:
    if isinstance(value, list):
        return [_text(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
