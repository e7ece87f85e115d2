"""--network and what belongs to it, --products and --calibrator_weight: one process for all."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json
from absl import flags
from absl.testing import flagsaver
from dtrn_tf.errors import UserError
from dtrn_tf.schema import Schema
from pipelines.model_flags import build_model

flags.FLAGS(["program"])
schema = Schema.from_dict({
    "vocabularies": [{"name": "item", "kind": "hash", "size": 5}],
    "features": [{"name": "item", "vocabulary": "item", "level": "candidate"}],
    "tasks": [{"name": "click", "label": "click"}, {"name": "like", "label": "like"},
              {"name": "buy", "label": "buy"},
              {"name": "stars", "label": "stars", "kind": "regression"}]})
rates = {"click": 0.5, "like": 0.6, "buy": 0.1}

def answer(values):
    with flagsaver.flagsaver(**values):
        try:
            model = build_model(schema, rates)
        except UserError as error:
            return str(error)
        order = model.task_order
        return [type(model.network).__name__, model.network.get_config(), model.embedding_width,
                order and [type(order).__name__, order.get_config()], model.base_rates]

print(json.dumps([answer(values) for values in json.loads(input())]))
"""
PLAIN = {"interest": "mean", "refinement": "none"}
NETWORKS = {
    "shared_bottom": ("SharedBottom", {}), "separate": ("ParallelMLP", {"num_parallel": 4}),
    "cross_stitch": ("CrossStitch", {"num_tasks": 4}),
    "mmoe": ("MMoE", {"num_experts": 3}),
    "cgc": ("PLE", {"num_levels": 1, "num_shared_experts": 3, "num_task_experts": 5}),
    "ple": ("PLE", {"num_levels": 2, "num_shared_experts": 3, "num_task_experts": 5}),
    "aitm": ("AITM", {"num_tasks": 4}), "pepnet": ("PEPNet", {"gate_units": 7}),
    "stem": ("STEM", {"slice_width": 8, "num_shared_experts": 3, "num_task_experts": 5}),
    "home": ("HoME", {"groups": [1, 0, 1, 0], "num_experts": 3, "gate_units": 7}),
}
SIZES = {"units": ["9", "6"], "dropout": 0.2, "num_experts": 3, "num_task_experts": 5,
         "num_levels": 2, "gate_units": 7, "task_groups": ["like+stars", "buy+click"], **PLAIN}
ORDERS = [({"products": ["buy:click"]},
           ["TaskProducts", {"earlier": [None, None, 0, None]}], {"buy": 0.2}),
          ({"products": ["click:like", "buy:click"]},
           ["TaskProducts", {"earlier": [1, None, 0, None]}], {"click": 0.5 / 0.6, "buy": 0.2}),
          ({}, None, {})]
PAIRS = "--products should be pairs TASK:EARLIER of tasks, each task once in front, as in buy:click"
ERRORS = [
    ({"network": "stem"}, "--network=stem keeps the embeddings of tasks apart, so it needs "
     "--interest=mean --refinement=none. Received: --interest=task --refinement=field."),
    ({"network": "home", "task_groups": ["click", "buy+click"]},
     "--task_groups should name every task once, as in a+b,c. Received: click,buy+click; tasks: "
     "click, like, buy, stars."),
    ({"units": ["6", "x"]}, "--units should be whole numbers >= 1, separated by commas. Received: "
     "6,x."),
    ({"products": ["buy"]}, PAIRS), ({"products": ["buy:clicks"]}, PAIRS),
    ({"products": ["buy:click", "buy:like"]}, PAIRS), ({"products": ["buy:click:like"]}, PAIRS),
    ({"products": ["buy:click", "click:buy"]},
     "--products should not go round in a circle. Received: buy:click,click:buy."),
    ({"products": ["stars:click"]}, "--products should relate binary tasks. Received: stars."),
    ({"calibrator_weight": 0.5}, "--calibrator_weight should relate binary tasks. Received: stars"),
    ({"products": ["buy:click"], "calibrator_weight": 0.5},
     "--products and --calibrator_weight should not both be given"),
    ({"products": ["like:click"]}, "--products=like:click should name a task that happens only "
     "where click does. Received: like on 0.6 of the rows, click on 0.5."),
]


@pytest.fixture(scope="module")
def answers():
    cases = [{"network": name, **SIZES} for name in NETWORKS]
    cases += [flags for flags, *_ in ORDERS] + [flags for flags, _ in ERRORS]
    done = subprocess.run([sys.executable, "-c", SCRIPT], input=json.dumps(cases),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_networks(answers):
    for (flag, (name, expected)), answer in zip(NETWORKS.items(), answers):
        made, config, width, order, _ = answer
        assert made == name and order is None
        assert width == (5 * 8 if flag == "stem" else 8)
        assert {**config, **expected, "units": [9, 6], "dropout": 0.2, "name": flag} == config


def test_orders_of_tasks(answers):
    rates = {"click": 0.5, "like": 0.6, "buy": 0.1}
    for (_, expected, changed), answer in zip(ORDERS, answers[len(NETWORKS):]):
        *_, order, towers = answer
        assert towers == pytest.approx({**rates, **changed})
        assert (order and order[0]) == (expected and expected[0])
        assert not order or order[1]["earlier"] == expected[1]["earlier"]


def test_errors(answers):
    for (flags, text), answer in zip(ERRORS, answers[len(NETWORKS) + len(ORDERS):]):
        assert isinstance(answer, str) and text in answer, flags
