"""The least that a rollout can cost: its physics, compiled and as loaded, and its inference, done over."""

import ctypes
import functools
import math
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium.envs.mujoco
import mujoco
import mujoco.batch
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.policies import base
from d4rl_automl.simulators import batch
from support.processes import Stopwatch

BATCH = 2_000
"""Environments, and rows of a call of inference alone."""


@dataclass
class Chunk:
    """Some steps of a rollout in one process, with all that is needed to do them over."""

    model: mujoco.MjModel
    frame_skip: int
    states: NDArray[np.float64]  # (environments, state): before the first step
    ids: list[NDArray[np.int64]] = field(default_factory=list)  # per step
    controls: list[NDArray[np.float64]] = field(default_factory=list)  # per step, (n, nu)
    observations: list[NDArray[np.float64]] = field(default_factory=list)  # per step, (n, d)
    outcomes: list[NDArray[np.floating] | None] = field(default_factory=list)  # per step, (n, k)
    positions: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))  # (environments, nq): at the end

    @property
    def steps(self) -> int:
        return sum(map(len, self.ids))

    def inputs(self, rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """What the policy was asked in these steps, repeated or cut to so many rows."""
        observations = np.concatenate(self.observations).astype(np.float32)
        which = np.resize(np.arange(len(observations)), rows)
        outcome = None
        if self.outcomes[0] is not None:
            outcome = np.concatenate([one for one in self.outcomes if one is not None]).astype(np.float32)[which]
        return observations[which], outcome


class Clock:
    """Adds up wall and processor seconds, and units of work, between `start` and `stop`."""

    def __init__(self) -> None:
        self.units, self.wall, self.cpu = 0, 0.0, 0.0

    def start(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self, units: int = 0) -> None:
        self.wall += time.perf_counter() - self._wall
        self.cpu += time.process_time() - self._cpu
        self.units += units


Floor = Callable[[Any, Chunk, Clock | Stopwatch], None]
"""Does the steps of a chunk over with the loaded policy, or a part of what they need, and times it."""


def physics(_loaded: Any, chunk: Chunk, clock: Clock | Stopwatch) -> None:
    """mj_step in a compiled loop, or mujoco.batch where there is no C compiler."""
    if shutil.which("cc"):
        _replay_compiled(chunk, clock)
    else:
        _replay(chunk, clock)


def physics_as_loaded(loaded: base.Policy, chunk: Chunk, clock: Clock | Stopwatch) -> None:
    """The same with the model as MuJoCo loads it from Gymnasium's file, which looks for contacts."""
    physics(loaded, replace(chunk, model=_searching_model(loaded.metadata["task"])), clock)


def inference(loaded: base.Policy, chunk: Chunk, clock: Clock | Stopwatch) -> None:
    """The policy alone, in calls of 2,000 rows."""
    calls = math.ceil(chunk.steps / BATCH)
    observations, outcome = chunk.inputs(calls * BATCH)
    clock.start()
    for first in range(0, len(observations), BATCH):
        rows = slice(first, first + BATCH)
        loaded._predict(observations[rows], None if outcome is None else outcome[rows])
    clock.stop(len(observations))


@functools.cache
def _searching_model(task: str) -> mujoco.MjModel:
    """With the inertias and margins of the variant d4rl."""
    assets = Path(gymnasium.envs.mujoco.__file__).parent / "assets"
    with warnings.catch_warnings(action="ignore"):
        model = mujoco.MjSpec.from_file(str(assets / batch._ENVIRONMENTS[task].xml)).compile()
    cured = batch.make_model(task)
    for name in ("body_mass", "body_inertia", "body_ipos", "body_iquat", "geom_margin"):
        getattr(model, name)[:] = getattr(cured, name)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def _replay(chunk: Chunk, clock: Clock | Stopwatch) -> None:
    batch = mujoco.batch.Batch(chunk.model, len(chunk.states), 1)
    batch.state[:] = chunk.states
    controls = batch.bind("ctrl")
    clock.start()
    for ids, control in zip(chunk.ids, chunk.controls, strict=True):
        controls[ids] = control
        batch.step(ids, chunk.frame_skip)
    clock.stop(chunk.steps)
    # The same physics to the bit, or it is no floor.
    np.testing.assert_array_equal(batch.qpos, chunk.positions)


def _replay_compiled(chunk: Chunk, clock: Clock | Stopwatch) -> None:
    environments, nu, nq = len(chunk.states), chunk.model.nu, chunk.model.nq
    lengths = np.bincount(np.concatenate(chunk.ids), minlength=environments).astype(np.int32)
    controls = np.zeros((environments, len(chunk.ids), nu))
    for step, (ids, control) in enumerate(zip(chunk.ids, chunk.controls, strict=True)):
        controls[ids, step] = control
    states, qpos = np.ascontiguousarray(chunk.states), np.empty((environments, nq))
    data = mujoco.MjData(chunk.model)
    play = compiled_physics().play
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (states, lengths, controls, qpos)]
    clock.start()
    play(
        ctypes.c_void_p(chunk.model._address),
        ctypes.c_void_p(data._address),
        environments,
        len(chunk.ids),
        chunk.frame_skip,
        *pointers,
    )
    clock.stop(chunk.steps)
    np.testing.assert_array_equal(qpos, chunk.positions)


@functools.cache
def compiled_physics() -> ctypes.CDLL:
    """physics.c, compiled against the MuJoCo library that this process uses."""
    folder = Path(mujoco.__file__).parent
    library = next(folder.glob("libmujoco.so*"))
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "physics.so"
        source = Path(__file__).with_name("physics.c")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", "-I", folder / "include", source, library, "-o", output],
            check=True,
        )
        return ctypes.CDLL(str(output))


FLOORS: Mapping[str, Floor] = {"physics": physics, "physics as loaded": physics_as_loaded, "inference": inference}
