"""DTRN: embeddings, TIM, TRM, a multi-task network, towers. Baselines switch a stage off."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from dtrn_tf.layers import (PLE, FeatureEmbedding, MMoE, NumericEmbedding, OrderCalibrator,
                            SequenceEmbedding, SharedBottom, TaskRefinement, TaskTowers)
from dtrn_tf.layers.chosen import chosen
from dtrn_tf.layers.mean_pooling import MeanPooling
from dtrn_tf.layers.sequences import tokens_and_sequences
from dtrn_tf.layers.split_fields import Fields, SplitFields, flat_fields, joined, side_by_side
from dtrn_tf.schema import PADDING_ID, REQUEST_INDEX, Schema

keras = tf.keras
Tensor = Any
# Not their subclasses: those may do with their inputs what only a tensor can.
_KNOW_SPLIT_FIELDS = (TaskRefinement, SharedBottom, MMoE, PLE)
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
            is 1 (one representation for all tasks) or K. With a method `input_tasks` it takes
            `tasks` too, and computes these alone (docs/networks.md). If it has `num_slices` (STEM),
            every field is that many embeddings side by side, and tokens of sequences keep them
            apart.
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
        A dict as `Preprocessing` makes it: categorical features [B] int32 table rows, those of
        many ids [B, (V)] with the weights of the ids, numeric features [B] or [B, N] float32,
        sequence features [B, (L)] int32; lists are ragged (no work on padding) or padded with 0.
        With `request_index` [B], ascending, the features of level request and the sequences have
        one row per request, [R] and [R, (L)], and candidate b belongs to request
        `request_index[b]`: what depends on the request alone is computed once per request.
        Beside it, `tasks` may name the tasks to compute; by default all.

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
        policy = self.dtype_policy
        self.schema = schema
        self.interest = interest
        self.refinement = refinement
        self.network = network
        self.task_order = task_order
        self.embedding_width = embedding_width
        self.base_rates = None if base_rates is None else dict(base_rates)
        tables = {v.name: v.num_rows for v in schema.vocabularies}
        pooling = {f.name: f.pooling for f in schema.multiple_features}
        weights = {f.name: f.weights_name for f in schema.multiple_features if f.weights}
        self.embedding = FeatureEmbedding(
            tables, {f.name: f.vocabulary for f in schema.id_features}, embedding_width,
            pooling=pooling, weights=weights, dtype=policy, name="embedding")
        self.numeric_embeddings = {
            level: NumericEmbedding(
                embedding_width, dtype=policy, name=f"{level}_numeric_embedding")
            for level in sorted({f.level for f in schema.scalar_features})}
        # Fields of several numbers start with the variance of those of one.
        self.vector_embeddings = [
            keras.layers.Dense(embedding_width, kernel_initializer=keras.initializers.RandomUniform(
                -0.05 / f.size ** 0.5, 0.05 / f.size ** 0.5), dtype=policy, name=f"{f.name}_vector")
            for f in schema.vector_features]
        self.sequence_embeddings = [
            SequenceEmbedding(embedding_width, b.max_length, getattr(network, "num_slices", 1),
                              dtype=policy, name=f"{b.name}_embedding")
            for b in schema.behaviors]
        self.mean_pooling = MeanPooling(dtype=policy, name="mean_pooling")
        self.target_projection = keras.layers.Dense(
            embedding_width, dtype=policy, name="target_projection")
        self.towers = TaskTowers(len(schema.tasks), tower_units, dropout=dropout,
                                 base_rates=_rates_in_order(schema, base_rates), dtype=policy,
                                 name="towers")
        self.wide = FeatureEmbedding(
            {f.vocabulary: tables[f.vocabulary] for f in schema.categorical_features},
            {f.name: f.vocabulary for f in schema.categorical_features},
            len(schema.tasks), pooling=pooling, weights=weights,
            # As exact as the logits of the towers, to which it is added.
            dtype=self.variable_dtype,
            name="wide") if wide and schema.categorical_features else None

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

    @property
    def task_weights(self) -> list[Any]:
        """Dense weights, or slices of them, that the loss of a single task reaches each."""
        if not isinstance(self.task_order, (type(None), OrderCalibrator)):
            return []  # The loss of a task reaches those that it follows.
        stages = (self.interest if self._uses_interest else None, self.refinement, self.network,
                  self.towers)
        return [weight for stage in stages for weight in getattr(stage, "task_weights", ())]

    @property
    def shared_weights(self) -> list[Any]:
        """Dense weights that the losses of several tasks pull at."""
        of_tasks = {id(weight) for weight in self.task_weights}
        return [weight for weight in self.dense_weights if id(weight) not in of_tasks]

    def build(self, input_shape: Any = None) -> None:
        """Makes every weight; the schema says all shapes, so `input_shape` is not needed."""
        width = self.embedding_width
        num_fields, num_tasks = len(self.schema.features), len(self.schema.tasks)
        _build(self.embedding, None)
        for level, layer in self.numeric_embeddings.items():
            _build(layer, (None, sum(f.level == level for f in self.schema.scalar_features)))
        for feature, layer in zip(self.schema.vector_features, self.vector_embeddings):
            _build(layer, (None, feature.size))
        for behavior, layer in zip(self.schema.behaviors, self.sequence_embeddings):
            _build(layer, [(None, None, width)] * len(behavior.features))
        num_representations = 1
        if self._uses_interest:
            _build(self.interest, [(None, None, width)] * len(self.schema.behaviors))
            num_representations = self.interest.num_tasks
        if self._uses_target:
            num_targets = sum(f.level == "candidate" for f in self.schema.features)
            _build(self.target_projection, (None, num_targets * width))
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

    def call(self, inputs: Mapping[str, Tensor], training: bool | None = None,
             tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
        names = self.schema.task_names if tasks is None else tuple(tasks)
        wanted = [self.schema.task_names.index(name) for name in names]
        ordered = self._input_tasks(self.task_order, wanted)
        _, bottom = self._representations(
            inputs, self._input_tasks(self.network, ordered), training)      # [B, K, F+T, D]
        bottom = flat_fields(_as_taken_by(self.network, bottom))             # [B, K, (F+T) * D]
        hidden = _of_tasks(self.network, ordered, bottom, training=training)  # [B, K, U]
        logits = self.towers(hidden, training=training, tasks=ordered)       # [B, K]
        if self.wide is not None:
            wide = self._wide_logits(_look_up(self.wide, inputs), inputs.get(REQUEST_INDEX))
            logits += chosen(wide, ordered, axis=1)
        if self.task_order is not None:
            logits = _of_tasks(self.task_order, wanted, logits, training=training)
        return dict(zip(names, tf.unstack(logits, axis=1)))

    def representations(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the tasks see of a row, for analysis.

        Args:
            inputs: As of a call.

        Returns:
            `bottom` [B, J, F + T, D], what the network takes, its fields as `Schema.field_names`
            says; of a schema with behaviours also `interests` [R, J, T, D], or [B, J, T, D] with
            target attention. J is K, or 1 where no stage tells the tasks apart.
        """
        interests, bottom = self._representations(inputs, range(len(self.schema.tasks)), False)
        outputs = {"bottom": joined(bottom), "interests": interests}
        return {name: value for name, value in outputs.items() if value is not None}

    def _representations(self, inputs: Mapping[str, Tensor], tasks: Sequence[int],
                         training: bool | None) -> tuple[Tensor | None, Fields]:
        """Interests [R or B, J, T, D] and the bottom representation [B, K, F+T, D]."""
        embedded = _look_up(self.embedding, inputs)
        requests = self._fields("request", inputs, embedded)                 # [R, 1, F, D]
        candidates = self._fields("candidate", inputs, embedded)             # [B, 1, F, D]
        of_refinement = self._input_tasks(self.refinement, tasks)
        interests = self._interests(inputs, embedded, candidates, of_refinement, training)
        bottom = self._bottom(requests, interests, candidates, inputs.get(REQUEST_INDEX))
        if self.refinement is not None:
            bottom = _of_tasks(self.refinement, tasks, _as_taken_by(self.refinement, bottom))
        return interests, bottom

    def _input_tasks(self, stage: Any, tasks: Sequence[int]) -> Sequence[int]:
        """The tasks whose inputs a stage needs to compute `tasks`; all if it does not say."""
        if stage is None:
            return tasks
        return stage.input_tasks(tasks) if _can_choose(stage) else range(len(self.schema.tasks))

    def _fields(self, level: str, inputs: Mapping[str, Tensor],
                embedded: Mapping[str, Tensor]) -> Tensor | None:
        """One field per feature of one level, or None without any. [R or B, 1, F, D]"""
        features = [f for f in self.schema.features if f.level == level]
        fields = {f.name: embedded[f.name] for f in features if f.name in embedded}
        fields |= {f.name: layer(inputs[f.name]) for f, layer in zip(
            self.schema.vector_features, self.vector_embeddings) if f.level == level}
        numbers = [f.name for f in features if f.name not in fields]
        if numbers:
            values = tf.stack([inputs[name] for name in numbers], axis=1)
            values = self.numeric_embeddings[level](values)
            fields.update(zip(numbers, tf.unstack(values, axis=1)))
        return tf.stack([fields[f.name] for f in features], 1)[:, tf.newaxis] if features else None

    def _bottom(self, requests: Tensor | None, interests: Tensor | None, candidates: Tensor | None,
                index: Tensor | None) -> Fields:
        """Fields of requests, interests, fields of candidates, in this order. [B, J, F+T, D]"""
        of_requests, of_candidates = [requests, interests], [candidates]
        if self._uses_target:  # interests that differ by candidate
            of_requests, of_candidates = [requests], [interests, candidates]
        parts = [[part for part in side if part is not None]
                 for side in (of_requests, of_candidates)]
        if index is None or not all(parts):
            return side_by_side([*parts[0], *parts[1]])
        return SplitFields(side_by_side(parts[0]), side_by_side(parts[1]), index)

    def _wide_logits(self, weights: Mapping[str, Tensor], index: Tensor | None) -> Tensor:
        """The sum of the weights of all categorical ids. [B, K]"""
        features = [f for f in self.schema.features if f.name in weights]
        requests = [weights[f.name] for f in features if f.level == "request"]      # of [R, K]
        candidates = [weights[f.name] for f in features if f.level == "candidate"]  # of [B, K]
        if index is not None and requests:
            requests = [tf.gather(tf.add_n(requests), index)]
        return tf.add_n([*requests, *candidates])

    def _interests(self, inputs: Mapping[str, Tensor], embedded: Mapping[str, Tensor],
                   candidates: Tensor | None, tasks: Sequence[int],
                   training: bool | None) -> Tensor | None:
        """What each behaviour sequence says. [R, J, T, D], or [B, J, T, D] if a target is used"""
        if not self.schema.behaviors:
            return None
        masks = [_mask(inputs[b.features[0].name]) for b in self.schema.behaviors]
        sequences = [
            layer([embedded[f.name] for f in b.features], event_mask=mask)
            for b, layer, mask in zip(self.schema.behaviors, self.sequence_embeddings, masks)]
        if self._uses_target:
            target = self.target_projection(tf.squeeze(flat_fields(candidates), 1))  # [B, D]
            index = inputs.get(REQUEST_INDEX)
            return _of_tasks(self.interest, tasks, sequences, masks, target, index,
                             training=training)
        if self.interest is not None:
            return _of_tasks(self.interest, tasks, sequences, masks, training=training)
        return self._means(sequences, masks)

    def _means(self, sequences: Sequence[Tensor], masks: Sequence[Tensor | None]) -> Tensor:
        """[R, 1, T, D]"""
        packed = [tokens_and_sequences(x, mask) for x, mask in zip(sequences, masks)]
        return tf.stack([self.mean_pooling(tokens[:, tf.newaxis], sequences=places)
                         for tokens, places in packed], axis=2)

    @property
    def _uses_interest(self) -> bool:
        return self.interest is not None and bool(self.schema.behaviors)

    @property
    def _uses_target(self) -> bool:
        return self._uses_interest and self.interest.pooling == "target"

    def get_config(self) -> dict[str, Any]:
        layers = {name: keras.layers.serialize(layer)
                  for name in _STAGES
                  if (layer := getattr(self, name)) is not None}
        return {"name": self.name, "dtype": self.dtype_policy.name,
                "schema": self.schema.to_dict(), **layers,
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


def _can_choose(stage: Any) -> bool:
    """Whether a stage computes some tasks alone; a subclass may have a `call` of its own."""
    return (hasattr(stage, "input_tasks")
            and "tasks" in inspect.signature(stage.call).parameters)


def _of_tasks(stage: Any, tasks: Sequence[int], *inputs: Any, **options: Any) -> Any:
    """What a stage gives for some tasks; one that cannot choose computes all. [B, K, ...]"""
    if _can_choose(stage):
        return stage(*inputs, tasks=tasks, **options)
    outputs = stage(*inputs, **options)
    return outputs if outputs.shape[1] == 1 else chosen(outputs, tasks, axis=1)


def _look_up(layer: FeatureEmbedding, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return layer({name: inputs[name] for name in layer.input_names})


def _mask(items: Tensor | tf.RaggedTensor) -> Tensor | None:
    """Where there is an event: the item of a position decides. A ragged one has no padding."""
    return None if isinstance(items, tf.RaggedTensor) else tf.not_equal(items, PADDING_ID)


def _as_taken_by(layer: Any, fields: Fields) -> Fields:
    """What belongs to the request stays apart for layers that know it; others get plain fields."""
    return fields if type(layer) in _KNOW_SPLIT_FIELDS else joined(fields)


def _rates_in_order(schema: Schema,
                    base_rates: Mapping[str, float] | None) -> list[float | None] | None:
    # A regression has none.
    return None if base_rates is None else [base_rates.get(name) for name in schema.task_names]
