import os
import pathlib
import subprocess
import sys
import threading

import pytest

from dtrn_tf.errors import UserError
from export import versions
from export.staging import staging_directory

WRITERS = pathlib.Path(__file__).with_name("version_writers.py")


def make_version(directory, text="whole"):
    """A finished directory under a name that no server reads."""
    os.makedirs(directory)
    with open(os.path.join(directory, "saved_model.pb"), "w", encoding="utf-8") as file:
        file.write(text)
    return str(directory)


def test_model_directory_is_made(tmp_path):
    path = versions.model_directory(str(tmp_path / "models"), "dtrn-1.b_2")
    assert os.path.isdir(path)
    assert path == str(tmp_path / "models" / "dtrn-1.b_2")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", ".hidden", "a b", "-a"])
def test_model_name_must_be_a_plain_name(tmp_path, name):
    with pytest.raises(UserError, match=r"--model_name should be letters.*Received: '"):
        versions.model_directory(str(tmp_path), name)
    assert not os.listdir(tmp_path)


def test_export_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--export_dir should be a directory .* Not a directory"):
        versions.model_directory(str(tmp_path / "file"), "dtrn")
    with pytest.raises(UserError, match=r"--export_dir should be a directory .* Not a directory"):
        with staging_directory(str(tmp_path / "file")):
            pass


def test_next_version_is_above_the_highest_number(tmp_path):
    assert versions.next_version(str(tmp_path)) == 1
    for name in ("2", "10", "11.tmp", "latest", "-12", ".incomplete-13"):
        (tmp_path / name).mkdir()
    assert versions.next_version(str(tmp_path)) == 11


def test_publish_takes_the_next_or_the_chosen_number(tmp_path):
    first = versions.publish(make_version(tmp_path / "a"), str(tmp_path))
    chosen = versions.publish(make_version(tmp_path / "b", "chosen"), str(tmp_path), 7)
    then = versions.publish(make_version(tmp_path / "c"), str(tmp_path))
    assert [first, chosen, then] == [str(tmp_path / n) for n in ("1", "7", "8")]
    assert (tmp_path / "7" / "saved_model.pb").read_text() == "chosen"
    assert sorted(os.listdir(tmp_path)) == ["1", "7", "8"]


def test_a_taken_version_is_an_error_and_stays_as_it_is(tmp_path):
    versions.publish(make_version(tmp_path / "a", "old"), str(tmp_path), 3)
    match = r"--version should be a number that is not taken\. Received: 3.*Remedy: leave"
    with pytest.raises(UserError, match=match):
        versions.check_version_is_free(str(tmp_path), 3)
    with pytest.raises(UserError, match=match):
        versions.publish(make_version(tmp_path / "b", "new"), str(tmp_path), 3)
    assert (tmp_path / "3" / "saved_model.pb").read_text() == "old"
    versions.check_version_is_free(str(tmp_path), 4)
    versions.check_version_is_free(str(tmp_path), None)


def test_other_errors_of_the_file_system_come_through(tmp_path):
    with pytest.raises(FileNotFoundError):
        versions.publish(str(tmp_path / "absent"), str(tmp_path))


def test_exporters_that_race_get_a_version_each(tmp_path):
    sources = [make_version(tmp_path / "staging" / str(n), f"by {n}") for n in range(40)]
    models = tmp_path / "models"
    models.mkdir()
    start = threading.Barrier(8)

    def export(mine):
        start.wait()
        for source in mine:
            versions.publish(source, str(models))

    threads = [threading.Thread(target=export, args=(sources[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, os.listdir(models))) == list(range(1, 41))
    texts = {(path / "saved_model.pb").read_text() for path in models.iterdir()}
    assert texts == {f"by {n}" for n in range(40)}


def test_of_two_that_race_for_one_version_one_gets_it(tmp_path, monkeypatch):
    # The other exporter is faster between the look and the rename.
    monkeypatch.setattr(versions, "next_version", lambda _, numbers=iter([1, 2]): next(numbers))
    make_version(tmp_path / "1", "theirs")
    assert versions.publish(make_version(tmp_path / "a", "ours"), str(tmp_path)).endswith("2")
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "theirs"


def test_old_versions_are_removed_but_not_the_published_one(tmp_path):
    for number in (1, 2, 9, 10, 11):
        make_version(tmp_path / str(number))
    (tmp_path / "notes").mkdir()
    (tmp_path / "003").mkdir()
    published = str(tmp_path / "1")
    removed = versions.remove_old_versions(str(tmp_path), 2, published)
    assert removed == [str(tmp_path / "2"), str(tmp_path / "9")]
    assert sorted(os.listdir(tmp_path)) == [".lock", "003", "1", "10", "11", "notes"]
    assert versions.remove_old_versions(str(tmp_path), 9, published) == []


def test_a_version_is_renamed_before_it_is_removed(tmp_path, monkeypatch):
    """So a server never sees a part of it."""
    for number in (1, 2):
        make_version(tmp_path / str(number))
    seen = []
    monkeypatch.setattr("shutil.rmtree", lambda path, **_: seen.append(
        (os.listdir(path), sorted(n for n in os.listdir(tmp_path) if n.isdecimal()))))
    versions.remove_old_versions(str(tmp_path), 1, str(tmp_path / "2"))
    assert [(sorted(staged), visible) for staged, visible in seen] == [(["1", "lock"], ["2"])]


def test_a_version_that_another_exporter_removed_is_no_error(tmp_path, monkeypatch):
    make_version(tmp_path / "2")
    monkeypatch.setattr(versions, "version_numbers", lambda _: [1, 2])
    assert versions.remove_old_versions(str(tmp_path), 1, str(tmp_path / "2")) == []


def test_staging_directory_is_hidden_from_servers_and_removed(tmp_path):
    with staging_directory(str(tmp_path)) as staging:
        assert os.path.dirname(staging) == str(tmp_path)
        assert not os.path.basename(staging).isdecimal()
        make_version(os.path.join(staging, "saved_model"))
    assert os.listdir(tmp_path) == [".lock"]
    with pytest.raises(KeyboardInterrupt):
        with staging_directory(str(tmp_path)) as staging:
            make_version(os.path.join(staging, "saved_model"))
            raise KeyboardInterrupt
    assert os.listdir(tmp_path) == [".lock"]


def test_staging_directories_of_the_living_stay(tmp_path):
    make_version(tmp_path / ".incomplete-dead")
    with staging_directory(str(tmp_path)) as first:
        assert not (tmp_path / ".incomplete-dead").exists()
        make_version(os.path.join(first, "saved_model"))
        with staging_directory(str(tmp_path)):
            assert os.path.exists(os.path.join(first, "saved_model", "saved_model.pb"))


def run_writers(*arguments):
    done = subprocess.run([sys.executable, WRITERS, *map(str, arguments)], text=True,
                          capture_output=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(WRITERS.parents[2])})
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_processes_that_race_never_mix_their_files(tmp_path):
    run_writers("race", tmp_path, 6, 15, 5)
    assert sorted(os.listdir(tmp_path)) == sorted([".lock", "86", "87", "88", "89", "90"])


def test_a_process_killed_at_any_moment_shows_nothing_half_and_leaves_nothing(tmp_path):
    assert run_writers("kill", tmp_path, 2) > 25
