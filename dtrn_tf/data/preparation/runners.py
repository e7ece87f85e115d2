"""What can run the preparation of a log, by name; Apache Beam is loaded only where asked for."""

from __future__ import annotations

import functools
import shlex
from typing import Any

from dtrn_tf.data.preparation.prepare import Runner
from dtrn_tf.errors import UserError

# Name -> Beam's name. The direct one is named in full, as Beam's `DirectRunner` first tries to
# download a program.
BEAM_RUNNERS = {"direct": "apache_beam.runners.portability.fn_api_runner.FnApiRunner",
                "dataflow": "DataflowRunner", "flink": "FlinkRunner", "spark": "SparkRunner"}


def beam_runner(name: str, options: str = "") -> Runner:
    """One of Apache Beam's runners.

    Args:
        name: A key of `BEAM_RUNNERS`.
        options: Of Beam and the runner, as on a command line: `--project=NAME --region=NAME`.

    Raises:
        UserError: Beam is not installed, or an option is unknown to it.
    """
    try:
        from dtrn_tf.data.preparation.beam_runner import pipeline_options, run_on_beam
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "apache_beam":
            raise
        raise UserError(f"--runner={name} should find Apache Beam. Received: it is not installed. "
                        "Run `pip install dtrn_tf[beam]`, or use --runner=local.") from error
    arguments: Any = [*_split(options), f"--runner={BEAM_RUNNERS[name]}"]
    return functools.partial(run_on_beam, options=pipeline_options(arguments))


def _split(options: str) -> list[str]:
    try:
        parts = shlex.split(options)
    except ValueError as error:
        raise UserError("--beam_options should be written as on a command line. Received: "
                        f"{options!r} ({error}).") from error
    for part in parts:
        if part.startswith("--runner"):
            raise UserError("--beam_options should not name a runner, which --runner does. "
                            f"Received: {part!r}.")
    return parts
