"""Training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
from absl import flags

from dtrn_tf.balancing import (GRADIENT_METHODS, LOSS_WEIGHTINGS, GradientMethod, TaskBalancer,
                               make_loss_weighting)
from dtrn_tf.data.preprocessing import Preprocessing
from dtrn_tf.data.reader import read_records
from dtrn_tf.data.share import share_of_worker
from dtrn_tf.data.shards import Shards
from dtrn_tf.data.statistics import load_statistics
from dtrn_tf.errors import UserError
from dtrn_tf.evaluation import Results, compile_forward, evaluate, predict
from dtrn_tf.schema import Schema
from dtrn_tf.training import RunDirectory, Selection, Trainer, TrainStep, make_strategy
from dtrn_tf.training.cluster import Cluster
from dtrn_tf.training.plan import batch_bytes
from dtrn_tf.training.served_step import ServedStep, WorkersInput
from dtrn_tf.training.servers import num_workers
from dtrn_tf.training.strategy import STRATEGY_NAMES, has_servers, served_config
from dtrn_tf.training.watch import Watch
from dtrn_tf.training.weight_roles import write_weight_roles
from pipelines.model_flags import build_model
from pipelines.numerics_flags import is_deterministic, set_numerics
from pipelines.optimizer_flags import build_optimizer
from pipelines.warm_start_flags import warm_start

_STRATEGY = flags.DEFINE_enum(
    "strategy", "auto", STRATEGY_NAMES,
    "`cpu`, `gpu`: one device; `mirrored`: all GPUs; `multiworker`: all processes of the cluster "
    "in TF_CONFIG; `parameter_server`: its workers, with tables split over its servers; `auto`: "
    "that cluster if there is one, else what this machine has.")
_TABLE_SHARDS = flags.DEFINE_integer(
    "table_shards", 0, "Parts into which --strategy=parameter_server splits every table; 0: one "
    "for each server.", lower_bound=0)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, shuffling and dropout.")
_EPOCHS = flags.DEFINE_float("epochs", 1.0, "Passes over the training records.", lower_bound=0.0)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 512,
    "Records of a global batch, over all devices: impressions, or requests with all of their "
    "candidates.", lower_bound=1)
_SHUFFLE_BUFFER = flags.DEFINE_integer(
    "shuffle_buffer", 100_000, "Records held to shuffle; 0 reads in order.", lower_bound=0)
_LOSS_WEIGHTING = flags.DEFINE_enum(
    "loss_weighting", "fixed", LOSS_WEIGHTINGS,
    "What multiplies the loss weights of the schema: nothing, or learned weights.")
_LOSS_WEIGHTING_LEARNING_RATE = flags.DEFINE_float(
    "loss_weighting_learning_rate", 0.01,
    "Learning rate of the weights of uncertainty, imtl and gradnorm.", lower_bound=0.0)
_DWA_TEMPERATURE = flags.DEFINE_float(
    "dwa_temperature", 2.0, "Higher makes the weights of dwa more equal.", lower_bound=1e-3)
_GRADNORM_ASYMMETRY = flags.DEFINE_float(
    "gradnorm_asymmetry", 1.5, "How strongly gradnorm pulls up tasks that lag behind.",
    lower_bound=0.0)
_GRADIENT_METHOD = flags.DEFINE_enum(
    "gradient_method", "none", GRADIENT_METHODS,
    "How the tasks' gradients on the weights that they share become one update; any but `none` "
    "differentiates every task's loss by itself.")
_CAGRAD_RADIUS = flags.DEFINE_float(
    "cagrad_radius", 0.4, "How far cagrad goes from the mean gradient, as a share of its length.",
    lower_bound=0.0, upper_bound=1.0)
_EVAL_EVERY = flags.DEFINE_integer(
    "eval_every", 0, "Steps between evaluations on the valid split; 0: once an epoch.",
    lower_bound=0)
_EVAL_BATCH_SIZE = flags.DEFINE_integer(
    "eval_batch_size", 4096, "Records of a batch in evaluation.", lower_bound=1)
_CHECKPOINT_EVERY = flags.DEFINE_integer(
    "checkpoint_every", 1000, "Steps between checkpoints.", lower_bound=1)
_STEPS_PER_CALL = flags.DEFINE_integer(
    "steps_per_call", 20, "Steps in one graph call; between calls the progress line moves.",
    lower_bound=1)
_WATCH_EVERY = flags.DEFINE_integer(
    "watch_every", 200,
    "Steps between looks at the tasks' gradients and the gates, written to TensorBoard "
    "(docs/watching.md); 0: never.", lower_bound=0)
_SELECTION_METRIC = flags.DEFINE_string(
    "selection_metric", "mean_auc",
    "Validation metric that chooses the best model: mean_METRIC or TASK/METRIC, e.g. like/auc.")
_PATIENCE = flags.DEFINE_integer(
    "patience", 0, "Stop after this many evaluations without a better one; 0 never stops.",
    lower_bound=0)

# What flags must be with parameter servers; other values are not tried there, or cannot hold.
_WITH_SERVERS: dict[str, tuple[Any, ...]] = {
    "loss_weighting": ("fixed",), "gradient_method": ("none",), "deterministic": (False,),
    "precision": ("float32", "mixed_bfloat16"), "warm_start": (None,), "dry_run": (False,)}


def build_strategy() -> Any:
    """The strategy of the flags; before TensorFlow computes anything, as a cluster needs it."""
    set_numerics()
    return make_strategy(_STRATEGY.value, _TABLE_SHARDS.value)


def check_flags_of_servers() -> None:
    """Refuses flags that training with parameter servers cannot keep; before the cluster meets."""
    if not has_servers(_STRATEGY.value):
        return
    for name, only in _WITH_SERVERS.items():
        value = flags.FLAGS[name].value if name in flags.FLAGS else only
        if value not in only:
            raise UserError(
                f"--{name} should be {only[0]!r} with --strategy=parameter_server. Received: "
                f"{value!r}. Remedy: take it back, or train with --strategy=multiworker and "
                "without `ps` in TF_CONFIG.")


def config_to_serve() -> dict[str, Any] | None:
    """TF_CONFIG, if this process is a worker or a server of --strategy=parameter_server."""
    return served_config(_STRATEGY.value)


def build_trainer(schema: Schema, shards: Mapping[str, Shards], run: RunDirectory, strategy: Any,
                  stop_requested: Callable[[], bool] = lambda: False,
                  rehearsal: bool = False) -> Trainer:
    """Everything that the flags describe, ready to train; reads flags, so only programs call it.

    Args:
        schema: What the records hold.
        shards: The splits `train` and `valid`.
        run: Holds vocabularies and statistics, and takes all that training writes.
        strategy: Where to train.
        stop_requested: Whether to save and end.
        rehearsal: Whether to end after one step and to evaluate one batch only.
    """
    tf.keras.utils.set_random_seed(_SEED.value)
    cluster = Cluster(strategy)
    batch_size = _per_replica(_BATCH_SIZE.value, strategy)
    preprocessing = Preprocessing(schema, run.path)
    own = share_of_worker(shards["train"], cluster.index, cluster.size)
    train = _training_batches(own, schema, preprocessing, batch_size)
    steps_per_epoch, total_steps = _num_steps(shards["train"])
    with strategy.scope():
        model = build_model(schema, load_statistics(run.file("statistics.json")).base_rates)
        model.build(None)
        optimizer = build_optimizer(model, total_steps)
        balancer = _make_balancer(schema, max(1, round(steps_per_epoch)))
    if cluster.is_chief:
        print(write_weight_roles(model, run))
    warm_start(model, optimizer, run)
    served = isinstance(strategy, tf.distribute.ParameterServerStrategy)
    iterator, step = iter(train), None
    if served:
        iterator, step = _served(schema, shards["train"], run, strategy, model, optimizer, balancer)
    return Trainer(
        model=model, step=step or TrainStep(model, optimizer, schema, strategy, balancer,
                                            time_input=not is_deterministic()),
        optimizer=optimizer, iterator=iterator,
        evaluate=_validation(model, schema, shards["valid"], preprocessing, rehearsal),
        selection=Selection(_SELECTION_METRIC.value, _PATIENCE.value), run=run,
        total_steps=1 if rehearsal else total_steps, eval_every=_eval_every(steps_per_epoch),
        checkpoint_every=_CHECKPOINT_EVERY.value, steps_per_call=_STEPS_PER_CALL.value,
        watch=Watch(model, schema, strategy, optimizer.loss_scale, train.element_spec)
        if _WATCH_EVERY.value and not served else None,
        watch_every=_WATCH_EVERY.value or total_steps,
        cluster=cluster, stop_requested=stop_requested)


def _served(schema: Schema, shards: Shards, run: RunDirectory, strategy: Any, model: Any,
            optimizer: Any, balancer: TaskBalancer) -> tuple[WorkersInput, ServedStep]:
    """Input and steps of the workers of a cluster with parameter servers."""
    if _WATCH_EVERY.value:
        print("not watched: --watch_every does nothing with parameter servers")
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():  # The vocabularies of the workers.
        preprocessing = Preprocessing(schema, run.path)
    workers = num_workers()
    batches = WorkersInput(coordinator, workers, lambda worker: _training_batches(
        shards, schema, preprocessing, _BATCH_SIZE.value, turn=(workers, worker)))
    return batches, ServedStep(model, optimizer, schema, strategy, balancer,
                               coordinator=coordinator, workers=workers)


def _training_batches(shards: Shards, schema: Schema, preprocessing: Preprocessing,
                      batch_size: int, turn: tuple[int, Any] = (1, 0)) -> tf.data.Dataset:
    return read_records(shards.files, schema, preprocessing, batch_size=batch_size,
                        shuffle_buffer=_SHUFFLE_BUFFER.value, seed=_SEED.value, repeat=True,
                        runs=shards.runs, turn=turn)


def records_plan(shards: Mapping[str, Shards], strategy: Any) -> list[str]:
    """What the flags make of the records, in words."""
    steps_per_epoch, total_steps = _num_steps(shards["train"])
    return [f"{split}: {s.num_records:,} records in {len(s.files)} files"
            for split, s in shards.items()] + [
        f"{total_steps:,} steps of {_BATCH_SIZE.value} records on "
        f"{strategy.num_replicas_in_sync} devices, {steps_per_epoch:.1f} an epoch: "
        f"{total_steps * _BATCH_SIZE.value:,} examples in all; an evaluation every "
        f"{_eval_every(steps_per_epoch):,} steps, a checkpoint every "
        f"{_CHECKPOINT_EVERY.value:,} besides"]


def first_batch_bytes(schema: Schema, shards: Shards, run: RunDirectory) -> int:
    """Of the first batch of one device, in the order of the files."""
    records = read_records(shards.files, schema, Preprocessing(schema, run.path),
                           batch_size=_BATCH_SIZE.value, runs=shards.runs)
    return batch_bytes(next(iter(records)))


def _num_steps(shards: Shards) -> tuple[float, int]:
    """Steps of an epoch and of the run."""
    steps_per_epoch = shards.num_records / _BATCH_SIZE.value
    total_steps = round(_EPOCHS.value * steps_per_epoch)
    if total_steps == 0:
        raise UserError(f"--epochs should make at least one step of --batch_size="
                        f"{_BATCH_SIZE.value} records. Received: --epochs={_EPOCHS.value}.")
    return steps_per_epoch, total_steps


def _eval_every(steps_per_epoch: float) -> int:
    return _EVAL_EVERY.value or max(1, round(steps_per_epoch))


def _validation(model: Any, schema: Schema, shards: Shards, preprocessing: Preprocessing,
                first_batch_only: bool) -> Callable[[], Results]:
    """Evaluates the model on the valid split; traced once for all evaluations."""
    group = schema.group.name if schema.group else None
    valid = read_records(shards.files, schema, preprocessing, batch_size=_EVAL_BATCH_SIZE.value,
                         group=group is not None, runs=shards.runs)
    valid = valid.take(1) if first_batch_only else valid
    forward = compile_forward(model, valid, group)
    return lambda: evaluate(predict(model, valid, group=group, forward=forward), schema)


def _per_replica(batch_size: int, strategy: Any) -> int:
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(f"--batch_size should be a multiple of the {replicas} devices. "
                        f"Received: {batch_size}.")
    return batch_size // replicas


def _make_balancer(schema: Schema, steps_per_epoch: int) -> TaskBalancer:
    num_tasks, method = len(schema.tasks), _GRADIENT_METHOD.value
    weighting = make_loss_weighting(
        _LOSS_WEIGHTING.value, num_tasks, learning_rate=_LOSS_WEIGHTING_LEARNING_RATE.value,
        gradnorm_asymmetry=_GRADNORM_ASYMMETRY.value, dwa_period=steps_per_epoch,
        dwa_temperature=_DWA_TEMPERATURE.value)
    return TaskBalancer(
        [task.weight for task in schema.tasks], weighting,
        None if method == "none" else GradientMethod(
            method, num_tasks, seed=_SEED.value, cagrad_radius=_CAGRAD_RADIUS.value))
