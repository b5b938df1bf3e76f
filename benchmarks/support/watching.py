"""Rollouts watched step by step, timed, and interleaved with their floors."""

import contextlib
import functools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mujoco.batch
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.evaluation.rollout import rollout
from d4rl_automl.policies.base import Policy
from support.floors import FLOORS, Chunk, Floor
from support.processes import CORES, Clock, Measured, Processes, Run, Stopwatch, in_turns

FRACTIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
STEPS = 2
"""After so many the floors do them over: with 2,000 environments on two cores, some tenths of a second."""
WITHIN = ("physics", "inference")
"""What is timed within a rollout."""

Rows = NDArray[np.float32]
OnAct = Callable[[int, Rows, Rows | None], None]
"""Told, before each step, its number and what the policy is asked: observations (n, d) and outcome (n, k) or None."""
Load = Callable[[Path], Policy]


@dataclass(frozen=True)
class Window:
    """What is played, and what of it counts: `steps` after the first `skipped`."""

    skipped: int
    steps: int
    variant: str = "d4rl"
    fractions: tuple[float, ...] = FRACTIONS


class Enough(Exception):
    """Raised by who watches, to end a rollout."""


class _Watched(Policy):
    """Acts as a policy does, and tells `on_act` before."""

    def __init__(self, policy: Policy, on_act: OnAct) -> None:
        super().__init__(policy.metadata)
        self._policy, self._on_act, self._number = policy, on_act, 0

    def predict(self, observations: Rows, outcome: Rows | None) -> NDArray[np.floating]:
        self._on_act(self._number, observations, outcome)
        self._number += 1
        return self._policy.predict(observations, outcome)


def watch(  # noqa: PLR0917  All of these are a rollout's, in its order.
    policy: Policy, variant: str, fractions: Sequence[float], episodes: int, seed: int, on_act: OnAct
) -> None:
    """A rollout of `episodes` for each fraction, to its end or until `on_act` raises `Enough`."""
    with contextlib.suppress(Enough):
        rollout(_Watched(policy, on_act), fractions, episodes=episodes, seed=seed, simulator=variant)


def rollouts(  # noqa: PLR0917  Processes hand on what they get by position.
    index: int, policies: Mapping[str, str], environments: int, window: Window, load: Load, floors: Mapping[str, Floor]
) -> dict[str, Measured]:
    """For `Processes`: each policy's rollout, every `STEPS` steps of which its floors do over.

    Parts: wall seconds of "rollout" and of each floor, for as many units as the rollout has steps; "cpu, …", their
    processor seconds; and "physics within" and "inference within", the rollout's own processor seconds of each.
    Without floors nothing interrupts the rollout.
    """
    episodes = environments // len(window.fractions)

    def measured(policy: Policy, stopwatch: Stopwatch) -> None:
        timed = _TimedRollout(policy, window, floors, stopwatch)
        timed.play(episodes, seed=index)
        stopwatch.stop(timed.whole.units, timed.parts())

    return {name: functools.partial(measured, load(Path(path))) for name, path in policies.items()}


class _TimedRollout:
    """One rollout, timed as a whole and in its parts, and interrupted by its floors."""

    def __init__(self, policy: Policy, window: Window, floors: Mapping[str, Floor], stopwatch: Stopwatch) -> None:
        self.policy, self.window, self.floors, self.stopwatch = policy, window, floors, stopwatch
        self.whole = Clock()
        self.within = {part: Clock() for part in WITHIN}
        self.of_floors = {name: Clock() for name in floors}
        self.chunk_steps = STEPS if floors else window.steps
        self.batch: mujoco.batch.Batch | None = None
        self.chunk: Chunk | None = None
        """None before the window, and while the floors are at work."""

    def play(self, episodes: int, seed: int) -> None:
        """Play `episodes` for each fraction. Raises RuntimeError where they are over before the window begins."""
        with (
            _around(mujoco.batch.Batch, "__init__", self.on_batch),
            _around(mujoco.batch.Batch, "step", self.on_step),
            _around(type(self.policy), "predict", self.on_predict),
        ):
            watch(self.policy, self.window.variant, self.window.fractions, episodes, seed, self.on_act)
            # Where all episodes ended within the window.
            self.end_chunk()
        if not self.whole.units:
            raise RuntimeError(f"every episode ended within the first {self.window.skipped} steps: skip fewer")

    def parts(self) -> dict[str, float]:
        """Seconds, as `rollouts` tells."""
        parts = {"rollout": self.whole.wall, "cpu, rollout": self.whole.cpu}
        for name, clock in self.of_floors.items():
            scale = self.whole.units / clock.units
            parts |= {name: clock.wall * scale, f"cpu, {name}": clock.cpu * scale}
        return parts | {f"{part} within": clock.cpu for part, clock in self.within.items()}

    def on_act(self, number: int, observations: Rows, outcome: Rows | None) -> None:
        step = number - self.window.skipped
        if step < 0:
            return
        if step == 0:
            self.stopwatch.start()
        if step % self.chunk_steps == 0:
            self.end_chunk()
            if step == self.window.steps:
                raise Enough
            assert self.batch is not None
            self.chunk = Chunk(self.batch.model, self.batch.state.copy())
            self.whole.start()
        assert self.chunk is not None
        self.chunk.observations.append(observations)
        self.chunk.outcomes.append(outcome)

    def end_chunk(self) -> None:
        if self.chunk is None:
            return
        assert self.batch is not None
        chunk, self.chunk = self.chunk, None
        self.whole.stop(chunk.steps)
        chunk.positions = self.batch.qpos.copy()
        for name, floor in self.floors.items():
            floor(self.policy, chunk, self.of_floors[name])

    def on_batch(self, made: Callable[..., None], batch: mujoco.batch.Batch, *arguments: Any) -> None:
        made(batch, *arguments)
        # Later ones are the floors'.
        if self.batch is None:
            self.batch = batch

    def on_step(
        self,
        stepped: Callable[..., None],
        batch: mujoco.batch.Batch,
        ids: NDArray[np.int64] | None = None,
        nstep: int = 1,
    ) -> None:
        if self.chunk is None:
            stepped(batch, ids, nstep)
            return
        self.chunk.frame_skip = nstep
        self.chunk.ids.append(np.arange(batch.nsim) if ids is None else ids)
        self.chunk.controls.append(batch.ctrl[self.chunk.ids[-1]])
        self.within["physics"].start()
        stepped(batch, ids, nstep)
        self.within["physics"].stop()

    def on_predict(self, predicted: Callable[..., Any], *arguments: Any) -> Any:
        if self.chunk is None:
            return predicted(*arguments)
        self.within["inference"].start()
        actions = predicted(*arguments)
        self.within["inference"].stop()
        return actions


@contextlib.contextmanager
def _around(owner: type, name: str, call: Callable[..., Any]) -> Iterator[None]:
    """A class's method is `call(method, self, …)` meanwhile."""
    original = getattr(owner, name)

    def method(*arguments: Any, **named: Any) -> Any:
        return call(original, *arguments, **named)

    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, original)


def interleave(
    policies: Mapping[str, str],
    environments: int,
    window: Window,
    *,
    repeats: int,
    load: Load,
    floors: Mapping[str, Floor],
) -> dict[str, Run]:
    """By policy: all `repeats` of `rollouts` with floors, on all cores, added up."""
    with Processes(CORES, 1, rollouts, policies, environments // CORES, window, load, floors) as processes:
        turns = in_turns({name: functools.partial(processes.run, name) for name in processes.names}, repeats)
    return {name: functools.reduce(operator.add, runs) for name, runs in turns.runs.items()}


def against_floors(
    task: str, policies: Mapping[str, str], environments: int, window: Window, *, repeats: int, load: Load
) -> list[dict[str, Any]]:
    """One row per policy: its rollout on all cores, one process a core, beside its floors, `repeats` times over.

    Columns: steps or rows per second of wall time; "of physics", "of both" (physics and inference back to back) and
    "of physics as loaded"; "cpu, …", the same ratios of processor time; "… within" are shares of the rollout's own
    processor time.
    """
    rows = []
    for name, run in interleave(policies, environments, window, repeats=repeats, load=load, floors=FLOORS).items():
        parts = run.parts
        row: dict[str, Any] = {"task": task, "policy": name}
        row |= {what: round(run.units / parts[what] * CORES) for what in (*FLOORS, "rollout")}
        for cpu in ("", "cpu, "):
            loop, floor = parts[f"{cpu}rollout"], {what: parts[f"{cpu}{what}"] for what in FLOORS}
            row |= {
                f"{cpu}of physics": round(floor["physics"] / loop, 3),
                f"{cpu}of both": round((floor["physics"] + floor["inference"]) / loop, 3),
                f"{cpu}of physics as loaded": round(floor["physics as loaded"] / loop, 3),
            }
        row["cpu us/step"] = round(1e6 * parts["cpu, rollout"] / run.units, 2)
        row |= {f"{what} within": round(parts[f"{what} within"] / parts["cpu, rollout"], 3) for what in WITHIN}
        rows.append(row | {"run": asdict(run)})
    return rows
