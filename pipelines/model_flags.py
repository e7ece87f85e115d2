"""Model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import flags

from dtrn_tf import layers
from dtrn_tf.errors import UserError
from dtrn_tf.models import DTRN
from dtrn_tf.schema import Schema

_NETWORK = flags.DEFINE_enum(
    "network", "mmoe", ["shared_bottom", "mmoe", "ple"],
    "Multi-task network on top of the bottom representations.")
_INTEREST = flags.DEFINE_enum(
    "interest", "task", ["task", "shared", "mean"],
    "How behaviour sequences become interests: `task` is DTRN's TIM, one interest per task; "
    "`shared` the same Transformer once for all tasks; `mean` averages the embeddings.")
_REFINEMENT = flags.DEFINE_enum(
    "refinement", "field", ["field", "element", "none"],
    "DTRN's TRM: importance weights per task for every field, for every element, or none.")
_EMBEDDING_WIDTH = flags.DEFINE_integer(
    "embedding_width", 8, "Width of every embedding and field.", lower_bound=1)
_UNITS = flags.DEFINE_list(
    "units", ["64"], "Hidden units of every expert, one number a layer: 128,64.")
_TOWER_UNITS = flags.DEFINE_list(
    "tower_units", [], "Hidden units of the towers, one number a layer; none: a linear tower.")
_NUM_EXPERTS = flags.DEFINE_integer(
    "num_experts", 4, "Experts of MMoE, shared experts of PLE.", lower_bound=1)
_NUM_TASK_EXPERTS = flags.DEFINE_integer(
    "num_task_experts", 2, "Experts that PLE gives to each task.", lower_bound=1)
_NUM_LEVELS = flags.DEFINE_integer("num_levels", 1, "Extraction levels of PLE.", lower_bound=1)
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
    return DTRN(
        schema, network=_network(num_tasks), interest=_interest(num_tasks),
        refinement=_refinement(num_tasks), embedding_width=_EMBEDDING_WIDTH.value,
        tower_units=_whole_numbers(_TOWER_UNITS), wide=_WIDE.value, dropout=_DROPOUT.value,
        base_rates={name: rate for name, rate in base_rates.items() if name in binary})


def _network(num_tasks: int) -> Any:
    common = {"units": _whole_numbers(_UNITS), "dropout": _DROPOUT.value, "name": _NETWORK.value}
    if _NETWORK.value == "shared_bottom":
        return layers.SharedBottom(**common)
    if _NETWORK.value == "mmoe":
        return layers.MMoE(num_tasks=num_tasks, num_experts=_NUM_EXPERTS.value, **common)
    return layers.PLE(num_tasks=num_tasks, num_task_experts=_NUM_TASK_EXPERTS.value,
                      num_shared_experts=_NUM_EXPERTS.value, num_levels=_NUM_LEVELS.value, **common)


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


def _whole_numbers(flag: flags.FlagHolder) -> tuple[int, ...]:
    if not all(text.isdigit() and int(text) for text in flag.value):
        raise UserError(f"--{flag.name} should be whole numbers >= 1, separated by commas. "
                        f"Received: {','.join(flag.value)}.")
    return tuple(map(int, flag.value))
