"""Weights that training leaves as they are."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from dtrn_tf.errors import UserError
from dtrn_tf.models.weight_names import weight_names


def freeze(model: Any, patterns: Sequence[str]) -> list[str]:
    """Takes weights out of `trainable_variables`, before an optimiser is made of them.

    What is not trainable has no slots, is not decayed and does not count among the weights that
    tasks share.

    Args:
        model: A `DTRN` that is built.
        patterns: Shell patterns of names, as `weight_names` gives them: `embedding/*`.

    Returns:
        The names of the frozen weights.

    Raises:
        UserError: A pattern matches no weight, or nothing is left to train.
    """
    names = weight_names(model)
    chosen = matching(names, patterns, "freeze")
    for name in chosen:
        names[name].trainable = False
    if not model.trainable_variables:
        raise UserError("--freeze should leave something to train. Received: "
                        f"{','.join(patterns)}, which matches all {len(chosen)} weights.")
    return chosen


def matching(names: Sequence[str] | dict[str, Any], patterns: Sequence[str],
             flag: str) -> list[str]:
    """The names that match a pattern, in their order.

    Raises:
        UserError: A pattern matches none of them.

    >>> matching(["embedding/item", "towers/bias"], ["embedding/*"], "freeze")
    ['embedding/item']
    """
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise UserError(f"--{flag} should be patterns of names of weights. Received: "
                            f"{pattern!r}, which matches none of: {', '.join(names)}.")
    return [name for name in names
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
