"""Goals as outcomes: drawn of the positions that an episode came to later, learned from, and commanded."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d4rl_automl import BatchSimulator, Policy, rollout, tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import transitions
from d4rl_automl.evaluation import comparison
from d4rl_automl.learners import checkpoints, fitting
from d4rl_automl.learners.relabelling import Draws, Relabelling
from d4rl_automl.methods import bc, catboost_student, mlp, rcdtp, rvs, rvs_g, rvs_r, rwdtp, student, teacher
from d4rl_automl.plan.config import validated
from d4rl_automl.plan.run import Plan
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.tasks.outcomes import AVERAGE, GOAL, NONE, REDUCED
from d4rl_automl.tasks.seeds import episode_seeds
from d4rl_automl.teachers import labels, training
from d4rl_automl.teachers.settings import TeacherSettings
from tests.support import corridor

HERE = {"seed": 0, "device": "cpu", "threads": 1}
NETWORK = {"network": {"width": 64, "layers": 2}, "updates": 500, "batch_size": 256, "learning_rate": 0.003}
FOREST = {"trees": 5, "depth": 3}
TEACHER = TeacherSettings(
    name="networks",
    preset="medium",
    rows=500,
    time_limit=60,
    chain=False,
    goal_draws=3,
    hyperparameters={"NN_TORCH": {"num_epochs": 1, "hidden_size": 16, "num_layers": 1}},
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return corridor.write_transitions(tmp_path_factory.mktemp("corridor"))


@pytest.fixture(scope="module")
def taught(table, tmp_path_factory):
    """A teacher's directories for acting, of which the last is that of several dimensions, and its labels."""
    folder = tmp_path_factory.mktemp("taught")
    for dimension in range(2):
        training.train_dimension(
            transitions=table,
            dimension=dimension,
            settings=TEACHER,
            **HERE,
            predictor=folder / f"ac{dimension}",
            deployed=folder / f"deployed/ac{dimension}",
            metrics=folder / f"ac{dimension}.csv",
            leaderboard=folder / f"ac{dimension}.leaderboard.csv",
        )
    deployed = [str(folder / "deployed/ac0"), *[str(folder / "deployed/ac1")] * 7]
    mixture = labels.Mixture(recorded=300, perturbed=200, commanded=400, noise=0.05)
    path = folder / "labels.parquet"
    labels.write(transitions=table, deployed=deployed, fractions=(), mixture=mixture, seed=0, threads=1, output=path)
    return {"deployed": deployed, "labels": str(path)}


# What is drawn -----------------------------------------------------------------------------------


def visited_of(lengths: list[int], rows: list[int] | None = None) -> transitions.Visited:
    """Of episodes whose positions are their own numbers, of all rows or some."""
    ends = np.cumsum(lengths)
    last = np.repeat(ends - 1, lengths)
    at = np.arange(ends[-1]) if rows is None else np.array(rows)
    numbers = np.arange(ends[-1], dtype=np.float32)
    return transitions.Visited(np.column_stack([numbers, numbers]), at, last[at])


@st.composite
def some_rows(draw: st.DrawFn) -> transitions.Visited:
    lengths = draw(st.lists(st.integers(1, 30), min_size=1, max_size=8))
    chosen = draw(st.sets(st.integers(0, sum(lengths) - 1), min_size=1))
    return visited_of(lengths, sorted(chosen))


@given(visited=some_rows(), seed=st.integers(0, 2**31))
def test_a_goal_is_of_the_rows_own_episode_and_not_before_it(visited, seed):
    """Of tabular rows, and of every batch."""
    rows = transitions.Transitions(
        *(np.empty(0, np.float32) for _ in range(3)),
        *(np.empty(0, np.int32) for _ in range(2)),
        visited.at,
        {},
        visited,
    )
    recorded = GOAL.recorded(rows, np.random.default_rng(seed))
    assert recorded.dtype == np.float32 and recorded.shape == (len(visited.at), 2)
    order = torch.from_numpy(np.random.default_rng(seed).integers(len(visited.at), size=50))
    later = Draws(Relabelling(visited), "cpu", seed).later(order).numpy()
    for at, last, goal in (
        (visited.at, visited.last, recorded[:, 0]),
        (visited.at[order], visited.last[order], later),
    ):
        assert (goal >= at).all() and (goal <= last).all()


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=8), seed=st.integers(0, 2**31))
def test_a_pair_is_of_one_episode_and_in_order(lengths, seed):
    visited = visited_of(lengths)
    rows, goals = (found.numpy() for found in Draws(Relabelling(visited, pairs=True), "cpu", seed).pairs(200))
    assert (rows <= goals).all() and (goals <= visited.last[rows]).all()


def test_every_later_position_is_as_likely_as_the_others():
    visited = visited_of([7, 3])
    draws = Draws(Relabelling(visited), "cpu", 0)
    later = draws.later(torch.full((30_000,), 2)).numpy()
    counts = np.bincount(later, minlength=10)
    assert counts[[0, 1, 7, 8, 9]].sum() == 0
    # Five standard deviations of a fifth of them.
    assert np.abs(counts[2:7] - 6000).max() < 5 * (30_000 * 0.2 * 0.8) ** 0.5


def test_pairs_are_distributed_as_published():
    """Against every u and v told one by one: an episode of L, floor(u (L - 1)) and floor(v L), each value as likely."""
    lengths = [1, 2, 5, 9]
    expected = np.zeros((17, 17))
    start = 0
    for length in lengths:
        steps = max(1, length - 1)
        for first in range(steps):
            for second in range(length):
                low, high = sorted((first, second))
                expected[start + low, start + high] += 1 / (len(lengths) * steps * length)
        start += length
    count = 200_000
    draws = Draws(Relabelling(visited_of(lengths), pairs=True), "cpu", 0)
    found = np.zeros((17, 17))
    np.add.at(found, tuple(drawn.numpy() for drawn in draws.pairs(count)), 1)
    assert expected.sum() == pytest.approx(1) and not found[expected == 0].any()
    deviation = np.sqrt(count * expected * (1 - expected))
    assert (np.abs(found - count * expected)[expected > 0] < 5 * deviation[expected > 0]).all()


def test_rows_know_where_their_episode_came_to(table):
    """Whatever the limit; against the whole table, row by row."""
    whole = pq.read_table(table).to_pandas()
    rows = transitions.read(table, splits=("train", "test"), limit=300, seed=1)
    kept = whole[whole["split"].isin(["train", "test"])].reset_index()
    np.testing.assert_array_equal(rows.visited.positions, kept[["ob0", "ob1"]])
    np.testing.assert_array_equal(kept["index"][rows.visited.at], rows.rows)
    np.testing.assert_array_equal(rows.visited.positions[rows.visited.at], rows.observations[:, :2])
    for row, last in zip(rows.rows, rows.visited.last, strict=True):
        own = kept[kept["episode"] == whole["episode"][row]]
        assert kept["index"][last] == own["index"].max()
    few = transitions.whole_episodes(table, "train", 500, 3)
    lengths = whole[whole["split"] == "train"].groupby("episode").size()
    left = lengths.drop(few)
    assert lengths[few].sum() <= 500 < lengths[few].sum() + left.max()
    assert transitions.whole_episodes(table, "train", None, 0).tolist() == lengths.index.tolist()


# What is recorded --------------------------------------------------------------------------------


def test_the_reward_to_go_is_of_episodes_that_the_goal_ends(table):
    """Against a loop over the rows from the last to the first, as RvS-R's (terminals or timeouts)."""
    whole = pq.read_table(table).to_pandas()
    ends = (whole["reward"] > 0) | whole["truncated"]
    steps, lengths, length = [], [], 0
    for end in ends:
        steps.append(length)
        length += 1
        if end:
            lengths.append(length)
            length = 0
    expected, total = [], 0.0
    for reward, end, step in list(zip(whole["reward"], ends, steps, strict=True))[::-1]:
        total = reward + (0.0 if end else total)
        expected.append(total / (max(lengths) - step))
    np.testing.assert_allclose(whole["rtg"], expected[::-1], rtol=1e-6)
    paid = whole.groupby("episode")["reward"].sum()
    assert paid.max() == 2 and (paid == 0).any(), "the walk goes on at the goal"
    rows = transitions.read(table, splits=("train",))
    left = whole[::-1].groupby("episode")["reward"].cumsum()[::-1]
    undivided = REDUCED.recorded(rows, np.random.default_rng(0))
    np.testing.assert_array_equal(undivided, np.column_stack([left[rows.rows] > 0, rows.steps]))


# Fits --------------------------------------------------------------------------------------------


@pytest.fixture
def small(table, monkeypatch) -> dict[str, fitting.Samples]:
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    rows = transitions.read(table, splits=("train",))
    few = transitions.read(table, splits=("train",), limit=100, seed=0)
    held_out = transitions.read(table, splits=("validation",))
    return {
        "later": fitting.Samples.of(few, GOAL, afresh=True),
        "pairs": fitting.Samples.of_pairs(rows, GOAL, afresh=True),
        "fixed": fitting.Samples.of(few, GOAL),
        "held out": fitting.Samples.of(held_out, GOAL),
        "held out pairs": fitting.Samples.of_pairs(held_out, GOAL),
    }


@pytest.mark.parametrize("drawn", ["later", "pairs"])
def test_a_fit_whose_goals_are_drawn_goes_on_from_wherever_it_was_interrupted(small, tmp_path, drawn):
    arguments = small[drawn], small["held out"], fitting.Settings(8, 1, 9, 40, 1e-2, gaussian=drawn == "pairs")
    kept = checkpoints.Checkpoint(tmp_path / "c.pt")

    class KeepAll(fitting.Callback):
        def on_update(self, training):
            kept.path.rename(tmp_path / f"{training.update}.pt")

    expected = fitting.fit(*arguments, **HERE, callbacks=[kept, KeepAll()])
    for update in (1, 3, 4, 8):
        found = fitting.fit(*arguments, **HERE, callbacks=[checkpoints.Checkpoint(tmp_path / f"{update}.pt")])
        weights = found.network.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in expected.network.state_dict().items()), update
        pd.testing.assert_frame_equal(*(fit.curve.drop(columns="seconds") for fit in (found, expected)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("drawn", ["later", "pairs"])
def test_goals_are_drawn_on_a_gpu_beside_the_graph_of_an_update(small, tmp_path, drawn):
    """Repeated and gone on from to the bit, and near the processor's loss."""
    arguments = small[drawn], small["held out"], fitting.Settings(32, 2, 60, 40, 1e-3, gaussian=drawn == "pairs")

    class Save(checkpoints.Checkpoint):
        def on_update(self, training):
            if training.update == 31:
                super().on_update(training)

    here = HERE | {"device": "cuda"}
    first = fitting.fit(*arguments, **here, callbacks=[Save(tmp_path / "c.pt")])
    again = fitting.fit(*arguments, **here)
    resumed = fitting.fit(*arguments, **here, callbacks=[checkpoints.Checkpoint(tmp_path / "c.pt")])
    for other in (again, resumed):
        weights = other.network.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in first.network.state_dict().items())
    loss = fitting.fit(*arguments, **HERE).summary["validation_loss"]
    assert first.summary["validation_loss"] == pytest.approx(loss, rel=0.2, abs=0.1)


def test_goals_are_drawn_anew_for_every_batch_and_held_out_ones_once(small):
    training_ = fitting.Training(
        small["later"], small["held out"], fitting.Settings(8, 1, 9, 100, 1e-2), seed=0, device="cpu", threads=1
    )
    seen = []
    for _ in range(2):
        batch = training_._next()
        goals = np.empty(100, np.int64)
        goals[batch.rows] = batch.goals
        seen.append(goals)
        training_.step()
    assert 0.2 < (seen[0] == seen[1]).mean() + 0.2 < 0.5
    pairs = small["held out pairs"]
    assert pairs.relabelling is None and len(pairs) == len(small["held out"])
    assert not np.array_equal(pairs.observations, small["held out"].observations)
    # A checkpoint of a fit with other goals is of another fit.
    keys = {checkpoints._key(self) for self in trainings(small)}
    assert len(keys) == 3


def trainings(small: dict[str, fitting.Samples]) -> Iterator[fitting.Training]:
    for name in ("later", "pairs", "fixed"):
        yield fitting.Training(
            small[name], small["held out"], fitting.Settings(8, 1, 9, 100, 1e-2), seed=0, device="cpu", threads=1
        )


# Methods -----------------------------------------------------------------------------------------

METHODS = {
    "rvs": (rvs, NETWORK, GOAL),
    "rvs_g": (rvs_g, {}, GOAL),
    "mlp": (mlp, {**NETWORK, "rows": None}, GOAL),
    "rvs_r": (rvs_r, {}, AVERAGE),
    "bc": (bc, {**NETWORK, "updates": 5, "best": 0.2}, NONE),
    "rcdtp": (rcdtp, FOREST, REDUCED),
    "rwdtp": (rwdtp, FOREST, NONE),
    "teacher": (teacher, {"teacher": "networks"}, GOAL),
    "exported": (teacher, {"teacher": "networks", "export": True}, GOAL),
    "student": (student, {**NETWORK, "updates": 5, "teacher": "networks"}, GOAL),
    "catboost_student": (catboost_student, {**FOREST, "teacher": "networks"}, GOAL),
}


def make(kind, transitions_, output, taught, **changes):
    module, entry, _ = METHODS[kind]
    given = {}
    if "teacher" in entry:
        name = "labels" if module in (student, catboost_student) else "deployed"
        given = {name: taught[name]}
    module.fit(
        transitions=str(transitions_),
        settings=module.Settings.model_validate({"name": kind, "kind": module.METHOD.kind, **entry, **changes}),
        output=str(output),
        **HERE,
        **given,
    )
    return load_policy(output)


@pytest.fixture
def _briefly(monkeypatch):
    monkeypatch.setattr(rvs_g, "WIDTH", 64)
    monkeypatch.setattr(rvs_g, "BATCH_SIZE", 256)
    monkeypatch.setattr(rvs_g, "LEARNING_RATE", 3e-3)
    monkeypatch.setattr(rvs_g, "UPDATES", 500)
    monkeypatch.setattr(rvs_r, "WIDTH", 8)
    monkeypatch.setattr(rvs_r, "EPOCHS", 2)


@pytest.mark.usefixtures("_briefly")
@pytest.mark.parametrize("kind", METHODS)
def test_every_kind_is_fitted_to_a_maze(table, taught, tmp_path, kind):
    played = make(kind, table, tmp_path / "p-s0.json", taught)
    assert played.outcome_rule is METHODS[kind][2]
    assert played.metadata["observation_size"] == 29
    if kind in ("rcdtp", "catboost_student"):
        shares = pd.read_csv(tmp_path / "p-s0.importance.csv")
        assert list(shares["feature"][29:]) == list(played.outcome_rule.columns)
    test = transitions.read(table, splits=("test",), limit=10, seed=0)
    acted = played.act(test.observations, played.outcome_rule.recorded(test, np.random.default_rng(0)))
    assert acted.shape == (10, 8)
    if kind == "rvs_g":
        facts = played.metadata["training"]
        whole = pq.read_table(table, columns=["split", "episode"]).to_pandas()
        assert facts["splits"] == ["train", "validation", "test"]
        # A tenth of the 200 episodes is held out; which, is drawn by the seed.
        assert facts["rows"] + facts["validation_rows"] == len(whole)
        assert len(whole) * 0.05 < facts["validation_rows"] < len(whole) * 0.15
    if kind in ("rvs", "rvs_g", "mlp"):
        goes_where_it_is_told(played)


def goes_where_it_is_told(played: Policy) -> None:
    """From anywhere in the corridor to anywhere else, which often leads away from it through the air."""
    generator = np.random.default_rng(0)
    along, goal = generator.uniform(1, 23, (2, 1000))
    apart = np.abs(along - goal) > 2
    along, goal = along[apart], goal[apart]
    states = np.column_stack([corridor.positions(along), np.zeros((len(along), 27))])
    acted = played.act(states, corridor.positions(goal))[:, :2]
    wanted = corridor.directions(along, goal > along)
    assert ((acted * wanted).sum(axis=1) > 0.4).mean() > 0.95


def test_a_part_of_the_episodes_is_a_part_of_the_rows(table, tmp_path):
    content = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        entry = {**NETWORK, "updates": 5, "rows": 400}
        module_settings = rvs.Settings.model_validate({"name": "rvs", "kind": "rvs", **entry})
        rvs.fit(
            transitions=str(table),
            settings=module_settings,
            output=str(tmp_path / f"{name}.json"),
            **{**HERE, "seed": seed},
        )
        assert 342 < json.loads((tmp_path / f"{name}.json").read_text())["training"]["rows"] <= 400
        content.append((tmp_path / f"{name}.onnx").read_bytes())
    assert content[0] == content[1] != content[2]


def test_policies_are_compared_on_the_same_goals(table, taught, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "SECONDS", 0.01)
    handles = [tmp_path / f"{kind}.json" for kind in ("teacher", "exported")]
    for handle in handles:
        make(handle.stem, table, handle, taught)
    comparison.compare(transitions=table, policies=handles, threads=1, output=tmp_path / "students.csv")
    found = pd.read_csv(tmp_path / "students.csv")
    assert found["l2_data"].min() > 0.001 and np.ptp(found["l2_data"]) < 1e-6
    assert (found["l2_teacher"] < 1e-8).all()


# Teachers ----------------------------------------------------------------------------------------


def test_a_teacher_sees_every_transition_with_several_goals(table):
    train, validation = training.training_data(table, 1, TEACHER.model_copy(update={"chain": True}), 5)
    drawn = transitions.read(table, limit=500, seed=5)
    assert list(train.columns) == [*(f"ob{i}" for i in range(29)), "goal_x", "goal_y", "ac0", "target"]
    assert (len(train), len(validation)) == (1500, 150)
    goals = train[["goal_x", "goal_y"]].to_numpy().reshape(3, 500, 2)
    observed = train[[f"ob{i}" for i in range(29)]].to_numpy().reshape(3, 500, 29)
    assert (observed == drawn.observations).all() and np.ptp(goals, axis=0).any(axis=1).mean() > 0.7
    # Every dimension is told the same goals.
    other, _ = training.training_data(table, 0, TEACHER, 5)
    np.testing.assert_array_equal(other[["goal_x", "goal_y"]], train[["goal_x", "goal_y"]])


def test_labels_are_of_later_positions_and_of_the_tasks_goals(table, taught):
    found = pq.read_table(taught["labels"]).to_pandas()
    asked = found[found["kind"] == "commanded"]
    maze = tasks.get(corridor.TASK).maze
    assert ((asked["goal_x"] >= 0) & (asked["goal_x"] <= 1.5)).all()
    assert ((asked["goal_y"] >= maze.centre(maze.goal)[1]) & (asked["goal_y"] <= 9.5)).all()
    assert asked["goal_x"].nunique() == len(asked)
    recorded = found[found["kind"] == "recorded"].astype({"goal_x": "float32", "goal_y": "float32"})
    whole = pq.read_table(table).to_pandas()
    key = [f"ob{i}" for i in range(29)]
    joined = recorded.merge(whole[[*key, "episode", "step"]], on=key)
    assert len(joined) == len(recorded)
    later = joined.merge(whole[["ob0", "ob1", "episode", "step"]], on="episode", suffixes=("", "_later"))
    later = later[(later["ob0_later"] == later["goal_x"]) & (later["ob1_later"] == later["goal_y"])]
    assert (later["step_later"] >= later["step"]).all() and len(later) == len(recorded)
    read = labels.read(taught["labels"], "validation")
    assert read.rule is GOAL and read.outcomes.shape == (len(read.actions), 2)


# Plans and play ----------------------------------------------------------------------------------

MAZE, HOPPER = "antmaze-umaze-v2", "hopper-medium-v2"
CONFIG = {
    "datasets": [HOPPER, MAZE],
    "teachers": [{"name": "t", "preset": "medium", "rows": 50_000}],
    "methods": [
        {"name": "rvs-g", "kind": "rvs_g", "datasets": [MAZE]},
        {"name": "rvs-r", "kind": "rvs_r"},
        {"name": "rcdtp", "kind": "rcdtp"},
        {"name": "bc", "kind": "bc"},
        {"name": "s", "kind": "student", "teacher": "t"},
    ],
    "rollout": {"fractions": [0.5, 0.9]},
}


@pytest.mark.parametrize("restricted", [{}, {"datasets": [MAZE, HOPPER]}])
def test_what_is_not_defined_is_refused_with_the_reason(restricted):
    method = {"name": "rvs-g", "kind": "rvs_g", **restricted}
    told = (
        r"methods\[0\]: 'rvs-g' cannot be made of 'hopper-medium-v2': kind rvs_g is not defined in hopper: its outcome"
    )
    with pytest.raises(InputError, match=told):
        validated({"datasets": [MAZE, HOPPER], "methods": [method]})
    with pytest.raises(InputError, match="only a method of kind rvs_g, which has the published settings"):
        validated({"datasets": [MAZE], "methods": [{"name": "rvs_g-small", "kind": "rvs"}]})


def test_what_is_commanded():
    """In a maze the goal, or else the expert's return alone, whatever the fractions."""
    plan = Plan(validated(CONFIG))
    commanded = {
        dataset: {name: plan.commanded(dataset, name) for name in plan.methods if name != "rvs-g"}
        for dataset in (HOPPER, MAZE)
    }
    assert commanded[HOPPER] == {"rvs-r": (0.5, 0.9), "rcdtp": (0.5, 0.9), "bc": (), "s": (0.5, 0.9)}
    assert commanded[MAZE] == {"rvs-r": (1.0,), "rcdtp": (1.0,), "bc": (), "s": ()}
    assert plan.commanded(MAZE, "rvs-g") == ()
    assert (plan.labelled(HOPPER), plan.labelled(MAZE)) == ((0.5, 0.9), ())


def test_goal_draws_shape_teachers_of_goals_alone():
    plans = [
        Plan(validated({**CONFIG, "teachers": [{**CONFIG["teachers"][0], "goal_draws": draws}]})) for draws in (1, 8)
    ]
    settings_of = {dataset: [plan.training_of(dataset, "t") for plan in plans] for dataset in (HOPPER, MAZE)}
    assert settings_of[HOPPER][0] == settings_of[HOPPER][1] and settings_of[MAZE][0] != settings_of[MAZE][1]
    assert [plan.autogluon_memory(MAZE, "t") for plan in plans] == [3100, 3800]
    assert TeacherSettings.model_validate_json(plans[1].training_of(HOPPER, "t")).goal_draws == 4


class Told(Policy):
    """Keeps what it is told, and does nothing."""

    def __init__(self, rule: str) -> None:
        super().__init__(
            {"method": "told", "seed": 0, "dataset": "maze", "task": corridor.TASK, "outcome_rule": rule}
            | {"observation_size": 29, "action_size": 8}
        )
        self.told: list[np.ndarray] = []

    def predict(self, observations, outcome):
        self.told.append(outcome)
        return np.zeros((len(observations), 8))


def test_a_goal_is_told_as_it_was_drawn_and_held():
    played = Told("goal")
    table = rollout(played, [0.3], episodes=2)
    assert table["fraction"].to_pylist() == table["target"].to_pylist() == [None] * 2
    simulator = BatchSimulator(corridor.TASK, 2)
    simulator.reset(episode_seeds(0, "maze", "report", 2))
    assert len(played.told) == 700
    for told in played.told:
        np.testing.assert_array_equal(told, simulator.goals.astype(np.float32))
