"""Final or best: a policy at points of its fit, played and drawn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from onnx import numpy_helper
from PIL import Image

from d4rl_automl.core import paths
from d4rl_automl.core import tables as core_tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import checkpoints as play
from d4rl_automl.evaluation.rollout import rollout
from d4rl_automl.figures import checkpoints as figure
from d4rl_automl.learners import checkpoints, curves, fitting, network_policies
from d4rl_automl.learners.snapshots import Snapshots
from d4rl_automl.methods import mlp, rvs
from d4rl_automl.plan.config import validated
from d4rl_automl.plan.figures import planned
from d4rl_automl.plan.run import Plan
from d4rl_automl.tasks.seeds import PURPOSES, episode_seeds
from tests.support import synthetic
from tests.support.networks import HERE, samples

DATASET = {"dataset": "hopper-x", "task": "hopper", "sha256": "ab" * 32}
UPDATES = 24


def make(folder: Path, points: int, *, gaussian: bool = True, updates: int = UPDATES, device: str = "cpu") -> Path:
    """A policy and its checkpoints; its handle."""
    kind = rvs if gaussian else mlp
    method = kind.Settings(name="some", kind=kind.METHOD.kind, checkpoints=points)
    settings = fitting.Settings(16, 2, updates, 64, 3e-3, gaussian=gaussian)
    output = folder / "some-s0.json"
    network_policies.make_policy(
        samples(300),
        samples(60, 1),
        settings,
        method=method,
        output=output,
        dataset=DATASET,
        **HERE | {"device": device},
    )
    return output


def weights(path: Path) -> list[np.ndarray]:
    return [numpy_helper.to_array(constant) for constant in onnx.load(path).graph.initializer]


def kept(handle: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in handle.with_suffix(".checkpoints").iterdir()}


on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=on_gpu)])
@pytest.mark.parametrize("gaussian", [True, False])
def test_the_policy_is_the_same_with_and_without(tmp_path: Path, gaussian: bool, device: str) -> None:
    with_them, without = (make(tmp_path / str(points), points, gaussian=gaussian, device=device) for points in (3, 0))
    assert with_them.with_suffix(".onnx").read_bytes() == without.with_suffix(".onnx").read_bytes()
    assert sorted(path.name for path in without.parent.iterdir()) == [
        "some-s0.curve.csv",
        "some-s0.json",
        "some-s0.onnx",
    ]
    assert sorted(kept(with_them)) == [f"{point}-of-3.onnx" for point in (1, 2, 3)]
    assert not [path for path in with_them.parent.iterdir() if path.name.startswith(".")]


def test_each_is_the_policy_of_a_fit_that_ends_there(tmp_path: Path) -> None:
    """Of a constant learning rate, whose last weights are kept."""
    handle = make(tmp_path / "long", 3)
    for point, update in ((1, 8), (2, 16), (3, 24)):
        file = handle.with_suffix(".checkpoints") / f"{point}-of-3.onnx"
        short = make(tmp_path / str(update), 0, updates=update).with_suffix(".onnx")
        assert all(np.array_equal(*pair) for pair in zip(weights(file), weights(short), strict=True))
        told = {prop.key: prop.value for prop in onnx.load(file).metadata_props}
        training = json.loads(told["training"])
        assert (told["method"], training["update"], training["keeps"]) == ("some", update, "last")
        curve = pd.read_csv(handle.with_suffix(".curve.csv")).set_index("update").loc[update]
        assert training["validation_loss"] == pytest.approx(curve["validation_loss"])


class Killed(Exception):
    pass


def test_a_killed_fit_goes_on_and_has_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = make(tmp_path / "whole", 4)
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    on_update = checkpoints.Checkpoint.on_update

    def killing(self: checkpoints.Checkpoint, training: fitting.Training) -> None:
        on_update(self, training)
        if training.update == 15:
            raise Killed

    monkeypatch.setattr(checkpoints.Checkpoint, "on_update", killing)
    with pytest.raises(Killed):
        make(tmp_path / "killed", 4)
    assert not (tmp_path / "killed/some-s0.checkpoints").exists()
    monkeypatch.setattr(checkpoints.Checkpoint, "on_update", on_update)
    # As many of another number are others: that fit starts anew.
    first = tmp_path / "killed/.some-s0.1-of-4.onnx"
    content = first.read_bytes()
    first.unlink()
    with pytest.raises(InputError, match=r"\.some-s0\.1-of-4\.onnx: is missing.*delete \.some-s0\.checkpoint\.pt"):
        make(tmp_path / "killed", 4)
    first.write_bytes(content)
    again = make(tmp_path / "killed", 4)
    assert kept(again) == kept(expected)
    assert again.with_suffix(".onnx").read_bytes() == expected.with_suffix(".onnx").read_bytes()
    assert not [path for path in again.parent.iterdir() if path.name.startswith(".")]


def test_a_killed_fit_of_another_number_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    with monkeypatch.context() as killed:
        killed.setattr(network_policies, "write_policy", lambda *given, **more: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            make(tmp_path, 2)
    assert len(kept(make(tmp_path, 3))) == 3


@pytest.mark.parametrize(("updates", "most"), [(7, 7), (21, 11), (1000, 20)])
def test_there_are_no_more_points_than_evaluations(tmp_path: Path, updates: int, most: int) -> None:
    assert len(fitting.evaluated(updates)) == most and fitting.evaluated(updates)[-1] == updates
    if most < 20:
        told = rf"found {most + 1}, but a fit of {updates} updates is looked at {most} times"
        with pytest.raises(InputError, match=told):
            make(tmp_path, most + 1, updates=updates)
    snapshots = Snapshots(tmp_path / "some-s0.json", most, {})
    training = fitting.Training(
        samples(10), samples(10), fitting.Settings(4, 1, updates, 4, 1e-3), seed=0, device="cpu", threads=1
    )
    snapshots.on_start(training)
    assert list(snapshots._due) == fitting.evaluated(updates)


# Played ----------------------------------------------------------------------------------------


@pytest.fixture
def played(tmp_path: Path) -> dict[str, Any]:
    """A table of checkpoints that were played, and what it is of."""
    handle = make(tmp_path, 2)
    files = [handle.with_suffix(".checkpoints") / f"{point}-of-2.onnx" for point in (1, 2)]
    target = {"dataset": "hopper-x", "method": "some", "simulator": "d4rl", "fraction": 0.5}
    (tmp_path / "target.json").write_text(json.dumps(target))
    given = {"simulator": "d4rl", "episodes": 3, "seed": 7, "processes": 1, "output": tmp_path / "played.parquet"}
    play.play(files, tmp_path / "target.json", **given)
    return {"files": files, "target": tmp_path / "target.json", "given": given, "handle": handle}


def test_they_play_the_chosen_target_from_states_of_their_own(tmp_path: Path, played: dict[str, Any]) -> None:
    table = pd.read_parquet(tmp_path / "played.parquet")
    assert list(table["update"]) == [12] * 3 + [24] * 3 and set(table["fraction"]) == {0.5}
    for file, (_, own) in zip(played["files"], table.groupby("update"), strict=True):
        alone = rollout(file, [0.5], episodes=3, seed=7, purpose="checkpoints").to_pandas()
        np.testing.assert_array_equal(own["return"], alone["return"])
    seeds = [set(episode_seeds(7, "hopper-x", purpose, 50)) for purpose in PURPOSES]
    assert len(set().union(*seeds)) == 50 * len(PURPOSES)


def test_a_target_of_another_method_is_refused(played: dict[str, Any]) -> None:
    played["target"].write_text(json.dumps({"dataset": "hopper-x", "method": "b", "simulator": "d4rl", "fraction": 1}))
    with pytest.raises(InputError, match=r"none was chosen for hopper-x, some, d4rl"):
        play.play(played["files"], played["target"], **played["given"])


def test_what_was_played_can_be_drawn(tmp_path: Path, played: dict[str, Any]) -> None:
    _, episodes = synthetic.dataset_tables(tmp_path, 8, dataset="hopper-x")
    figure.plot([tmp_path / "played.parquet"], [played["handle"].with_suffix(".curve.csv")], episodes, tmp_path / "f")
    drawn = pd.read_csv(tmp_path / "f.csv")
    own = drawn[drawn["method"] == "some"]
    np.testing.assert_allclose(own["return"], pd.read_parquet(tmp_path / "played.parquet")["return"])
    assert (drawn["method"] == "demonstrator").sum() == 7
    with Image.open(tmp_path / "f.png") as image:
        assert json.loads(image.info["d4rl_automl"])["kind"] == "checkpoints"
    shorter = tmp_path / "some.curve.csv"
    pd.read_csv(played["handle"].with_suffix(".curve.csv")).query("update < 20").to_csv(shorter, index=False)
    with pytest.raises(InputError, match="some has no loss of update 24"):
        figure.plot([tmp_path / "played.parquet"], [shorter], episodes, tmp_path / "g")


# Drawn -----------------------------------------------------------------------------------------


def tables(folder: Path, method: str, *, task: str, keeps: str, losses: list[float]) -> tuple[list[Path], list[Path]]:
    """Of two training seeds: five checkpoints, the k-th of skill k / 10, and the validation losses at them."""
    maze = task != "hopper"
    dataset = "antmaze-umaze-v2" if maze else "hopper-x"
    files: tuple[list[Path], list[Path]] = ([], [])
    for seed in (0, 1):
        parts = []
        for point in range(1, 6):
            what = {"training_seed": seed, "episodes": 12, "skill": point / 10, "dataset": dataset}
            own = synthetic.rollouts(method, fractions=[1.0], **what)
            own["success"] = own["episode"] < point * 2 if maze else pd.NA
            own["success"] = own["success"].astype("boolean")
            parts.append(own.assign(update=100 * point)[list(core_tables.CHECKPOINT_COLUMNS)])
        path = folder / f"{method}-s{seed}.parquet"
        files[0].append(synthetic.write_parquet(path, pd.concat(parts), {"task": task, "keeps": keeps}))
        curve = pd.DataFrame({"update": range(100, 501, 100), "training_loss": 1.0, "validation_loss": losses})
        handle = folder / f"{method}-s{seed}.json"
        curves.write(handle, curve, "squared error", method=method, seed=seed, dataset=dataset)
        files[1].append(handle.with_suffix(".curve.csv"))
    return files


LEAST_IN_THE_MIDDLE, LEAST_AT_THE_END, UNKNOWN = [5, 3, 4, 5, 6], [5, 4, 3, 2, 1], [np.nan] * 5


def test_the_title_answers_final_or_best(tmp_path: Path) -> None:
    rollouts, losses = [], []
    for method, keeps, least in (
        ("rvs", "last", LEAST_IN_THE_MIDDLE),
        ("mlp", "best", LEAST_AT_THE_END),
        ("rvs-r", "last", UNKNOWN),
    ):
        found = tables(tmp_path, method, task="hopper", keeps=keeps, losses=least)
        rollouts += found[0]
        losses += found[1]
    _, episodes = synthetic.dataset_tables(tmp_path, 8, dataset="hopper-x")
    figure.plot(rollouts, losses, episodes, tmp_path / "f")
    drawn = pd.read_csv(tmp_path / "f.csv").groupby(["method", "update"])["normalised_score"].mean()
    text = (tmp_path / "f.svg").read_text()
    end, least = drawn["rvs", 500], drawn["rvs", 200]
    assert f"score: end {end:.1f}, least validation loss {least:.1f}; kept: the end" in text
    assert f"score: end and least validation loss {drawn['mlp', 500]:.1f}; kept: least validation loss" in text
    assert f"score: end {drawn['rvs-r', 500]:.1f}, nothing held out; kept: the end" in text


def test_in_a_maze_it_is_the_share_of_goals_reached(tmp_path: Path) -> None:
    rollouts, losses = tables(tmp_path, "rvs", task="antmaze-umaze", keeps="last", losses=LEAST_IN_THE_MIDDLE)
    _, episodes = synthetic.dataset_tables(tmp_path, 8, dataset="antmaze-umaze-v2")
    figure.plot(rollouts, losses, episodes, tmp_path / "f")
    drawn = pd.read_csv(tmp_path / "f.csv")
    assert set(drawn["method"]) == {"rvs"}
    text = (tmp_path / "f.svg").read_text()
    assert "goals reached: end 83 %, least validation loss 33 %" in text and "share of goals reached" in text


# Planned ---------------------------------------------------------------------------------------


def test_the_plan_has_checkpoints_of_those_that_ask_for_them() -> None:
    plan = Plan(
        validated(
            {
                "datasets": ["hopper-medium-v2"],
                "seeds": [0, 3],
                "simulators": ["d4rl", "gymnasium"],
                "methods": [
                    {"name": "a", "kind": "rvs", "checkpoints": 2},
                    {"name": "b", "kind": "rvs"},
                    {"name": "c", "kind": "rvs_r", "checkpoints": 5},
                ],
            }
        )
    )
    folder = "results/hopper-medium-v2"
    assert plan.checkpoints("hopper-medium-v2", "a", 3) == [
        f"{folder}/policies/a-s3.checkpoints/{point}-of-2.onnx" for point in (1, 2)
    ]
    assert plan.checkpoints("hopper-medium-v2", "b", 3) == []
    made = {(making.rule, points): own for _, making, points, own in plan.makings() if own}
    assert made == {("fit_rvs", 0): ["b"], ("fit_rvs", 2): ["a"], ("fit_rvs_r", 5): ["c"]}
    # What shapes a policy, and so its file, is the same.
    assert "checkpoints" not in plan.shaping(plan.methods["a"])
    played = plan.checkpointed(paths.CHECKPOINT_ROLLOUT, "hopper-medium-v2", simulator="gymnasium")
    assert played == [
        f"{folder}/rollouts/{method}-s{seed}.gymnasium.checkpoints.parquet" for method in "ac" for seed in (0, 3)
    ]
    figures = [path for path in planned(plan) if "checkpoints" in path]
    assert figures == [f"{folder}/figures/checkpoints.{simulator}.png" for simulator in ("d4rl", "gymnasium")]
