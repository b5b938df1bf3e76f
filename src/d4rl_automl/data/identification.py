"""Which simulator made a dataset, for anyone's code: `replay` finds it out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from d4rl_automl.data import catalogue, recordings, replay
from d4rl_automl.data.datasets import find


def identify_simulator(
    name_or_path: str | Path,
    task: str | None = None,
    *,
    d4rl_dir: str | Path | None = None,
    mirrors: Sequence[str] = catalogue.MIRRORS,
) -> dict[str, Any]:
    """Which simulator made a dataset: D4RL's, Gymnasium's v4 or v5, on an old or a current MuJoCo.

    The dataset is found as `load_dataset` finds it. With a `task`, its own simulators are tried first; without one,
    those of every robot of the file's sizes are.

    >>> import h5py, numpy as np
    >>> from d4rl_automl import BatchSimulator, identify_simulator
    >>> simulator, rows = BatchSimulator("hopper", size=500, variant="d4rl"), {}
    >>> rows["observations"] = simulator.reset(seeds=range(500))
    >>> rows["actions"] = np.random.default_rng(0).uniform(-1, 1, (500, 3))
    >>> rows["next_observations"], rows["rewards"], rows["terminals"], _ = simulator.step(rows["actions"])
    >>> with h5py.File("mine.hdf5", "w") as file:
    ...     file.update(rows | {"timeouts": ~rows["terminals"]})
    >>> found = identify_simulator("mine.hdf5")
    >>> found["task"], found["verdict"], found["simulators"]
    ('hopper', 'd4rl', ['d4rl', 'mujoco-py'])
    >>> found["about"]
    "D4RL's environments on MuJoCo 2.1.0"

    The answer has, by name:
        verdict: the simulator that repeats the steps, "none", or "not known"
        task: whose simulator that is; None without a verdict
        asked_task: the `task` that was given, or the catalogue's
        simulators: all that repeat the steps and pay these rewards, by the names that `make_model`,
            `BatchSimulator` and the config know them by
        repeating: all that repeat the steps, whatever the step of a fall pays
        about: what they are, in words
        reason: why the verdict is what it is, a sentence
        rows, sampled, usable: in the file; of these drawn; of these replayed (velocities are not clipped)
        stored: the coarser type of the observations, float32 for one
        evidence: of each simulator that was tried its task, its name (simulator), what it is (about), the
            number of rows that were replayed (rows; a few where it was out of the question), the share of
            these that it repeats (repeated), and median and 99 % quantile of the errors (error: the largest of
            any entry of the next observation; reward)
        falls, paid, unpaid: steps of falls that were looked at, and whose rewards are v4's, or v5's
        scale_actions: what actions have to be divided by for the steps to be repeated, or None
        shift: rows by which the actions have to be moved down for that, -1 or 1, or None

    Raises InputError as `load_dataset` does.
    """
    path, task, _ = find(name_or_path, task, d4rl_dir, mirrors)
    with recordings.reading(path, task) as reader:
        return replay.identify(reader, task)
