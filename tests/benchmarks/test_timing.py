import subprocess
import sys
import textwrap

import numpy as np
import pytest

from benchmarks import timing


def test_cases_run_in_turn_and_every_second_round_backwards():
    calls = []
    cases = {name: (lambda name=name: calls.append(name)) for name in "abc"}
    times = timing.interleaved(cases, rounds=3, warmup=2)
    assert "".join(calls) == "abc" "cba" "abc" "cba" "abc"
    assert all(len(seconds) == 3 and min(seconds) >= 0 for seconds in times.values())


def test_times_are_those_of_the_calls(monkeypatch):
    clock = iter([10.0, 11.0, 20.0, 23.0, 30.0, 30.5])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    assert timing.interleaved({"a": lambda: None}, rounds=2, warmup=1) == {"a": [3.0, 0.5]}


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"rounds": 1, "warmup": -1}])
def test_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match="`rounds` should be >= 1 and `warmup` >= 0. Received"):
        timing.interleaved({"a": lambda: None}, **wrong)


def test_a_ratio_is_within_one_round():
    # A machine that slows down by ten halfway: the ratio of medians would be 2.
    times = {"a": [1.0, 1.0, 10.0, 10.0], "b": [4.0, 4.0, 40.0, 40.0]}
    np.testing.assert_allclose(timing.ratios(times, "a")["b"], [4, 4, 4, 4])
    table = timing.ratio_table(times, "a", {"rows": {"b": "7"}})
    assert [line.split() for line in table.splitlines()] == [
        ["case", "median", "ms", "ratio", "quartiles", "rows"],
        ["a", "5500.0", "1.000", "1.000-1.000"],
        ["b", "22000.0", "4.000", "4.000-4.000", "7"]]


def test_unknown_reference_and_unequal_rounds():
    with pytest.raises(ValueError, match=r"`reference` should be one of \['a'\]. Received: 'b'"):
        timing.ratios({"a": [1.0]}, "b")
    with pytest.raises(ValueError, match=r"equally many rounds. Received: \{'a': 1, 'b': 2\}"):
        timing.ratio_table({"a": [1.0], "b": [1.0, 2.0]}, "a")


def test_pin():
    # In a process of its own: TensorFlow takes its threads once.
    code = textwrap.dedent("""
        import os
        from benchmarks import timing
        from dtrn_tf.errors import UserError
        import tensorflow as tf
        cores = os.sched_getaffinity(0)
        timing.pin(None)
        assert os.sched_getaffinity(0) == cores
        try:
            timing.pin(10_000)
        except UserError as error:
            assert f"should be one of {sorted(cores)}. Received: 10000" in str(error), error
        else:
            raise AssertionError("no error")
        timing.pin(min(cores))
        assert os.sched_getaffinity(0) == {min(cores)}
        assert tf.config.threading.get_intra_op_parallelism_threads() == 1
        assert tf.config.threading.get_inter_op_parallelism_threads() == 1
        print("done")
    """)
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True)
    assert done.stdout == "done\n", done.stderr
