import numpy as np
import pytest

from dtrn_tf.data.preparation.history import (
    UNKNOWN_TIME, past_counts, past_gaps, past_windows, window_ages,
)


def loop(times, occurred, max_length, users):
    """The reference: for every row, walk over all rows."""
    rows = []
    for i in range(len(times)):
        past = [j for j in range(len(times))
                if users[j] == users[i] and times[j] < times[i] and occurred[j]]
        gaps = [times[i] - times[j] for j in range(len(times))
                if users[j] == users[i] and times[j] < times[i] and times[j] != UNKNOWN_TIME]
        rows.append((past[-max_length:], len(past), min(gaps, default=-1)))
    return rows


def random_log(rng):
    """Users of 0 to 13 events each, many at equal times, some before all known times."""
    users, times = [], []
    for user in range(rng.integers(1, 5)):
        own = np.sort(rng.integers(0, 11, size=rng.integers(0, 14)))
        own[:rng.integers(0, 4)] = UNKNOWN_TIME
        users += [user] * len(own)
        times += own.tolist()
    return np.array(users, np.int64), np.array(times, np.int64), rng.random(len(times)) < 0.5


@pytest.mark.parametrize("seed", range(50))
def test_equals_the_loop(seed):
    rng = np.random.default_rng(seed)
    users, times, occurred = random_log(rng)
    max_length = int(rng.integers(1, 6))
    expected = loop(times, occurred, max_length, users)
    windows = past_windows(times, occurred, max_length, users)
    found = [windows.events[s:e].tolist() for s, e in zip(windows.starts, windows.ends)]
    assert found == [past for past, _, _ in expected]
    assert past_counts(times, occurred, users).tolist() == [count for _, count, _ in expected]
    assert past_gaps(times, users).tolist() == [gap for _, _, gap in expected]


@pytest.mark.parametrize("seed", range(7))
def test_users_do_not_see_one_another(seed):
    users, times, occurred = random_log(np.random.default_rng(seed))
    together = past_counts(times, occurred, users)
    alone = [past_counts(times[users == u], occurred[users == u]) for u in np.unique(users)]
    assert together.tolist() == np.concatenate([[], *alone]).tolist()


@pytest.mark.parametrize("seed", range(7))
def test_the_future_changes_nothing(seed):
    users, times, occurred = random_log(np.random.default_rng(100 + seed))
    row = len(times) // 2
    changed = occurred.copy()
    changed[(times >= times[row]) | (users != users[row])] ^= True
    assert past_counts(times, occurred, users)[row] == past_counts(times, changed, users)[row]


def test_events_of_the_same_instant_are_not_seen():
    times, occurred = np.array([3, 7, 7, 7, 8]), np.array([True] * 5)
    assert past_counts(times, occurred).tolist() == [0, 1, 1, 1, 4]


def test_the_newest_stands_last_and_the_oldest_is_cut():
    windows = past_windows(np.array([1, 2, 3, 4, 5]), np.array([True] * 5), 2)
    assert windows.take(np.array([4, 1])).flat().tolist() == [2, 3, 0]
    assert windows.take(np.array([4, 1])).lengths.tolist() == [2, 1]


def test_ages():
    times = np.array([UNKNOWN_TIME, 10, 13, 19])
    windows = past_windows(times, np.array([True] * 4), 9)
    rows = np.array([3, 1])
    assert window_ages(times, windows.take(rows), rows).tolist() == [-1, 9, 6, -1]


def test_no_events():
    empty = np.zeros(0, np.int64)
    assert past_counts(empty, np.zeros(0, bool)).tolist() == []
    assert past_gaps(empty, empty).tolist() == []


def test_unsorted_times_are_refused():
    with pytest.raises(ValueError, match="`times` should be sorted within each user"):
        past_counts(np.array([2, 1]), np.array([True, True]))
    past_counts(np.array([2, 1]), np.array([True, True]), users=np.array([1, 2]))
