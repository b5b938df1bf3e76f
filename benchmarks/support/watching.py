"""Rollouts watched step by step, timed, and interleaved with their floors."""

import contextlib
import functools
import operator
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mujoco.batch
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.evaluation.rollout import rollout
from d4rl_automl.policies import base
from support.floors import FLOORS, Chunk, Clock, Floor
from support.processes import CORES, Measured, Processes, Run, Stopwatch, in_turns

FRACTIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)

Load = Callable[[Path], base.Policy]


@dataclass(frozen=True)
class Window:
    """What is played, and what of it counts: `steps` after the first `skipped`, or whole episodes if None."""

    skipped: int = 0
    steps: int | None = None
    variant: str = "d4rl"
    fractions: tuple[float, ...] = FRACTIONS


class Enough(Exception):
    """Raised at the end of a window."""


STEPS = 2
"""After so many the floors do them over: with 2,000 environments on two cores, some tenths of a second."""


def rollouts(
    index: int, policies: Mapping[str, str], environments: int, window: Window, load: Load
) -> dict[str, Measured]:
    """For `Processes`: "rollout POLICY" is `rollout`; its parts are "physics" and "inference"."""
    runs: dict[str, Measured] = {}
    for name, path in policies.items():
        loaded = load(Path(path))
        play = functools.partial(watch, loaded, environments, index, window)
        runs[f"rollout {name}"] = functools.partial(_timed_rollout, play, loaded, window)
    return runs


def interleaved(  # noqa: PLR0917  Processes hand on what they get by position.
    index: int, policies: Mapping[str, str], environments: int, window: Window, load: Load, floors: Mapping[str, Floor]
) -> dict[str, Measured]:
    """For `Processes`: each policy's rollout, every `STEPS` steps of which its floors do over.

    Parts: wall seconds of "rollout" and of each floor, for as many units as the rollout has steps; "cpu, …", their
    processor seconds; and "physics within" and "inference within", the rollout's own processor seconds of each.
    """
    runs: dict[str, Measured] = {}
    for name, path in policies.items():
        loaded = load(Path(path))
        play = functools.partial(watch, loaded, environments, index, window)
        runs[name] = functools.partial(_interleave, play, loaded, window, floors)
    return runs


def watch(
    loaded: base.Policy, environments: int, seed: int, window: Window, *, on_act: Callable[[int, Any, Any], None]
) -> None:
    """A rollout; `on_act` is told the step's number and the policy's inputs before each step of the window."""
    number, act = 0, type(loaded).act

    def watched(observations: Any, outcome: Any = None) -> NDArray[np.float32]:
        nonlocal number
        step = number - window.skipped
        number += 1
        if step >= 0:
            on_act(step, observations, outcome)
        return act(loaded, observations, outcome)

    loaded.act = watched  # type: ignore[method-assign]
    try:
        rollout(loaded, window.variant, window.fractions, environments // len(window.fractions), seed)
    except Enough:
        pass
    finally:
        del loaded.act


@contextlib.contextmanager
def _patched(owner: type, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _interleave(
    play: Callable[..., None],
    loaded: base.Policy,
    window: Window,
    floors: Mapping[str, Floor],
    stopwatch: Stopwatch,
) -> None:
    whole, within = Clock(), {"physics": Clock(), "inference": Clock()}
    clocks = {name: Clock() for name in floors}
    batches: list[mujoco.batch.Batch] = []
    chunk: Chunk | None = None
    shares: dict[str, float] = {}

    def on_act(step: int, observations: Any, outcome: Any) -> None:
        nonlocal chunk
        if step % STEPS == 0:
            if chunk:
                whole.stop(chunk.steps)
                chunk.positions = batches[0].qpos.copy()
                done, chunk = chunk, None
                # Here, because a chunk whose episodes all end early counts for nothing.
                shares.update({f"{name} within": clock.cpu for name, clock in within.items()})
                for name, floor in floors.items():
                    floor(loaded, done, clocks[name])
            else:
                stopwatch.start()
            if step == window.steps:
                raise Enough
            chunk = Chunk(batches[0].model, 0, batches[0].state.copy())
            whole.start()
        assert chunk
        chunk.observations.append(observations)
        chunk.outcomes.append(outcome)

    def made(original: Any) -> Any:
        def make(batch: mujoco.batch.Batch, *arguments: Any) -> None:
            original(batch, *arguments)
            batches.append(batch)

        return make

    def stepped(original: Any) -> Any:
        def step(batch: mujoco.batch.Batch, ids: Any = None, nstep: int = 1) -> None:
            if not chunk:
                original(batch, ids, nstep)
                return
            chunk.frame_skip = nstep
            chunk.ids.append(np.arange(batch.nsim) if ids is None else ids)
            chunk.controls.append(batch.ctrl[chunk.ids[-1]])
            within["physics"].start()
            original(batch, ids, nstep)
            within["physics"].stop()

        return step

    def predicted(original: Any) -> Any:
        def predict(*arguments: Any) -> Any:
            if not chunk:
                return original(*arguments)
            within["inference"].start()
            actions = original(*arguments)
            within["inference"].stop()
            return actions

        return predict

    with (
        _patched(mujoco.batch.Batch, "__init__", made),
        _patched(mujoco.batch.Batch, "step", stepped),
        _patched(type(loaded), "_predict", predicted),
    ):
        play(on_act=on_act)
    if not whole.units:
        raise RuntimeError(f"every episode ended within the first {window.skipped} steps: skip fewer")
    scales = {name: whole.units / clock.units for name, clock in clocks.items()}
    stopwatch.stop(
        whole.units,
        rollout=whole.wall,
        **{name: clock.wall * scales[name] for name, clock in clocks.items()},
        **{"cpu, rollout": whole.cpu},
        **{f"cpu, {name}": clock.cpu * scales[name] for name, clock in clocks.items()},
        **shares,
    )


def _timed_rollout(play: Callable[..., None], loaded: base.Policy, window: Window, stopwatch: Stopwatch) -> None:
    steps, started = 0, False
    parts = {"physics": 0.0, "inference": 0.0}

    def on_act(step: int, observations: Any, _outcome: Any) -> None:
        nonlocal steps, started
        if step == 0:
            parts.update(physics=0.0, inference=0.0)
            started = True
            stopwatch.start()
        if step == window.steps:
            stopwatch.stop(steps, **parts)
            raise Enough
        steps += len(observations)

    def timed(part: str) -> Callable[[Any], Any]:
        def wrap(original: Any) -> Any:
            def call(*arguments: Any, **named: Any) -> Any:
                began = time.process_time()
                result = original(*arguments, **named)
                parts[part] += time.process_time() - began
                return result

            return call

        return wrap

    with (
        _patched(mujoco.batch.Batch, "step", timed("physics")),
        _patched(type(loaded), "_predict", timed("inference")),
    ):
        play(on_act=on_act)
    if stopwatch.found is None:
        assert started
        stopwatch.stop(steps, **parts)


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
        row = {"task": task, "policy": name}
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


WITHIN = ("physics", "inference")


def interleave(
    policies: Mapping[str, str],
    environments: int,
    window: Window,
    *,
    repeats: int,
    load: Load,
    floors: Mapping[str, Floor],
) -> dict[str, Run]:
    """By policy: all `repeats` of `interleaved` on all cores, added up."""
    with Processes(CORES, 1, interleaved, policies, environments // CORES, window, load, floors) as processes:
        turns = in_turns({name: functools.partial(processes.run, name) for name in processes.names}, repeats)
    return {name: functools.reduce(operator.add, runs) for name, runs in turns.runs.items()}
