"""Model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import flags

from dtrn_tf import layers
from dtrn_tf.errors import UserError
from dtrn_tf.models import DTRN
from dtrn_tf.schema import Schema
from pipelines.network_flags import build_network, embeddings_per_id, whole_numbers
from pipelines.task_order_flags import build_task_order, tower_rates

_INTEREST = flags.DEFINE_enum(
    "interest", "task", ["task", "shared", "mean"],
    "How behaviour sequences become interests: `task` is DTRN's TIM, one interest per task; "
    "`shared` the same Transformer once for all tasks; `mean` averages the embeddings.")
_REFINEMENT = flags.DEFINE_enum(
    "refinement", "field", ["field", "element", "none"],
    "DTRN's TRM: importance weights per task for every field, for every element, or none.")
_EMBEDDING_WIDTH = flags.DEFINE_integer(
    "embedding_width", 8,
    "Width of every embedding and field; under STEM of every task's embedding.", lower_bound=1)
_TOWER_UNITS = flags.DEFINE_list(
    "tower_units", [], "Hidden units of the towers, one number a layer; none: a linear tower.")
_NUM_BLOCKS = flags.DEFINE_integer("num_blocks", 1, "Transformer blocks.", lower_bound=1)
_NUM_HEADS = flags.DEFINE_integer(
    "num_heads", 1, "Attention heads; must divide the embedding width.", lower_bound=1)
_FEEDFORWARD_UNITS = flags.DEFINE_integer(
    "feedforward_units", 32, "Hidden units of the Transformer's feed-forward part.", lower_bound=1)
_POOLING = flags.DEFINE_enum(
    "pooling", "mean", ["mean", "target"],
    "How positions become one interest: masked mean, or attention with the candidate.")
_CONDITIONING = flags.DEFINE_enum(
    "conditioning", "free", ["free", "identity"],
    "Start of the hypernetwork: `free` (tasks differ at once) or `identity` (all tasks alike).")
_REFINEMENT_UNITS = flags.DEFINE_integer(
    "refinement_units", 32, "Hidden units of the TRM.", lower_bound=1)
_WIDE = flags.DEFINE_bool("wide", True, "Add a linear term over all categorical features.")
_DROPOUT = flags.DEFINE_float(
    "dropout", 0.1, "Dropout rate in Transformer, experts and towers.", lower_bound=0.0,
    upper_bound=0.99)


def build_model(schema: Schema, base_rates: Mapping[str, float]) -> DTRN:
    """The model that the flags describe; reads flags, so only programs call it."""
    num_tasks = len(schema.tasks)
    binary = {t.name for t in schema.tasks if t.kind == "binary"}
    task_order = build_task_order(schema)
    rates = tower_rates(schema, {name: rate for name, rate in base_rates.items() if name in binary})
    return DTRN(
        schema, network=_network(schema), interest=_interest(num_tasks),
        refinement=_refinement(num_tasks), task_order=task_order,
        embedding_width=_EMBEDDING_WIDTH.value * embeddings_per_id(schema),
        tower_units=whole_numbers(_TOWER_UNITS), wide=_WIDE.value, dropout=_DROPOUT.value,
        base_rates=rates)


def _network(schema: Schema) -> Any:
    if embeddings_per_id(schema) > 1 and (_INTEREST.value, _REFINEMENT.value) != ("mean", "none"):
        raise UserError("--network=stem keeps the embeddings of tasks apart, so it needs "
                        "--interest=mean --refinement=none. Received: "
                        f"--interest={_INTEREST.value} --refinement={_REFINEMENT.value}.")
    return build_network(schema, _EMBEDDING_WIDTH.value, _DROPOUT.value)


def _interest(num_tasks: int) -> Any:
    if _INTEREST.value == "mean":
        return None
    return layers.TaskInterest(
        num_tasks if _INTEREST.value == "task" else 1, num_heads=_NUM_HEADS.value,
        feedforward_units=_FEEDFORWARD_UNITS.value, num_blocks=_NUM_BLOCKS.value,
        pooling=_POOLING.value, initialization=_CONDITIONING.value, dropout=_DROPOUT.value,
        name="interest")


def _refinement(num_tasks: int) -> Any:
    if _REFINEMENT.value == "none":
        return None
    return layers.TaskRefinement(num_tasks, (_REFINEMENT_UNITS.value,),
                                 granularity=_REFINEMENT.value, name="refinement")
