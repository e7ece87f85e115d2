"""TFDS builder of KuaiRand-Pure and KuaiRand-1K, from their official files.

    tfds build dtrn_tf/data/datasets/kuairand.py --config=pure-interactions --manual_dir=DIR
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow_datasets as tfds

from dtrn_tf.data.datasets.rows import examples, features
from dtrn_tf.data.preparation.kuairand import official_files, official_parts
from dtrn_tf.errors import DataError

_TABLES = {
    "interactions": (
        "user_id", "item_id", "date", "hourmin", "timestamp", "is_click", "is_like", "is_follow",
        "is_comment", "is_forward", "is_hate", "long_view", "play_time_ms", "duration_ms",
        "profile_stay_time", "comment_stay_time", "is_profile_enter", "is_rand", "tab"),
    "users": (
        "user_id", "user_active_degree", "is_lowactive_period", "is_live_streamer",
        "is_video_author", "follow_user_num", "follow_user_num_range", "fans_user_num",
        "fans_user_num_range", "friend_user_num", "friend_user_num_range", "register_days",
        "register_days_range", *(f"onehot_feat{i}" for i in range(18))),
    "items": (
        "item_id", "author_id", "video_type", "upload_dt", "upload_type", "visible_status",
        "video_duration", "server_width", "server_height", "music_id", "music_type", "tag"),
}
_TEXT = frozenset({
    "user_active_degree", "follow_user_num_range", "fans_user_num_range",
    "friend_user_num_range", "register_days_range", "video_type", "upload_dt", "upload_type",
    "tag"})
_FOLDERS = {"pure": "KuaiRand-Pure", "1k": "KuaiRand-1K"}
# As published with the archives, https://zenodo.org/records/10439422.
ARCHIVE_MD5 = {"pure": "0820331067a3784d9691136f772b35a7", "1k": "6b0b9c8222d67fcd4c676218edca3f1f"}


@dataclass(kw_only=True, eq=False)
class KuairandConfig(tfds.core.BuilderConfig):
    """One table of one edition.

    Args:
        edition: `pure` or `1k`.
        table: `interactions`, `users` or `items`.
    """

    edition: str
    table: str


class Kuairand(tfds.core.GeneratorBasedBuilder):
    """Tables of KuaiRand; the split `random` of interactions is the log of the random policy."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Get KuaiRand-Pure.tar.gz or KuaiRand-1K.tar.gz (CC BY-SA 4.0) from https://kuairand.com "
        "and put it, or what it holds, into the manual directory.")
    BUILDER_CONFIGS = [KuairandConfig(name=f"{edition}-{table}", edition=edition, table=table)
                       for edition in _FOLDERS for table in _TABLES]

    def _info(self) -> tfds.core.DatasetInfo:
        columns = _TABLES[self.builder_config.table]
        return tfds.core.DatasetInfo(
            builder=self,
            description="Unbiased log of a short-video feed with randomly exposed videos. Names: "
                        "item_id is video_id, timestamp is time_ms (UTC) of the official files.",
            features=features({name: str if name in _TEXT else int for name in columns}),
            homepage="https://kuairand.com", citation=_CITATION, disable_shuffling=True)

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Iterator[tuple[int, dict[str, Any]]]]:
        config = self.builder_config
        directory = _data_directory(dl_manager, config.edition)
        splits = {"train": self._generate_examples(directory, config.table)}
        random_log = os.path.join(directory, *official_files("random", config.edition))
        if config.table == "interactions" and os.path.exists(random_log):
            splits["random"] = self._generate_examples(directory, "random")
        return splits

    def _generate_examples(
        self, directory: str, table: str
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        config = self.builder_config
        return examples(official_parts(directory, table, config.edition, _TABLES[config.table]),
                        self.info.features)


def _data_directory(dl_manager: tfds.download.DownloadManager, edition: str) -> str:
    """Where the CSV files lie: in the manual directory, or in the archive that it holds.

    Raises:
        DataError: Neither is there, or the archive is not the published one.
    """
    manual, folder = os.fspath(dl_manager.manual_dir), _FOLDERS[edition]
    marker = official_files("users", edition)[0]
    for directory in (manual, os.path.join(manual, "data"), os.path.join(manual, folder, "data")):
        if os.path.exists(os.path.join(directory, marker)):
            return directory
    archive = os.path.join(manual, f"{folder}.tar.gz")
    if not os.path.exists(archive):
        raise DataError(f"{manual}: should hold {folder}.tar.gz or its files, such as {marker}. "
                        "Received: neither. Get it from https://kuairand.com.")
    md5 = _md5(archive)
    if md5 != ARCHIVE_MD5[edition]:
        raise DataError(f"{archive}: should have the MD5 {ARCHIVE_MD5[edition]}. Received: {md5}. "
                        "Download it again, or unpack it if it is another release.")
    return os.path.join(os.fspath(dl_manager.extract(archive)), folder, "data")


def _md5(path: str) -> str:
    digest = hashlib.md5()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


_CITATION = """
@inproceedings{gao2022kuairand,
  title={KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos},
  author={Gao, Chongming and Li, Shijun and Zhang, Yuan and Chen, Jiawei and Li, Biao and
          Lei, Wenqiang and Jiang, Peng and He, Xiangnan},
  booktitle={CIKM},
  year={2022}
}
"""
