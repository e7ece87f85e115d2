"""What the axes of the multi-task networks' weights stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dtrn_tf import layers
from dtrn_tf.models.axis import Axis

# A pattern of names below the network, and the axes from the first one on; None, and those that
# are left out, are known by their place alone.
Rule = tuple[str, tuple[Axis | None, ...]]


def network_rules(network: Any, tasks: Sequence[str], inputs: Axis) -> list[Rule]:
    """Rules for the weights of a network; the first pattern that fits counts.

    Args:
        network: One of `dtrn_tf.layers`.
        tasks: What the places of its tasks stand for.
        inputs: The axis of its inputs.

    Raises:
        TypeError: Nothing is known about this network.
    """
    for kind, rules in _RULES.items():
        if isinstance(network, kind):
            return list(rules(network, Axis("task", tasks), inputs))
    raise TypeError(f"`network` should be one of {[kind.__name__ for kind in _RULES]}. Received: "
                    f"{type(network).__name__}.")


def _shared_bottom(_: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    yield "bottom/hidden/0/kernel", (None, inputs)


def _separate(_: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    yield "hidden/0/kernel", (tasks, inputs)
    yield "*", (tasks,)


def _cross_stitch(_: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    yield "stitch_*", (tasks, tasks)
    yield "hidden/0/hidden/0/kernel", (tasks, inputs)
    yield "*", (tasks,)


def _mmoe(_: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    yield "experts/hidden/0/kernel", (None, inputs)
    yield "gates/kernel", (tasks, inputs)


def _own_and_shared(network: Any, tasks: Axis) -> tuple[Axis, Axis]:
    """The experts of all tasks, and these followed by the shared ones."""
    own, sizes = network.num_task_experts, [network.num_task_experts] * len(tasks.names)
    return (Axis("task", tasks.names, own),
            Axis("task", [*tasks.names, "shared"], [*sizes, network.num_shared_experts]))


def _ple(network: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    own, every = _own_and_shared(network, tasks)
    yield "levels/0/task_experts/hidden/0/kernel", (own, inputs)
    yield "levels/*/task_experts/*", (own,)
    yield "levels/0/shared_experts/hidden/0/kernel", (None, inputs)
    yield "levels/0/task_gates/kernel", (tasks, inputs)
    yield "levels/*/task_gates/kernel", (tasks,)
    yield "levels/0/stream_gate/kernel", (None, inputs, every)
    yield "levels/*/stream_gate/kernel", (None, None, every)


def _stem(network: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    own, every = _own_and_shared(network, tasks)
    yield "task_experts/hidden/0/kernel", (own, inputs)
    yield "task_experts/*", (own,)
    yield "shared_experts/hidden/0/kernel", (None, inputs)
    yield "gates/kernel", (tasks, inputs, every)


def _aitm(_: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    yield "bottoms/hidden/0/kernel", (tasks, inputs)
    yield "bottoms/*", (tasks,)


def _pepnet(_: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    yield "embedding_gate/hidden/kernel", (None, inputs)
    yield "embedding_gate/hidden/bias", ()
    yield "embedding_gate/excitation/kernel", (None, None, inputs)
    yield "embedding_gate/excitation/bias", (None, inputs)
    yield "gates/*/hidden/kernel", (tasks, inputs)
    yield "hidden/0/hidden/0/kernel", (tasks, inputs)
    yield "*", (tasks,)


def _home(network: Any, tasks: Axis, inputs: Axis) -> Iterable[Rule]:
    # Groups are known by their numbers.
    names = [*range(network.num_groups), "global"]
    modules, experts = Axis("group", names), Axis("group", names, network.num_experts)
    yield "meta_experts/gate/hidden/kernel", (modules, inputs)
    yield "meta_experts/gate/hidden/bias", (modules,)
    yield "meta_experts/gate/excitation/kernel", (modules, None, inputs)
    yield "meta_experts/gate/excitation/bias", (modules, inputs)
    yield "meta_experts/hidden/0/kernel", (experts, inputs)
    yield "meta_experts/*", (experts,)
    yield "meta_gates/kernel", (modules, inputs, experts)
    yield "meta_self_gates/kernel", (modules, inputs)
    yield "common_experts/gate/*", (modules,)
    yield "common_experts/*", (experts,)
    yield "task_experts/gate/*", (tasks,)
    yield "task_experts/*", (Axis("task", tasks.names, network.num_experts),)
    yield "task_gates/kernel", (tasks, None, Axis("group", ["own", *names], network.num_experts))
    yield "task_self_gates/kernel", (tasks,)


_RULES: dict[type, Callable[[Any, Axis, Axis], Iterable[Rule]]] = {
    layers.SharedBottom: _shared_bottom, layers.ParallelMLP: _separate,
    layers.CrossStitch: _cross_stitch, layers.MMoE: _mmoe, layers.PLE: _ple, layers.STEM: _stem,
    layers.AITM: _aitm, layers.PEPNet: _pepnet, layers.HoME: _home}
