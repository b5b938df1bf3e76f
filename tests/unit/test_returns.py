import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d4rl_automl.data import returns


def rvs_loop(rewards, ended, average):
    """The definition, one row at a time, in Python's own float64."""
    bounds, start = [], 0
    for row, last in enumerate(ended):
        if last or row == len(ended) - 1:
            bounds.append((start, row + 1, bool(last)))
            start = row + 1
    longest = max((end - start for start, end, finished in bounds if finished), default=0)
    result = []
    for start, end, _ in bounds:
        for row in range(start, end):
            total = 0.0
            for later in reversed(range(row, end)):
                total += float(rewards[later])
            left = longest - (row - start)
            result.append(total if not average else total / left if left > 0 else float("nan"))
    return np.array(result)


@st.composite
def recordings(draw):
    """Rewards and flags of up to 60 rows, episodes of any length, the last one finished or not."""
    rows = draw(st.integers(1, 60))
    rewards = draw(st.lists(st.floats(-1e6, 1e6, width=32), min_size=rows, max_size=rows))
    flag = st.sampled_from([(False, False)] * 6 + [(True, False), (False, True), (True, True)])
    flags = np.array(draw(st.lists(flag, min_size=rows, max_size=rows)))
    return np.array(rewards, np.float32), flags[:, 0], flags[:, 1]


@given(recordings(), st.booleans())
def test_equals_the_loop(recording, average):
    rewards, terminated, truncated = recording
    result = returns.reward_to_go(rewards, terminated, truncated, average)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, rvs_loop(rewards, terminated | truncated, average), rtol=1e-6, atol=0)


@given(recordings())
def test_episodes_tile_the_rows(recording):
    _, terminated, truncated = recording
    ended = terminated | truncated
    where = returns.episodes(terminated, truncated)
    np.testing.assert_array_equal(where.index(), np.concatenate([[0], np.cumsum(ended)[:-1]]))
    assert where.lengths.sum() == len(ended)
    np.testing.assert_array_equal(np.flatnonzero(where.steps() == 0), where.starts)
    assert where.finished[:-1].all()
    assert where.finished[-1] == ended[-1]


def test_worked_example():
    rewards = [1, 2, 3, 4, 5, 6, 7, 8]
    terminated = [0, 0, 0, 0, 0, 1, 0, 0]
    truncated = [0, 0, 0, 1, 0, 0, 0, 0]
    np.testing.assert_allclose(
        returns.reward_to_go(rewards, terminated, truncated), [10 / 4, 9 / 3, 7 / 2, 4, 11 / 4, 6 / 3, 15 / 4, 8 / 3]
    )


def test_a_tail_that_outlasts_every_finished_episode_is_nan_from_there_on():
    result = returns.reward_to_go(np.ones(5), [False, True, False, False, False], np.zeros(5, bool))
    np.testing.assert_array_equal(result, [1, 1, 1.5, 2, np.nan])


def test_no_rows():
    assert returns.reward_to_go([], [], []).shape == (0,)


@pytest.mark.parametrize(
    "rewards, truncated", [(np.ones(3), np.zeros(2)), (np.ones(2), np.zeros(3)), (np.ones((3, 1)), np.zeros(3))]
)
def test_shapes_must_agree(rewards, truncated):
    with pytest.raises(ValueError, match="must both be"):
        returns.reward_to_go(rewards, np.zeros(3), truncated)
