"""A film of an episode: animated WebP, a still of it as PNG, and what it shows as JSON."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pandas as pd
from PIL import Image

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation.replay import Replay, replay
from d4rl_automl.films import choosing, robots
from d4rl_automl.films.frames import CLOSE_UP, PICTURE, SIZE, Heading, Map, State, beside, frame
from d4rl_automl.films.robots import Painter
from d4rl_automl.films.timing import Timing, timing
from d4rl_automl.policies.loading import read_metadata
from d4rl_automl.simulators import robots as simulated
from d4rl_automl.simulators.camera import View
from d4rl_automl.simulators.models import make_model
from d4rl_automl.tasks import outcomes
from d4rl_automl.tasks.task import Task

QUALITY = 70
"""Of WebP: 100 would be four times as large."""
_END = 2000
"""Milliseconds that the last frame is shown for."""
_REMARK = 12
"""Frames on which it stands how many steps were left out before them."""

log = logging.getLogger(__name__)


def make(
    policies: Sequence[str | Path],
    *,
    rollouts: Sequence[str | Path],
    targets: Sequence[str | Path],
    scores: str | Path,
    simulator: str,
    episode: str,
    output: str | Path,
) -> None:
    """Film the best of some policies of a dataset.

    `policies`: handles of every method that is asked about and training seed; `rollouts` and `targets`: their report
    tables and chosen targets in one simulator; `scores`: the dataset's. `episode` is one of `table.EPISODES`.
    `output` ends in .webp; beside it stand a still (.png) and the facts (.json), of which `alt` is the text for who
    does not see it.

    The states are those of the episode in the table, whose return is reached again to the last digit (`replay`). Same
    inputs give the same bytes wherever the same library draws.

    Raises InputError for files that cannot be read or contradict each other, and as `replay` does.
    """
    handles = [(path, read_metadata(path)) for path in policies]
    methods = list(dict.fromkeys(metadata["method"] for _, metadata in handles))
    method = choosing.best_method(scores, simulator, methods)
    row, count, table = choosing.choose(rollouts, targets, method, simulator, episode)
    seed = int(row["training_seed"])
    found = [path for path, metadata in handles if (metadata["method"], metadata["seed"]) == (method, seed)]
    if not found:
        raise InputError(f"policies: found none of {method}, training seed {seed}, which {table} is of; pass it")
    log.info("the %s of %d episodes of %s: number %d of training seed %d", episode, count, method, row["episode"], seed)
    played = replay(found[0], table, row)
    task = tasks.get(row["task"])
    model = make_model(task.name, simulator)
    pace = timing(len(played.qpos) - 1, model.opt.timestep * simulated.get(task.name).frame_skip, way=bool(task.maze))
    told = _told(row, outcomes.get(read_metadata(found[0])["outcome_rule"]).name)
    heading = Heading(str(row["dataset"]), f"{method} (seed {seed}), {told}", f"{episode} of {count}")
    painter = robots.painter(model, CLOSE_UP if task.maze else PICTURE)
    log.info("drawn by %s", painter.name)
    try:
        pictures = [
            frame(picture, heading, state)
            for picture, state in zip(
                _pictures(task, played, pace, painter, row), _states(task, played, pace, row), strict=True
            )
        ]
    finally:
        painter.close()
    facts = _facts(task, row, pace, painter) | {"command": told, "episode": episode, "of_episodes": count}
    facts["alt"] = _alt(facts, row)
    _write(Path(output), pictures, pace, facts)


def _pictures(
    task: Task, played: Replay, pace: Timing, painter: Painter, row: "pd.Series[Any]"
) -> Iterator[Image.Image]:
    model = make_model(task.name, row["simulator"])
    view = _view(model, task)
    if task.maze is None:
        for step in pace.steps:
            yield painter.picture(played.qpos[step], _at(view, played.qpos[step, 0], 0.0))
        return
    assert task.goal is not None, f"{task.name} is a maze without a goal"
    plan = Map(task.maze, played.goal, task.goal.radius, bool(row["success"]), model)
    for step in pace.steps:
        qpos = played.qpos[step]
        left = task.goal.distances(qpos[None, :2], played.goal[None])[0]
        ended = (_end(row),) if step == pace.steps[-1] else ()
        lines = ("ring: the start", "green: the goal,", f"{left:.1f} m away", *ended)
        close_up = painter.picture(qpos, _at(view, *qpos[:2]))
        yield beside(plan.picture(qpos, played.qpos[: step + 1, :2]), close_up, lines)


def _view(model: mujoco.MjModel, task: Task) -> View:
    """Of the robot where it starts: the side of one that runs, the ant of a maze over the walls."""
    if task.maze is not None:
        return View((0.0, 0.0, 0.4), 4.0, -60)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    limbs = model.geom_type != int(mujoco.mjtGeom.mjGEOM_PLANE)
    ends = np.abs(data.geom_xmat[limbs].reshape(-1, 3, 3)[:, :, 2]) * model.geom_size[limbs, 1:2]
    reach = ends + model.geom_size[limbs, :1]
    top = float((data.geom_xpos[limbs] + reach)[:, 2].max())
    length = float((data.geom_xpos[limbs] + reach)[:, 0].max() - (data.geom_xpos[limbs] - reach)[:, 0].min())
    height = max(1.4 * top, 1.1 * length)
    return View((0.0, 0.0, 0.4 * height), height, -8)


def _at(view: View, x: float, y: float) -> View:
    return replace(view, centre=(float(x), float(y), view.centre[2]))


def _states(task: Task, played: Replay, pace: Timing, row: "pd.Series[Any]") -> Iterator[State]:
    length = len(played.qpos) - 1
    for number, step in enumerate(pace.steps):
        remark = ""
        # No minus before a 0.
        metres = f", {round(played.qpos[step, 0])} m" if task.maze is None else ""
        if pace.cut is not None and 0 <= number - pace.cut < _REMARK:
            remark = f"… {pace.steps[pace.cut] - pace.steps[pace.cut - 1]:,} steps later"
        if step == length and task.maze is None:
            remark = _end(row)
        yield State(
            f"step {step:,} of {length:,}{metres}, {pace.told}",
            f"return {played.returns[step]:,.{0 if task.goal is None else 1}f}",
            step / length,
            remark,
        )


def _end(row: "pd.Series[Any]") -> str:
    """What ended the episode."""
    if row["diverged"]:
        return "physics blew up"
    if row["success"] is not None and row["success"]:
        return "goal reached"
    return "fallen" if row["terminated"] else "time limit"


def _told(row: "pd.Series[Any]", rule: str) -> str:
    """What was commanded."""
    if not pd.isna(row["fraction"]):
        return f"f = {row['fraction']:g}"
    return "told the goal" if rule == outcomes.GOAL.name else "told nothing"


def _facts(task: Task, row: "pd.Series[Any]", pace: Timing, painter: Painter) -> dict[str, Any]:
    return {
        "dataset": str(row["dataset"]),
        "method": str(row["method"]),
        "kind": str(row["kind"]),
        "seed": int(row["training_seed"]),
        "simulator": str(row["simulator"]),
        "fraction": None if pd.isna(row["fraction"]) else float(row["fraction"]),
        "return": float(row["return"]),
        "normalised_score": float(row["normalised_score"]),
        "success": None if task.goal is None else bool(row["success"]),
        "length": int(row["length"]),
        "end": _end(row),
        "episode_number": int(row["episode"]),
        "episode_seed": int(row["seed"]),
        "frames": len(pace.steps),
        "width": SIZE[0],
        "height": SIZE[1],
        "speed": pace.speed,
        "steps_left_out": 0 if pace.cut is None else pace.steps[pace.cut] - pace.steps[pace.cut - 1] - 1,
        "drawn_by": painter.name,
    }


def _alt(facts: dict[str, Any], row: "pd.Series[Any]") -> str:
    """What a film shows, in a sentence or two."""
    return (
        f"Film of {row['task']} played by {facts['method']} (training seed {facts['seed']}; {facts['command']}) on "
        f"{facts['dataset']}: the {facts['episode']} of {facts['of_episodes']} report episodes, return "
        f"{facts['return']:,.1f}, normalised score {facts['normalised_score']:.1f}. It ended after "
        f"{facts['length']:,} steps: {facts['end']}. Drawn by {facts['drawn_by']}."
    )


def _write(output: Path, pictures: Sequence[Image.Image], pace: Timing, facts: dict[str, Any]) -> None:
    durations = [pace.milliseconds] * (len(pictures) - 1) + [_END]
    with files.whole(output) as part:
        pictures[0].save(
            part, save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=QUALITY, method=4
        )
    # The way of an ant is seen at its end, a gait best on the way.
    still = pictures[-1 if facts["success"] is not None else len(pictures) // 2]
    with files.whole(output.with_suffix(".png")) as part:
        still.save(part, optimize=True)
    files.write_json(output.with_suffix(".json"), facts)
    log.info("%s: %d frames, %.0f kB", output, len(pictures), output.stat().st_size / 1000)
