"""The least that a rollout can cost: its physics, as it is and as MuJoCo loads it, and its inference, done over."""

import ctypes
import functools
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import mujoco
import mujoco.batch
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.policies.base import Policy
from support.processes import Timer
from tests.support.stock import searching_model

BATCH = 2_000
"""Environments, and rows of a call of inference alone."""


@dataclass
class Chunk:
    """Some steps of a rollout in one process, with all that is needed to do them over."""

    model: mujoco.MjModel
    states: NDArray[np.float64]  # (environments, state): before the first step
    frame_skip: int = 0  # steps of the physics in one of the rollout
    ids: list[NDArray[np.int64]] = field(default_factory=list)  # per step
    controls: list[NDArray[np.float64]] = field(default_factory=list)  # per step, (n, nu)
    observations: list[NDArray[np.float32]] = field(default_factory=list)  # per step, (n, d)
    outcomes: list[NDArray[np.float32] | None] = field(default_factory=list)  # per step, (n, k)
    positions: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))  # (environments, nq): at the end

    @property
    def steps(self) -> int:
        """Of all environments together."""
        return sum(map(len, self.ids))

    def inputs(self, rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """What the policy was asked in these steps, repeated or cut to so many rows: (rows, d) and (rows, k)."""
        observations = np.concatenate(self.observations)
        which = np.resize(np.arange(len(observations)), rows)
        outcomes = [outcome for outcome in self.outcomes if outcome is not None]
        return observations[which], np.concatenate(outcomes)[which] if outcomes else None


Floor = Callable[[Policy, Chunk, Timer], None]
"""Does the steps of a chunk over with the policy, or a part of what they need, and times it."""


def physics(_policy: Policy, chunk: Chunk, timer: Timer) -> None:
    """`replay`, for a rollout."""
    replay(chunk, timer)


def physics_as_loaded(policy: Policy, chunk: Chunk, timer: Timer) -> None:
    """The same with the model as MuJoCo loads it from Gymnasium's file, which looks for contacts."""
    replay(replace(chunk, model=_searching_model(policy.metadata["task"])), timer)


def inference(policy: Policy, chunk: Chunk, timer: Timer) -> None:
    """The policy alone, in calls of 2,000 rows."""
    calls = math.ceil(chunk.steps / BATCH)
    observations, outcome = chunk.inputs(calls * BATCH)
    timer.start()
    for first in range(0, len(observations), BATCH):
        rows = slice(first, first + BATCH)
        policy.predict(observations[rows], None if outcome is None else outcome[rows])
    timer.stop(len(observations))


FLOORS: Mapping[str, Floor] = {"physics": physics, "physics as loaded": physics_as_loaded, "inference": inference}

_searching_model = functools.cache(searching_model)


def replay(chunk: Chunk, timer: Timer) -> None:
    """The physics of a chunk: mj_step in a compiled loop, or mujoco.batch where there is no C compiler.

    Raises AssertionError where it does not end in the chunk's positions, to the bit: then it is no floor.
    """
    positions = _replay_compiled(chunk, timer) if shutil.which("cc") else replay_in_batch(chunk, timer).qpos
    np.testing.assert_array_equal(positions, chunk.positions)


def replay_in_batch(chunk: Chunk, timer: Timer) -> mujoco.batch.Batch:
    """The physics of a chunk by mujoco.batch; returns it as the chunk ends."""
    batch = mujoco.batch.Batch(chunk.model, len(chunk.states), 1)
    batch.state[:] = chunk.states
    controls = batch.bind("ctrl")
    timer.start()
    for ids, control in zip(chunk.ids, chunk.controls, strict=True):
        controls[ids] = control
        batch.step(ids, chunk.frame_skip)
    timer.stop(chunk.steps)
    return batch


def _replay_compiled(chunk: Chunk, timer: Timer) -> NDArray[np.float64]:
    environments, nu, nq = len(chunk.states), chunk.model.nu, chunk.model.nq
    lengths = np.bincount(np.concatenate(chunk.ids), minlength=environments).astype(np.int32)
    controls = np.zeros((environments, len(chunk.ids), nu))
    for step, (ids, control) in enumerate(zip(chunk.ids, chunk.controls, strict=True)):
        controls[ids, step] = control
    states, qpos = np.ascontiguousarray(chunk.states), np.empty((environments, nq))
    data = mujoco.MjData(chunk.model)
    play = _compiled_physics().play
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (states, lengths, controls, qpos)]
    timer.start()
    play(
        ctypes.c_void_p(chunk.model._address),
        ctypes.c_void_p(data._address),
        environments,
        len(chunk.ids),
        chunk.frame_skip,
        *pointers,
    )
    timer.stop(chunk.steps)
    return qpos


@functools.cache
def _compiled_physics() -> ctypes.CDLL:
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
