"""The programs themselves, on batches that take no time: a table per program, clear errors."""

import subprocess
import sys

import pytest

# Tracing takes the time: two tasks and one behaviour have a third of the operations.
TINY = ("--core=-1", "--batch_size=16", "--num_items=50", "--num_tasks=2", "--num_behaviors=1",
        "--rounds=1")


def run(name, *arguments):
    return subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], text=True,
                          capture_output=True)


@pytest.mark.slow
def test_every_case_trains():
    # The others differ from these in a number of tasks alone.
    names = ["loop", "dtrn", "dtrn_target", "dtrn_bfloat16", "dtrn_requests"]
    done = run("train_step", *TINY, "--batches=1", f"--cases={','.join(names)}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "TensorFlow" in lines[1]
    assert lines[2].split() == ["case", "median", "ms", "ratio", "quartiles", "rows/s", "limit",
                                "ms", "reached"]
    assert lines[3].split()[::2][:2] == ["padded", "1.000"] and "1.000-1.000" in lines[3]
    assert [line.split()[0] for line in lines[4:9]] == names
    assert all(float(line.split()[1]) > 0 for line in lines[4:9])
    assert "times as many rows" in done.stdout
    assert [line.split()[-1] for line in lines[-2:]] == ["GFLOP/s"] * 2


def test_unknown_case():
    done = run("train_step", "--cases=dtrn,drtn", "--core=-1")
    assert done.returncode == 1
    assert "error: --cases should be of ['padded', 'loop', 'dtrn'," in done.stderr
    assert "Received: ['drtn']" in done.stderr


def test_core_that_is_not_there():
    done = run("train_step", "--core=10000")
    assert done.returncode == 1 and "error: the core to run on should be one of" in done.stderr


@pytest.mark.slow
def test_scaling(tmp_path):
    done = run("scaling", *TINY, "--tasks=1", "--tasks=2", "--behaviors=1", "--lengths=5",
               "--widths=32", f"--output={tmp_path}/new/scaling")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "new" / "scaling.csv").read_text().splitlines()
    assert lines[0] == "K,T,L,D,ms,low,ratio,high"
    # The reference point, then the one that differs from it, with two numbers of tasks each.
    assert [line.split(",")[:4] for line in lines[1:]] == [
        [k, "1", length, "32"] for length in ("50", "5") for k in "12"]
    assert (tmp_path / "new" / "scaling.png").stat().st_size > 1000


def test_embedding_update():
    done = run("embedding_update", "--core=-1", "--rounds=1", "--rows=50", "--rows=1000",
               "--ids_per_step=7", "--steps=2", "--notraining_step")
    assert done.returncode == 0, done.stderr
    machine, *sections = [section.splitlines() for section in done.stdout.strip().split("\n\n")]
    assert "TensorFlow" in machine[1]
    assert [section[0] for section in sections] == [
        "no update: 0 bytes of state a row; ms of 2 step(s)",
        "lazy_adam: 128 bytes of state a row; ms of 2 step(s)",
        "rowwise_adagrad: 4 bytes of state a row; ms of 2 step(s)",
        "keras adam: 128 bytes of state a row; ms of 1 step(s)",
        "keras adagrad: 64 bytes of state a row; ms of 1 step(s)"]
    for _, heading, small, large in sections:
        assert heading.split() == ["case", "median", "ms", "ratio", "quartiles"]
        assert small.startswith("50 rows") and large.startswith("1,000 rows")


@pytest.mark.slow
def test_embedding_update_in_the_whole_step():
    done = run("embedding_update", "--core=-1", "--rounds=1", "--rows=50", "--optimizers=lazy_adam",
               "--steps=1")
    assert done.returncode == 0, done.stderr
    assert "lazy_adam in the whole training step; ms of 4 steps\n" in done.stdout


def test_unknown_optimizer():
    done = run("embedding_update", "--optimizers=adam", "--core=-1")
    assert done.returncode == 1
    assert "error: --optimizers should be of ['no update', 'lazy_adam'," in done.stderr
    assert "Received: ['adam']" in done.stderr


@pytest.mark.slow
def test_serving_latency():
    done = run("serving_latency", *TINY, "--candidates=2", "--candidates=5", "--users=2",
               "--loop_candidates=3", "--loop_rounds=1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[2].split() == ["N", "case", "p50", "ms", "p99", "ms", "ratio"]
    cases = ["keras_mmoe", "all tasks", "one task", "examples", "bottom", "head"]
    for count, line, case in zip(["2"] * 6 + ["5"] * 6, lines[3:15], cases * 2):
        assert line.startswith(count) and case in line
        p50, p99, ratio = map(float, line.split()[-3:])
        assert 0 < p50 <= p99 and ratio > 0
    assert lines[15].startswith("One more candidate, from 2 to 5:")
    assert lines[16].startswith("One user with 3 candidates: the plain loop")


def test_unknown_method():
    done = run("balancing", "--methods=pcgrad,pcgard", "--core=-1")
    assert done.returncode == 1
    assert "error: --methods should be of ['aligned', 'cagrad', 'dwa', 'fixed'," in done.stderr
    assert "Received: ['pcgard']" in done.stderr
