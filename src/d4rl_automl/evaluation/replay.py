"""An episode of a rollout table played once more, for the states that it went through."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl import simulators
from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.rollout import play
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.loading import load_policy
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.closed_loop import Moment, StepResult
from d4rl_automl.tasks.seeds import episode_seeds

FACTS = ("policy_sha256", "rollout_seed", "processes", "fractions", "plays", "mujoco", "gymnasium")
"""What a rollout table says of itself, and a replay needs."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replay:
    """The states of an episode of T steps, its start and its end among them."""

    qpos: NDArray[np.float64]
    """Positions (T + 1, nq) as MuJoCo has them."""
    returns: NDArray[np.float64]
    """Undiscounted sums (T + 1,) of the rewards so far; the first is 0."""
    goal: NDArray[np.float64]
    """What was to be reached (k,); k is 0 where the task has no goal."""


def replay(policy_path: str | Path, table: str | Path, episode: "pd.Series[Any]") -> Replay:
    """Play the row `episode` of the report `table`, a rollout of the policy at `policy_path`, once more.

    It is played alone, if that is the same. Of a policy whose rows depend, in their last digits, on what is predicted
    with them, it can be another episode: then all that was played together with it is played again. AutoGluon's
    predictors are such policies, and predict many rows in the time of one.

    Raises InputError where the policy is not the one that was played, for a simulator whose states are not known, and
    where return or length of the episode are not, to the last digit, those of the table.
    """
    facts = tables.read_parquet_metadata(table, FACTS)
    variant = episode["simulator"]
    if variant not in simulators.STEPPED_HERE:
        raise InputError(
            f"simulator {variant!r}: its states are not known here; those whose episodes can be played again are "
            f"{', '.join(simulators.STEPPED_HERE)}"
        )
    if files.sha256(policy_path) != facts["policy_sha256"]:
        raise InputError(f"{policy_path}: is not the policy that {table} was played with; make the rollouts again")
    policy = load_policy(policy_path)
    fractions = [] if pd.isna(episode["fraction"]) else [float(episode["fraction"])]
    if policy.metadata["format"] != "autogluon":
        alone, found = _play(policy, variant, fractions, np.array([episode["seed"]], np.int64), 0)
        if _same(alone, found, episode):
            return alone
        log.info("alone, its return is %s and not %s: all is played that it was played with", found, episode["return"])
    seeds = _together(facts, episode)
    place = int(np.flatnonzero(seeds == episode["seed"])[0])
    if fractions:
        place += len(seeds) * int(np.flatnonzero(np.isclose(facts["fractions"], fractions[0]))[0])
    together, found = _play(policy, variant, facts["fractions"], seeds, place)
    if not _same(together, found, episode):
        before = {name: facts[name] for name in ("mujoco", "gymnasium")}
        now = BatchSimulator(policy.metadata["task"], 1, variant).versions
        changed = [f"{name} was {before[name]} and is {now[name]}" for name in before if before[name] != now[name]]
        versions = "; ".join(changed) or "the versions are the same"
        raise InputError(
            f"{table}: episode {episode['episode']} of training seed {episode['training_seed']}, fraction "
            f"{episode['fraction']}, had the return {episode['return']} in {episode['length']} steps, and has "
            f"{found} in {len(together.returns) - 1} when it is played again ({versions}). Networks "
            "may round otherwise on another kind of processor: play and film on the same machine, "
            "or make the rollouts again here"
        )
    return together


def _play(
    policy: Policy, variant: str, fractions: list[float], seeds: NDArray[np.int64], place: int
) -> tuple[Replay, float]:
    """The episode at `place` among those of fractions and seeds, and its return."""
    simulator = BatchSimulator(policy.metadata["task"], max(len(fractions), 1) * len(seeds), variant)
    simulator.reset(np.tile(seeds, max(len(fractions), 1)))
    qpos, returns = [simulator.qpos[place].copy()], [0.0]

    def follow(moment: Moment, result: StepResult) -> None:
        row = np.searchsorted(moment.ids, place)
        if row < len(moment.ids) and moment.ids[row] == place:
            qpos.append(simulator.qpos[place].copy())
            returns.append(float(moment.returns[row] + result.rewards[row]))

    played = play(policy, simulator, fractions, seeds, follow)
    return Replay(np.array(qpos), np.array(returns), simulator.goals[place].copy()), float(played.returns[place])


def _same(found: Replay, value: float, episode: "pd.Series[Any]") -> bool:
    return value == episode["return"] and len(found.returns) - 1 == episode["length"]


def _together(facts: dict[str, Any], episode: "pd.Series[Any]") -> NDArray[np.int64]:
    """The seeds of all episodes that one process of the rollout played beside this one, of every target."""
    every = [
        episode_seeds(facts["rollout_seed"], episode["dataset"], purpose, count)
        for purpose, count in facts["plays"].items()
    ]
    chunks = np.array_split(np.concatenate(every), min(facts["processes"], sum(map(len, every))))
    return next(chunk for chunk in chunks if episode["seed"] in chunk)
