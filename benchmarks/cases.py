"""Cases of a training step: a model at a reference point, and batches that it trains on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import tensorflow as tf

from benchmarks.flops import training_flops
from benchmarks.padded_transformer import PaddedTransformer
from benchmarks.plain_loop import PlainLoop
from benchmarks.reference_point import Batch, ReferencePoint, make_batch, make_model, padded
from dtrn_tf.balancing import TaskBalancer
from dtrn_tf.layers import TaskInterest
from dtrn_tf.optimizers import PairedOptimizer, make_optimizer, make_row_optimizer
from dtrn_tf.training import TrainStep, make_strategy

REFERENCE = "padded"
CANDIDATES = 10


def padded_transformer(point: ReferencePoint) -> PaddedTransformer:
    """The peer that every ratio refers to."""
    return PaddedTransformer(point.num_heads, point.feedforward_units, point.num_blocks)


def plain_loop(point: ReferencePoint) -> PlainLoop:
    """The same function as DTRN's TIM, computed by its definition."""
    return PlainLoop(point.num_tasks, point.num_heads, point.feedforward_units, point.num_blocks)


def task_interest(point: ReferencePoint, num_tasks: int | None = None,
                  pooling: str = "mean") -> TaskInterest:
    """DTRN's TIM; `num_tasks=1` makes one interest for all tasks."""
    return TaskInterest(num_tasks or point.num_tasks, point.num_heads, point.feedforward_units,
                        point.num_blocks, pooling)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of a table: what is trained on which batches.

    Args:
        point: Sizes of model and batch.
        interest: Makes the layer that reads the sequences.
        padded: Whether the sequences come padded to their full length, as the peers need them.
        candidates: Candidates of a request; above 1, requests are encoded once.
        dtype: Keras dtype policy of the model.
        compiled: Whether XLA compiles what reads the sequences; it needs padded ones.
        balancer: Makes the balancer of so many tasks; None: fixed weights.
    """

    point: ReferencePoint = field(default_factory=ReferencePoint)
    interest: Callable[[ReferencePoint], Any] = task_interest
    padded: bool = False
    candidates: int = 1
    dtype: str = "float32"
    compiled: bool = False
    balancer: Callable[[int], TaskBalancer] | None = None

    def batches(self, count: int) -> list[Batch]:
        """The batches that are trained on in turn."""
        found = [make_batch(self.point, seed, self.candidates) for seed in range(count)]
        return [padded(b, self.point.max_length) for b in found] if self.padded else found

    def training(self, num_batches: int) -> Callable[[], Any]:
        """What to time: one training step on each of some batches, as `pipelines.train` runs it."""
        model = self.model()
        optimizer = _optimizer(model)
        balancer = self.balancer and self.balancer(self.point.num_tasks)
        step = TrainStep(model, optimizer, model.schema, make_strategy("auto"), balancer)
        datasets = [tf.data.Dataset.from_tensors(batch) for batch in self.batches(num_batches)]
        iterator = iter(functools.reduce(tf.data.Dataset.concatenate, datasets).repeat())
        return lambda: step.run(iterator, num_batches)[0].numpy()

    def flops(self, num_batches: int) -> float:
        """Floating-point operations of a step, the mean over the batches; see `flops`."""
        batches = [make_batch(self.point, seed, self.candidates) for seed in range(num_batches)]
        num_interests = self.interest(self.point).num_tasks
        return sum(training_flops(self.point, num_interests, b) for b in batches) / num_batches

    def model(self) -> Any:
        """A new model of the case."""
        policy = tf.keras.mixed_precision.global_policy()
        tf.keras.mixed_precision.set_global_policy(self.dtype)
        try:
            model = make_model(self.point, self.interest(self.point))
            model.build(None)
            if self.compiled:
                model.interest.call = tf.function(model.interest.call, jit_compile=True)
        finally:
            tf.keras.mixed_precision.set_global_policy(policy)
        return model


def _optimizer(model: Any) -> PairedOptimizer:
    """The optimisers that `pipelines.train` has by default."""
    return PairedOptimizer(
        make_row_optimizer("lazy_adam", 6e-3), make_optimizer("adam", 2e-3), model.embedding_tables,
        model.dense_weights)


def make_cases(point: ReferencePoint) -> dict[str, Case]:
    """The cases that are compared at a point, the reference first.

    padded: one task-agnostic Transformer of Keras layers on padded sequences. loop: DTRN by its
    definition, on padded sequences. dtrn: this package. agnostic: this package, one interest for
    all tasks. dtrn_1_task, dtrn_8_tasks: models for other numbers of tasks. dtrn_target: pooling by
    attention with the candidate. dtrn_bfloat16: mixed precision. dtrn_requests: the same number of
    rows, with 10 candidates a request. padded_xla, dtrn_xla: with padded sequences, encoders that
    XLA compiles.
    """
    return {
        REFERENCE: Case(point=point, interest=padded_transformer, padded=True),
        "loop": Case(point=point, interest=plain_loop, padded=True),
        "dtrn": Case(point=point),
        "agnostic": Case(point=point, interest=functools.partial(task_interest, num_tasks=1)),
        "dtrn_1_task": Case(point=replace(point, num_tasks=1)),
        "dtrn_8_tasks": Case(point=replace(point, num_tasks=8)),
        "dtrn_target": Case(point=point,
                            interest=functools.partial(task_interest, pooling="target")),
        "dtrn_bfloat16": Case(point=point, dtype="mixed_bfloat16"),
        "dtrn_requests": Case(point=point, candidates=CANDIDATES),
        "padded_xla": Case(point=point, interest=padded_transformer, padded=True, compiled=True),
        "dtrn_xla": Case(point=point, padded=True, compiled=True),
    }
