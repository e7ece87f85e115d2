"""Times of several cases, measured in turn, and the table of their ratios.

A machine's speed drifts while a benchmark runs. Cases that are called in turn drift alike, so the
ratio within one round holds where two times do not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from dtrn_tf.errors import UserError
from dtrn_tf.text_table import text_table


def pin(core: int | None) -> None:
    """Ties this process to one core, without a GPU, and TensorFlow to one thread.

    Call it before any op runs.

    Args:
        core: Which core; None leaves all cores and threads (a GPU's host, for instance).

    Raises:
        UserError: This process may not run on that core, or cannot be tied to one here.
    """
    if core is None:
        return
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if core not in cores:
        raise UserError(f"the core to run on should be one of {sorted(cores)}. Received: {core}. "
                        "Remedy: name one of them, or none at all.")
    os.sched_setaffinity(0, {core})
    tf.config.set_visible_devices([], "GPU")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int,
                warmup: int = 2) -> dict[str, list[float]]:
    """Calls all cases in turn, A B C, C B A, A B C, ..., and times every call.

    Args:
        cases: Name of the case and what to call; a call returns when its work is done.
        rounds: How often each case is timed.
        warmup: How often each case is called before that (tracing, caches).

    Returns:
        {case: seconds of each round}.

    Raises:
        ValueError: `rounds` is below 1 or `warmup` below 0.

    >>> times = interleaved({"a": lambda: sum(range(9)), "b": lambda: sum(range(99))}, rounds=3)
    >>> {case: len(seconds) for case, seconds in times.items()}
    {'a': 3, 'b': 3}
    """
    if rounds < 1 or warmup < 0:
        raise ValueError("`rounds` should be >= 1 and `warmup` >= 0. "
                         f"Received: rounds={rounds}, warmup={warmup}.")
    times: dict[str, list[float]] = {name: [] for name in cases}
    with tqdm(total=(warmup + rounds) * len(cases), desc="timing", unit=" calls",
              leave=False) as progress:
        for number in range(-warmup, rounds):
            # Each case follows the other neighbour in every second round.
            for name in list(cases)[::-1 if number % 2 else 1]:
                progress.set_postfix_str(name, refresh=False)
                start = time.perf_counter()
                cases[name]()
                seconds = time.perf_counter() - start
                if number >= 0:
                    times[name].append(seconds)
                progress.update()
    return times


def ratios(times: Mapping[str, Sequence[float]], reference: str) -> dict[str, np.ndarray]:
    """Every time divided by the reference's time of the same round.

    Args:
        times: {case: seconds of each round}.
        reference: One of the cases.

    Raises:
        ValueError: The reference is no case, or the cases have unequal numbers of rounds.

    >>> {case: r.tolist() for case, r in ratios({"a": [1.0, 2.0], "b": [2.0, 8.0]}, "a").items()}
    {'a': [1.0, 1.0], 'b': [2.0, 4.0]}
    """
    if reference not in times:
        raise ValueError(f"`reference` should be one of {list(times)}. Received: {reference!r}.")
    if len({len(seconds) for seconds in times.values()}) != 1:
        raise ValueError("all cases should have equally many rounds. Received: "
                         f"{ {name: len(seconds) for name, seconds in times.items()} }.")
    base = np.asarray(times[reference])
    return {name: np.asarray(seconds) / base for name, seconds in times.items()}


def ratio_table(times: Mapping[str, Sequence[float]], reference: str,
                extra: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """One line a case: its median time, and its ratio to the reference with quartiles.

    The ratio is the median over rounds of the ratio within a round.

    Args:
        times: {case: seconds of each round}.
        reference: The case whose ratio is 1.
        extra: More columns, {heading: {case: text}}; a case may be missing.

    Raises:
        ValueError: As `ratios`.

    >>> print(ratio_table({"plain": [1.0, 1.0, 2.0], "ours": [0.5, 0.5, 0.9]}, "plain",
    ...                   {"rows/s": {"ours": "2,048"}}))
    case   median ms  ratio    quartiles  rows/s
    plain     1000.0  1.000  1.000-1.000
    ours       500.0  0.500  0.475-0.500   2,048
    """
    extra = extra or {}
    rows = [["case", "median ms", "ratio", "quartiles", *extra]]
    for name, of_rounds in ratios(times, reference).items():
        low, middle, high = np.quantile(of_rounds, (0.25, 0.5, 0.75))
        rows.append([name, f"{1000 * np.median(times[name]):.1f}", f"{middle:.3f}",
                     f"{low:.3f}-{high:.3f}",
                     *(column.get(name, "") for column in extra.values())])
    return text_table(rows)
