"""Multi-task network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from absl import flags

from dtrn_tf import layers
from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema

_NETWORK = flags.DEFINE_enum(
    "network", "mmoe", ["shared_bottom", "separate", "cross_stitch", "mmoe", "cgc", "ple", "aitm",
                        "pepnet", "stem", "home"],
    "Multi-task network on top of the bottom representations; docs/networks.md tells them apart.")
_UNITS = flags.DEFINE_list(
    "units", ["64"], "Hidden units of every expert, one number a layer: 128,64.")
_NUM_EXPERTS = flags.DEFINE_integer(
    "num_experts", 4, "Experts of MMoE and of each module of HoME, shared experts of CGC, PLE and "
    "STEM.", lower_bound=1)
_NUM_TASK_EXPERTS = flags.DEFINE_integer(
    "num_task_experts", 2, "Experts that CGC, PLE and STEM give to each task.", lower_bound=1)
_NUM_LEVELS = flags.DEFINE_integer("num_levels", 1, "Extraction levels of PLE.", lower_bound=1)
_GATE_UNITS = flags.DEFINE_integer(
    "gate_units", 16, "Hidden units of PEPNet's gates, rank of HoME's feature gates.",
    lower_bound=1)
_TASK_GROUPS = flags.DEFINE_list(
    "task_groups", [], "Groups of tasks that share experts in HoME: click+long_view,like+follow; "
    "none: one group.")


def build_network(schema: Schema, slice_width: int, dropout: float) -> Any:
    """The network that the flags describe; reads flags, so only programs call it."""
    num_tasks = len(schema.tasks)
    common = {"units": whole_numbers(_UNITS), "dropout": dropout, "name": _NETWORK.value}
    experts = {"num_task_experts": _NUM_TASK_EXPERTS.value,
               "num_shared_experts": _NUM_EXPERTS.value}
    makers: dict[str, Callable[[], Any]] = {
        "shared_bottom": lambda: layers.SharedBottom(**common),
        "separate": lambda: layers.ParallelMLP(num_tasks, **common),
        "cross_stitch": lambda: layers.CrossStitch(num_tasks, **common),
        "mmoe": lambda: layers.MMoE(num_tasks, num_experts=_NUM_EXPERTS.value, **common),
        "cgc": lambda: layers.PLE(num_tasks, num_levels=1, **experts, **common),
        "ple": lambda: layers.PLE(num_tasks, num_levels=_NUM_LEVELS.value, **experts, **common),
        "aitm": lambda: layers.AITM(num_tasks, **common),
        "pepnet": lambda: layers.PEPNet(num_tasks, gate_units=_GATE_UNITS.value, **common),
        "stem": lambda: layers.STEM(num_tasks, slice_width=slice_width, **experts, **common),
        "home": lambda: layers.HoME(_groups(schema.task_names), num_experts=_NUM_EXPERTS.value,
                                    gate_units=_GATE_UNITS.value, **common),
    }
    return makers[_NETWORK.value]()


def embeddings_per_id(schema: Schema) -> int:
    """How many embeddings the network wants side by side: STEM one per task and a shared one."""
    return len(schema.tasks) + 1 if _NETWORK.value == "stem" else 1


def whole_numbers(flag: flags.FlagHolder) -> tuple[int, ...]:
    """The value of a list flag as whole numbers >= 1, or UserError."""
    if not all(text.isdigit() and int(text) for text in flag.value):
        raise UserError(f"--{flag.name} should be whole numbers >= 1, separated by commas. "
                        f"Received: {','.join(flag.value)}.")
    return tuple(map(int, flag.value))


def _groups(task_names: tuple[str, ...]) -> tuple[int, ...]:
    """The number of every task's group."""
    groups = [text.split("+") for text in _TASK_GROUPS.value] or [list(task_names)]
    if sorted(name for group in groups for name in group) != sorted(task_names):
        raise UserError("--task_groups should name every task once, as in a+b,c. "
                        f"Received: {','.join(_TASK_GROUPS.value)}; tasks: "
                        f"{', '.join(task_names)}.")
    return tuple(next(number for number, group in enumerate(groups) if name in group)
                 for name in task_names)
