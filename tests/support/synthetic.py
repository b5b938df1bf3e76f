"""Small tables in the formats of results/, made from seeds, for the tests of what reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from d4rl_automl import tasks
from d4rl_automl.behaviour.navigation import Ways
from d4rl_automl.tasks import scores

FRACTIONS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]


def write_parquet(path: Path, frame: pd.DataFrame, metadata: dict[str, Any] | None = None) -> Path:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({b"d4rl_automl": json.dumps(metadata or {}).encode()}), path)
    return path


def rollouts(
    method: str = "medium-student",
    *,
    training_seed: int = 0,
    purpose: str = "report",
    fractions: Sequence[float | None] = FRACTIONS,
    episodes: int = 20,
    dataset: str = "hopper-medium-expert-embedded-v1",
    task: str = "hopper",
    simulator: str = "d4rl",
    skill: float = 0.8,
) -> pd.DataFrame:
    """Rollouts as `tables.read_rollouts` gives them: returns follow the command up to `skill`, with falls."""
    generator = np.random.default_rng([training_seed, *f"{method} {dataset} {purpose} {simulator}".encode()])
    steps = tasks.get(task).episode_steps
    parts = []
    for fraction in fractions:
        goal = tasks.get(task).target(skill if fraction is None else min(fraction, skill)) * steps
        fell = generator.random(episodes) < 0.3
        length = np.where(fell, generator.integers(80, steps, episodes), steps)
        returns = goal * length / steps + generator.normal(0, abs(goal) * 0.06, episodes)
        parts.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "method": method,
                    "training_seed": training_seed,
                    "simulator": simulator,
                    "purpose": purpose,
                    "fraction": np.nan if fraction is None else fraction,
                    "target": np.nan if fraction is None else tasks.get(task).target(fraction),
                    "episode": np.arange(episodes),
                    "seed": generator.integers(0, 2**31, episodes),
                    "return": returns,
                    "length": length.astype(np.int32),
                    "terminated": fell,
                    "diverged": False,
                    "normalised_score": scores.normalise(task, returns),
                    "success": None,
                    "distance_left": np.nan,
                    "task": task,
                    "kind": "mlp" if fraction is None else "student",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def maze_rollouts(
    method: str = "rvs-g",
    *,
    training_seed: int = 0,
    purpose: str = "report",
    fraction: float | None = None,
    episodes: int = 20,
    dataset: str = "antmaze-umaze-v2",
    simulator: str = "d4rl",
    skill: float = 0.6,
) -> pd.DataFrame:
    """Rollouts in a maze, with their paths: `skill` of the episodes come to their goals, the others halt on the way."""
    task = tasks.get(dataset.removesuffix("-v2"))
    assert task.maze is not None and task.goal is not None
    ways, steps = Ways(task.maze), task.episode_steps
    # Every method and training seed meets the same goals.
    goals = np.random.default_rng(0).uniform(0, 1.4, (episodes, 2)) + task.maze.centre(task.maze.goal)
    generator = np.random.default_rng([training_seed, *f"{method} {dataset} {purpose}".encode()])
    halts = np.where(generator.random(episodes) < skill, steps, generator.integers(30, steps // 4, episodes))
    tracks = np.empty((steps + 1, episodes, 2))
    tracks[0] = generator.uniform(-0.1, 0.1, (episodes, 2))
    for step in range(steps):
        towards = ways.waypoints(tracks[step], goals) - tracks[step]
        walked = 0.1 * towards / np.linalg.norm(towards, axis=1, keepdims=True).clip(0.3)
        walked += generator.normal(0, 0.06, (episodes, 2))
        tracks[step + 1] = tracks[step] + walked * (step < halts)[:, None]
    rows: list[dict[str, Any]] = []
    for track, goal in zip(tracks.swapaxes(0, 1), goals, strict=True):
        near = np.linalg.norm(track - goal, axis=1) <= task.goal.radius
        length = int(near.argmax()) if near.any() else steps
        x, y = track[[*range(0, length, 10), length]].astype(np.float32).T
        rows.append(
            {
                "episode": len(rows),
                "return": float(near.any()),
                "length": np.int32(length),
                "terminated": near.any(),
                "success": near.any(),
                "distance_left": np.linalg.norm(track[length] - goal),
                "goal_x": goal[0],
                "goal_y": goal[1],
                "path_x": x,
                "path_y": y,
            }
        )
    return pd.DataFrame(rows).assign(
        dataset=dataset,
        method=method,
        training_seed=training_seed,
        simulator=simulator,
        purpose=purpose,
        fraction=np.nan if fraction is None else fraction,
        target=np.nan if fraction is None else task.target(fraction),
        seed=range(episodes),
        diverged=False,
        normalised_score=lambda table: scores.normalise(task.name, table["return"]),
        task=task.name,
        kind="rvs_g",
    )


def write_rollouts(path: Path, table: pd.DataFrame | None = None, **what: Any) -> Path:
    """A table, by default that of `rollouts(**what)`, as the rollout rule writes it."""
    table = rollouts(**what) if table is None else table
    policy = {"task": table["task"][0], "kind": table["kind"][0]}
    return write_parquet(path, table.drop(columns=["task", "kind"]), {"policy": policy})


def dataset_tables(
    folder: Path, episodes: int = 40, dataset: str = "hopper-medium-expert-embedded-v1", task: str = "hopper"
) -> tuple[Path, Path]:
    """Paths of transitions.parquet and episodes.parquet: two skills of demonstrator, the last episode unfinished."""
    generator = np.random.default_rng(episodes)
    steps = tasks.get(task).episode_steps
    expert = tasks.get(task).reference_max / steps
    rows, ends = [], []
    for episode in range(episodes):
        unfinished = episode == episodes - 1
        fell = generator.random() < 0.4
        length = int(generator.integers(150, steps - 1)) if fell else steps
        level = expert * (0.45 if episode % 2 else 0.9) * generator.normal(1, 0.08)
        reward = level * np.minimum(1, np.arange(length) / 60) + generator.normal(0, abs(level) * 0.05, length)
        to_go = np.cumsum(reward[::-1])[::-1]
        rows.append(
            pd.DataFrame(
                {
                    "rtg": (to_go / (steps - np.arange(length))).astype(np.float32),
                    "reward": reward.astype(np.float32),
                    "episode": np.int32(episode),
                    "step": np.arange(length, dtype=np.int32),
                }
            )
        )
        split = "unfinished" if unfinished else ("test" if episode % 10 == 0 else "train")
        ends.append((episode, length, reward.sum(), fell and not unfinished, not fell and not unfinished, split))
    table = pd.DataFrame(ends, columns=["episode", "length", "return", "terminated", "truncated", "split"])
    table["normalised_score"] = scores.normalise(task, table["return"])
    metadata = {"dataset": dataset, "provider": "embedded", "task": task, "longest_episode": steps}
    return (
        write_parquet(folder / "transitions.parquet", pd.concat(rows, ignore_index=True), metadata),
        write_parquet(folder / "episodes.parquet", table.astype({"split": "category"}), metadata),
    )


def card(
    path: Path, dataset: str, provider: str = "embedded", task: str = "hopper", doubts: Sequence[str] = ()
) -> Path:
    """What `card.write` writes, as far as others read it."""
    spread = {"min": 1.5, "median": 43.2, "mean": 40.0, "max": 98.7}
    evidence = [{"task": task, "simulator": "d4rl", "error": {"median": 2e-7, "99 %": 1e-6}}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(
            {
                "dataset": dataset,
                "provider": provider,
                "task": task,
                "rows": 1234,
                "episodes": 5,
                "bytes": 99,
                "sha256": "0" * 64,
                **dict.fromkeys(("lengths", "returns", "normalised_scores"), spread),
                "terminated_share": 0.125,
                "action_entries_clipped": 0,
                "doubts": list(doubts),
                "demonstrator": None,
                "simulator": {"verdict": "d4rl", "evidence": evidence},
                "provenance": {},
            }
        )
    )
    return path


def predictions(folder: Path, dimensions: int = 3, rows: int = 4000, seed: int = 0) -> tuple[Path, Path]:
    """Paths of predictions.parquet and metrics.csv; the recorded actions pile up at the borders."""
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    errors = []
    for dimension in range(dimensions):
        recorded = np.clip(generator.normal(0.3 * dimension - 0.4, 0.7, rows), -1, 1)
        predicted = np.clip(0.85 * recorded + generator.normal(0, 0.1, rows), -1, 1)
        columns[f"ac{dimension}"] = recorded.astype(np.float32)
        columns[f"predicted_ac{dimension}"] = predicted.astype(np.float32)
        mse = float(np.mean((predicted - recorded) ** 2))
        errors.append(("hopper-medium-expert-embedded-v1", "medium", 0, dimension, mse, mse**0.5))
    metrics = folder / "metrics.csv"
    table = write_parquet(folder / "predictions.parquet", pd.DataFrame(columns))
    names = ["dataset", "teacher", "seed", "dimension", "acting_mse", "acting_rmse"]
    pd.DataFrame(errors, columns=names).to_csv(metrics, index=False)
    return table, metrics


def flip_value(path: Path, copy: Path) -> Path:
    """A copy of a Parquet file with one bit of its first column's values changed."""
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start + column.total_compressed_size - 5] ^= 1
    copy.write_bytes(content)
    return copy
