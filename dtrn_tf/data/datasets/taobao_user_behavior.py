"""TFDS builder of Taobao UserBehavior, from its official file.

    tfds build dtrn_tf/data/datasets/taobao_user_behavior.py --manual_dir=DIR
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import tensorflow_datasets as tfds

from dtrn_tf.data.datasets.rows import examples, features
from dtrn_tf.data.preparation.taobao import OFFICIAL_LOG, official_source
from dtrn_tf.errors import DataError

_TABLES: dict[str, dict[str, type]] = {
    "interactions": {"user_id": int, "item_id": int, "timestamp": int, "behavior": str},
    "items": {"item_id": int, "category_id": int},
}


class TaobaoUserBehavior(tfds.core.GeneratorBasedBuilder):
    """Events (pv, cart, fav, buy) of the official nine days, and items with their category."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get UserBehavior.csv.zip from https://tianchi.aliyun.com/dataset/649 under the terms "
        "given there, unpack it, and put UserBehavior.csv into the manual directory.")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=table) for table in _TABLES]

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Behaviour of users of a shop, 2017-11-25 to 2017-12-03; timestamp in "
                        "milliseconds (UTC). Rows of other days are left out.",
            features=features(_TABLES[self.builder_config.name]),
            homepage="https://tianchi.aliyun.com/dataset/649", disable_shuffling=True)

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Iterator[tuple[int, dict[str, Any]]]]:
        path = os.path.join(os.fspath(dl_manager.manual_dir), OFFICIAL_LOG)
        if not os.path.exists(path):
            raise DataError(f"{path}: should be the official file. Received: no such file. "
                            f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}")
        return {"train": self._generate_examples(path)}

    def _generate_examples(self, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
        table = self.builder_config.name
        source = official_source(path, tuple(_TABLES["interactions"]))
        return examples(getattr(source, table), self.info.features)
