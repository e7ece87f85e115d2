"""Exporters as processes, without TensorFlow: each publishes versions of a few small files.

    python version_writers.py race DIRECTORY PROCESSES VERSIONS KEEP
    python version_writers.py kill DIRECTORY KEEP

`race`: so many processes publish so many versions each, at once. `kill`: one process after another
is killed at its first, second ... action on files, until one comes through. After each, the visible
versions must be whole, and the next process must leave nothing but whole versions. Prints how many
processes were killed.
"""

import os
import signal
import sys

from export.staging import staging_directory
from export.versions import publish, remove_old_versions

FILES = 4
_ACTIONS = {"open", "os.fsync", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
            "os.scandir", "shutil.rmtree", "tempfile.mkdtemp", "fcntl.flock"}


def write_version(directory, keep):
    with staging_directory(directory) as staging:
        source = os.path.join(staging, "saved_model")
        os.mkdir(source)
        for number in range(FILES):
            with open(os.path.join(source, f"file-{number}"), "w", encoding="utf-8") as file:
                file.write(staging)
        path = publish(source, directory)
    remove_old_versions(directory, keep, path)


def visible(directory):
    return sorted(int(name) for name in os.listdir(directory) if name.isdecimal())


def check_whole(directory):
    """Every version holds all of its files, by one writer, as long as it is to be seen."""
    for number in visible(directory):
        path = os.path.join(directory, str(number))
        try:
            texts = [open(os.path.join(path, name), encoding="utf-8").read()
                     for name in os.listdir(path)]
        except FileNotFoundError:
            texts = []
        whole = len(texts) == FILES and len(set(texts)) == 1 and texts[0]
        # Removed while we read: numbers are not used again.
        assert whole or not os.path.exists(path), (number, texts)


def in_a_process(function):
    process = os.fork()
    if process == 0:
        try:
            function()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return process


def exit_code(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def race(directory, processes, versions, keep):
    def write():
        for _ in range(versions):
            write_version(directory, keep)

    started = [in_a_process(write) for _ in range(processes)]
    while started:
        check_whole(directory)
        started = [p for p in started if os.waitpid(p, os.WNOHANG) == (0, 0)]


def kill(directory, keep):
    def write_until(last):
        left = [last]

        def count(event, _):
            if event in _ACTIONS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        write_version(directory, keep)

    killed = 0
    while (code := exit_code(in_a_process(lambda: write_until(killed + 1)))) != 0:
        assert code == -signal.SIGKILL, code
        killed += 1
        check_whole(directory)
        assert exit_code(in_a_process(lambda: write_version(directory, keep))) == 0
        check_whole(directory)
        assert len(os.listdir(directory)) == 1 + min(keep, len(visible(directory)))  # and .lock
    return killed


if __name__ == "__main__":
    command, directory, *numbers = sys.argv[1:]
    result = {"race": race, "kill": kill}[command](directory, *map(int, numbers))
    check_whole(directory)
    print(result or 0)
