"""DTRN: embeddings, TIM, TRM, a multi-task network, towers. Baselines switch a stage off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers import FeatureEmbedding, NumericEmbedding, SequenceEmbedding, TaskTowers
from dtrn_tf.layers.mean_pooling import MeanPooling
from dtrn_tf.layers.sequences import tokens_and_sequences
from dtrn_tf.schema import PADDING_ID, REQUEST_INDEX, Schema

keras = tf.keras
Tensor = Any
_STAGES = ("interest", "refinement", "network", "task_order")


@keras.utils.register_keras_serializable(package="dtrn_tf")
class DTRN(keras.Model):  # type: ignore[name-defined]
    """Multi-task model with one bottom representation per task.

    Per row: fields of all features, and the interests that `interest` (TIM) reads from the
    behaviour sequences, once per task; `refinement` (TRM) rescales all fields per task; `network`
    takes one input per task; towers give one logit per task. A linear wide term per task may be
    added. With `interest=None` the sequences are averaged, with `refinement=None` the fields stay
    as they are: with both, this is the plain multi-task network.

    Args:
        schema: What the records hold; sizes of the tables, features, behaviours and tasks.
        network: `SharedBottom`, `MMoE`, `PLE` ... or any layer [B, J, N] -> [B, J or K, U], where J
            is 1 (one representation for all tasks) or K. If it has `num_slices` (STEM), every
            field is that many embeddings side by side, and tokens of sequences keep them apart.
        interest: A `TaskInterest` (num_tasks=1: the task-agnostic Transformer), or None.
        refinement: A `TaskRefinement`, or None.
        task_order: How tasks follow each other: `TaskProducts`, `OrderCalibrator` or any layer on
            the logits [B, K], or None.
        embedding_width: D, the width of every field.
        tower_units: Hidden units of the towers.
        wide: Whether to add, per task, one weight of every categorical id to the logit.
        dropout: Dropout rate in the towers.
        base_rates: Mean label per task, to start the towers' biases at; under `TaskProducts`, of a
            task that follows another one, among the rows where that one happens.

    Inputs:
        A dict as `Preprocessing` makes it: categorical features [B] int32 table rows, numeric
        features [B] float32, sequence features [B, (L)] int32, ragged (no work on padding) or
        padded with 0. With `request_index` [B], ascending, the features of level request and the
        sequences have one row per request, [R] and [R, (L)], and candidate b belongs to request
        `request_index[b]`: what depends on the request alone is computed once per request.

    Outputs:
        {task: logits [B]}.

    Example:
        >>> from dtrn_tf.layers import MMoE, TaskInterest, TaskRefinement
        >>> schema = Schema.from_dict({
        ...     "vocabularies": [{"name": "item", "kind": "hash", "size": 50}],
        ...     "features": [{"name": "item", "vocabulary": "item", "level": "candidate"}],
        ...     "behaviors": [{"name": "liked", "max_length": 5, "features": [
        ...         {"name": "liked_item", "vocabulary": "item"}]}],
        ...     "tasks": [{"name": "click", "label": "click"}, {"name": "buy", "label": "buy"}]})
        >>> model = DTRN(schema, network=MMoE(num_tasks=2, num_experts=3, units=(8,)),
        ...              interest=TaskInterest(num_tasks=2), refinement=TaskRefinement(2, (4,)))
        >>> logits = model({"item": tf.constant([2, 3]),
        ...                 "liked_item": tf.ragged.constant([[4, 5], []], dtype=tf.int32)})
        >>> {task: tuple(value.shape) for task, value in logits.items()}
        {'click': (2,), 'buy': (2,)}

    Reference: arXiv 2308.05996.
    """

    def __init__(self, schema: Schema, *, network: Any, interest: Any = None,
                 refinement: Any = None, task_order: Any = None, embedding_width: int = 8,
                 tower_units: Sequence[int] = (), wide: bool = False, dropout: float = 0.0,
                 base_rates: Mapping[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schema = schema
        self.interest = interest
        self.refinement = refinement
        self.network = network
        self.task_order = task_order
        self.embedding_width = embedding_width
        self.base_rates = None if base_rates is None else dict(base_rates)
        tables = {v.name: v.num_rows for v in schema.vocabularies}
        self.embedding = FeatureEmbedding(
            tables, {f.name: f.vocabulary for f in schema.id_features}, embedding_width,
            name="embedding")
        self.numeric_embedding = NumericEmbedding(embedding_width, name="numeric_embedding")
        self.sequence_embeddings = [
            SequenceEmbedding(embedding_width, b.max_length, getattr(network, "num_slices", 1),
                              name=f"{b.name}_embedding")
            for b in schema.behaviors]
        self.mean_pooling = MeanPooling(name="mean_pooling")
        self.target_projection = keras.layers.Dense(embedding_width, name="target_projection")
        self.towers = TaskTowers(len(schema.tasks), tower_units, dropout=dropout,
                                 base_rates=_rates_in_order(schema, base_rates), name="towers")
        self.wide = FeatureEmbedding(
            {f.vocabulary: tables[f.vocabulary] for f in schema.categorical_features},
            {f.name: f.vocabulary for f in schema.categorical_features},
            len(schema.tasks), name="wide") if wide and schema.categorical_features else None

    @property
    def embedding_tables(self) -> list[Any]:
        """The variables whose rows belong to ids; all others are dense weights."""
        layers = [self.embedding] + ([self.wide] if self.wide is not None else [])
        return [variable for layer in layers for variable in layer.trainable_variables]

    @property
    def dense_weights(self) -> list[Any]:
        """All trainable variables but the embedding tables."""
        tables = {id(table) for table in self.embedding_tables}
        return [v for v in self.trainable_variables if id(v) not in tables]

    def build(self, input_shape: Any = None) -> None:
        """Makes every weight; the schema says all shapes, so `input_shape` is not needed."""
        width = self.embedding_width
        num_fields, num_tasks = len(self.schema.features), len(self.schema.tasks)
        _build(self.embedding, None)
        if self.schema.numeric_features:
            _build(self.numeric_embedding, (None, len(self.schema.numeric_features)))
        for behavior, layer in zip(self.schema.behaviors, self.sequence_embeddings):
            _build(layer, [(None, None, width)] * len(behavior.features))
        num_representations = 1
        if self._uses_interest:
            _build(self.interest, [(None, None, width)] * len(self.schema.behaviors))
            num_representations = self.interest.num_tasks
        if self._uses_target:
            _build(self.target_projection, (None, self._num_candidate_fields * width))
        num_fields += len(self.schema.behaviors)
        if self.refinement is not None:
            _build(self.refinement, (None, num_representations, num_fields, width))
            num_representations = num_tasks
        shape = (None, num_representations, num_fields * width)
        _build(self.network, shape)
        _build(self.towers, self.network.compute_output_shape(shape))
        if self.task_order is not None:
            _build(self.task_order, (None, num_tasks))
        if self.wide is not None:
            _build(self.wide, None)
        self.built = True

    def call(self, inputs: Mapping[str, Tensor], training: bool | None = None) -> dict[str, Tensor]:
        embedded = self.embedding({f.name: inputs[f.name] for f in self.schema.id_features})
        fields = self._fields(inputs, embedded)                          # [B, F, D]
        interests = self._interests(inputs, embedded, fields, training)  # [B, J, T, D]
        bottom = _join(fields, interests)                                # [B, J, F+T, D]
        if self.refinement is not None:
            bottom = self.refinement(bottom)                             # [B, K, F+T, D]
        shape = (-1, bottom.shape[1], bottom.shape[2] * bottom.shape[3])
        hidden = self.network(tf.reshape(bottom, shape), training=training)  # [B, K, U]
        logits = self.towers(hidden, training=training)                  # [B, K]
        if self.wide is not None:
            weights = self.wide({f.name: inputs[f.name] for f in self.schema.categorical_features})
            logits += tf.add_n(list(self._per_candidate(weights, inputs).values()))
        if self.task_order is not None:
            logits = self.task_order(logits, training=training)
        return dict(zip(self.schema.task_names, tf.unstack(logits, axis=1)))

    def _fields(self, inputs: Mapping[str, Tensor], embedded: Mapping[str, Tensor]) -> Tensor:
        """One field per feature, candidate fields last. [B, F, D]"""
        fields = self._per_candidate(embedded, inputs)
        if self.schema.numeric_features:
            names = [f.name for f in self.schema.numeric_features]
            numbers = self._per_candidate({name: inputs[name] for name in names}, inputs)
            embedded_numbers = self.numeric_embedding(tf.stack([numbers[n] for n in names], axis=1))
            fields.update(zip(names, tf.unstack(embedded_numbers, axis=1)))
        ordered = sorted(self.schema.features, key=lambda f: f.level == "candidate")
        return tf.stack([fields[f.name] for f in ordered], axis=1)

    def _per_candidate(self, values: Mapping[str, Tensor],
                       inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Values of features, those of requests repeated for their candidates. [B, ...] each"""
        kept = {f.name: values[f.name] for f in self.schema.features if f.name in values}
        names = [f.name for f in self.schema.features if f.name in kept and f.level == "request"]
        if REQUEST_INDEX not in inputs or not names:
            return kept
        requests = tf.stack([kept[name] for name in names], axis=1)  # [R, F, ...]
        candidates = tf.gather(requests, inputs[REQUEST_INDEX])      # [B, F, ...]
        return {**kept, **dict(zip(names, tf.unstack(candidates, axis=1)))}

    def _interests(self, inputs: Mapping[str, Tensor], embedded: Mapping[str, Tensor],
                   fields: Tensor, training: bool | None) -> Tensor | None:
        """What each behaviour sequence says. [B, J, T, D]"""
        if not self.schema.behaviors:
            return None
        index = inputs.get(REQUEST_INDEX)
        masks = [_mask(inputs[b.features[0].name]) for b in self.schema.behaviors]
        sequences = [
            layer([embedded[f.name] for f in b.features], event_mask=mask)
            for b, layer, mask in zip(self.schema.behaviors, self.sequence_embeddings, masks)]
        if self._uses_target:
            return self.interest(sequences, masks, self._target(fields), index, training=training)
        if self.interest is not None:
            interests = self.interest(sequences, masks, training=training)  # [R, J, T, D]
        else:
            interests = self._means(sequences, masks)                       # [R, 1, T, D]
        return interests if index is None else tf.gather(interests, index)

    def _means(self, sequences: Sequence[Tensor], masks: Sequence[Tensor | None]) -> Tensor:
        packed = [tokens_and_sequences(x, mask) for x, mask in zip(sequences, masks)]
        return tf.stack([self.mean_pooling(tokens[:, tf.newaxis], sequences=places)
                         for tokens, places in packed], axis=2)

    def _target(self, fields: Tensor) -> Tensor:
        """The query of target attention: the candidate's fields. [B, D]"""
        size = self._num_candidate_fields * self.embedding_width
        return self.target_projection(
            tf.reshape(fields[:, -self._num_candidate_fields:], (-1, size)))

    @property
    def _uses_interest(self) -> bool:
        return self.interest is not None and bool(self.schema.behaviors)

    @property
    def _uses_target(self) -> bool:
        return self._uses_interest and self.interest.pooling == "target"

    @property
    def _num_candidate_fields(self) -> int:
        return sum(f.level == "candidate" for f in self.schema.features)

    def get_config(self) -> dict[str, Any]:
        layers = {name: keras.layers.serialize(layer)
                  for name in _STAGES
                  if (layer := getattr(self, name)) is not None}
        return {"name": self.name, "schema": self.schema.to_dict(), **layers,
                "embedding_width": self.embedding_width, "tower_units": list(self.towers.units),
                "wide": self.wide is not None, "dropout": self.towers.dropout_rate,
                "base_rates": self.base_rates and dict(self.base_rates)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> DTRN:
        values = dict(config)
        for name in _STAGES:
            if values.get(name) is not None:
                values[name] = keras.layers.deserialize(values[name])
        model = cls(Schema.from_dict(values.pop("schema")), **values)
        # Keras loads weights only into layers that are built.
        model.build()
        return model


def _build(layer: Any, shape: Any) -> None:
    # A stage that was loaded, or used before, has its weights already.
    if not layer.built:
        layer.build(shape)


def _mask(items: Tensor | tf.RaggedTensor) -> Tensor | None:
    """Where there is an event: the item of a position decides. A ragged one has no padding."""
    return None if isinstance(items, tf.RaggedTensor) else tf.not_equal(items, PADDING_ID)


def _join(fields: Tensor, interests: Tensor | None) -> Tensor:
    """Fields are the same for every task until here. [B, F, D], [B, J, T, D] -> [B, J, F+T, D]"""
    fields = fields[:, tf.newaxis]
    if interests is None:
        return fields
    return tf.concat([tf.repeat(fields, interests.shape[1], axis=1), interests], axis=2)


def _rates_in_order(schema: Schema,
                    base_rates: Mapping[str, float] | None) -> list[float | None] | None:
    # A regression has none.
    return None if base_rates is None else [base_rates.get(name) for name in schema.task_names]
