"""Compare models over several seeds: train and test every variant, then print one table.

    python -m pipelines.study --flagfile=configs/kuairand/study.flags

Every run is a `pipelines.train` and a `pipelines.evaluate` of its own under STUDY_DIR. The same
command goes on where a study was stopped.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
from absl import flags

from dtrn_tf import program
from dtrn_tf.errors import UserError

_STUDY_DIR = flags.DEFINE_string("study_dir", None, "Directory of all runs.", required=True)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "As in pipelines.train.", required=True)
_TRAIN_FLAGFILE = flags.DEFINE_string(
    "train_flagfile", None, "Flags that all runs share.", required=True)
_VARIANT = flags.DEFINE_multi_string(
    "variant", None, "`NAME: FLAGS`, a row of the table and what it adds to the shared flags.",
    required=True)
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of every variant.")
_SPLIT = flags.DEFINE_string("split", "test", "Split that the table shows.")
_MAX_BAD_RECORDS = flags.DEFINE_integer(
    "max_bad_records", 0, "As in pipelines.train and pipelines.evaluate, for every run.",
    lower_bound=0)

Scores = dict[str, list[float]]


def main() -> None:
    variants = dict(_parse_variant(text) for text in _VARIANT.value)
    total = len(variants) * len(_SEEDS.value)
    results: dict[str, Scores] = {name: {} for name in variants}
    # Seeds outermost: a study that was stopped early has compared all variants.
    for number, (seed, name) in enumerate(
            ((seed, name) for seed in _SEEDS.value for name in variants), start=1):
        print(f"[{number}/{total}] {name}, seed {seed}", flush=True)
        for key, value in _run(name, variants[name], seed).items():
            results[name].setdefault(key, []).append(value)
    table = study_table(results)
    print(f"\n{table}")
    with open(os.path.join(_STUDY_DIR.value, f"{_SPLIT.value}.md"), "w", encoding="utf-8") as file:
        file.write(table + "\n")


def _parse_variant(text: str) -> tuple[str, list[str]]:
    name, colon, arguments = text.partition(":")
    if not colon or not name.strip():
        raise UserError(f"--variant should be `NAME: --flag=value ...`. Received: {text!r}.")
    return name.strip(), arguments.split()


def _run(name: str, arguments: list[str], seed: str) -> dict[str, float]:
    """Trains and evaluates one variant, unless that is done; {task: AUC} and seconds."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    run_dir = os.path.join(_STUDY_DIR.value, slug, f"seed-{seed}")
    output = os.path.join(run_dir, "evaluation", _SPLIT.value, "metrics.json")
    if not os.path.exists(os.path.join(run_dir, "metrics.json")):
        _call("pipelines.train", f"--flagfile={_TRAIN_FLAGFILE.value}",
              f"--data_dir={_DATA_DIR.value}", f"--run_dir={run_dir}", f"--seed={seed}",
              *_bad_records_flag(), *arguments)
    if not os.path.exists(output):
        _call("pipelines.evaluate", f"--run_dir={run_dir}", f"--data_dir={_DATA_DIR.value}",
              f"--split={_SPLIT.value}", *_bad_records_flag())
    scores = {task: metrics["auc"] for task, metrics in _read(output).items() if "auc" in metrics}
    return {**scores, "mean": float(np.mean(list(scores.values()))),
            "seconds": _read(os.path.join(run_dir, "metrics.json"))["seconds"]}


def _bad_records_flag() -> list[str]:
    # Without it the training flagfile decides.
    return [f"--max_bad_records={_MAX_BAD_RECORDS.value}"] if _MAX_BAD_RECORDS.value else []


def _call(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise UserError(f"every run of the study should succeed. Received: exit code "
                        f"{done.returncode} of {' '.join(command)}.")


def _read(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def study_table(results: dict[str, Scores]) -> str:
    """A Markdown table of test AUC, mean ± standard deviation over the seeds.

    >>> print(study_table({"MMoE": {"click": [0.7, 0.72], "mean": [0.7, 0.72], "seconds": [3, 5]}}))
    | model | click | mean | seconds a run |
    |---|---|---|---|
    | MMoE | .7100 ± .0141 | .7100 ± .0141 | 4 |
    """
    columns = [key for key in next(iter(results.values())) if key != "seconds"]
    lines = [f"| model | {' | '.join(columns)} | seconds a run |",
             "|---" * (len(columns) + 2) + "|"]
    for name, scores in results.items():
        cells = [_mean_and_spread(scores[key]) for key in columns]
        lines.append(f"| {name} | {' | '.join(cells)} | {np.mean(scores['seconds']):.0f} |")
    return "\n".join(lines)


def _mean_and_spread(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.4f}".replace("0.", ".") if len(values) > 1 else ""
    return f"{np.mean(values):.4f}".replace("0.", ".", 1) + spread


if __name__ == "__main__":
    program.run(main)
