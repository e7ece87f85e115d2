"""Small bar charts as inline SVG; colours come from the page's style (classes `now`, `before`)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# From the second series on, bars stand beside those of the first.
_CLASSES = ("now", "before")
_ROW, _VALUE = 16, 52
_CHARACTER = 7  # About as wide as one of a label, in pixels.


def bars(
    labels: Sequence[str], series: Sequence[Sequence[float]], texts: Sequence[Sequence[str]],
    width: int = 330, label_width: int = 120,
) -> str:
    """Horizontal bars, one row per label, of one or two series.

    Args:
        labels: Names of the rows.
        series: Values >= 0, as many as labels, of the present data and then of the baseline.
        texts: What stands beside each bar.
        width: Pixels.
        label_width: How many of these are for the labels.

    >>> chart = bars(["a", "b"], [[0.5, 1.0]], [["50%", "100%"]])
    >>> chart.count("<rect"), "100%" in chart
    (2, True)
    """
    most = max((value for values in series for value in values), default=0.0) or 1.0
    room, thickness = width - label_width - _VALUE, (_ROW - 4) / len(series)
    parts = []
    for row, label in enumerate(labels):
        y = row * _ROW
        parts.append(f'<text x="{label_width - 6}" y="{y + 11}" text-anchor="end">'
                     f"{_short(label, label_width // _CHARACTER)}</text>")
        for i, values in enumerate(series):
            length = room * values[row] / most
            parts.append(_rect(i, label_width, y + 2 + i * thickness, length, thickness,
                               f"{label}: {texts[i][row]}"))
        longest = room * max(values[row] for values in series) / most
        parts.append(f'<text x="{label_width + longest + 4:.1f}" y="{y + 11}">'
                     f"{escape(texts[0][row])}</text>")
    return _svg(width, len(labels) * _ROW, parts)


def columns(
    labels: Sequence[str], series: Sequence[Sequence[float]], ends: tuple[str, str],
    width: int = 330, height: int = 80,
) -> str:
    """Vertical bars side by side, of one or two series: a histogram.

    Args:
        labels: What each column is; shown when the pointer is on it.
        series: Values >= 0, as many as labels, of the present data and then of the baseline.
        ends: What stands below the first and the last column.
        width: Pixels.
        height: Pixels, without the line below.

    >>> chart = columns(["0", "1"], [[3, 1], [1, 1]], ("0", "1"))
    >>> chart.count("<rect")
    4
    """
    shares = [[value / (sum(values) or 1.0) for value in values] for values in series]
    most = max((share for values in shares for share in values), default=0.0) or 1.0
    step = width / max(len(labels), 1)
    thickness = 0.9 * step / len(series)
    parts = []
    for i, values in enumerate(shares):
        for column, share in enumerate(values):
            tall = height * share / most
            parts.append(_rect(i, column * step + i * thickness, height - tall, thickness, tall,
                               f"{labels[column]}: {share:.2%}"))
    parts.append(f'<text x="0" y="{height + 13}">{escape(ends[0])}</text>')
    parts.append(f'<text x="{width}" y="{height + 13}" text-anchor="end">{escape(ends[1])}</text>')
    return _svg(width, height + 16, parts)


def _rect(series: int, x: float, y: float, width: float, height: float, title: str) -> str:
    return (f'<rect class="{_CLASSES[series]}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"><title>{escape(title)}</title></rect>')


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    return (f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">'
            + "".join(parts) + "</svg>")


def _short(text: str, most: int) -> str:
    return escape(text if len(text) <= most else text[:most - 1] + "…")
