import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import transitions
from d4rl_automl.methods import student
from d4rl_automl.policies import loading
from d4rl_automl.policies.autogluon import Predictors
from d4rl_automl.settings.kinds import NetworkSize
from d4rl_automl.tasks.outcomes import AVERAGE
from d4rl_automl.teachers import labels, training
from d4rl_automl.teachers.settings import TeacherSettings
from tests.support import learnable, synthetic

TEACHER = TeacherSettings(
    name="linear", preset="medium", rows=None, time_limit=60, chain=True, hyperparameters={"LR": {}}
)
WANTED = labels.Mixture(recorded=1200, perturbed=600, commanded=1800, noise=0.1)
FRACTIONS = [0.3, 1.2]


def rows(count: int, seed: int) -> transitions.Transitions:
    generator = np.random.default_rng(seed)
    return transitions.Transitions(
        observations=(generator.standard_normal((count, 4)) * [1e-3, 1, 10, 0]).astype(np.float32),
        actions=generator.uniform(-1, 1, (count, 2)).astype(np.float32),
        rtg=generator.uniform(0, 3, count).astype(np.float32),
        episodes=np.zeros(count, np.int32),
        steps=np.arange(count, dtype=np.int32),
        rows=np.arange(count),
        metadata={"task": "hopper"},
    )


def fraction_of(target: float) -> float:
    """That of the expert's return that an average reward-to-go of the hopper is commanded by."""
    task = tasks.get("hopper")
    return (target * task.episode_steps - task.reference_min) / (task.reference_max - task.reference_min)


@settings(max_examples=50, deadline=None)
@given(
    train=st.integers(10, 300),
    held_out=st.integers(1, 60),
    recorded=st.integers(1, 400),
    perturbed=st.integers(0, 400),
    commanded=st.integers(0, 400),
    fractions=st.lists(st.floats(-1, 2), min_size=1),
    seed=st.integers(0, 2**31),
)
def test_what_is_drawn(*, train, held_out, recorded, perturbed, commanded, fractions, seed):
    splits = {"train": rows(train, 0), "validation": rows(held_out, 1)}
    wanted = labels.Mixture(recorded, perturbed, commanded, noise=0.05)
    drawn = labels.draw(splits, fractions, wanted, seed)
    targets = [tasks.get("hopper").target(fraction) for fraction in fractions]
    assert drawn.observations.dtype == drawn.outcomes.dtype == np.float32
    for code, split in enumerate(labels.SPLITS):
        here = splits[split]
        pairs = {
            (*state, outcome) for state, outcome in zip(here.observations.tolist(), here.rtg.tolist(), strict=True)
        }
        states = {pair[:-1] for pair in pairs}
        share = len(here.rtg) / train
        for kind_code, kind in enumerate(labels.KINDS):
            chosen = (drawn.splits == code) & (drawn.kinds == kind_code)
            asked = drawn.observations[chosen].tolist()
            asked_outcomes = drawn.outcomes[chosen].tolist()
            found = [(*state, *outcome) for state, outcome in zip(asked, asked_outcomes, strict=True)]
            if kind == "recorded":
                assert len(found) == min(np.ceil(round(recorded * share, 9)), len(here.rtg))
                assert set(found) <= pairs and len(set(found)) == len(found)
            else:
                assert len(found) == np.ceil(round(getattr(wanted, kind) * share, 9))
                if kind == "commanded":
                    assert {pair[:-1] for pair in found} <= states
                    # Within the targets and the training rows' own outcomes, whichever reaches further.
                    low, high = min(*targets, splits["train"].rtg.min()), max(*targets, splits["train"].rtg.max())
                    assert all(low - 1e-6 <= pair[-1] <= high + 1e-6 for pair in found)
                else:
                    assert {pair[-1] for pair in found} <= set(here.rtg.tolist())
    again = labels.draw(splits, fractions, wanted, seed)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))


def test_noise_is_in_units_of_each_observation_and_commands_are_covered():
    splits = {"train": rows(20_000, 0), "validation": rows(2000, 1)}
    wanted = labels.Mixture(recorded=1, perturbed=40_000, commanded=40_000, noise=0.5)
    drawn = labels.draw(splits, [fraction_of(-1.0), fraction_of(4.0)], wanted, 0)
    perturbed = drawn.observations[(drawn.kinds == 1) & (drawn.splits == 0)]
    # Variances add; the observation that never varies stays as it was recorded.
    np.testing.assert_allclose(perturbed.std(0), 1.25**0.5 * splits["train"].observations.std(0), rtol=0.03)
    commanded = drawn.outcomes[(drawn.kinds == 2) & (drawn.splits == 0)]
    counts, _ = np.histogram(commanded, bins=10, range=(-1, 4))
    assert counts.sum() == 40_000 and counts.min() > 3700


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Transitions, a linear teacher, and its labels."""
    folder = tmp_path_factory.mktemp("labels")
    table = learnable.write_transitions(folder / "transitions.parquet")
    deployed = [folder / f"deployed/ac{i}" for i in range(3)]
    for i, directory in enumerate(deployed):
        training.train_dimension(
            transitions=table,
            dimension=i,
            settings=TEACHER,
            seed=0,
            device="cpu",
            threads=1,
            predictor=folder / f"ac{i}",
            deployed=directory,
            metrics=folder / f"ac{i}.csv",
            leaderboard=folder / f"ac{i}.leaderboard.csv",
        )
    for name in ("labels", "again"):
        labels.write(
            transitions=table,
            deployed=deployed,
            fractions=FRACTIONS,
            mixture=WANTED,
            seed=3,
            threads=1,
            output=folder / f"{name}.parquet",
        )
    return folder


def test_labels_are_the_teachers_actions(made):
    table = pq.read_table(made / "labels.parquet")
    frame = table.to_pandas()
    assert frame.groupby(["split", "kind"], observed=True).size().to_dict() == {
        ("train", "recorded"): 1200,
        ("train", "perturbed"): 600,
        ("train", "commanded"): 1800,
        ("validation", "recorded"): 400,
        ("validation", "perturbed"): 200,
        ("validation", "commanded"): 600,
    }
    # One row at a time, so that a mix-up of batches or of columns would show.
    predictors = Predictors([made / f"deployed/ac{i}" for i in range(3)], AVERAGE, TEACHER.chain, 1)
    for i in np.random.default_rng(0).choice(len(frame), 20, replace=False):
        row = frame.iloc[[i]]
        acted = predictors.act(row[[f"ob{k}" for k in range(11)]].to_numpy(), row[["rtg"]].to_numpy())
        np.testing.assert_allclose(row[["ac0", "ac1", "ac2"]].to_numpy(), acted, atol=1e-6)
    metadata = json.loads(table.schema.metadata[b"d4rl_automl"])
    assert metadata["targets"] == [tasks.get("hopper").target(fraction) for fraction in FRACTIONS]
    assert (metadata["dataset"], metadata["sha256"], metadata["teacher"]) == ("hopper-known", "ab" * 32, "linear")
    assert metadata["settings"] == {"recorded": 1200, "perturbed": 600, "commanded": 1800, "noise": 0.1}
    assert table.equals(pq.read_table(made / "again.parquet"))


def test_a_student_learns_the_teacher_not_the_data(made, tmp_path):
    method = student.Settings(
        name="linear-student",
        kind="student",
        teacher="linear",
        network=NetworkSize(width=64, layers=2),
        updates=3400,
        batch_size=64,
        learning_rate=3e-3,
    )
    handle = tmp_path / "linear-student-s0.json"
    student.fit(
        transitions=str(made / "transitions.parquet"),
        settings=method,
        seed=0,
        device="cpu",
        threads=1,
        output=str(handle),
        labels=str(made / "labels.parquet"),
    )
    test = transitions.read(made / "transitions.parquet", splits=("test",))
    predictors = Predictors([made / f"deployed/ac{i}" for i in range(3)], AVERAGE, TEACHER.chain, 1)
    taught = predictors.act(test.observations, test.rtg[:, None])
    acted = loading.load_policy(handle).act(test.observations, test.rtg[:, None])
    recorded = learnable.actions(test.observations, test.rtg)
    assert np.mean((acted - taught) ** 2) < 0.002
    assert np.mean((acted - recorded) ** 2) > 0.01
    training = json.loads(handle.read_text())["training"]
    assert training["rows"] == 3600
    fits = [json.loads((made / f"deployed/ac{i}/training.json").read_text())["fit_seconds"] for i in range(3)]
    assert training["teacher_seconds"] == pytest.approx(sum(fits), abs=0.01)


def test_refuses_another_table(made):
    with pytest.raises(InputError, match=r"transitions\.parquet: the metadata key 'teacher' is missing"):
        labels.read(made / "transitions.parquet", "train")


def test_refuses_a_changed_value(made, tmp_path):
    damaged = synthetic.flip_value(made / "labels.parquet", tmp_path / "labels.parquet")
    with pytest.raises(InputError, match=r"labels\.parquet: cannot be read .*delete it and run snakemake again"):
        labels.read(damaged, "train")
