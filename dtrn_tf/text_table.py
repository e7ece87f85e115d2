"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Aligns rows of equal length in columns: the first to the left, the others to the right.

    >>> print(text_table([["task", "AUC"], ["click", "0.75"]]))
    task    AUC
    click  0.75
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(cell.rjust(width) if i else cell.ljust(width)
                  for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in rows)
