"""Somebody's code: every name of the public API, typed and really called, with the base install alone.

`python consumer.py FOLDER`, a folder with policies of hopper (public_api.py writes them), prints what it found
as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
from numpy.typing import NDArray

import d4rl_automl as da
import d4rl_automl.gym
from d4rl_automl.gym.single import D4RLEnv

TASKS = ("halfcheetah", "hopper", "walker2d")


class Still(da.Policy):
    """Does nothing."""

    def predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.float32]:
        return np.zeros((len(observations), self.metadata["action_size"]), np.float32)


def step(task: str) -> dict[str, Any]:
    """Some steps of many robots."""
    simulator = da.BatchSimulator(task, size=100, variant="d4rl", threads=2)
    observations = simulator.reset(seeds=range(100))
    model = da.make_model(task, variant="gymnasium")
    total: NDArray[np.float64] = np.zeros(100)
    fallen = 0
    for _ in range(5):
        observations, rewards, terminated, truncated = simulator.step(np.full((100, model.nu), 0.1))
        total += rewards
        fallen += int((terminated | truncated).sum())
    scores: NDArray[np.float64] = da.normalise(task, total)
    masses = float(abs(da.make_model(task).body_mass - model.body_mass).max())
    return {"observed": observations.shape[1], "scores": scores.shape[0], "fallen": fallen, "mass_error": masses}


def environments() -> dict[str, Any]:
    """The second of five robots in Gymnasium, alone and beside the others."""
    one = gymnasium.make(d4rl_automl.gym.environment_id("hopper"))
    five = gymnasium.make_vec("d4rl/hopper-v2", num_envs=5)
    (first, _), (firsts, _) = one.reset(seed=1), five.reset(seed=0)
    action = np.full(3, 0.2, np.float32)
    second, reward, *_ = one.step(action)
    seconds, rewards, *_ = five.step(np.tile(action, (5, 1)))
    played = one.unwrapped
    assert isinstance(played, D4RLEnv)
    score: NDArray[np.float64] = played.get_normalized_score([3234.3])
    pairs = ((first, firsts), (second, seconds), (reward, rewards))
    same = [bool((alone == beside[1]).all()) for alone, beside in pairs]
    return {"same": same, "score": score.tolist()}


def read(folder: Path) -> dict[str, Any]:
    """A dataset of one's own, and D4RL's view of it."""
    path = folder / "mine.hdf5"
    generator = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["observations"] = generator.standard_normal((40, 11)).astype(np.float32)
        file["actions"] = generator.uniform(-1, 1, (40, 3)).astype(np.float32)
        file["rewards"] = np.ones(40, np.float32)
        file["terminals"] = np.arange(40) % 20 == 9
        file["timeouts"] = np.arange(40) % 20 == 19
    dataset: da.Dataset = da.load_dataset(path, task="hopper")
    batch = da.qlearning_dataset(dataset)
    made_in: dict[str, Any] = da.identify_simulator(path, task="hopper")
    left: NDArray[np.float64] = da.reward_to_go(dataset.rewards, dataset.terminated, dataset.truncated, average=False)
    return {
        "task": dataset.task,
        "made_in": made_in["verdict"],
        "rows": {name: len(values) for name, values in batch.items()},
        "reward_to_go": left[:3].tolist(),
        "average": da.reward_to_go(dataset.rewards, dataset.terminated, dataset.truncated)[:3].tolist(),
    }


def play(folder: Path) -> dict[str, Any]:
    """Policies from files and of one's own."""
    still = {"method": "still", "seed": 0, "dataset": "none", "task": "walker2d", "outcome_rule": "none"}
    own = Still(still | {"observation_size": 17, "action_size": 6})
    loaded: da.Policy = da.load_policy(folder / "constant/self-described.onnx")
    actions = loaded.act(np.zeros((7, 11)), outcome=np.full((7, 1), 2.5))
    table = da.rollout(folder / "constant/tiny-s3.json", [0.5, 1.0], episodes=4, seed=1, processes=2)
    return {
        "actions": list(actions.shape),
        "own": da.rollout(own, episodes=3, simulator="gymnasium").num_rows,
        "unconditional": da.rollout(da.load_policy(folder / "none/tiny-s3.json"), episodes=2)["fraction"].to_pylist(),
        "same": table.equals(da.rollout(loaded, [0.5, 1.0], episodes=4, seed=1)),
        "fractions": table["fraction"].to_pylist(),
    }


def refuse(folder: Path) -> list[str]:
    """What cannot be had, told by its error."""
    (folder / "hopper_medium-v2.hdf5").write_text("another file")
    told = []
    for call in (
        lambda: da.load_policy(folder / "forest/tiny-s3.json"),
        lambda: da.load_dataset("hopper-medium-v2", d4rl_dir=folder),
        lambda: da.make_model("antmaze-umaze", "gymnasium"),
    ):
        try:
            call()
        except da.InputError as error:
            told.append(str(error))
    return told


if __name__ == "__main__":
    given = Path(sys.argv[1])
    found = {
        "steps": {task: step(task) for task in TASKS},
        "environments": environments(),
        "data": read(given),
        "rollouts": play(given),
        "refused": refuse(given),
        "from": da.__file__,
    }
    print(json.dumps(found))
