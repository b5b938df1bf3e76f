"""Datasets in D4RL's layout, of noise from a seed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from d4rl_automl.core import files
from d4rl_automl.data import admission, card, making

PROVENANCE = {"dataset": "some-hopper", "provider": "file", "task": "hopper"}
SPLIT = {"seed": 5, "validation": 0.2, "test": 0.2}


def arrays(rows: int = 50, task: str = "hopper", seed: int = 0) -> dict[str, np.ndarray]:
    """D4RL's arrays: finished episodes of 10 rows, alternately fallen and timed out, then a cut one."""
    d, a = {"hopper": (11, 3), "halfcheetah": (17, 6)}[task]
    rng = np.random.default_rng(seed)
    ends = np.arange(rows) % 10 == 9
    terminals = ends & (np.arange(rows) // 10 % 2 == 0)
    observations = rng.standard_normal((rows, d)).astype(np.float32)
    return {
        "observations": observations,
        "actions": rng.uniform(-1, 1, (rows, a)).astype(np.float32),
        "rewards": rng.standard_normal(rows).astype(np.float32),
        "next_observations": followers(observations, ends, rng),
        "terminals": terminals,
        "timeouts": ends & ~terminals,
        "infos/qpos": rng.standard_normal((rows, 6)).astype(np.float32),
        "infos/qvel": rng.standard_normal((rows, 6)).astype(np.float32),
        "infos/action_log_probs": rng.standard_normal(rows).astype(np.float32),
    }


def followers(observations: np.ndarray, ends: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The next observations (N, d) of a recording: those of the next rows, and where it ends, others."""
    last = rng.standard_normal(observations.shape).astype(np.float32)
    return np.where(ends[:, None], last, np.concatenate([observations[1:], last[-1:]]))


def walk(lengths: Sequence[int], fell: Sequence[int] = (), seed: int = 0) -> dict[str, np.ndarray]:
    """Hopper episodes of those lengths, each a random walk of an upright robot, the numbers `fell` ending in a fall.

    The ends of the others have a timeout.
    """
    rng = np.random.default_rng(seed)
    rows, last = sum(lengths), np.cumsum(lengths) - 1
    parts = [rng.normal(0, 0.005, (length + 1, 11)) for length in lengths]
    states = [np.cumsum(part, axis=0).clip(-0.15, 0.15) + rng.uniform(-1e-3, 1e-3, 11) for part in parts]
    for state in states:
        state[:, 0] += 1.25
    for number in fell:
        states[number][-1, 0] = 0.5
    ends = np.isin(np.arange(rows), last)
    terminals = np.isin(np.arange(rows), last[list(fell)])
    return {
        "observations": np.concatenate([state[:-1] for state in states]).astype(np.float32),
        "actions": rng.uniform(-1, 1, (rows, 3)).astype(np.float32),
        "rewards": rng.standard_normal(rows).astype(np.float32),
        "next_observations": np.concatenate([state[1:] for state in states]).astype(np.float32),
        "terminals": terminals,
        "timeouts": ends & ~terminals,
    }


def store(path: Path, content: Mapping[str, Any], **options: Any) -> Path:
    """Plain h5py, as D4RL's own generation scripts write."""
    with h5py.File(path, "w") as file:
        for name, values in content.items():
            file.create_dataset(name, data=values, **options)
    return path


def record(path: Path, lengths: Sequence[int], cut: int, seed: int = 0) -> dict[str, np.ndarray]:
    """An HDF5 file of hopper episodes of those lengths, every third timed out, the last `cut` rows unfinished."""
    rng = np.random.default_rng(seed)
    rows = sum(lengths) + cut
    last = np.cumsum(lengths) - 1
    content = {
        "observations": rng.standard_normal((rows, 11)).astype(np.float32),
        "actions": rng.uniform(-1.2, 1.2, (rows, 3)).astype(np.float32),
        "rewards": rng.standard_normal(rows).astype(np.float32),
        "terminals": np.zeros(rows, bool),
        "timeouts": np.zeros(rows, bool),
    }
    content["timeouts"][last[::3]] = True
    content["terminals"][last] = ~content["timeouts"][last]
    store(path, content)
    return content


def write_provenance(folder: Path) -> None:
    """What a provider says of the file beside it."""
    said = {**PROVENANCE, "sha256": files.sha256(folder / "raw.hdf5")}
    (folder / "raw.json").write_text(json.dumps(said))


def make_card(folder: Path, split: Mapping[str, Any] = SPLIT) -> dict[str, Any]:
    """The tables and the card, made as the workflow makes them, of raw.hdf5 and the raw.json beside it; the card."""
    raw, provenance, simulator = (folder / name for name in ("raw.hdf5", "raw.json", "simulator.json"))
    transitions, episodes = (folder / f"{name}.parquet" for name in ("transitions", "episodes"))
    admission.write(raw, provenance, simulator)
    making.make_transitions(raw, provenance, split, output=transitions, episodes_output=episodes)
    outputs = {"output": folder / "card.json", "markdown": folder / "card.md"}
    card.write(raw, provenance, simulator, transitions, episodes, simulators=["d4rl"], **outputs)
    return card.read(folder / "card.json")
