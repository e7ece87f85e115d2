"""A validation as one HTML page without scripts or anything from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from dtrn_tf.data.profiling import report, svg
from dtrn_tf.data.profiling.drift import number_features, plain_value
from dtrn_tf.data.profiling.feature_profile import FeatureProfile
from dtrn_tf.data.profiling.finding import Finding
from dtrn_tf.data.profiling.number_sketch import bin_middle
from dtrn_tf.data.profiling.report import Side, Validation
from dtrn_tf.errors import UserError
from dtrn_tf.files import write_json, write_text

# Heads a column of paths, which may break anywhere.
_PLACE = "first at"
_COLUMNS = 24
_BARS = 8
_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1b1f24; --soft: #5c6670;
  --line: #d5dae0; --now: #2f6fb7; --before: #e39b3b; --error: #b3261e; --warning: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171a; --text: #e6e9ec; --soft: #a2abb5;
  --line: #383f46; --now: #7db3ee; --before: #e8b15f; --error: #ff8a80; --warning: #ffca6b; } }
body { background: var(--ground); color: var(--text); font: 14px/1.45 system-ui, sans-serif;
  max-width: 1120px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; margin: .5em 0 1.5em; }
th, td { text-align: left; padding: .3em .7em .3em 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; }
td:last-child, td.place { overflow-wrap: anywhere; } td.place { min-width: 8em; }
td.n, th.n { text-align: right; white-space: nowrap; }
.error { color: var(--error); font-weight: 600; } .warning { color: var(--warning); }
.soft { color: var(--soft); } .cards { display: flex; flex-wrap: wrap; gap: 1.2em; }
.card { width: 340px; border-top: 1px solid var(--line); padding-top: .4em; }
.card h3 { margin: 0; font-size: 1em; overflow-wrap: anywhere; } .card p { margin: .1em 0 .5em; }
svg text { fill: var(--soft); font-size: 11px; }
.now { fill: var(--now); } .before { fill: var(--before); }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.key.now { background: var(--now); } .key.before { background: var(--before); }
"""


def write_report(validation: Validation, directory: str) -> None:
    """Writes report.json and report.html; makes the directory if needed.

    Raises:
        UserError: The directory cannot be written.
    """
    try:
        os.makedirs(directory, exist_ok=True)
        write_json(os.path.join(directory, "report.json"), report.to_json(validation))
        write_text(os.path.join(directory, "report.html"), html_report(validation))
    except OSError as error:
        raise UserError(f"--output_dir={directory} should be a directory that can be written. "
                        f"Received: {error.strerror}.") from error


def html_report(validation: Validation) -> str:
    """The page; every number of the JSON report that people look for, and a chart per feature."""
    state = "passed" if validation.passed else "failed"
    present, baseline = validation.present, validation.baseline
    parts = [
        "<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
        f"<title>Validation {state}: {escape(present.name)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f'<h1>Validation <span class="{"" if validation.passed else "error"}">{state}</span></h1>',
        f"<p>{_summary(validation)}</p>",
        "<h2>Findings</h2>", _findings(validation.findings),
        "<h2>Tasks</h2>", _tasks(validation),
    ]
    if baseline:
        parts += ["<h2>Drift</h2>", f'<p><span class="key now"></span>{escape(present.name)}'
                  f'<span class="key before"></span>{escape(baseline.name)}</p>',
                  _drifts(validation)]
    parts += ["<h2>Features of the records</h2>", '<div class="cards">',
              *_cards(present, baseline), "</div></body></html>"]
    return "\n".join(parts) + "\n"


def _summary(validation: Validation) -> str:
    profile = validation.present.profile
    warnings = len(validation.findings) - validation.num_errors
    sample = ", a sample of the beginning of each file" if validation.is_sample else ""
    return (f"{escape(validation.present.name)}: {profile.records:,} records of "
            f"{len(profile.files):,} files{sample}; {profile.num_bad:,} bad records; "
            f"{validation.num_errors} errors, {warnings} warnings.")


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>None.</p>"
    return _table(
        ["", "check", "of", "#count", "#share", _PLACE, "what"],
        [[f.severity, f.check, f.feature, f"{f.count:,}" if f.of else "",
          report.share_text(f.share), report.place_text(f), f.message] for f in findings])


def _tasks(validation: Validation) -> str:
    sides = [side for side in (validation.present, validation.baseline) if side]
    return _table(
        ["task", *(f"#{what}" for side in sides
                   for what in (f"labels of {side.name}", "mean label"))],
        [[task.name, *(text for side in sides for text in (
            f"{side.checks.num_labels[task.name]:,}",
            f"{report.mean_label(side, task.name):.4g}"))]
         for task in validation.present.checks.schema.tasks])


def _drifts(validation: Validation) -> str:
    shown = [drift for drift in validation.drifts if drift.value > 0][:25]
    chart = svg.bars(
        [f"{d.feature} {d.measure}" for d in shown], [[d.value / (d.limit or 1) for d in shown]],
        [[f"{d.value / (d.limit or 1):.2f}" for d in shown]], width=640, label_width=240)
    table = _table(["feature or task", "measure", "#distance", "#limit", "what"], [
        [d.feature, d.measure, f"{d.value:.4f}", f"{d.limit:.4g}", d.text] for d in shown])
    return f"<p>Distances in units of their limits.</p>{chart}{table}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns whose head begins with `#` hold numbers."""
    styles = ['class="n"' if name.startswith("#") else 'class="place"' * (name == _PLACE)
              for name in head]
    lines = ["<tr>" + "".join(f"<th {style}>{escape(name.removeprefix('#'))}</th>"
                              for style, name in zip(styles, head)) + "</tr>"]
    for row in rows:
        cells = [f"<td {style}>{escape(cell)}</td>" for style, cell in zip(styles, row)]
        if row[0] in ("error", "warning"):
            cells[0] = f'<td class="{row[0]}">{row[0]}</td>'
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "<table>" + "\n".join(lines) + "</table>"


def _cards(present: Side, baseline: Side | None) -> Iterator[str]:
    numbers = number_features(present.checks.schema)
    for name, seen in present.profile.features.items():
        other = baseline.profile.features.get(name) if baseline else None
        text = (f"{report.kind_text(seen)}, in {present.profile.presence(name):.2%} of the records"
                f", {report.lengths_text(seen)} values, {report.distinct_text(seen)} distinct; "
                f"{report.range_text(seen)}")
        charts = "".join(_charts([seen, *([other] if other and other.kind == seen.kind else [])],
                                 are_numbers=seen.kind == "float32" or name in numbers))
        yield (f'<div class="card"><h3>{escape(name)}</h3><p class="soft">{escape(text)}</p>'
               f"{charts}</div>")


def _charts(sides: Sequence[FeatureProfile], are_numbers: bool) -> Iterator[str]:
    """Of the values, and of the lengths if they differ."""
    if sides[0].kind == "none":
        return
    if are_numbers and sides[0].kind != "string":
        yield _histogram(sides)
    else:
        yield _top_values(sides)
    if any(len(side.lengths) > 1 for side in sides):
        yield '<p class="soft">number of values</p>' + _lengths(sides)


def _top_values(sides: Sequence[FeatureProfile]) -> str:
    values = [value for value, _ in sides[0].values.top(_BARS)]
    shares = [[side.values.counts.get(value, 0) / max(side.values.total, 1) for value in values]
              for side in sides]
    return svg.bars([str(plain_value(value)) for value in values], shares,
                    [[f"{share:.2%}" for share in side] for side in shares])


def _histogram(sides: Sequence[FeatureProfile]) -> str:
    numbers = sorted({number for side in sides for number in side.numbers.bins})
    if not numbers:
        return ""
    # Zero and the bins of powers of two have numbers far apart; what has occurred is put in order.
    groups = np.array_split(np.array(numbers), min(_COLUMNS, len(numbers)))
    series = [[sum(side.numbers.bins[number] for number in group.tolist()) for group in groups]
              for side in sides]
    labels = [f"{bin_middle(int(group[0])):.3g}..{bin_middle(int(group[-1])):.3g}"
              for group in groups]
    ends = (min(side.numbers.minimum for side in sides), max(side.numbers.maximum
                                                             for side in sides))
    return svg.columns(labels, series, (f"{ends[0]:.4g}", f"{ends[1]:.4g}"))


def _lengths(sides: Sequence[FeatureProfile]) -> str:
    longest = max(side.max_length for side in sides)
    width = longest // _COLUMNS + 1
    series = [[sum(side.lengths[length] for length in range(start, start + width))
               for start in range(0, longest + 1, width)] for side in sides]
    labels = [f"{start}..{start + width - 1}" if width > 1 else str(start)
              for start in range(0, longest + 1, width)]
    return svg.columns(labels, series, ("0", str(longest)), height=40)
