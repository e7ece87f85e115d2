import numpy as np
import pytest

from benchmarks.cases import Case, make_cases
from benchmarks.flops import training_flops
from benchmarks.reference_point import ReferencePoint, make_batch
from benchmarks.step_report import findings, limit_columns

POINT = ReferencePoint(batch_size=64, num_items=50)


def test_findings_need_their_cases():
    assert findings({"padded": [1.0], "dtrn": [0.6]}) == []


def test_findings_compare_within_a_round():
    # The machine is half as fast in the second round.
    steps = {"padded": [1.0, 2.0], "dtrn": [0.5, 1.0], "dtrn_8_tasks": [0.9, 1.8]}
    assert findings(steps) == ["One more task costs 0.100 of the padded Transformer's step."]


def test_limit_columns():
    case = Case(point=POINT)
    flops = [training_flops(POINT, 4, make_batch(POINT, seed)) for seed in (0, 1)]
    assert flops[0] != flops[1] and case.flops(2) == pytest.approx(np.mean(flops))
    columns = limit_columns({"dtrn": case}, {"dtrn": [0.5, 0.25, 1.0]}, num_batches=2,
                            rate=case.flops(2) / 0.1)
    assert columns == {"rows/s": {"dtrn": "128"}, "limit ms": {"dtrn": "100.0"},
                       "reached": {"dtrn": "20%"}}


def test_peers_have_the_limit_of_what_they_compute():
    cases = make_cases(POINT)
    # Padding counts for nothing, and the loop computes what DTRN does.
    assert cases["loop"].flops(1) == cases["dtrn"].flops(1)
    assert cases["padded"].flops(1) == cases["agnostic"].flops(1) < cases["dtrn"].flops(1)
    assert cases["dtrn_requests"].flops(1) < cases["padded"].flops(1)
