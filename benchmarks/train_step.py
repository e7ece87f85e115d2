"""Time training steps of DTRN against a padded Keras Transformer and a plain loop over tasks.

    python -m benchmarks.train_step --core=0

Whole steps as pipelines.train runs them (embeddings, encoder, TRM, MMoE, towers, losses, gradients,
optimisers), on records in memory, all cases in turn. The reference, `padded`, is the same model
with one task-agnostic Transformer of Keras layers on padded sequences.
"""

from __future__ import annotations

from absl import flags

from dtrn_tf import program  # First: it quietens TensorFlow's start.
from benchmarks import machine, step_flags
from benchmarks.cases import REFERENCE, Case, make_cases
from benchmarks.flops import gemm, gemm_rate, gemm_size
from benchmarks.step_report import findings, limit_columns
from benchmarks.timing import interleaved, ratio_table
from dtrn_tf.errors import UserError

_CASES = flags.DEFINE_list("cases", [], "Only these cases, and the reference; empty: all.")
_BATCHES = flags.DEFINE_integer(
    "batches", 2, "Different batches, trained on in turn by every timed call.", lower_bound=1)


def main() -> None:
    step_flags.pin()
    point = step_flags.reference_point()
    cases = _chosen(make_cases(point))
    shapes = {"square product": (gemm_size(),) * 3,
              "feed-forward": (16 * 1024, point.width, point.num_tasks * point.feedforward_units)}
    calls = {name: case.training(_BATCHES.value) for name, case in cases.items()}
    times = interleaved(calls | {name: gemm(shape) for name, shape in shapes.items()},
                        step_flags.ROUNDS.value)
    rates = {name: gemm_rate(shape, times.pop(name)) for name, shape in shapes.items()}
    steps = {name: [s / _BATCHES.value for s in seconds] for name, seconds in times.items()}
    columns = limit_columns(cases, steps, _BATCHES.value, rates["square product"])
    print(machine.describe())
    print(ratio_table(steps, REFERENCE, columns))
    speeds = [f"{name}, {' x '.join(map(str, shape))}: {rates[name] / 1e9:.0f} GFLOP/s"
              for name, shape in shapes.items()]
    print(*findings(steps), *speeds, sep="\n")


def _chosen(cases: dict[str, Case]) -> dict[str, Case]:
    unknown = sorted(set(_CASES.value) - set(cases))
    if unknown:
        raise UserError(f"--cases should be of {list(cases)}. Received: {unknown}.")
    wanted = {REFERENCE, *(_CASES.value or cases)}
    return {name: case for name, case in cases.items() if name in wanted}


if __name__ == "__main__":
    program.run(main)
