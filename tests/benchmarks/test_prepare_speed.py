"""The programs themselves, on logs that take no time."""

import subprocess
import sys

import pyarrow.parquet

from benchmarks.watch_log import write_watch_log


def _run(name, *arguments):
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", "--core=-1", *arguments],
                          text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[2:]


def test_a_log_has_so_many_rows_in_the_order_of_time(tmp_path):
    write_watch_log(str(tmp_path / "a"), 9000)
    write_watch_log(str(tmp_path / "b"), 9000)
    log, again = (pyarrow.parquet.read_table(tmp_path / name / "interactions.parquet")
                  for name in "ab")
    assert log.equals(again) and log.num_rows == 9000
    table = log.to_pandas()
    assert table.timestamp.is_monotonic_increasing and table.user_id.nunique() > 990
    assert abs(table.is_click.mean() - 0.45) < 0.03


def test_how_fast():
    heading, *cases = _run("prepare", "--rows=2000", "--rounds=1", "--num_shards=2")
    assert heading.split() == "case median ms ratio quartiles rows/s of a core".split()
    rates = {line[:12].strip(): int(line.split()[-1].replace(",", "")) for line in cases}
    assert list(rates) == ["prepare", "read", "write", "row by row"]
    assert rates["read"] > rates["row by row"] > 0 and rates["write"] > rates["row by row"]


def test_how_much_memory():
    heading, *lines = _run("prepare_memory", "--rows=2000")
    assert heading.split() == "rows users shards CPU seconds rows/s of a core peak MB".split()
    rows, users, shards, _, _, peak = lines[0].split()
    assert (rows, users, shards) == ("2,000", "222", "1") and len(lines) == 1
    assert int(peak.replace(",", "")) > 100  # TensorFlow alone needs more.
