"""Which simulator made a file: single steps replayed from its observations alone.

An observation of a robot of the gym suite is its state but for x, which changes nothing of a step, and that of an ant
in a maze is all of its state. So the simulator is put into observed states, given the recorded actions, and what it
returns is compared with what was observed next. Every physics that is known here and that differs for the robot is
tried; where none of the task's own repeats the steps, so are those of the other robots of the same sizes.

`repeats` of a row means that no entry of the next observation differs by more than `TOLERANCE`. What that is chosen by
(docs/evidence/which-simulator.md has the figures): in the simulator that made them, 99.6 % of the steps or more come
out within 1e-4, whether they were stored as float32 (whose rounding a step magnifies) or as float64; in any other, of
the steps that differ at all 98 % differ by more than 1e-3. Steps in which another physics does the same, in the air
for one, say nothing: two are told apart by the steps that one of them alone repeats.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.data import hdf5, recordings
from d4rl_automl.simulators import SIMULATORS, STEPPED_HERE, of, robots
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.simulators.models import make_model

ROWS = 10_000
"""Drawn from a file, at most."""
SEED = 0
"""Of the draw."""
LEAST_ROWS = 200
"""With fewer that can be replayed, nothing is said."""
TOLERANCE = 1e-4
"""By which any entry of a next observation differs at most where a simulator repeats a step (m, rad, m/s or rad/s)."""
REPEATED = 0.95
"""Share of the rows that the simulator which made them repeats at least."""
TOLD_APART = 10
"""Rows, of those that one of two simulators alone repeats, by which they are told apart at least."""
REWARD_TOLERANCE = 1e-3
"""Of a reward, likewise."""

NONE, NOT_KNOWN = "none", "not known"
QUANTILES = {"median": 0.5, "99 %": 0.99}

_FALLS, _LEAST_FALLS = 500, 3
"""Steps of a fall whose rewards are looked at: at most, and at least."""
_TRIED = 300
"""Rows that a simulator, or an explanation, has to prove itself with before it is given more."""
_HOPELESS = 0.2
"""Share of these that a simulator has to repeat for that."""


def identify(
    reader: recordings.Reader,
    task: str | None,
    *,
    scale_actions: float | None = None,
    rows: int = ROWS,
    seed: int = SEED,
) -> dict[str, Any]:
    """What `identification.identify_simulator` answers, of an open file, by so many rows drawn by `seed`.

    `scale_actions` is what recorded actions are divided by.
    """
    sizes = reader.file["observations"].shape[1], reader.file["actions"].shape[1]
    own = [name for name in _tasks(sizes) if task in (None, name)]
    answer: dict[str, Any] = {
        **{"verdict": NOT_KNOWN, "task": None, "asked_task": task, "simulators": [], "repeating": [], "about": ""},
        **{"reason": "", "rows": reader.rows, "sampled": 0, "usable": 0, "stored": "", "evidence": []},
        **{"falls": 0, "paid": 0, "unpaid": 0, "scale_actions": None, "shift": None},
    }
    if not own:
        what = f"task {task}" if task else f"{sizes[0]} observed entries and {sizes[1]} actions"
        return answer | {"reason": f"the steps of {what} cannot be replayed: there is no simulator of it"}
    steps = _drawn(reader, rows, seed, scale_actions)
    answer |= {"sampled": len(steps.rows), "stored": steps.stored.name}
    if coarse := _coarse(steps):
        return answer | {"reason": f"{coarse} are too coarse to be replayed"}
    mine = [trial for name in own for trial in _tried(name, steps)]
    others: list[_Trial] = []
    if task is not None and max(trial.share for trial in mine) < REPEATED:
        others = [trial for name in _others(sizes, task) for trial in _tried(name, steps)]
    trials = [*mine, *others]
    # A file is not a robot's because few of its rows can be replayed as such.
    fitting = [trial for trial in trials if trial.usable >= LEAST_ROWS and trial.share >= REPEATED]
    best = max(fitting or mine, key=lambda trial: trial.share)
    answer |= {"usable": best.usable, "evidence": [trial.told() for trial in trials]}
    if not fitting:
        fewest = min(trial.usable for trial in mine)
        if fewest < LEAST_ROWS:
            return answer | {
                "reason": f"{fewest} of {len(steps.rows):,} rows can be replayed, and it takes {LEAST_ROWS} (the "
                "others have clipped velocities, or no next observation)"
            }
        return answer | {"verdict": NONE} | _explained(own, steps, mine, best)
    alike = [trial for trial in trials if trial is not best and not _told_apart(best, trial)]
    if alike:
        both = " and ".join(f"{trial.name} ({trial.about})" for trial in (best, *alike))
        return answer | {"reason": f"{both} do the same in the {best.usable:,} rows that can be replayed"}
    return answer | _named(reader, best, steps, scale_actions)


def classes(task: str) -> dict[str, tuple[str, ...]]:
    """What can be told apart by the steps of a robot: simulators of the same model, under the name of the first."""
    return dict(_classes(task))


def about(task: str, name: str) -> str:
    """What makes the steps of a class of a task's, in words."""
    physics = [SIMULATORS[variant].physics for variant in classes(task)[name]]
    if physics[0].old_inertias:
        return "D4RL's environments on MuJoCo 2.1.0"
    versions = " or ".join(f"v{version}" for version in sorted({one.gymnasium for one in physics}))
    eras: dict[tuple[bool, ...], str] = {(True,): "MuJoCo 2.1.2 to 3.4", (False,): "MuJoCo 3.5 or later"}
    era = eras.get(tuple({one.old_margins for one in physics}), "any MuJoCo since 2.1.2")
    return f"Gymnasium {versions} on {era}"


@functools.cache
def _classes(task: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    groups: dict[tuple[bytes, ...], list[str]] = {}
    for variant in (name for name in STEPPED_HERE if name in of(task)):
        model = make_model(task, variant)
        fields = (model.body_mass, model.body_inertia, model.body_ipos, model.pair_margin, model.pair_friction)
        groups.setdefault(tuple(field.tobytes() for field in fields), []).append(variant)
    return tuple((names[0], tuple(names)) for names in groups.values())


@functools.cache
def _tasks(sizes: tuple[int, int]) -> tuple[str, ...]:
    """The simulated tasks of these sizes of observation and action."""
    return tuple(
        name for name in tasks.SIMULATED if sizes == (tasks.get(name).observation_size, tasks.get(name).action_size)
    )


def _others(sizes: tuple[int, int], task: str) -> list[str]:
    """One task for each other robot of these sizes: two of the same one cannot be told apart."""
    by_robot = {tasks.get(name).robot: name for name in reversed(_tasks(sizes))}
    del by_robot[tasks.get(task).robot]
    return list(by_robot.values())[::-1]


@dataclass(frozen=True)
class _Steps:
    """Recorded steps."""

    rows: NDArray[np.int64]  # (n,) of the file, ascending
    observations: NDArray[np.float64]  # (n, d)
    actions: NDArray[Any]  # (n, a), of the type that they are stored in
    following: NDArray[np.float64]  # (n, d)
    rewards: NDArray[np.float64]  # (n,)
    beside: dict[int, NDArray[Any]]
    """(n, a): the actions of the rows before (-1) and after (1)."""
    stored: np.dtype
    """The coarser type of both observations."""


@dataclass(frozen=True)
class _Trial:
    """What came out of steps in one simulator. Arrays have a row for every step; NaN where it was not replayed."""

    task: str
    name: str
    usable: int
    """Steps that can be replayed."""
    errors: NDArray[np.float64]  # (n,)
    reward_errors: NDArray[np.float64]  # (n,)

    @property
    def about(self) -> str:
        return about(self.task, self.name)

    @property
    def replayed(self) -> int:
        """Steps that were replayed: all that can be, or of a simulator that is out of the question, a few."""
        return int(np.isfinite(self.errors).sum())

    @property
    def repeats(self) -> NDArray[np.bool_]:
        """(n,)"""
        return self.errors <= TOLERANCE

    @property
    def share(self) -> float:
        """Of the steps that were replayed, those that are repeated."""
        return float(self.repeats.sum() / max(self.replayed, 1))

    def told(self) -> dict[str, Any]:
        """As the answer has it."""
        return {
            "task": self.task,
            "simulator": self.name,
            "about": self.about,
            "rows": self.replayed,
            "repeated": self.share,
            "error": _quantiles(self.errors),
            "reward": _quantiles(self.reward_errors),
        }


def _quantiles(errors: NDArray[np.float64]) -> dict[str, float | None]:
    known = errors[np.isfinite(errors)]
    found = np.quantile(known, list(QUANTILES.values())).tolist() if len(known) else [None] * len(QUANTILES)
    return dict(zip(QUANTILES, found, strict=True))


def _drawn(reader: recordings.Reader, rows: int, seed: int, scale_actions: float | None) -> _Steps:
    """Rows that have a next observation: `next_observations` or, inside episodes, the next row's observation."""
    follows = "next_observations" in reader
    usable = np.arange(reader.rows)
    if not follows:
        usable = np.flatnonzero(~(reader.terminated | reader.truncated)[:-1])
    if rows < len(usable):
        usable = np.sort(np.random.default_rng(seed).choice(usable, rows, replace=False))
    return _read(reader, usable, scale_actions)


def _read(reader: recordings.Reader, chosen: NDArray[np.int64], scale_actions: float | None) -> _Steps:
    beside = {shift: np.clip(chosen + shift, 0, reader.rows - 1) for shift in (-1, 1)}
    wanted = np.unique(np.concatenate([chosen, *beside.values()]))
    observations, every_action = _picked(reader, "observations", chosen), _picked(reader, "actions", wanted)
    follows = "next_observations" in reader
    following = _picked(reader, *(("next_observations", chosen) if follows else ("observations", chosen + 1)))
    stored = min(observations.dtype, following.dtype, key=lambda dtype: dtype.itemsize)
    if scale_actions is not None:
        every_action = every_action / every_action.dtype.type(scale_actions)
    return _Steps(
        chosen,
        observations.astype(np.float64),
        every_action[np.searchsorted(wanted, chosen)],
        following.astype(np.float64),
        reader.rewards[chosen].astype(np.float64),
        {shift: every_action[np.searchsorted(wanted, rows)] for shift, rows in beside.items()},
        stored,
    )


def _picked(reader: recordings.Reader, name: str, chosen: NDArray[np.int64]) -> NDArray[Any]:
    """Some rows, ascending, of an array of the file; read in chunks, since HDF5 picks single rows slowly."""
    array = reader.file[name]
    parts = [np.empty((0, *array.shape[1:]), array.dtype)]
    for start in range(0, reader.rows, recordings.CHUNK):
        first, last = np.searchsorted(chosen, (start, start + recordings.CHUNK))
        if first < last:
            with hdf5.hdf5_errors(reader.path):
                parts.append(array[start : start + recordings.CHUNK][chosen[first:last] - start])
    found = np.concatenate(parts)
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _coarse(steps: _Steps) -> str:
    """What is stored coarser than `TOLERANCE` allows, and how, if anything is: a rounding is magnified by the step."""
    for what, dtype in (("observations", steps.stored), ("actions", steps.actions.dtype)):
        if dtype.itemsize < 4:
            return f"{what} stored as {dtype}"
    for digits in range(6):
        scaled = steps.observations * 10**digits
        if (np.abs(scaled - np.rint(scaled)) <= np.finfo(steps.stored).eps * np.abs(scaled)).all():
            return f"observations rounded to {digits} decimals"
    return ""


def _tried(task: str, steps: _Steps) -> list[_Trial]:
    """The steps in every class of a task: a few, and all of them unless few of those are repeated."""
    usable = _usable(robots.get(task), steps)
    few = usable[:: -(-len(usable) // _TRIED)] if len(usable) else usable
    trials = [_replayed(task, name, steps, few) for name in classes(task)]
    return [_replayed(task, one.name, steps, usable) if one.share > _HOPELESS else one for one in trials]


def _usable(robot: robots.Robot, steps: _Steps) -> NDArray[np.int64]:
    """The steps that can be replayed (m,): whose velocities are not clipped."""
    return np.flatnonzero(robot.observed_states(steps.observations)[2])


def _replayed(
    task: str, name: str, steps: _Steps, chosen: NDArray[np.int64], actions: NDArray[Any] | None = None
) -> _Trial:
    """The `chosen` steps (m,) in one simulator, by default with the recorded actions, else with others (n, a)."""
    actions = steps.actions if actions is None else actions
    observations, rewards, _ = _stepped(task, name, steps, chosen, actions)
    errors, reward_errors = np.full((2, len(steps.rows)), np.nan)
    errors[chosen] = np.abs(observations - steps.following[chosen]).max(axis=1)
    if tasks.get(task).goal is None:  # Of which goal a reward is, an observation does not tell.
        reward_errors[chosen] = np.abs(rewards - steps.rewards[chosen])
    # v4's and v5's control cost is that of the action before it is clipped.
    reward_errors[(np.abs(actions) > 1).any(axis=1)] = np.nan
    return _Trial(task, name, len(_usable(robots.get(task), steps)), errors, reward_errors)


def _stepped(
    task: str, name: str, steps: _Steps, rows: NDArray[np.int64], actions: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """What m of the steps, by their numbers, lead to with these actions (n, a).

    Returns the next observations (m, d), rewards and falls (m,).
    """
    simulator = BatchSimulator(task, len(rows), name)
    qpos, qvel, _ = simulator.robot.observed_states(steps.observations[rows])
    simulator.set_state(qpos, qvel)
    observations, rewards, fell, _ = simulator.step(actions[rows])
    return observations, rewards, fell


def _told_apart(best: _Trial, other: _Trial) -> bool:
    """Whether the better of two simulators repeats so many more steps than the other."""
    return int(best.repeats.sum()) - int((best.repeats & other.repeats).sum()) >= TOLD_APART + int(
        (other.repeats & ~best.repeats).sum()
    )


def _named(reader: recordings.Reader, best: _Trial, steps: _Steps, scale_actions: float | None) -> dict[str, Any]:
    """The verdict where one simulator repeats the steps; v4 and v5 may still be told apart by what a fall pays."""
    names = list(classes(best.task)[best.name])
    physics = SIMULATORS[best.name].physics
    names += [name for name, other in SIMULATORS.items() if other.physics == physics and name not in names]
    answer: dict[str, Any] = {
        "verdict": best.name,
        "task": best.task,
        "simulators": names,
        "repeating": names,
        "about": best.about,
        "reason": f"it repeats {best.share:.1%} of the {best.usable:,} rows that can be replayed",
    }
    robot = robots.get(best.task)
    versions = {SIMULATORS[name].physics.gymnasium for name in names}
    if (
        isinstance(robot, robots.Runner)
        and robot.healthy_reward
        and len(versions) > 1
        and "next_observations" in reader
    ):
        answer |= _rewarded(reader, best, robot.healthy_reward, scale_actions)
        falls = answer["falls"]
        for version, count in ((4, answer["paid"]), (5, answer["unpaid"])):
            if falls >= _LEAST_FALLS and count >= REPEATED * falls:
                answer["simulators"] = [name for name in names if SIMULATORS[name].physics.gymnasium == version]
                answer["reason"] += f"; what {count} of {falls} steps of a fall pay is v{version}'s"
    return answer


def _rewarded(
    reader: recordings.Reader, best: _Trial, healthy_reward: float, scale_actions: float | None
) -> dict[str, int]:
    """How many steps of a fall were replayed, and in how many the healthy reward was paid (v4), or not (v5)."""
    fell = np.flatnonzero(reader.terminated)
    if len(fell) > _FALLS:
        fell = np.sort(np.random.default_rng(SEED).choice(fell, _FALLS, replace=False))
    steps = _read(reader, fell, scale_actions)
    usable = _usable(robots.get(best.task), steps)
    observations, rewards, falls = _stepped(best.task, best.name, steps, usable, steps.actions)
    falls &= np.abs(observations - steps.following[usable]).max(axis=1, initial=0) <= TOLERANCE
    withheld = (rewards - steps.rewards[usable])[falls] / healthy_reward
    return {
        "falls": int(falls.sum()),
        "paid": int((np.abs(withheld) < 0.1).sum()),
        "unpaid": int((np.abs(withheld - 1) < 0.1).sum()),
    }


# What explains that nothing repeats the steps ---------------------------------------------------


def _explained(own: Sequence[str], steps: _Steps, trials: Sequence[_Trial], best: _Trial) -> dict[str, Any]:
    """The reason for the verdict that no simulator made the steps, and whether other actions would explain them."""
    parts: list[_Trial] = []
    together = np.zeros(len(steps.rows), bool)
    for trial in sorted(trials, key=lambda trial: -trial.share):
        if trial.share > _HOPELESS and (trial.repeats & ~together).sum() >= TOLD_APART:
            parts.append(trial)
            together |= trial.repeats
    if together.sum() >= REPEATED * best.usable:
        shares = " and ".join(f"{one.name} ({one.about}) repeats {one.share:.1%}" for one in parts)
        return {"reason": f"its {best.usable:,} rows are of several simulators, of which {shares} of them"}
    for task in own:
        few = _usable(robots.get(task), steps)[:_TRIED]
        for name in classes(task):
            for shift in (-1, 1):
                share = _replayed(task, name, steps, few, steps.beside[shift]).share
                if share >= REPEATED:
                    row = "before" if shift < 0 else "after"
                    own_share = _replayed(task, name, steps, few).share
                    reason = (
                        f"{name} ({about(task, name)}) repeats {own_share:.1%} of the rows with their own action and "
                        f"{share:.1%} with that of the row {row}: the actions are shifted by a row"
                    )
                    return {"reason": reason, "shift": shift}
            scale = _scale(task, name, steps, few)
            if scale is not None:
                share = _replayed(task, name, steps, few, steps.actions / scale).share
                reason = (
                    f"{name} ({about(task, name)}) repeats {share:.1%} of the rows if their actions are divided by "
                    f"{scale:g}, and {_replayed(task, name, steps, few).share:.1%} as they are"
                )
                return {"reason": reason, "scale_actions": scale}
    error = best.told()["error"]["median"]
    return {
        "reason": f"{best.name} ({best.about}) comes nearest, which repeats {best.share:.1%} of {best.replayed:,} rows "
        f"(median error {error:.1e})"
    }


def _scale(task: str, name: str, steps: _Steps, few: NDArray[np.int64]) -> float | None:
    """What the actions have to be divided by to lead where they led; None where no number does.

    The velocities after a step are nearly linear in the controls, so the number is found by Newton's method, from the
    median over a `few` of the steps, by their numbers, and then has to prove itself.
    """
    actions = steps.actions.astype(np.float64)
    largest = np.abs(actions[few]).max(initial=0)
    if largest == 0:
        return None
    robot = robots.get(task)

    def reached(factor: float) -> NDArray[np.float64]:
        return robot.observed_states(_stepped(task, name, steps, few, actions * factor)[0])[1]

    wanted = robot.observed_states(steps.following[few])[1]
    factor, change = 0.0, 1 / largest
    for _ in range(4):
        now = reached(factor)
        slope = (reached(factor + change) - now) / change
        size = np.square(slope).sum(axis=1)
        told = size > 0
        if not told.any():
            return None
        factor += float(np.median(((wanted - now) * slope).sum(axis=1)[told] / size[told]))
        if not np.isfinite(factor) or factor <= 0:
            return None
        change = 1e-3 * factor
    for scale in (float(f"{1 / factor:.3g}"), 1 / factor):
        if abs(scale - 1) > 1e-3 and _replayed(task, name, steps, few, actions / scale).share >= REPEATED:
            return scale
    return None
