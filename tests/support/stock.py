"""Gymnasium's own environments and models, which ours are held against."""

import warnings
from typing import Any

import gymnasium
import mujoco
from gymnasium.envs.mujoco import MujocoEnv

from d4rl_automl import simulators
from d4rl_automl.simulators import robots
from d4rl_automl.simulators.models import make_model, prepare_mujoco


def make_environment(task: str, version: int = 4, **options: Any) -> gymnasium.Env:
    """Gymnasium's environment of a robot, v4 or v5."""
    robot = robots.get(task)
    assert isinstance(robot, robots.Runner), f"Gymnasium has no environment of {task}"
    prepare_mujoco()  # Or Gymnasium's loading would write a log file into the working directory.
    before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
    silent.logto_console = False  # Of a deprecated attribute in Gymnasium's file.
    silent.set()
    with warnings.catch_warnings(action="ignore"):  # v4 is old on purpose.
        environment = gymnasium.make(f"{robot.name}-v{version}", disable_env_checker=True, **options)
    before.set()
    return environment


def reference_environment(task: str, variant: str = "d4rl") -> gymnasium.Env:
    """Gymnasium's environment of a robot, carrying the inertias and margins of the variant."""
    version = simulators.get(variant).physics.gymnasium
    environment, cured = make_environment(task, version), make_model(task, variant)
    assert isinstance(environment.unwrapped, MujocoEnv)
    model = environment.unwrapped.model
    for field in ("body_mass", "body_inertia", "body_ipos", "body_iquat", "geom_margin"):
        getattr(model, field)[:] = getattr(cured, field)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return environment


def searching_model(task: str, variant: str = "d4rl") -> mujoco.MjModel:
    """The model as Gymnasium's file says, with the cures of the variant: MuJoCo looks for contacts by itself."""
    environment = reference_environment(task, variant).unwrapped
    assert isinstance(environment, MujocoEnv)
    return environment.model
