import numpy as np
from helpers import small_row, small_schema

from dtrn_tf.data.examples import encode_example
from export.answers import answers_table, call_signatures


def test_every_signature_is_called_and_all_agree(signatures):
    records = [encode_example(small_row(number), small_schema()) for number in range(3)]
    outputs = call_signatures(signatures, small_schema(), records)
    assert set(outputs) == set(signatures) - {"bottom"}
    for name, values in outputs.items():
        for task, value in values.items():
            assert value.shape == (3,)
            np.testing.assert_allclose(value, outputs["examples"][task], rtol=1e-6, atol=1e-6)


def test_table_has_a_line_per_row_and_signature():
    table = answers_table({"click": {"click": [0.25, 0.75]},
                           "examples": {"click": [0.25, 0.75], "long_view": [0.5, 1.0]}},
                          ("click", "long_view"))
    assert table.splitlines() == [
        "row  signature   click long_view",
        "  0  click      0.2500",
        "  0  examples   0.2500    0.5000",
        "  1  click      0.7500",
        "  1  examples   0.7500    1.0000",
    ]
