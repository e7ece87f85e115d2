"""Embeddings of ids, in tables that features share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_whole
from dtrn_tf.layers.variables import table_variable


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class FeatureEmbedding(tf.keras.layers.Layer):
    """Looks up the embeddings of all categorical features, with one gather per table.

    Features that name the same table share its rows: a candidate item and the items of a
    behaviour sequence, for instance. The gradient of a table is IndexedSlices, so the cost of a
    step depends on the batch and not on the vocabulary.

    Args:
        table_rows: Number of rows of every table; row 0 is padding, row 1 out of vocabulary.
        feature_tables: Name of the table of every feature.
        width: D, the width of every embedding.

    Inputs: dict of feature to whole numbers [...] of any shape, dense or ragged, with exactly the
        features named.
    Outputs: dict of feature to [..., D], ragged where the ids are.

    Masking: id 0 gives zeros and no gradient; ids < 0 or >= rows give row 1, on every device.

    Raises:
        ValueError: An argument is out of range, a feature is missing or not asked for, or ids
            are not whole numbers.

    Example:
        >>> layer = FeatureEmbedding({"item": 7}, {"item": "item", "clicked": "item"}, width=3)
        >>> out = layer({"item": tf.constant([2, 5]), "clicked": tf.constant([[2, 0], [5, 6]])})
        >>> out["item"].shape, out["clicked"].shape, out["clicked"][0, 1].numpy().tolist()
        (TensorShape([2, 3]), TensorShape([2, 2, 3]), [0.0, 0.0, 0.0])
    """

    def __init__(
        self,
        table_rows: Mapping[str, int],
        feature_tables: Mapping[str, str],
        width: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table_rows = {t: check_whole(n, 2, f"table_rows[{t!r}]")
                           for t, n in table_rows.items()}
        self.feature_tables = dict(feature_tables)
        self.width = check_whole(width, 1, "width")
        unknown = sorted(set(feature_tables.values()) - set(table_rows))
        if unknown:
            raise ValueError(
                f"`feature_tables` should name tables of {sorted(table_rows)}. "
                f"Received: {unknown}."
            )

    def build(self, input_shape: Any) -> None:
        # No autocast: a cast copy of the table would make the gradient dense.
        self.tables = {
            table: self.add_weight(
                name=table,
                shape=(self.table_rows[table], self.width),
                initializer=tf.keras.initializers.RandomUniform(-0.05, 0.05),
                autocast=False,
            )
            for table in sorted(self.table_rows)
        }
        super().build(input_shape)

    def call(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if set(inputs) != set(self.feature_tables):
            raise ValueError(
                f"The inputs should be the features {sorted(self.feature_tables)}. "
                f"Received: {sorted(inputs)}."
            )
        embeddings: dict[str, tf.Tensor] = {}
        for table in sorted(set(self.feature_tables.values())):
            features = [name for name in sorted(inputs) if self.feature_tables[name] == table]
            embeddings.update(self._look_up(table, {name: inputs[name] for name in features}))
        return embeddings

    def _look_up(self, table: str, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        ids = [self._valid_ids(table, name, _flat(feature)) for name, feature in inputs.items()]
        flat = tf.concat([tf.reshape(i, [-1]) for i in ids], 0)
        # Not embedding_lookup: on a mirrored variable that reads the whole table.
        rows = tf.gather(table_variable(self.tables[table]), flat)
        # A choice and not a product: no gradient, not even NaN, reaches the padding row.
        rows = tf.where(flat[:, tf.newaxis] != 0, rows, tf.zeros_like(rows))
        parts = tf.split(tf.cast(rows, self.compute_dtype), [tf.size(i) for i in ids])
        return {
            name: _like(feature, tf.reshape(part, tf.concat([tf.shape(i), [self.width]], 0)))
            for (name, feature), part, i in zip(inputs.items(), parts, ids)
        }  # [..., D]

    def _valid_ids(self, table: str, name: str, ids: tf.Tensor) -> tf.Tensor:
        if not ids.dtype.is_integer:
            raise ValueError(
                f"The ids of feature {name!r} should be whole numbers. Received: {ids.dtype.name}."
            )
        outside = (ids < 0) | (ids >= self.table_rows[table])
        return tf.cast(tf.where(outside, tf.ones_like(ids), ids), tf.int32)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "table_rows": dict(self.table_rows),
            "feature_tables": dict(self.feature_tables),
            "width": self.width,
        }


def _flat(ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    return ids.flat_values if isinstance(ids, tf.RaggedTensor) else tf.convert_to_tensor(ids)


def _like(ids: tf.Tensor | tf.RaggedTensor, rows: tf.Tensor) -> tf.Tensor | tf.RaggedTensor:
    if isinstance(ids, tf.RaggedTensor):
        return ids.with_flat_values(rows)
    return tf.ensure_shape(rows, [*ids.shape, rows.shape[-1]])
