"""Gates that use too few of their experts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

# A gate whose entropy is below this share of log E gives nearly all weight to one expert.
_LEAST_EVENNESS = 0.05
# An expert that gets less than this share of an equal part from every gate is as good as absent.
_LEAST_PART = 0.05


def collapsed(gate: str, mixtures: Sequence[str], entropies: np.ndarray, shares: np.ndarray
              ) -> Iterator[str]:
    """Says which mixtures and experts of a gate have collapsed.

    Args:
        gate: Its name.
        mixtures: Names of its mixtures. [S]
        entropies: 1 for even and 0 for one expert alone. [S]
        shares: Mean gate values. [S, E]

    Yields:
        One sentence each.

    >>> for text in collapsed("tasks", ["click", "buy"], np.array([0.9, 0.01]),
    ...                       np.array([[0.5, 0.499, 0.001], [0.999, 0.0005, 0.0005]])):
    ...     print(text)
    buy uses one expert of gate tasks alone
    no mixture uses expert 2 of gate tasks
    """
    for number in np.flatnonzero(entropies < _LEAST_EVENNESS):
        yield f"{mixtures[int(number)]} uses one expert of gate {gate} alone"
    for number in np.flatnonzero(shares.max(0) < _LEAST_PART / shares.shape[1]):
        yield f"no mixture uses expert {number} of gate {gate}"
