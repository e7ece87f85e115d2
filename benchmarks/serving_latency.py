"""Time what an exported model answers: one user with N candidates, every kind of signature.

    python -m benchmarks.serving_latency --core=0

Every model is exported, loaded by the session loader (that of TensorFlow Serving) and called in
turn, ten times each, with requests of other users. `keras_mmoe` is an MMoE of Keras layers on the
same features; `head` is DTRN without behaviours: TRM, MMoE and towers.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
from absl import flags

from dtrn_tf import program  # First: it quietens TensorFlow's start.
from benchmarks import machine, step_flags
from benchmarks.served_models import Arrays, make_requests, serve_dtrn, serve_plain
from benchmarks.timing import interleaved, ratios
from dtrn_tf.text_table import text_table

_CANDIDATES = flags.DEFINE_multi_integer(
    "candidates", [1, 100, 500, 1000], "Candidates of a request; may be repeated.", lower_bound=1)
_LOOP_CANDIDATES = flags.DEFINE_integer(
    "loop_candidates", 500, "Candidates of the request that the plain loop answers.", lower_bound=1)
_LOOP_ROUNDS = flags.DEFINE_integer(
    "loop_rounds", 3, "How often 10 calls of the plain loop are timed, beside DTRN.", lower_bound=1)
_USERS = flags.DEFINE_integer("users", 20, "Different users, in turn.", lower_bound=1)

_CALLS = 10  # of one case in a row, as a server with one model has them
_REFERENCE = "keras_mmoe"


class _Calls:
    """Calls a signature for one user after the other, and notes how long each call takes."""

    def __init__(self, call: Callable[[Arrays], object], requests: Sequence[Arrays]) -> None:
        self._call = call
        self._requests = itertools.cycle(requests)
        self.seconds: list[float] = []

    def __call__(self) -> None:
        for _ in range(_CALLS):
            request = next(self._requests)
            start = time.perf_counter()
            self._call(request)
            self.seconds.append(time.perf_counter() - start)


def main() -> None:
    step_flags.pin()
    point, rounds = step_flags.reference_point(), step_flags.ROUNDS.value
    with tempfile.TemporaryDirectory() as directory:
        dtrn, head = (serve_dtrn(point, directory, behaviors) for behaviors in (True, False))
        mmoe, loop = (serve_plain(point, directory, name) for name in ("mmoe", "loop"))
        cases = {
            _REFERENCE: (mmoe.signature("serving_default"), "repeated"),
            "all tasks": (dtrn.signature("serving_default"), "once"),
            "one task": (dtrn.signature("task_0"), "once"),
            "examples": (dtrn.signature("examples"), "examples"),
            "bottom": (dtrn.signature("bottom"), "once"),
            "head": (head.signature("serving_default"), "head"),
        }
        of_loop = loop.signature("serving_default")
    print(machine.describe())
    rows, medians = [["N", "case", "p50 ms", "p99 ms", "ratio"]], {}
    for count in _CANDIDATES.value:
        requests = make_requests(point, count, _USERS.value)
        calls = {name: _Calls(call, [request[form] for request in requests])
                 for name, (call, form) in cases.items()}
        of_reference = ratios(interleaved(calls, rounds), _REFERENCE)
        seconds = {name: case.seconds[-rounds * _CALLS:] for name, case in calls.items()}
        medians[count] = {name: float(np.median(values)) for name, values in seconds.items()}
        rows += [[str(count), name, *(f"{1000 * np.quantile(values, q):.2f}" for q in (0.5, 0.99)),
                  f"{np.median(of_reference[name]):.2f}"] for name, values in seconds.items()]
    print(text_table(rows))
    _print_slopes(medians)
    _print_loop(of_loop, *cases["all tasks"])


def _print_slopes(medians: dict[int, dict[str, float]]) -> None:
    """What one more candidate costs."""
    fewest, most = sorted(medians)[-2:] if len(medians) > 1 else (0, 0)
    if fewest < most:
        slope = {name: 1e6 * (medians[most][name] - medians[fewest][name]) / (most - fewest)
                 for name in medians[most]}
        ours, head, peer = (slope[name] for name in ("all tasks", "head", _REFERENCE))
        print(f"One more candidate, from {fewest} to {most}: {ours:.1f} us; TRM, MMoE and towers "
              f"alone {head:.1f} us; {_REFERENCE} {peer:.1f} us.")


def _print_loop(loop: Callable[[Arrays], object], dtrn: Callable[[Arrays], object],
                form: str) -> None:
    count = _LOOP_CANDIDATES.value
    requests = make_requests(step_flags.reference_point(), count, 3)
    calls = {name: _Calls(call, [request[form] for request in requests])
             for name, (call, form) in {"loop": (loop, "repeated"), "dtrn": (dtrn, form)}.items()}
    of_loop = np.median(ratios(interleaved(calls, _LOOP_ROUNDS.value, warmup=1), "dtrn")["loop"])
    print(f"One user with {count} candidates: the plain loop over tasks and behaviours, with the "
          f"user in every row, takes {1000 * np.median(calls['loop'].seconds):.0f} ms, "
          f"{of_loop:.0f} times as long.")


if __name__ == "__main__":
    program.run(main)
