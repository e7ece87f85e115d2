"""Where and with what a benchmark ran."""

from __future__ import annotations

import datetime
import os
import platform
import re

import tensorflow as tf

# Instruction sets that decide how fast matrix products are.
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_tile")


def describe() -> str:
    """Date, processor with its vector instructions, cores in use, versions; two lines to quote.

    >>> len(describe().splitlines())
    2
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            info = file.read()
    except OSError:
        info = ""
    gpus = [gpu.name for gpu in tf.config.list_physical_devices("GPU")]
    device = ", ".join([_processor(info), *gpus])
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "all"
    return (f"{datetime.date.today()}, {device}, cores {cores} of {os.cpu_count()}\n"
            f"Python {platform.python_version()}, TensorFlow {tf.__version__}, "
            f"Keras {tf.keras.__version__}")


def _processor(info: str) -> str:
    """Model name and instruction sets of the first processor in the text of /proc/cpuinfo."""
    found = dict(re.findall(r"^([^\n:\t]+)\t*: (.*)$", info, re.MULTILINE)[::-1])
    flags = [flag for flag in _FLAGS if flag in found.get("flags", "").split()]
    name = found.get("model name", platform.processor() or platform.machine())
    return f"{name} ({' '.join(flags)})" if flags else name
