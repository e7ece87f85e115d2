"""Numbers: precision, limits, repeatability."""

from __future__ import annotations

import os

import tensorflow as tf
from absl import flags

from dtrn_tf.optimizers.loss_scale import LossScale

_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16", "mixed_float16"],
    "What layers compute in; weights, tables, logits and losses stay float32. `mixed_float16` "
    "scales the loss, and skips steps whose gradients overflow.")
_CLIP_NORM = flags.DEFINE_float(
    "clip_norm", 0.0,
    "Scale all gradients down where the norm of the dense weights' gradient, over the global "
    "batch, is larger; 0: never.", lower_bound=0.0)
_DETERMINISTIC = flags.DEFINE_bool(
    "deterministic", False,
    "Use operations that give the same bits in every run; slower on a GPU. Equal flags, records "
    "and devices then give equal weights.")
_XLA = flags.DEFINE_bool(
    "xla", False,
    "Let XLA compile the parts of a step that it can (not the ragged ones); on CPUs it makes steps "
    "slower, see benchmarks/README.md.")


def set_numerics() -> None:
    """Makes precision, repeatability and compilation as the flags say, for models built later."""
    tf.keras.mixed_precision.set_global_policy(_PRECISION.value)
    if _DETERMINISTIC.value:
        tf.config.experimental.enable_op_determinism()
    if _XLA.value:
        # Clusters of operations: a whole step, with its ragged sequences, does not compile.
        os.environ["TF_XLA_FLAGS"] = os.environ.get("TF_XLA_FLAGS", "") + " --tf_xla_cpu_global_jit"
        tf.config.optimizer.set_jit("autoclustering")


def is_deterministic() -> bool:
    """Whether operations that differ from run to run are forbidden."""
    return _DETERMINISTIC.value


def clip_norm() -> float | None:
    """The largest norm of the dense gradient, if there is one."""
    return _CLIP_NORM.value or None


def loss_scale() -> LossScale | None:
    """In the scope of the strategy."""
    return LossScale() if _PRECISION.value == "mixed_float16" else None
