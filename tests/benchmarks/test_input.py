"""The program itself, on records that take no time."""

import subprocess
import sys


def _run(*arguments):
    return subprocess.run([sys.executable, "-m", "benchmarks.input", "--core=-1", *arguments],
                          text=True, capture_output=True)


def test_a_table_per_layout():
    done = _run("--batch_size=20", "--num_items=50", "--rounds=1", "--batches=3")
    assert done.returncode == 0, done.stderr
    machine, impressions, requests = done.stdout.strip().split("\n\n")
    assert "TensorFlow" in machine
    of_layout = {}
    for layout, table in (("impression", impressions), ("request", requests)):
        title, heading, step, *stages = table.splitlines()
        assert title == f"{layout} records, 20 rows a batch"
        assert heading.split() == ["case", "median", "ms", "ratio", "quartiles", "rows/s", "MB/s",
                                   "bytes/row"]
        assert step.startswith("training step") and step.split()[3:5] == ["1.000", "1.000-1.000"]
        assert [line.split()[:2] for line in stages] == [
            [f"{split}:", stage] for split in ("plain", "gzip")
            for stage in ("read", "parse", "input")]
        assert all(float(line.split()[3]) > 0 for line in stages)
        of_layout[layout] = [int(line.split()[-1]) for line in stages]
    # What every row repeats of its request is most of it, and repeats compress.
    for layout in of_layout.values():
        assert layout[0] == layout[1] == layout[2] > layout[3] == layout[4] == layout[5]
    assert 4 * of_layout["request"][0] < of_layout["impression"][0]


def test_a_negative_shuffle_buffer():
    done = _run("--shuffle_buffer=-1")
    assert done.returncode == 1 and "shuffle_buffer" in done.stderr
