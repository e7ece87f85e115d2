"""Tasks that follow each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from absl import flags

from dtrn_tf import layers
from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema

_PRODUCTS = flags.DEFINE_list(
    "products", [], "Tasks whose probability is a product, each with the task that it follows "
    "(ESMM): buy:click makes p(buy) = p(click) * p(buy given click), trained on all rows.")
_CALIBRATOR_WEIGHT = flags.DEFINE_float(
    "calibrator_weight", 0.0, "Weight of a loss on a task that is more probable than the one "
    "before it in the schema (AITM; the paper takes .6).", lower_bound=0.0)


def build_task_order(schema: Schema) -> Any:
    """The layer that relates the tasks' logits, or None; reads flags, so only programs call it."""
    if _PRODUCTS.value and _CALIBRATOR_WEIGHT.value:
        raise UserError("--products and --calibrator_weight should not both be given: a product is "
                        f"never more probable than the task that it follows. Received: "
                        f"--products={','.join(_PRODUCTS.value)} and "
                        f"--calibrator_weight={_CALIBRATOR_WEIGHT.value}.")
    if _PRODUCTS.value:
        return _products(schema)
    if _CALIBRATOR_WEIGHT.value:
        _check_binary(schema, schema.task_names, _CALIBRATOR_WEIGHT.name)
        return layers.OrderCalibrator(_CALIBRATOR_WEIGHT.value, name="order_calibrator")
    return None


def tower_rates(schema: Schema, base_rates: Mapping[str, float]) -> dict[str, float]:
    """What the towers should start from: of a product, the rate among rows of the earlier task."""
    rates = dict(base_rates)
    for name, before in _earlier(schema).items():
        if name in rates and before in rates:
            rates[name] = base_rates[name] / base_rates[before]
            if not rates[name] < 1:
                raise UserError(
                    f"--products={name}:{before} should name a task that happens only where "
                    f"{before} does. Received: {name} on {base_rates[name]:.4g} of the rows, "
                    f"{before} on {base_rates[before]:.4g}.")
    return rates


def _products(schema: Schema) -> layers.TaskProducts:
    earlier, names = _earlier(schema), schema.task_names
    try:
        return layers.TaskProducts(
            [names.index(earlier[name]) if name in earlier else None for name in names],
            name="task_products")
    except ValueError as error:
        raise UserError("--products should not go round in a circle. Received: "
                        f"{','.join(_PRODUCTS.value)}.") from error


def _earlier(schema: Schema) -> dict[str, str]:
    """The task that each product follows."""
    pairs = [text.split(":") for text in _PRODUCTS.value]
    names = [name for pair in pairs for name in pair]
    earlier = {pair[0]: pair[-1] for pair in pairs}
    if (any(len(pair) != 2 for pair in pairs) or len(earlier) < len(pairs)
            or not set(names) <= set(schema.task_names)):
        raise UserError("--products should be pairs TASK:EARLIER of tasks, each task once in front,"
                        f" as in buy:click,order:buy. Received: {','.join(_PRODUCTS.value)}; "
                        f"tasks: {', '.join(schema.task_names)}.")
    _check_binary(schema, names, _PRODUCTS.name)
    return earlier


def _check_binary(schema: Schema, names: Any, flag: str) -> None:
    other = [task.name for task in schema.tasks if task.name in names and task.kind != "binary"]
    if other:
        raise UserError(f"--{flag} should relate binary tasks. Received: {', '.join(other)}.")
