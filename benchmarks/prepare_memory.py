"""Measure the memory of pipelines.prepare on logs of more and more users.

    python -m benchmarks.prepare_memory --core=0

Every log is made up and prepared by a process of its own, of which the table shows the peak of the
resident memory. Partitions keep their size, so there are more of them in a larger log.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from absl import flags

from dtrn_tf import program  # First: it quietens TensorFlow's start.

from benchmarks import machine, timing
from benchmarks.watch_log import ROWS_PER_USER, write_watch_log
from dtrn_tf.errors import UserError
from dtrn_tf.text_table import text_table

_ROWS = flags.DEFINE_multi_integer("rows", [250_000, 1_000_000, 4_000_000],
                                   "Impressions of a log; once for every log.", lower_bound=1000)
_SPEC = flags.DEFINE_string("spec", "configs/kuairand/prepare.yaml", "As in pipelines.prepare.")
# Of the peak that the system tells: Linux counts kilobytes, macOS bytes.
_UNIT = 1 if sys.platform == "darwin" else 1024
_CORE = flags.DEFINE_integer("core", 0, "The core to run on; negative: all cores.")


def main() -> None:
    timing.pin(None if _CORE.value < 0 else _CORE.value)
    print(machine.describe())
    lines = [["rows", "users", "shards", "CPU seconds", "rows/s of a core", "peak MB"]]
    for rows in _ROWS.value:
        with tempfile.TemporaryDirectory() as directory:
            write_watch_log(directory, rows)
            target = os.path.join(directory, "records")
            seconds, peak = _prepare(directory, target)
            shards = len(os.listdir(os.path.join(target, "train")))
        lines.append([f"{rows:,}", f"{rows // ROWS_PER_USER:,}", str(shards), f"{seconds:.1f}",
                      f"{rows / seconds:,.0f}", f"{peak / 2**20:,.0f}"])
    print(text_table(lines))


def _prepare(source_dir: str, data_dir: str) -> tuple[float, int]:
    """Processor time, start included, and the largest resident memory in bytes."""
    command = [sys.executable, "-m", "pipelines.prepare", f"--spec={_SPEC.value}",
               f"--source_dir={source_dir}", f"--data_dir={data_dir}"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise UserError("pipelines.prepare should succeed. Received: "
                            f"{output.read().decode().splitlines()[-1:]} of {' '.join(command)}.")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _UNIT


if __name__ == "__main__":
    program.run(main)
