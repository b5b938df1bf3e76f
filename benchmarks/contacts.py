"""Physics with the contacts listed in the model against physics that looks for them, as MuJoCo does by itself.

The same gait of the same student: mj_step in a compiled loop, with the model that the project steps and with the one
that Gymnasium loads, which has the inertias and margins of the variant d4rl but neither the list nor its switches. Both
must end in the same positions to the bit. One process a core; mujoco.batch where there is no C compiler.
"""

import dataclasses
import functools
import shutil
from pathlib import Path
from typing import Any

import common
import gymnasium.envs.mujoco
import mujoco

from d4rl_automl import simulator

FIELDS = ("body_mass", "body_inertia", "body_ipos", "body_iquat", "geom_margin")
"""What the cures change."""


def searching_model(task: str, listed: mujoco.MjModel) -> mujoco.MjModel:
    """The model of Gymnasium's file with the cured fields of `listed`."""
    assets = Path(gymnasium.envs.mujoco.__file__).parent / "assets"
    model = mujoco.MjModel.from_xml_path(str(assets / simulator._ENVIRONMENTS[task].xml))
    for field in FIELDS:
        getattr(model, field)[:] = getattr(listed, field)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def measured(index: int, task: str, handle: str, environments: int, window: common.Window) -> dict[str, Any]:
    """For `common.Processes`: both kinds of physics along one gait."""
    play = functools.partial(common.watch, common.load_policy(Path(handle)), environments, index, window)
    recording = common._record(play, window, 1)
    searched = dataclasses.replace(recording, model=searching_model(task, recording.model))
    runs = {"listed": recording, "searched": searched}
    if shutil.which("cc"):
        return {name: functools.partial(common._replay_compiled, one) for name, one in runs.items()}
    return {name: functools.partial(common._replay, one, 1) for name, one in runs.items()}


def main() -> None:
    parser = common.parser(__doc__)
    common.add_window(parser)
    # The difference is smaller than what a shared host does to one run.
    parser.set_defaults(repeats=10)
    arguments = parser.parse_args()
    rows = []
    for task in arguments.tasks:
        settings = (task, str(common.student(task)), arguments.environments // common.CORES, common.window(arguments))
        with common.Processes(common.CORES, 1, measured, *settings) as processes:
            runs = {name: functools.partial(processes.run, name) for name in processes.names}
            found = common.in_turns(runs, arguments.repeats)
        listed, searched = found["listed"], found["searched"]
        rows.append(
            {
                "task": task,
                "listed, steps/s": round(listed.rate),
                "searched, steps/s": round(searched.rate),
                "times as fast": round(listed.rate / searched.rate, 2),
                "cpu us/step, listed": round(listed.microseconds, 1),
                "cpu us/step, searched": round(searched.microseconds, 1),
                "cpu, times as fast": round(searched.microseconds / listed.microseconds, 2),
                "runs": {name: vars(run) for name, run in found.items()},
            }
        )
    common.report(arguments, rows, {})


if __name__ == "__main__":
    main()
