"""What the benchmarks share: real gaits to measure along, the floors, processes that start together, and reports.

How a figure is made. What else a machine does slows neighbouring moments alike, so a rollout
pauses every few steps, a fraction of a second, and its floors do the same steps over. What
cannot pause runs in turns with its floor, several times over: the ratio is the median of the
turns, a rate that of the fastest run. Everything also has its CPU time, which the load of the
machine changes less.

A gait is real: a network is fitted to data that the shipped behaviour policies collect, and
the floor of physics replays the very controls that this network gave in the rollout.
"""

import argparse
import contextlib
import ctypes
import datetime
import functools
import math
import multiprocessing
import operator
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import mujoco
import mujoco.batch
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core.files import write_json
from d4rl_automl.data import catalogue, transitions
from d4rl_automl.data.providers import embedded
from d4rl_automl.evaluation.rollout import rollout
from d4rl_automl.plan import config
from d4rl_automl.policies import base
from d4rl_automl.simulators import models, robots

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "benchmarks" / "performance"
PREPARED = RESULTS / "prepared"
"""Datasets and policies that all benchmarks measure with; made once."""

TASKS = tasks.SIMULATED
CORES = len(os.sched_getaffinity(0))
BATCH = 2_000
"""Environments, and rows of a call of inference alone."""
FRACTIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
RECIPE = "medium-expert"
TRANSITIONS = 100_000

Load = Callable[[Path], base.Policy]


# Processes that start together -----------------------------------------------------------------


@dataclass
class Run:
    """One run: `units` (environment steps or rows) in `seconds` of wall time and `cpu` seconds of processor time."""

    units: int
    seconds: float
    cpu: float
    parts: dict[str, float] = field(default_factory=dict)
    """Seconds of named parts, those of all processes together."""

    def __add__(self, other: "Run") -> "Run":
        parts = {part: seconds + other.parts[part] for part, seconds in self.parts.items()}
        return Run(self.units + other.units, self.seconds + other.seconds, self.cpu + other.cpu, parts)

    @property
    def rate(self) -> float:
        return self.units / self.seconds

    @property
    def microseconds(self) -> float:
        """Processor time of one unit."""
        return 1e6 * self.cpu / self.units


class Stopwatch:
    """Handed to what is measured: `start` waits until every process is there, `stop` says what was done."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier
        self.found: tuple[float, float, float, int, dict[str, float]] | None = None

    def start(self) -> None:
        self._barrier.wait()
        self._cpu, self._started = time.process_time(), time.perf_counter()

    def stop(self, units: int, **parts: float) -> None:
        self.found = (self._started, time.perf_counter(), time.process_time() - self._cpu, units, parts)


Measured = Callable[[Stopwatch], None]


class Processes:
    """`count` processes of `threads` threads each; process i has what `make(i, *arguments)` returns, by name."""

    def __init__(self, count: int, threads: int, make: Callable[..., dict[str, Measured]], *arguments: Any) -> None:
        # Libraries read these when a process first imports them.
        before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        os.environ.update(dict.fromkeys(before, str(threads)))
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(count)
        self._connections: list[Connection] = []
        self._processes = []
        for index in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, barrier, make, index, arguments), daemon=True)
            process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        self.names: list[str] = [connection.recv() for connection in self._connections].pop()

    def run(self, name: str) -> Run:
        for connection in self._connections:
            connection.send(name)
        started, ended, cpu, units, parts = zip(*(connection.recv() for connection in self._connections), strict=True)
        merged = {part: sum(one[part] for one in parts) for part in parts[0]}
        return Run(sum(units), max(ended) - min(started), sum(cpu), merged)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            with contextlib.suppress(BrokenPipeError):
                connection.send(None)
        for process in self._processes:
            process.join()


def _serve(
    connection: Connection, barrier: Barrier, make: Callable[..., dict[str, Measured]], index: int, arguments: Any
) -> None:
    runs = make(index, *arguments)
    connection.send(list(runs))
    for name in iter(connection.recv, None):
        stopwatch = Stopwatch(barrier)
        runs[name](stopwatch)
        connection.send(stopwatch.found)


@dataclass(frozen=True)
class Turns:
    """What ran in turns: the runs of each name, turn by turn."""

    runs: Mapping[str, list[Run]]

    def __getitem__(self, name: str) -> Run:
        """The fastest run."""
        return max(self.runs[name], key=lambda run: run.rate)

    def ratio(self, name: str, *floors: str) -> float:
        """The rate as a share of doing the floors one after the other: the median of the turns."""
        return self._median(name, floors, lambda run: run.seconds / run.units)

    def cpu_ratio(self, name: str, *floors: str) -> float:
        """The same of processor time."""
        return self._median(name, floors, lambda run: run.microseconds)

    def _median(self, name: str, floors: Sequence[str], cost: Callable[[Run], float]) -> float:
        turns = zip(self.runs[name], *(self.runs[floor] for floor in floors), strict=True)
        return round(statistics.median(sum(map(cost, those)) / cost(own) for own, *those in turns), 3)

    def facts(self) -> dict[str, list[dict[str, Any]]]:
        """Every run, for JSON."""
        return {name: [asdict(run) for run in those] for name, those in self.runs.items()}


def in_turns(runs: Mapping[str, Callable[[], Run]], repeats: int) -> Turns:
    """Everything in turns, `repeats` times over."""
    found: dict[str, list[Run]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            found[name].append(run())
    return Turns(found)


# Rollouts and their floors ---------------------------------------------------------------------


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
    robot = robots.get(task)
    with warnings.catch_warnings(action="ignore"):
        model = robot.specification().compile()
    cured = models.make_model(robot)
    for name in ("body_mass", "body_inertia", "body_ipos", "body_iquat", "geom_margin"):
        getattr(model, name)[:] = getattr(cured, name)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


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


# What is measured with -------------------------------------------------------------------------


def load_policy(path: Path) -> base.Policy:
    return base.load(path)


def entry(task: str) -> dict[str, Any]:
    """The embedded dataset of a robot."""
    found = {
        "name": f"{task}-{RECIPE}-embedded-benchmark",
        "provider": "embedded",
        "task": task,
        "recipe": RECIPE,
        "transitions": TRANSITIONS,
        "seed": 0,
    }
    return catalogue.entry(found)


def prepared_transitions(task: str) -> Path:
    """The transitions table of `entry(task)`, collected with the shipped behaviour policies."""
    folder = PREPARED / task
    output = folder / "transitions.parquet"
    if not output.exists():
        print(f"collecting {entry(task)['name']}", file=sys.stderr)
        embedded.collect(entry(task), folder / "raw.hdf5", folder / "raw.json", CORES)
        transitions.write(
            folder / "raw.hdf5",
            folder / "raw.json",
            entry(task),
            {"seed": 0, "validation": 0.1, "test": 0.1},
            output=output,
            episodes_output=folder / "episodes.parquet",
        )
    return output


def settings(task: str, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the config's `methods` or `teachers`, with its defaults."""
    named = {"name": "benchmark", **({"kind": "mlp"} if key == "methods" else {"preset": "medium"}), **given}
    # A method is what a config must have.
    methods = {"methods": [{"name": "mlp", "kind": "mlp"}]}
    return config.validated({"datasets": [entry(task)], **methods, key: [named]})[key][0]


def prepared_network(task: str, width: int, updates: int) -> Path:
    """The handle of a network of two layers of `width`, conditioned on the outcome, fitted to embedded data."""
    output = PREPARED / task / f"mlp{width}-{updates}-s0.json"
    if not output.exists():
        data = prepared_transitions(task)
        print(f"fitting 2x{width} to {data}", file=sys.stderr)
        from d4rl_automl.methods import mlp  # noqa: PLC0415  Torch, which the measured processes do without.

        method = {"name": f"mlp{width}-{updates}", "kind": "mlp", "network": {"width": width, "layers": 2}}
        method = settings(task, "methods", method | {"updates": updates, "batch_size": 1024})
        mlp.fit(transitions=str(data), settings=method, seed=0, device="cpu", threads=CORES, output=str(output))
    return output


def student(task: str) -> Path:
    return prepared_network(task, 256, 2_000)


def rvs(task: str) -> Path:
    return prepared_network(task, 1024, 300)


# Command line and report -----------------------------------------------------------------------


def parser(description: str | None) -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    result.add_argument("--quick", action="store_true", help="short sizes: a look, not a figure to quote")
    result.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    result.add_argument("--output", type=Path, help=f"JSON file; default: {RESULTS.relative_to(ROOT)}/…")
    return result


def add_window(result: argparse.ArgumentParser) -> None:
    """Options of what a rollout is measured over."""
    result.add_argument("--environments", type=int, default=BATCH)
    result.add_argument("--skip", type=int, help="steps before, to get into the gait; default: 50, or 10 with --quick")
    result.add_argument("--steps", type=int, help="steps that count, an even number; default: 30, or 10 with --quick")
    add_repeats(result)


def add_repeats(result: argparse.ArgumentParser) -> None:
    result.add_argument("--repeats", type=int, help="turns that each thing is run in; default: 3, or 2 with --quick")


def repeats(arguments: argparse.Namespace) -> int:
    return arguments.repeats or (2 if arguments.quick else 3)


def window(arguments: argparse.Namespace) -> Window:
    skip, steps = (10, 10) if arguments.quick else (50, 30)
    found = Window(skip if arguments.skip is None else arguments.skip, arguments.steps or steps)
    if found.steps is None or found.steps < STEPS or found.steps % STEPS:
        sys.exit(f"--steps: found {found.steps}, expected a multiple of {STEPS}")
    return found


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    table = pd.DataFrame([{key: value for key, value in row.items() if not isinstance(value, dict)} for row in rows])
    print(table.to_string(index=False, na_rep=""))


def report(
    arguments: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
    targets: Mapping[str, str],
    **more: Any,
) -> None:
    """Print the rows as a table and write them, with `more` and the machine, as JSON."""
    script = Path(sys.argv[0]).stem
    show(rows)
    for what, target in targets.items():
        print(f"target: {what}: {target}")
    output = arguments.output or RESULTS / f"{script}{'-quick' * arguments.quick}.json"
    facts = {
        "benchmark": script,
        "quick": arguments.quick,
        "arguments": {key: str(value) for key, value in vars(arguments).items() if key != "output"},
        "machine": machine(),
        "targets": dict(targets),
        "rows": list(rows),
        **more,
    }
    write_json(output, facts)
    print(f"written to {output}")
    print(f"{machine()['cpu']}, {CORES} cores, load {os.getloadavg()[0]:.2f}{' (quick)' * arguments.quick}")


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    packages = ("mujoco", "gymnasium", "onnxruntime", "numpy", "torch", "autogluon.tabular", "catboost", "snakemake")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": CORES,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
