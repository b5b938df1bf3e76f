"""Teacher, students and the control side by side: loss, size and speed."""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from d4rl_automl.core import files
from d4rl_automl.data.transitions import Transitions, read
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.loading import load_policy

ROWS = 20_000
"""Test rows the losses are computed on, at most."""
BATCH = 2_000
"""Rows of one call, both for the losses and for the speed."""
SECONDS = 1.0
"""How long the speed of one policy is measured, at least."""

log = logging.getLogger(__name__)


def compare(*, transitions: str | Path, policies: Sequence[str | Path], threads: int, output: str | Path) -> None:
    """Write a table of policies as CSV; one row per policy and teacher of the same seed.

    Arguments
        transitions: the dataset's transitions table.
        policies: handles; those of kind "teacher" are what the others are compared with.
        threads: threads each policy may use.
        output: the table, with the columns
            method, kind, seed
            teacher: method that l2_teacher and r2_teacher refer to; empty if there is none of this seed
            l2_data, r2_data: `squared_error` and `r2` against the recorded actions of the test rows; empty for a
                policy that was trained on them, as RvS-R is, and where there are no test rows
            l2_data_ac0, l2_data_ac1, …: the squared error of each action dimension
            l2_teacher, r2_teacher: against the teacher's actions on the same rows
            bytes: size of the policy's file or directories
            rows_per_second: actions per second in batches of 2,000 on this machine with `threads`
            rows: training rows (labels, for a student)

    Raises InputError for a file that cannot be read, as `transitions.read` and `policies.loading.load_policy` do.
    """
    rows = read(transitions, splits=("test",), limit=ROWS, seed=0)
    # Where nothing is held out there is no loss, and the speed is that on training rows.
    timed = rows if len(rows.rtg) else read(transitions, limit=ROWS, seed=0)
    described: list[dict[str, Any]] = []
    actions: list[NDArray[np.float32]] = []
    for path in tqdm(policies, desc="compare", unit="policy", mininterval=5):
        policy = load_policy(path, threads)
        handle = policy.metadata
        actions.append(_act(policy, rows))
        described.append(
            {
                "method": handle["method"],
                "kind": handle["kind"],
                "seed": handle["seed"],
                "bytes": _size(Path(path), handle),
                "rows_per_second": round(_rows_per_second(policy, timed)),
                "rows": handle["training"]["rows"],
                "splits": handle["training"].get("splits", ["train", "validation"]),
            }
        )
    by_dimension = [f"l2_data_ac{i}" for i in range(rows.actions.shape[1])]
    table = []
    for own, facts in zip(actions, described, strict=True):
        trained_on = "test" in facts.pop("splits")
        recorded, answered = (np.empty((0, rows.actions.shape[1])),) * 2 if trained_on else (rows.actions, own)
        errors = {
            "l2_data": squared_error(recorded, answered),
            "r2_data": r2(recorded, answered),
            **{name: squared_error(recorded[:, i], answered[:, i]) for i, name in enumerate(by_dimension)},
        }
        teachers = [i for i, d in enumerate(described) if d["kind"] == "teacher" and d["seed"] == facts["seed"]]
        for i in teachers:
            table.append(
                {
                    **facts,
                    **errors,
                    "teacher": described[i]["method"],
                    "l2_teacher": squared_error(actions[i], own),
                    "r2_teacher": r2(actions[i], own),
                }
            )
        if not teachers:
            table.append({**facts, **errors, "teacher": None, "l2_teacher": None, "r2_teacher": None})
    columns = ["method", "kind", "seed", "teacher", "l2_data", "r2_data", "l2_teacher", "r2_teacher"]
    frame = pd.DataFrame(table)[[*columns, *by_dimension, "bytes", "rows_per_second", "rows"]]
    log.info("on %d test rows:\n%s", len(rows.rtg), frame.to_string(index=False))
    with files.whole(output) as part:
        frame.to_csv(part, index=False)


def squared_error(expected: NDArray[np.floating], actions: NDArray[np.floating]) -> float | None:
    """Mean squared error of (N, a) actions, or (N,) of one dimension, in squared action units; None without rows."""
    return float(np.mean((np.asarray(expected, np.float64) - actions) ** 2)) if len(expected) else None


def r2(expected: NDArray[np.floating], actions: NDArray[np.floating]) -> float | None:
    """1 - squared error / variance of the expected actions; both over all dimensions, so large motions count more.

    None without rows, and where the expected actions are constant, up to the rounding of float32: there is no variance
    to explain.
    """
    error = squared_error(expected, actions)
    if error is None or np.ptp(expected, axis=0).max() <= np.finfo(np.float32).eps:
        return None
    return 1 - error / float(np.mean(np.var(expected, axis=0, dtype=np.float64)))


def _act(policy: Policy, rows: Transitions) -> NDArray[np.float32]:
    observations, outcome = _inputs(policy, rows, slice(None))
    batches = (slice(first, first + BATCH) for first in range(0, len(rows.rtg), BATCH))
    acted = [policy.act(observations[batch], None if outcome is None else outcome[batch]) for batch in batches]
    return np.concatenate(acted) if acted else np.empty_like(rows.actions)


def _inputs(policy: Policy, rows: Transitions, index: Any) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Observations, and the outcomes as the policy's outcome rule has them; goals are drawn alike for every policy."""
    outcome = policy.outcome_rule.recorded(rows, np.random.default_rng(0))
    return rows.observations[index], None if outcome is None else outcome[index]


def _rows_per_second(policy: Policy, rows: Transitions) -> float:
    """Of whole batches for `SECONDS`, after one that warms up."""
    inputs = _inputs(policy, rows, np.resize(np.arange(len(rows.rtg)), BATCH))
    policy.act(*inputs)
    calls, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < SECONDS:
        policy.act(*inputs)
        calls += 1
    return calls * BATCH / elapsed


def _size(path: Path, handle: Mapping[str, Any]) -> int:
    """Bytes of all files the handle points at."""
    parts = [handle["file"]] if "file" in handle else handle["directories"]
    roots = [path.parent / part for part in parts]
    files_of = [file for root in roots for file in (root.rglob("*") if root.is_dir() else [root])]
    return sum(file.stat().st_size for file in files_of if file.is_file())
