"""A rehearsal of a run: everything once, in a directory that is gone afterwards."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from dtrn_tf.data.shards import Shards
from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema, load_schema
from dtrn_tf.training import RunDirectory
from dtrn_tf.training.cluster import Cluster
from dtrn_tf.training.plan import bytes_text, model_plan
from pipelines.training_flags import build_trainer, first_batch_bytes, records_plan
from pipelines.warm_start_flags import files_to_start_with


def dry_run(schema: Schema, shards: Mapping[str, Shards], run: RunDirectory, data_dir: str,
            flags: str, strategy: Any) -> None:
    """Builds the run, makes one step, evaluates one batch, saves, and prints the plan.

    Args:
        schema: What the records hold.
        shards: The splits `train` and `valid`, checked.
        run: The run directory; nothing is read or written there.
        data_dir: The directory of the records.
        flags: The resolved flags.
        strategy: Where to train.

    Raises:
        UserError: What the run itself would raise.
    """
    if Cluster(strategy).size > 1:
        raise UserError("--dry_run should be one process. Received: a cluster in TF_CONFIG. "
                        "Remedy: unset it.")
    start = time.time()
    with _directory_beside(run.path) as directory:
        rehearsal = RunDirectory(os.path.join(directory, "run"))
        with files_to_start_with(data_dir, rehearsal) as files:
            rehearsal.start(files, flags)
        schema = load_schema(rehearsal.file("schema.yaml"))
        trainer = build_trainer(schema, shards, rehearsal, strategy, rehearsal=True)
        print(model_plan(trainer.model, trainer.optimizer) + "\n")
        batch = first_batch_bytes(schema, shards["train"], rehearsal)
        trainer.train()
        saved = _bytes_below(rehearsal.file("checkpoints"))
    print("\n".join([
        *records_plan(shards, strategy), "",
        f"A batch holds {bytes_text(batch)}, a checkpoint {bytes_text(saved)} on the disk (two are "
        f"kept). After one step, one batch of evaluation and one checkpoint, this process has used "
        f"{bytes_text(_peak_bytes())} of memory at most.",
        f"Dry run of {run.path}: all is well ({time.time() - start:.0f} s); nothing was kept."]))


def _directory_beside(path: str) -> tempfile.TemporaryDirectory:
    """On the disk of the run, so that missing room and rights show."""
    parent = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    try:
        return tempfile.TemporaryDirectory(dir=parent, prefix=".dry_run_")
    except OSError as error:
        raise UserError(f"--run_dir should be a directory that can be made and written. Received: "
                        f"{path!r}; in {parent}: {error.strerror}.") from error


def _bytes_below(directory: str) -> int:
    return sum(os.path.getsize(os.path.join(folder, name))
               for folder, _, names in os.walk(directory) for name in names)


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
