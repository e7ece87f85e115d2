"""What depends on the weights alone is computed once, at export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

# Of a constant. Above it a weight stays a variable, which all signatures share.
MAX_BYTES = 64 * 1024
_UNCHANGED = ("Const", "ReadVariableOp", "Identity")


def fold(function: Any) -> Any:
    """The same function, with constants for small tensors that no input can change.

    Gamma and beta of the hypernetwork, slices of weights for one task and their transposes are
    computed here, by the same operations, and not in every call. Weights as they are stay
    variables, and so does all that is larger than `MAX_BYTES`: a table is never copied.

    Args:
        function: A concrete function whose inputs are keyword-only.

    Returns:
        A concrete function of the same inputs and outputs.

    >>> weight = tf.Variable([1.0, 2.0])
    >>> double = tf.function(lambda *, x: {"y": x * (2.0 * weight)}).get_concrete_function(
    ...     x=tf.TensorSpec([None], name="x"))
    >>> folded = fold(double)
    >>> [op.type for op in folded.graph.get_operations() if op.type in ("Mul", "ReadVariableOp")]
    ['Mul']
    >>> folded(x=tf.constant([1.0, 1.0]))["y"].numpy().tolist()
    [2.0, 4.0]
    """
    captured = {inner.name: outer for outer, inner in function.graph.captures}
    frontier = _frontier(function.graph, captured)
    compute = tf.function(lambda: _run(function, captured, frontier, {}), autograph=False)
    # Its concrete function: TensorFlow would take one trace for each signature for a mistake.
    values = compute.get_concrete_function()()
    constants = {tensor.name: value.numpy() for tensor, value in zip(frontier, values)}

    def serve(**inputs: Any) -> Any:
        for variable in function.variables:
            tf.compat.v1.get_default_graph().watch_variable(variable)
        replaced = {name: tf.constant(value) for name, value in constants.items()}
        given = {f"{name}:0": value for name, value in inputs.items()}
        outputs = _run(function, captured, function.graph.outputs, {**given, **replaced},
                       [op for op in function.graph.control_outputs
                        if op.type != "ReadVariableOp"])
        return tf.nest.pack_sequence_as(function.structured_outputs, outputs)

    specs = function.structured_input_signature[1]
    return tf.function(serve, autograph=False).get_concrete_function(**specs)


def _frontier(graph: Any, captured: Mapping[str, Any]) -> list[Any]:
    """The last tensors that depend on weights alone, small ones, and are computed from them."""
    fixed: dict[str, bool] = {}  # of tensors that no input can change, whether they are computed
    for op in graph.get_operations():  # in an order in which inputs come first
        weight = op.type == "ReadVariableOp" and op.inputs[0].name in captured
        pure = not op.op_def.is_stateful and op.type != "Placeholder"
        if weight or (pure and all(t.name in fixed for t in op.inputs) and _all_small(op)):
            computed = op.type not in _UNCHANGED or any(fixed.get(t.name) for t in op.inputs)
            fixed.update((tensor.name, computed) for tensor in op.outputs)
    wanted = {tensor.name for tensor in graph.outputs}
    return [tensor for op in graph.get_operations()
            for tensor in op.outputs if fixed.get(tensor.name)
            and (tensor.name in wanted or any(
                output.name not in fixed for user in tensor.consumers()
                for output in user.outputs))]


def _all_small(op: Any) -> bool:
    """Whether all outputs may be constants. Scalars and lists of shapes are among them."""
    return all(tensor.shape.is_fully_defined() and tensor.dtype.size
               and tensor.shape.num_elements() * tensor.dtype.size <= MAX_BYTES
               for tensor in op.outputs)


def _run(function: Any, captured: Mapping[str, Any], fetches: Sequence[Any],
         replaced: Mapping[str, Any], control: Sequence[Any] = ()) -> list[Any]:
    """What some operations of a function need, in the graph of the present one."""
    graph_def = function.graph.as_graph_def()
    wanted = [op.name for op in (*(tensor.op for tensor in fetches), *control)]
    needed, used = _needed(graph_def, wanted, replaced, bool(control))
    graph = tf.compat.v1.get_default_graph()
    outer = {name: graph.capture(tensor) for name, tensor in captured.items() if name in used}
    given = {name: tensor for name, tensor in replaced.items() if name in used}
    return tf.graph_util.import_graph_def(
        needed, input_map={**outer, **given}, return_elements=[t.name for t in fetches], name="")


def _needed(graph_def: Any, wanted: Sequence[str], replaced: Mapping[str, Any],
            ordered: bool) -> tuple[Any, set[str]]:
    """The nodes behind some others, without those that are replaced; the tensors they take."""
    nodes = {node.name: node for node in graph_def.node}
    names, used, waiting = set[str](), set[str](), list(wanted)
    while waiting:
        name = waiting.pop()
        if name in names or nodes[name].op == "Placeholder":
            continue
        names.add(name)
        for source in nodes[name].input:
            if source.startswith("^"):
                # What has to run though nobody takes its outputs: assertions, but no reads.
                read = nodes[source[1:]].op == "ReadVariableOp"
                waiting += [source[1:]] if ordered and not read else []
                continue
            tensor = source if ":" in source else f"{source}:0"
            used.add(tensor)
            waiting += [] if tensor in replaced else [tensor.split(":")[0]]
    needed = tf.compat.v1.GraphDef(library=graph_def.library, versions=graph_def.versions)
    for node in graph_def.node:
        if node.name in names:
            copy = needed.node.add()
            copy.CopyFrom(node)
            copy.input[:] = [source for source in node.input
                             if not source.startswith("^") or source[1:] in names]
    return needed, used
