import numpy as np

from benchmarks.plain_mmoe import plain_mmoe
from benchmarks.reference_point import ReferencePoint
from benchmarks.served_models import make_requests, serve_dtrn, serve_plain

POINT = ReferencePoint(num_tasks=2, num_behaviors=1, max_length=5, width=8, num_heads=1,
                       num_items=50, expert_units=4)


def test_all_forms_of_a_request_are_the_same_request(tmp_path):
    dtrn = serve_dtrn(POINT, str(tmp_path))
    names = ("serving_default", "task_1", "examples")
    of_all, of_one, of_examples = map(dtrn.signature, names)
    answers = {}
    for request in make_requests(POINT, candidates=3, count=2):
        both = of_all(request["once"])
        np.testing.assert_allclose(both, of_examples(request["examples"]), rtol=1e-6)
        np.testing.assert_allclose(of_one(request["once"]), both[1:], rtol=1e-6)
        answers[len(answers)] = np.array(both)
        assert answers[0].shape == (2, 3)
        # The rows of the plain models are those of the same request.
        lengths = (request["repeated"]["behavior_0_item"] != 0).sum(axis=1)
        assert lengths.tolist() == request["once"]["behavior_0_length"].tolist() * 3
        assert request["repeated"]["item"].tolist() == (request["once"]["item"] + 2).tolist()
        assert set(request["repeated"]["city"]) == {request["once"]["city"][0] + 2}
    assert np.abs(answers[0] - answers[1]).max() > 1e-4


def test_plain_models_are_served_too(tmp_path):
    request = make_requests(POINT, candidates=3, count=1)[0]
    for name in ("mmoe", "loop"):
        answers = serve_plain(POINT, str(tmp_path), name).signature("serving_default")(
            request["repeated"])
        assert np.shape(answers) == (2, 3) and np.ptp(answers) > 0


def test_the_peers_mean_leaves_out_padding():
    model = plain_mmoe(POINT)
    rows = make_requests(POINT, candidates=3, count=1)[0]["repeated"]
    wider = {name: np.pad(value, [[0, 0], [0, 4]]) if value.ndim > 1 else value
             for name, value in rows.items()}
    for task, value in model(rows).items():
        np.testing.assert_allclose(model(wider)[task], value, rtol=1e-5)
