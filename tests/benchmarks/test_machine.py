import datetime

import tensorflow as tf

from benchmarks import machine

CPUINFO = """processor\t: 0
model name\t: One CPU @ 2.00GHz
flags\t\t: fpu avx avx2 avx512f

processor\t: 1
model name\t: Another
flags\t\t: fpu
"""


def test_processor_with_its_vector_instructions():
    assert machine._processor(CPUINFO) == "One CPU @ 2.00GHz (avx2 avx512f)"


def test_processor_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(machine.platform, "processor", lambda: "arm")
    assert machine._processor("") == "arm"


def test_date_cores_and_versions():
    first, second = machine.describe().splitlines()
    assert first.startswith(f"{datetime.date.today()}, ") and ", cores " in first
    assert f"TensorFlow {tf.__version__}, Keras {tf.keras.__version__}" in second
