"""What a fit tells of itself while it runs."""

import re
from collections.abc import Iterator

import numpy as np
import pytest

from d4rl_automl.learners import forests, progress
from d4rl_automl.settings.kinds import ForestSettings


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    caplog.set_level("INFO", "d4rl_automl.learners.progress")
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def left(message: str) -> int | None:
    """Seconds that a line says are left."""
    found = re.search(r"(?:(\d+):)?(\d+):(\d+) left", message)
    return None if found is None else int(np.dot([int(part or 0) for part in found.groups()], [3600, 60, 1]))


def run(clock: Clock, total: int, first: int, seconds: float, evaluate: int) -> Iterator[float]:
    """A fit whose first step is number `first`, and every step takes so long; yields what is left after each."""
    told = progress.Progress("update", total)
    for done in range(first, total + 1):
        if done % evaluate == 0:
            told.evaluated(done, {"loss": 0.5, "validation": 0.25})
        told.advance(done)
        yield (total - done) * seconds
        clock.now += seconds


@pytest.mark.parametrize("first", [1, 701])
def test_what_is_left_is_what_it_takes_also_of_a_fit_that_goes_on(
    clock: Clock, caplog: pytest.LogCaptureFixture, first: int
) -> None:
    # What was loaded before the first step is no measure of those to come.
    clock.now += 500
    truth = []
    for remaining in run(clock, 1000, first, 2.0, 100):
        truth += [remaining] * (len(caplog.messages) - len(truth))
    said = [left(message) for message in caplog.messages]
    # Every half minute, and at every evaluation.
    assert len(said) == pytest.approx((1000 - first) * 2 / 30, rel=0.2)
    assert said[-1] is None and truth[-1] == 0
    assert said[:-1] == pytest.approx(truth[:-1], abs=1)
    evaluated = [record for record in caplog.records if hasattr(record, "losses")]
    assert [record.step for record in evaluated] == list(range(-(-first // 100) * 100, 1001, 100))
    assert all(record.losses == {"loss": 0.5, "validation": 0.25} for record in evaluated)
    assert "loss 0.50000, validation 0.25000" in caplog.messages[-1] and "update 1000/1000" in caplog.messages[-1]


def test_it_follows_a_machine_that_gets_slower(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    told = progress.Progress("update", 10_000)
    for done in range(1, 6001):
        told.advance(done)
        clock.now += 0.1 if done < 4000 else 1.0
    assert left(caplog.messages[-1]) == pytest.approx(4000, rel=0.02)


def test_a_fit_of_no_time_tells_its_evaluations_alone(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    list(run(clock, 20, 1, 0.0, 5))
    assert len(caplog.messages) == 4 and [left(message) for message in caplog.messages] == [0, 0, 0, None]


@pytest.mark.parametrize("library", ["xgboost", "catboost"])
def test_forests_tell_the_losses_of_their_curve(caplog: pytest.LogCaptureFixture, library: str) -> None:
    caplog.set_level("INFO")
    inputs = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
    samples = forests.Samples(inputs, np.tanh(inputs[:, :2]))
    settings = ForestSettings(name="f", kind="f", trees=45, depth=2, learning_rate=0.1)
    fitted = getattr(forests, f"fit_{library}")(samples, samples, settings, seed=0, threads=1)
    told = [record for record in caplog.records if hasattr(record, "losses")]
    assert [record.step for record in told] == [*range(2, 45, 2), 45]
    curve = fitted.curve.set_index("update").loc[[record.step for record in told]]
    for name, column in (("loss", "training_loss"), ("validation", "validation_loss")):
        np.testing.assert_allclose([record.losses[name] for record in told], curve[column], rtol=1e-6)
    nothing = forests.Samples(inputs[:0], inputs[:0, :2])
    caplog.clear()
    getattr(forests, f"fit_{library}")(samples, nothing, settings, seed=0, threads=1)
    assert {name for record in caplog.records if hasattr(record, "losses") for name in record.losses} == {"loss"}
