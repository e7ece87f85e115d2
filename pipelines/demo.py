"""The whole path once, on records of a synthetic world: prepare, train, evaluate, export, call.

    python -m pipelines.demo [--work_dir=runs/demo]

Runs the same commands that a team runs on its own records and prints each of them.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time

from absl import flags

from dtrn_tf import program
from dtrn_tf.errors import UserError

_WORK_DIR = flags.DEFINE_string("work_dir", "runs/demo", "Where everything is written.")
_CONFIG_DIR = flags.DEFINE_string(
    "config_dir", "configs/synthetic", "Directory of the demo's flagfiles.")


def main() -> None:
    start = time.time()
    data, run, models = (os.path.join(_WORK_DIR.value, name) for name in ("data", "run", "models"))
    _call("pipelines.prepare", _flagfile("prepare"), f"--data_dir={data}", "--overwrite")
    _call("pipelines.train", _flagfile("train"), f"--data_dir={data}", f"--run_dir={run}",
          "--overwrite")
    _call("pipelines.evaluate", f"--run_dir={run}", f"--data_dir={data}")
    _call("export", f"--run_dir={run}", f"--data_dir={data}", f"--export_dir={models}",
          "--model_name=demo")
    print(f"\n{_comparison(run, data)}\n")
    saved_model = _newest_version(os.path.join(models, "demo"))
    print("Every signature, called on the first test records:")
    _call("export.call", f"--saved_model={saved_model}", f"--data_dir={data}")
    print(_closing(data, run, saved_model, time.time() - start))


def _flagfile(name: str) -> str:
    return f"--flagfile={os.path.join(_CONFIG_DIR.value, name)}.flags"


def _call(module: str, *arguments: str) -> None:
    command = ["python", "-m", module, *arguments]
    print(f"\n$ {shlex.join(command)}", flush=True)
    done = subprocess.run([sys.executable, *command[1:]], check=False)
    if done.returncode:
        raise UserError(f"every step of the demo should succeed. Received: exit code "
                        f"{done.returncode} of the command above.")


def _comparison(run: str, data: str) -> str:
    """Test AUC per task beside the best that any model can reach in this world."""
    reached = _read(os.path.join(run, "evaluation", "test", "metrics.json"))
    possible = _read(os.path.join(data, "summary.json"))["bayes_auc"]
    lines = [f"{'task':<8}{'test AUC':>10}{'Bayes-optimal AUC':>20}{'share of the possible':>24}"]
    for task, best in possible.items():
        auc = reached[task]["auc"]
        # Of the way from a coin (.5) to the optimum.
        lines.append(f"{task:<8}{auc:>10.4f}{best:>20.4f}{(auc - 0.5) / (best - 0.5):>24.0%}")
    return "\n".join(lines)


def _newest_version(model_dir: str) -> str:
    versions = [name for name in os.listdir(model_dir) if name.isdigit()]
    return os.path.join(model_dir, max(versions, key=int))


def _read(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _closing(data: str, run: str, saved_model: str, seconds: float) -> str:
    return f"""
Done in {seconds:.0f} s. What lies where:
  {data:<28} records, vocabularies, statistics, schema.yaml
  {run:<28} flags, checkpoints, best model, metrics, TensorBoard curves
  {saved_model:<28} SavedModel: one signature per task, serving_default, examples

What to do next:
  look at the curves      tensorboard --logdir {run}/tensorboard
  look at the signatures  saved_model_cli show --dir {saved_model} --all
  real data               README.md, "Measured"
  your own logs           copy configs/kuairand/prepare.yaml and name your tables and columns
  your own records        write a schema.yaml: docs/schema.md
"""


if __name__ == "__main__":
    program.run(main)
