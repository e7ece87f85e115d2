"""Builders of TFDS on tiny official files, and what they prepared as a source; all offline."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tarfile
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import tensorflow_datasets as tfds
from kuairand_files import LOG, write_official
from test_prepare_spec import CONFIG
from test_public_logs import write_taobao

from dtrn_tf.data.datasets import kuairand
from dtrn_tf.data.datasets.taobao_user_behavior import TaobaoUserBehavior
from dtrn_tf.data.datasets.tfds_source import open_tfds
from dtrn_tf.data.preparation.kuairand import load_kuairand, official_files
from dtrn_tf.data.preparation.prepare_spec import PrepareSpec, load_prepare_spec
from dtrn_tf.data.preparation.rows import build_rows
from dtrn_tf.data.preparation.sources import open_source
from dtrn_tf.data.preparation.tables import merge_duplicates
from dtrn_tf.data.preparation.taobao import load_taobao
from dtrn_tf.errors import DataError

ROOT = pathlib.Path(__file__).parents[3]


def build(builder, manual_dir):
    # Nothing is asked of the network.
    with mock.patch("requests.Session.send", side_effect=AssertionError):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=str(manual_dir)))
    return builder


def records(source, spec):
    return list(build_rows(merge_duplicates(source.read(), spec), spec).records())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """KuaiRand-Pure and Taobao as TFDS prepares them, and their official files."""
    raw = tmp_path_factory.mktemp("raw")
    write_official(raw / "KuaiRand-Pure" / "data")
    write_taobao(raw / "taobao")
    data_dir = tmp_path_factory.mktemp("tfds")
    for table in ("interactions", "users", "items"):
        build(kuairand.Kuairand(config=f"pure-{table}", data_dir=str(data_dir)), raw)
    for table in ("interactions", "items"):
        build(TaobaoUserBehavior(config=table, data_dir=str(data_dir)), raw / "taobao")
    return raw, str(data_dir)


def test_kuairand_gives_the_records_of_its_official_files(prepared):
    raw, data_dir = prepared
    spec = load_prepare_spec(ROOT / "configs/kuairand/prepare.yaml")
    source = open_tfds(spec, "kuairand:pure", data_dir)
    assert source.num_rows == len(LOG)
    assert records(source, spec) == records(
        load_kuairand(spec, str(raw / "KuaiRand-Pure" / "data")), spec)


def test_taobao_gives_the_records_of_its_official_file(prepared):
    raw, data_dir = prepared
    spec = load_prepare_spec(ROOT / "configs/taobao/prepare.yaml")
    expected = records(load_taobao(spec, str(raw / "taobao")), spec)
    found = open_source(spec, None, seed=0, tfds="taobao_user_behavior", tfds_data_dir=data_dir)
    assert records(found, spec) == expected


def test_tfds_reads_them_too(prepared):
    """Missing numbers are the smallest int64, missing text is empty."""
    users = tfds.load("kuairand/pure-users", split="train", data_dir=prepared[1])
    assert [u["onehot_feat4"] for u in users.as_numpy_iterator()] == [4, np.iinfo(np.int64).min]
    items = tfds.load("kuairand/pure-items", split="train", data_dir=prepared[1])
    assert [i["tag"] for i in items.as_numpy_iterator()] == [b"12,7", b"7", b""]


def test_kuairand_1k_with_the_random_log(tmp_path):
    directory = write_official(tmp_path / "data", edition="1k")
    pd.DataFrame(LOG[:2]).to_csv(os.path.join(directory, *official_files("random", "1k")),
                                 index=False)
    builder = build(kuairand.Kuairand(config="1k-interactions", data_dir=str(tmp_path / "tfds")),
                    tmp_path)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": len(LOG), "random": 2}


def test_kuairand_from_its_archive(tmp_path, monkeypatch):
    write_official(tmp_path / "KuaiRand-Pure" / "data")
    manual = tmp_path / "manual"
    manual.mkdir()
    with tarfile.open(manual / "KuaiRand-Pure.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "KuaiRand-Pure", "KuaiRand-Pure")
    builder = kuairand.Kuairand(config="pure-users", data_dir=str(tmp_path / "tfds"))
    with pytest.raises(DataError, match="KuaiRand-Pure.tar.gz: should have the MD5 0820331067a378"
                                        "4d9691136f772b35a7. Received: .* Download it again"):
        build(builder, manual)
    md5 = kuairand._md5(str(manual / "KuaiRand-Pure.tar.gz"))
    monkeypatch.setitem(kuairand.ARCHIVE_MD5, "pure", md5)
    assert build(builder, manual).info.splits["train"].num_examples == 2


def test_files_that_are_not_there(tmp_path):
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "readme.txt").write_text("TFDS itself refuses an empty directory.")
    with pytest.raises(DataError, match="should hold KuaiRand-1K.tar.gz or its files, such as user"
                                        "_features_1k.csv. Received: neither. Get it from"):
        build(kuairand.Kuairand(config="1k-users", data_dir=str(tmp_path)), tmp_path / "manual")
    with pytest.raises(DataError, match="UserBehavior.csv: should be the official file. Received: "
                                        "no such file. Get UserBehavior.csv.zip from"):
        build(TaobaoUserBehavior(config="items", data_dir=str(tmp_path)), tmp_path / "manual")


MOVIELENS = PrepareSpec.from_dict({
    **CONFIG, "columns": {"user": "user_id", "item": "movie_id", "time": "timestamp"},
    "behaviors": {"rated": []}, "past_statistics": [], "prehistory": None,
    "sequences": [{"behavior": "rated", "max_length": 3, "sides": ["genre", "recency"]}],
    "features": [
        {"name": "item", "table": "interactions", "column": "movie_id", "level": "candidate"},
        {"name": "genre", "table": "items", "column": "movie_genres", "first_of_list": True},
        {"name": "is_male", "table": "interactions", "column": "user_gender", "kind": "identity",
         "size": 2},
        {"name": "age", "table": "interactions", "column": "raw_user_age", "kind": "log_bucket",
         "size": 16}],
    "tasks": [{"name": "like", "label": "user_rating", "dtype": "float32", "at_least": 4.0}]})


@pytest.fixture(scope="module")
def movielens(tmp_path_factory):
    """MovieLens 100K, the original of TFDS on a few lines."""
    root = tmp_path_factory.mktemp("movielens")
    (root / "ml-100k").mkdir()
    genres = ["0|1|0", "0|0|0"]  # Action; none.
    (root / "ml-100k" / "u.item").write_text("".join(
        f"{movie}|Fïlm ({movie})|01-Jan-1995||http://x|{flags}{'|0' * 16}\n"
        for movie, flags in zip((31, 32), genres)), encoding="ISO-8859-1")
    (root / "ml-100k" / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    (root / "ml-100k" / "u.data").write_text("1\t31\t4\t100\n2\t32\t3\t200\n1\t32\t5\t300\n")
    data_dir = str(root / "tfds")
    for config in ("100k-ratings", "100k-movies"):
        builder = tfds.builder(f"movielens/{config}", data_dir=data_dir)
        with mock.patch.object(tfds.download.DownloadManager, "download_and_extract",
                               return_value=str(root)):
            build(builder, root)
    return data_dir


def test_movielens(movielens):
    found = sorted(records(open_tfds(MOVIELENS, "movielens:100k", movielens), MOVIELENS),
                   key=lambda r: (r["user_id"], -len(r["rated_item"])))
    assert [(r["user_id"], r["item"], r["genre"], r["is_male"], r["age"], r["user_rating"],
             r["rated_item"], r["rated_genre"]) for r in found] == [
        ("1", "32", "", 1, 4, 5.0, ["31"], ["0"]), ("1", "31", "0", 1, 4, 4.0, [], []),
        ("2", "32", "", 0, 5, 3.0, [], [])]


def test_what_is_not_prepared_is_said_at_once(tmp_path, movielens):
    with pytest.raises(DataError, match="should hold the table `interactions` of 'movielens:1m', "
                                        "prepared by TFDS as movielens/1m-interactions or 1m-rat"
                                        "ings. Received: no .* Remedy: tfds build movielens/1m-r"):
        open_tfds(MOVIELENS, "movielens:1m", movielens)
    with pytest.raises(DataError, match="should hold the table `interactions` of 'x', prepared"):
        open_tfds(MOVIELENS, "x", str(tmp_path))


def test_a_feature_that_is_not_there(movielens):
    spec = dataclasses.replace(
        MOVIELENS, columns=dataclasses.replace(MOVIELENS.columns, request="session"))
    with pytest.raises(DataError, match=r"should have the features \['session'\]. Received: "
                                        r"\['bucketized_user_age', .*Mend the column names"):
        open_tfds(spec, "movielens:100k", movielens)


def test_files_of_another_format(tmp_path):
    write_official(tmp_path / "data")
    for table in ("interactions", "items", "users"):
        build(kuairand.Kuairand(config=f"pure-{table}", data_dir=str(tmp_path / "tfds"),
                                file_format="array_record"), tmp_path)
    with pytest.raises(DataError, match="should hold TFRecord files. Received: array_record. Build "
                                        "it with --file_format=tfrecord"):
        open_tfds(load_prepare_spec(ROOT / "configs/kuairand/prepare.yaml"), "kuairand:pure",
                  str(tmp_path / "tfds"))


def test_without_tfds(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match="--tfds needs the extra `tfds`. Received: no tensorflow_da"
                                        r"tasets. Remedy: pip install dtrn_tf\[tfds\]"):
        open_tfds(MOVIELENS, "movielens:100k", str(tmp_path))


def test_two_places_for_the_tables():
    with pytest.raises(DataError, match="--tfds should be given instead of --source_dir. Received: "
                                        "both, 'x' and 'y'"):
        open_source(MOVIELENS, "y", seed=0, tfds="x")


@pytest.mark.slow
def test_the_command_of_tfds_and_the_program(tmp_path):
    write_taobao(tmp_path / "raw")
    done = subprocess.run(
        [sys.executable, "-m", "tensorflow_datasets.scripts.cli.main", "build",
         f"{ROOT}/dtrn_tf/data/datasets/taobao_user_behavior.py", f"--manual_dir={tmp_path}/raw",
         f"--data_dir={tmp_path}/tfds"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    spec = tmp_path / "spec.yaml"
    spec.write_text((ROOT / "configs/taobao/prepare.yaml").read_text()
                    .replace("2017-12-01, valid_until: 2017-12-02",
                             "2017-11-25, valid_until: 2017-11-26").replace("min_count: 2", ""))
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.prepare", f"--spec={spec}", "--num_shards=1",
         "--tfds=taobao_user_behavior", f"--tfds_data_dir={tmp_path}/tfds",
         f"--data_dir={tmp_path}/data"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:4]] == [
        ["train", "1"], ["valid", "1"], ["test", "2"]]
