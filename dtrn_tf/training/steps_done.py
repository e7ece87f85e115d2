"""What some training steps in one call came to."""

from __future__ import annotations

from typing import Any, NamedTuple

Tensor = Any


class StepsDone(NamedTuple):
    """What `TrainStep.run` returns.

    Args:
        losses: Mean loss per task over the steps. [K]
        rows: Rows of all batches.
        count: Steps done; the last one, if it is not sound, counts but changed nothing.
        sound: Whether losses and gradients of the last step were finite.
        last_losses: Losses of the last step. [K]
        input_seconds: How long the steps waited for their batches; NaN if not timed.
        batch: The last batch, per replica.
    """

    losses: Tensor
    rows: Tensor
    count: Tensor
    sound: Tensor
    last_losses: Tensor
    input_seconds: Tensor
    batch: Any
