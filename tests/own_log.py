"""A log that was not made for us: the schema of docs/schema.md, and records that it describes.

They are written with `tf.train.Example` alone, as another team's programs would.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
from typing import Any

import numpy as np
import tensorflow as tf
import yaml
from helpers import write_records

from dtrn_tf.data.statistics import Moments, Statistics, save_statistics
from dtrn_tf.schema import Schema, save_schema

NUM_ITEMS, NUM_TAGS = 40, 11


def log_schema() -> Schema:
    """The second schema of docs/schema.md, with smaller hash tables."""
    text = (pathlib.Path(__file__).parents[1] / "docs" / "schema.md").read_text()
    schema = Schema.from_dict(yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[1]))
    sizes = {v.name: 97 if v.kind == "hash" else v.size for v in schema.vocabularies}
    return dataclasses.replace(schema, vocabularies=tuple(
        dataclasses.replace(v, size=sizes[v.name]) for v in schema.vocabularies))


def record(**features: Any) -> bytes:
    """An Example of byte strings, floats and integers, by names in which `_` means `-`."""
    example = tf.train.Example()
    for name, values in features.items():
        feature = example.features.feature[name.replace("_", "-").removeprefix("n-")]
        values = values if isinstance(values, (list, np.ndarray)) else [values]
        kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}[
            type(values[0]) if len(values) else bytes]
        getattr(feature, kind).value.extend(values)
    return example.SerializeToString()


def full_record() -> bytes:
    """Everything is there; the newest event comes first."""
    return record(
        item_id=b"i1", user_id=b"u1", n_616=[b"t1", b"t2", b"t1"], n_616_weights=[1.0, 3.0, 0.5],
        dense=[float(i) for i in range(615)], item_views=7, request_ts=1000,
        click_list=[b"i3", b"i2"], click_times=[990, 900],
        order_list=[b"i4", b"i5", *[b"0"] * 48], cart_list=[b"i6"], label=4)


def sparse_record() -> bytes:
    """Only what has no default."""
    return record(item_id=b"i2", dense=[0.0] * 615, request_ts=5, order_list=[b"0"] * 50)


def write_log(directory: str | os.PathLike[str], rows: int = 60) -> str:
    """A data directory of records in which the click code follows from what they hold."""
    directory = os.fspath(directory)
    os.makedirs(directory, exist_ok=True)
    save_schema(log_schema(), f"{directory}/schema.yaml")
    save_statistics(Statistics(
        numeric={"views": Moments(2.0, 1.0), "user_vector": Moments((0.0,) * 512, (1.0,) * 512),
                 "counts": Moments((0.5,) * 103, (0.25,) * 103)},
        base_rates={"click": 0.5, "order": 0.2}), f"{directory}/statistics.json")
    for split, seed in (("train", 0), ("valid", 1), ("test", 2)):
        random = np.random.default_rng(seed)
        write_records(f"{directory}/{split}/part-0.tfrecord", [
            full_record(), sparse_record(), *(_random_record(random) for _ in range(rows))])
    return directory


def _random_record(random: np.random.Generator) -> bytes:
    def items(count: int) -> list[bytes]:
        return [b"i%d" % i for i in random.integers(NUM_ITEMS, size=count)]

    tags = random.integers(NUM_TAGS, size=random.integers(4)).tolist()
    clicks, orders, carts = (int(random.integers(n)) for n in (60, 50, 14))
    now = 1_700_000_000 + int(random.integers(10**6))
    features: dict[str, Any] = dict(
        item_id=items(1)[0], user_id=b"user \xff%d" % random.integers(9),
        n_616=[b"t%d" % tag for tag in tags], n_616_weights=[float(w) for w in random.random(
            len(tags))], dense=random.random(615).astype(float).tolist(),
        item_views=int(random.integers(100)), request_ts=now, click_list=items(clicks),
        click_times=(now - np.cumsum(random.integers(1, 10**5, clicks))).tolist(),
        order_list=items(orders) + [b"0"] * (50 - orders), cart_list=items(carts))
    code = (4 if 1 in tags else 1) if features["dense"][0] > 0.5 else 0
    absent = {"label"} if code == 0 else set()  # No code is code 0.
    absent |= {name for name in ("user_id", "item_views", "cart_list") if random.random() < 0.2}
    absent |= {"n_616", "n_616_weights"} if not tags else set()
    absent |= {"click_list", "click_times"} if not clicks else set()
    return record(**{name: value for name, value in {**features, "label": code}.items()
                     if name not in absent})
