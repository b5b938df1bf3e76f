"""Dataset cards: what a dataset holds, where it is from, and whether its own simulator repeats it.

A card is JSON for programs and Markdown for people. Its replay puts the simulator into
recorded states (`infos/qpos`, `infos/qvel`), applies the recorded action and compares with
what was recorded next. Files store float32: rounding a state by 6e-8 of its size moves the
next one by more, most where a foot strikes, and that is what a perfect simulator shows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl import simulators, tasks
from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import hdf5, recordings
from d4rl_automl.simulators import robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.models import VARIANTS

REPLAYED_ROWS = 10_000
REPLAY_SEED = 0
QUANTILES = {"min": 0.0, "1 %": 0.01, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "99 %": 0.99, "max": 1.0}
ERRORS = {"median": 0.5, "99 %": 0.99, "max": 1.0}

_SAME_STATE = 1e-4
"""By which an observation and the state beside it differ at most, if they are of the same moment; as float32, 1e-6."""
_FACTS = ("dataset", "provider", "task", "sha256", "repairs", "split", "longest_episode")


def write(
    raw: str | Path,
    provenance: str | Path,
    transitions: str | Path,
    episodes: str | Path,
    *,
    output: str | Path,
    markdown: str | Path,
) -> None:
    """Make the card of one dataset.

    Arguments
        raw: HDF5 in D4RL's layout.
        provenance: the JSON beside it.
        transitions, episodes: the tables that `making.make_transitions` made of it.
        output: the card as JSON.
        markdown: the same for people; its figure is figures/card.png beside it.

    Returns and lengths are those of the finished episodes, ranges those of the file before
    actions are clipped, errors those of `replay`. Raises InputError for a file that cannot be
    read, and for tables of another dataset than the raw file's.
    """
    facts = tables.read_parquet_metadata(transitions, _FACTS)
    made = tables.read_json(provenance, ("dataset", "sha256"))
    if made["sha256"] != facts["sha256"]:
        raise InputError(f"{transitions}: was not made from {raw} as it is now; make it again")
    ends = tables.read_parquet(episodes, ("length", "return", "terminated", "split", "normalised_score"))
    finished = ends[ends["split"] != "unfinished"]
    task = tasks.get(facts["task"])
    with recordings.reading(raw, task.name) as reader:
        card = {
            **{name: facts[name] for name in ("dataset", "provider", "task", "sha256")},
            "bytes": Path(raw).stat().st_size,
            "rows": reader.rows,
            "episodes": len(ends),
            "finished_episodes": len(finished),
            "longest_episode": facts["longest_episode"],
            "split": facts["split"],
            "reference_returns": {"random": task.reference_min, "expert": task.reference_max},
            "lengths": _distribution(finished["length"]),
            "returns": _distribution(finished["return"]),
            "normalised_scores": _distribution(finished["normalised_score"]),
            "terminated_share": float(finished["terminated"].mean()),
            "repairs": facts["repairs"],
            "action_entries": reader.rows * task.action_size,
            "action_entries_clipped": facts["repairs"].get("actions_clipped", 0),
            "ranges": _ranges(reader),
            "replay": replay(reader, task.name),
            "provenance": made,
        }
    files.write_json(output, card)
    with files.whole(markdown) as part:
        part.write_text(_markdown(card), encoding="utf-8")


def replay(reader: recordings.Reader, task: str, rows: int = REPLAYED_ROWS, seed: int = REPLAY_SEED) -> dict[str, Any]:
    """One step of the simulator from each of so many recorded states, drawn by `seed`, against what was recorded.

    Returns `rows` and, under `errors`, for both variants: quantiles (`ERRORS`) of the largest
    difference of any entry of the next observation and of the reward's, and how many
    terminations differ. Where nothing can be replayed there is a `reason` instead. Without
    `next_observations` the next row's observation serves, and rows that end an episode are left out.
    """
    if tasks.get(task).robot is None:
        return {"reason": f"there is no simulator for {task}"}
    robot = robots.get(task)
    if not all(isinstance(reader.file.get(f"infos/{name}"), h5py.Dataset) for name in ("qpos", "qvel")):
        return {"reason": "the file has no infos/qpos and infos/qvel"}
    following = "next_observations" in reader
    usable = np.arange(reader.rows)
    if not following:
        usable = np.flatnonzero(~(reader.terminated | reader.truncated)[:-1])
    chosen = usable
    if rows < len(usable):
        chosen = np.sort(np.random.default_rng(seed).choice(usable, rows, replace=False))
    found = {name: _picked(reader, name, chosen) for name in ("observations", "actions", "infos/qpos", "infos/qvel")}
    target = _picked(reader, "next_observations", chosen) if following else _picked(reader, "observations", chosen + 1)
    qpos, qvel = (found[f"infos/{name}"].astype(np.float64) for name in ("qpos", "qvel"))
    variants = [variant for variant in VARIANTS if variant in simulators.of(task)]
    made = {variant: BatchSimulator(task, len(chosen), variant) for variant in variants}
    one = made[variants[0]]
    if qpos.shape[1:] != one.qpos.shape[1:] or qvel.shape[1:] != one.qvel.shape[1:]:
        return {"reason": f"infos/qpos and infos/qvel have {qpos.shape[1:]} and {qvel.shape[1:]} entries a row"}
    if not (np.isfinite(qpos).all() and np.isfinite(qvel).all()):
        return {"reason": "infos/qpos or infos/qvel hold NaN or infinity"}
    apart = np.abs(robot.observe(qpos, qvel) - found["observations"]).max(axis=1)
    if np.median(apart) > _SAME_STATE:
        return {"reason": "infos/qpos and infos/qvel are not the states of the observations in the same rows"}
    errors = {}
    for variant, simulator in made.items():
        simulator.set_state(qpos, qvel)
        observations, rewards, terminated, _ = simulator.step(found["actions"])
        errors[variant] = {
            "next_observation": _quantiles(np.abs(observations - target).max(axis=1), ERRORS),
            "reward": _quantiles(np.abs(rewards - reader.rewards[chosen]), ERRORS),
            "terminations_that_differ": int((terminated != reader.terminated[chosen]).sum()),
        }
    return {"rows": len(chosen), "seed": seed, "errors": errors}


def summary(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card's main facts, flat; None where the card has none."""
    errors = card["replay"].get("errors", {})
    return {
        **{name: card[name] for name in ("dataset", "provider", "task", "rows", "episodes")},
        "mean_length": card["lengths"]["mean"],
        "mean_return": card["returns"]["mean"],
        **{f"score_{name}": card["normalised_scores"][name] for name in ("min", "median", "mean", "max")},
        "terminated_share": card["terminated_share"],
        "action_entries_clipped": card["action_entries_clipped"],
        **{
            f"replay_{variant}_{name.replace(' %', '_percent')}": errors.get(variant, {})
            .get("next_observation", {})
            .get(name)
            for variant in VARIANTS
            for name in ERRORS
        },
        "bytes": card["bytes"],
        "sha256": card["sha256"],
    }


def read(path: str | Path) -> dict[str, Any]:
    """A card's JSON; InputError for anything else."""
    keys = ("dataset", "provider", "rows", "lengths", "returns", "normalised_scores", "replay", "provenance")
    return tables.read_json(path, keys)


def merge(cards: Sequence[str | Path], output: str | Path) -> None:
    """The `summary` of every card as CSV, one row per dataset."""
    with files.whole(output) as part:
        pd.DataFrame([summary(read(path)) for path in cards]).to_csv(part, index=False)


def _distribution(values: pd.Series) -> dict[str, float]:
    found = values.to_numpy(np.float64)
    return {**_quantiles(found, QUANTILES), "mean": float(found.mean()), "standard_deviation": float(found.std())}


def _quantiles(values: NDArray[np.float64], which: Mapping[str, float]) -> dict[str, float]:
    return dict(zip(which, np.quantile(values, list(which.values())).tolist(), strict=True))


def _ranges(reader: recordings.Reader) -> dict[str, dict[str, float]]:
    """Of every entry of the observation (ob0 …) and of the action as recorded (ac0 …), and of the reward."""
    found: dict[str, dict[str, float]] = {}
    for prefix, name in (("ob", "observations"), ("ac", "actions")):
        parts = []
        for start in range(0, reader.rows, recordings.CHUNK):
            values = reader.values(name, slice(start, min(start + recordings.CHUNK, reader.rows))).astype(np.float64)
            parts.append((values.min(axis=0), values.max(axis=0), values.sum(axis=0), np.square(values).sum(axis=0)))
        low, high, total, squares = (np.array(part) for part in zip(*parts, strict=True))
        mean = total.sum(axis=0) / reader.rows
        deviation = np.sqrt(np.maximum(squares.sum(axis=0) / reader.rows - mean**2, 0))
        for i, numbers in enumerate(zip(low.min(axis=0), high.max(axis=0), mean, deviation, strict=True)):
            found[f"{prefix}{i}"] = _range(*numbers)
    rewards = reader.rewards.astype(np.float64)
    found["reward"] = _range(rewards.min(), rewards.max(), rewards.mean(), rewards.std())
    return found


def _range(low: float, high: float, mean: float, deviation: float) -> dict[str, float]:
    return {"min": float(low), "max": float(high), "mean": float(mean), "standard_deviation": float(deviation)}


def _picked(reader: recordings.Reader, name: str, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Some rows, ascending, of an array of the file; read in chunks, since HDF5 picks single rows slowly."""
    parts = []
    for start in range(0, reader.rows, recordings.CHUNK):
        first, last = np.searchsorted(chosen, (start, start + recordings.CHUNK))
        if first < last:
            with hdf5.hdf5_errors(reader.path):
                chunk = reader.file[name][start : start + recordings.CHUNK]
            parts.append(chunk[chosen[first:last] - start].astype(np.float32, copy=False))
    return np.concatenate(parts)


# Markdown --------------------------------------------------------------------------------------


def _markdown(card: Mapping[str, Any]) -> str:
    low, high = card["reference_returns"].values()
    lines = [f"# {card['dataset']}", ""]
    if card["provider"] == "embedded":
        lines += [
            "**Embedded: collected by behaviour policies of this project, not D4RL's data.** Scores reached on it are "
            "not comparable with scores published on D4RL's datasets.",
            "",
        ]
    lines += [f"![Returns and lengths of the episodes of {card['dataset']}](figures/card.png)", ""]
    lines += _table(
        ["", ""],
        [
            ["provider", card["provider"]],
            ["task", card["task"]],
            ["rows", f"{card['rows']:,}"],
            [
                "episodes",
                f"{card['episodes']:,}, of which {card['finished_episodes']:,} finished; "
                f"the longest has {card['longest_episode']:,} steps",
            ],
            ["terminated (the robot fell)", f"{card['terminated_share']:.1%} of the finished episodes"],
            [
                "split, in episodes",
                ", ".join(f"{name} {count:,}" for name, count in card["split"]["episodes"].items()),
            ],
            [
                "action entries beyond [-1, 1], clipped",
                f"{card['action_entries_clipped']:,} of {card['action_entries']:,}",
            ],
            ["mended", "; ".join(f"{recordings.REPAIRS[k]} ({n:,})" for k, n in card["repairs"].items()) or "nothing"],
            ["file", f"{card['bytes']:,} bytes, SHA-256 `{card['sha256']}`"],
        ],
    )
    lines += ["## Finished episodes", ""]
    columns = [*QUANTILES, "mean", "standard_deviation"]
    lines += _table(
        ["", *(name.replace("_", " ") for name in columns)],
        [
            [title, *(f"{card[key][name]:,.{digits}f}" for name in columns)]
            for title, key, digits in (
                ("length", "lengths", 0),
                ("return", "returns", 1),
                ("normalised score", "normalised_scores", 1),
            )
        ],
    )
    lines += [
        f"A normalised score of 0 is a return of {low:,.1f} (random policy), 100 one of {high:,.1f} (expert).",
        "",
    ]
    lines += ["## One step, replayed", "", *_replay_lines(card["replay"])]
    lines += ["## Ranges", ""]
    lines += _table(
        ["", "min", "mean", "max", "standard deviation"],
        [
            [name, *(f"{found[key]:.4g}" for key in ("min", "mean", "max", "standard_deviation"))]
            for name, found in card["ranges"].items()
        ],
    )
    lines += ["## How it was made", "", *_provenance_lines(card["provenance"])]
    return "\n".join(lines).rstrip() + "\n"


def _replay_lines(found: Mapping[str, Any]) -> list[str]:
    if "reason" in found:
        return [f"Not replayed: {found['reason']}.", ""]
    rows = []
    for variant, errors in found["errors"].items():
        numbers = [f"{errors[what][name]:.1e}" for what in ("next_observation", "reward") for name in ERRORS]
        rows.append([f"`{variant}`", *numbers, str(errors["terminations_that_differ"])])
    header = [f"{what}, {name}" for what in ("observation", "reward") for name in ERRORS]
    return [
        f"From {found['rows']:,} recorded states, the recorded action: the largest difference of any entry of the next "
        "observation, and that of the reward, by simulator. States are stored as float32, whose rounding (6e-8 of a "
        "value) a step magnifies.",
        "",
        *_table(["simulator", *header, "terminations that differ"], rows),
    ]


def _provenance_lines(made: Mapping[str, Any]) -> list[str]:
    shown = [
        [name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)]
        for name, value in made.items()
        if name not in ("dataset", "provider", "task", "sha256", "size_bytes", "mtime_ns", "policies", "repairs")
    ]
    lines = _table(["", ""], shown)
    if "policies" in made:
        columns = list(made["policies"][0])
        rows = [["" if one[name] is None else str(one[name]) for name in columns] for one in made["policies"]]
        lines += _table(["behaviour policy", *columns[1:]], rows)
    return lines


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows),
        "",
    ]
