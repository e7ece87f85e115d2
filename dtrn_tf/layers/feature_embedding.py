"""Embeddings of ids, in tables that features share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dtrn_tf.layers.arguments import check_one_of, check_whole
from dtrn_tf.layers.precision import at_least_float32
from dtrn_tf.layers.variables import look_up, making_table, shards


@tf.keras.utils.register_keras_serializable(package="dtrn_tf")
class FeatureEmbedding(tf.keras.layers.Layer):
    """Looks up the embeddings of all categorical features, with one gather per table.

    Features that name the same table share its rows: a candidate item and the items of a
    behaviour sequence, for instance. The gradient of a table is IndexedSlices, so the cost of a
    step depends on the batch and not on the vocabulary.

    A feature of several ids v with weights w_v (1 without them) may be pooled:

        sum: e = sum_v w_v e_v        mean: e = sum_v w_v e_v / sum_v |w_v|

    Args:
        table_rows: Number of rows of every table; row 0 is padding, row 1 out of vocabulary.
        feature_tables: Name of the table of every feature.
        width: D, the width of every embedding.
        pooling: Of the features to pool, `sum` or `mean`.
        weights: Of features to pool, the name of the input with the weights of the ids.

    Inputs: dict of feature to whole numbers [...] of any shape, dense or ragged, of pooled ones
        [B, V]; and of weights to numbers of the same shape and row lengths as their ids. Exactly
        the features and weights named.
    Outputs: dict of feature to [..., D], ragged where the ids are; of pooled ones [B, D].

    Masking: id 0 gives zeros and no gradient, whatever its weight; ids < 0 or >= rows give row 1,
        on every device. Nothing to pool gives zeros.

    Raises:
        ValueError: An argument is out of range, a feature is missing or not asked for, or ids
            are not whole numbers.

    Example:
        >>> layer = FeatureEmbedding({"item": 7}, {"item": "item", "clicked": "item"}, width=3)
        >>> out = layer({"item": tf.constant([2, 5]), "clicked": tf.constant([[2, 0], [5, 6]])})
        >>> out["item"].shape, out["clicked"].shape, out["clicked"][0, 1].numpy().tolist()
        (TensorShape([2, 3]), TensorShape([2, 2, 3]), [0.0, 0.0, 0.0])
        >>> layer = FeatureEmbedding({"tag": 9}, {"tags": "tag"}, width=3, pooling={"tags": "mean"})
        >>> layer({"tags": tf.ragged.constant([[2, 5, 7], []], dtype=tf.int32)})["tags"].shape
        TensorShape([2, 3])
    """

    def __init__(
        self,
        table_rows: Mapping[str, int],
        feature_tables: Mapping[str, str],
        width: int,
        pooling: Mapping[str, str] | None = None,
        weights: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table_rows = {t: check_whole(n, 2, f"table_rows[{t!r}]")
                           for t, n in table_rows.items()}
        self.feature_tables = dict(feature_tables)
        self.width = check_whole(width, 1, "width")
        self.pooling = {f: check_one_of(p, ("mean", "sum"), f"pooling[{f!r}]")
                        for f, p in (pooling or {}).items()}
        self.weights_of = dict(weights or {})
        for name, parts, allowed in (("pooling", self.pooling, self.feature_tables),
                                     ("weights", self.weights_of, self.pooling)):
            if not set(parts) <= set(allowed):
                raise ValueError(f"`{name}` should be of features among {sorted(allowed)}. "
                                 f"Received: {sorted(parts)}.")
        unknown = sorted(set(feature_tables.values()) - set(table_rows))
        if unknown:
            raise ValueError(
                f"`feature_tables` should name tables of {sorted(table_rows)}. "
                f"Received: {unknown}."
            )

    @property
    def input_names(self) -> list[str]:
        """The keys of its inputs: features, and the weights of ids."""
        return [*self.feature_tables, *self.weights_of.values()]

    def build(self, input_shape: Any) -> None:
        # No autocast: a cast copy of the table would make the gradient dense.
        with making_table():
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
        if set(inputs) != set(self.input_names):
            raise ValueError(f"The inputs should be the features {sorted(self.input_names)}. "
                             f"Received: {sorted(inputs)}.")
        embeddings: dict[str, tf.Tensor] = {}
        for table in sorted(set(self.feature_tables.values())):
            features = [name for name in sorted(self.feature_tables)
                        if self.feature_tables[name] == table]
            embeddings.update(self._look_up(table, {name: inputs[name] for name in features}))
        for name in self.pooling:
            weights = inputs[self.weights_of[name]] if name in self.weights_of else None
            embeddings[name] = self._pooled(name, embeddings[name], inputs[name], weights)
        return embeddings

    def _look_up(self, table: str, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        ids = [self._valid_ids(table, name, _flat(feature)) for name, feature in inputs.items()]
        flat = tf.concat([tf.reshape(i, [-1]) for i in ids], 0)
        rows = look_up(self.tables[table], flat)
        # A choice and not a product: no gradient, not even NaN, reaches the padding row.
        rows = tf.where(flat[:, tf.newaxis] != 0, rows, tf.zeros_like(rows))
        parts = tf.split(tf.cast(rows, self.compute_dtype), [tf.size(i) for i in ids])
        return {
            name: _like(feature, tf.reshape(part, tf.concat([tf.shape(i), [self.width]], 0)))
            for (name, feature), part, i in zip(inputs.items(), parts, ids)
        }  # [..., D]

    def _pooled(self, name: str, rows: Any, ids: Any, weights: Any) -> tf.Tensor:
        """The rows [B, V, D] of each list in one. [B, D]"""
        flat = at_least_float32(_flat(rows))  # [..., D]
        shares = (tf.ones_like(flat[..., :1]) if weights is None
                  else tf.cast(_flat(weights), flat.dtype)[..., tf.newaxis])
        shares = tf.where(tf.not_equal(_flat(ids), 0)[..., tf.newaxis], shares, 0.0)
        pooled = tf.reduce_sum(_like(ids, flat if weights is None else flat * shares), axis=1)
        if self.pooling[name] == "mean":
            pooled = tf.math.divide_no_nan(
                pooled, tf.reduce_sum(_like(ids, tf.abs(shares)), axis=1))
        return tf.cast(pooled, self.compute_dtype)

    def _valid_ids(self, table: str, name: str, ids: tf.Tensor) -> tf.Tensor:
        if not ids.dtype.is_integer:
            raise ValueError(
                f"The ids of feature {name!r} should be whole numbers. Received: {ids.dtype.name}."
            )
        outside = (ids < 0) | (ids >= self.table_rows[table])
        return tf.cast(tf.where(outside, tf.ones_like(ids), ids), tf.int32)

    def save_own_variables(self, store: Any) -> None:
        """As Keras does, but a table that is split over servers whole."""
        for number, table in enumerate(self.tables.values()):
            parts = shards(table)
            store[str(number)] = parts[0] if len(parts) == 1 else tf.concat(parts, 0).numpy()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "table_rows": dict(self.table_rows),
            "feature_tables": dict(self.feature_tables),
            "width": self.width,
            "pooling": dict(self.pooling),
            "weights": dict(self.weights_of),
        }


def _flat(ids: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    return ids.flat_values if isinstance(ids, tf.RaggedTensor) else tf.convert_to_tensor(ids)


def _like(ids: tf.Tensor | tf.RaggedTensor, rows: tf.Tensor) -> tf.Tensor | tf.RaggedTensor:
    if isinstance(ids, tf.RaggedTensor):
        return ids.with_flat_values(rows)
    return tf.ensure_shape(rows, [*ids.shape, rows.shape[-1]])
