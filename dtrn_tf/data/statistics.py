"""Statistics of the training split, kept beside the vocabularies in `statistics.json`."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dtrn_tf.errors import DataError
from dtrn_tf.files import write_json


class Moments(NamedTuple):
    """Mean and standard deviation of a numeric feature after its transform.

    Numbers, or of a field of several numbers as many of each.
    """

    mean: float | tuple[float, ...]
    std: float | tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What training needs to know of the training split.

    Args:
        numeric: Moments per numeric feature, after the feature's transform.
        base_rates: Mean label per task.

    >>> Statistics(numeric={"duration": Moments(2.5, 0.5)}, base_rates={"click": 0.4}).numeric
    {'duration': Moments(mean=2.5, std=0.5)}
    """

    numeric: dict[str, Moments] = field(default_factory=dict)
    base_rates: dict[str, float] = field(default_factory=dict)


def save_statistics(statistics: Statistics, path: str | os.PathLike[str]) -> None:
    """Writes statistics as JSON.

    Raises:
        DataError: A number is not finite.
    """
    content = {
        "numeric": {name: {part: np.asarray(value, np.float64).tolist()
                           for part, value in moments._asdict().items()}
                    for name, moments in statistics.numeric.items()},
        "base_rates": {name: float(rate) for name, rate in statistics.base_rates.items()},
    }
    _check(content, os.fspath(path))
    write_json(path, content)


def load_statistics(path: str | os.PathLike[str]) -> Statistics:
    """Reads statistics written by `save_statistics`.

    Raises:
        DataError: The file is missing, no JSON, or a number is missing or not finite.
    """
    path = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise DataError(f"{path}: should be a readable statistics file. Received: "
                        f"{error.strerror}. Run prepare again.") from error
    except ValueError as error:
        raise DataError(f"{path}: should be JSON. Received: {error}. Run prepare again."
                        ) from error
    _check(content, path)
    return Statistics(
        numeric={
            name: Moments(*(tuple(value) if isinstance(value, list) else value
                            for value in (moments["mean"], moments["std"])))
            for name, moments in content["numeric"].items()},
        base_rates=dict(content["base_rates"]),
    )


def _check(content: Any, path: str) -> None:
    parts = ("numeric", "base_rates")
    if not isinstance(content, Mapping) or not all(
        isinstance(content.get(part), Mapping) for part in parts
    ):
        raise DataError(f"{path}: should hold the mappings {list(parts)}. Received: "
                        f"{content!r:.100}. Run prepare again.")
    for name, moments in content["numeric"].items():
        if not isinstance(moments, Mapping) or set(moments) != set(Moments._fields):
            raise DataError(f"{path}: feature {name!r} should have the numbers "
                            f"{list(Moments._fields)}. Received: {moments!r:.100}.")
        for part, minimum in (("mean", -math.inf), ("std", 0.0)):
            value = moments[part]
            for number in value if isinstance(value, list) else [value]:
                _check_finite(number, f"{path}: `{part}` of feature {name!r}", minimum)
    for name, rate in content["base_rates"].items():
        _check_finite(rate, f"{path}: the base rate of task {name!r}")


def _check_finite(value: Any, where: str, minimum: float = -math.inf) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and math.isfinite(value) and value >= minimum):
        bound = f" >= {minimum}" if minimum > -math.inf else ""
        raise DataError(f"{where} should be a finite number{bound}. Received: {value!r}.")
