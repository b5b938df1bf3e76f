"""What the benchmarks share: real gaits to measure along, the floors, processes that start together, and reports.

How a figure is made. The thing itself and its floors run in the same processes, in turns,
several times over. A ratio is taken within each turn, because what else the machine does
slows neighbouring runs alike, and its median is kept; of rates, that of the fastest run. Each
run also has its CPU time, which the load of the machine changes less.

A gait is real: a network is fitted to data that the shipped behaviour policies collect, and
the floor of physics replays the very controls that this network gave in the rollout.
"""

import argparse
import contextlib
import ctypes
import dataclasses
import datetime
import functools
import multiprocessing
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import gymnasium.envs.mujoco
import mujoco
import mujoco.batch
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl import catalogue, collect, config, policy, simulator, tasks, transitions
from d4rl_automl.files import write_json
from d4rl_automl.rollout import rollout

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

Load = Callable[[Path], policy.Policy]


# Processes that start together -----------------------------------------------------------------


@dataclass
class Run:
    """One run: `units` (environment steps or rows) in `seconds` of wall time and `cpu` seconds of processor time."""

    units: int
    seconds: float
    cpu: float
    parts: dict[str, float] = field(default_factory=dict)
    """Processor time of named parts."""

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

    def fastest(self, names: Sequence[str]) -> str:
        """The name whose rate is the highest in the median turn."""
        return max(names, key=lambda name: statistics.median(run.rate for run in self.runs[name]))

    def ratio(self, name: str, *floors: str) -> float:
        """The rate as a share of doing the floors one after the other: the median of the turns."""
        return self._median(name, floors, lambda run: run.seconds / run.units)

    def cpu_ratio(self, name: str, *floors: str) -> float:
        """The same of processor time."""
        return self._median(name, floors, lambda run: run.microseconds)

    def _median(self, name: str, floors: Sequence[str], cost: Callable[[Run], float]) -> float:
        turns = zip(self.runs[name], *(self.runs[floor] for floor in floors), strict=True)
        return round(statistics.median(sum(map(cost, those)) / cost(own) for own, *those in turns), 3)

    def facts(self, names: Iterable[str] | None = None) -> dict[str, list[dict[str, Any]]]:
        """Every run of `names`, or of all, for JSON."""
        return {name: [asdict(run) for run in self.runs[name]] for name in names or self.runs}


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


@dataclass
class _Recording:
    """What the physics did within a window."""

    model: mujoco.MjModel
    frame_skip: int
    states: NDArray[np.float64]  # (environments, state): before the first step
    ids: list[NDArray[np.int64]]  # per step
    controls: list[NDArray[np.float64]]  # per step, (n, nu)
    inputs: list[tuple[NDArray[np.float32], NDArray[np.float32] | None]]  # per step
    positions: NDArray[np.float64]  # (environments, nq): after the last step

    @property
    def steps(self) -> int:
        return sum(map(len, self.ids))


def rollouts(
    index: int, policies: Mapping[str, str], environments: int, window: Window, load: Load
) -> dict[str, Measured]:
    """For `Processes`: "rollout POLICY" is d4rl_automl.rollout.rollout; its parts are "physics" and "inference"."""
    runs: dict[str, Measured] = {}
    for name, path in policies.items():
        loaded = load(Path(path))
        play = functools.partial(watch, loaded, environments, index, window)
        runs[f"rollout {name}"] = functools.partial(_timed_rollout, play, loaded, window)
    return runs


def floors(  # noqa: PLR0917  Processes hand on what they get by position.
    index: int, policies: Mapping[str, str], environments: int, window: Window, threads: int, load: Load
) -> dict[str, Measured]:
    """For `Processes`: the floors of each policy, along the gait that it really has.

    Names, each with " POLICY" behind it: "physics, batch": mujoco.batch alone; and with one thread "physics, C":
    a compiled loop of mj_step alone, if there is a C compiler; "physics as loaded": the fastest kind of physics there
    is, but with the model of `searching_model`; "inference": the policy alone, 2,000 rows a call.
    """
    runs: dict[str, Measured] = {}
    for name, path in policies.items():
        loaded = load(Path(path))
        recording = _record(functools.partial(watch, loaded, environments, index, window), window, threads)
        runs[f"physics, batch {name}"] = functools.partial(_replay, recording, threads)
        if threads == 1:
            runs[f"inference {name}"] = functools.partial(_infer, loaded, recording)
            searching = dataclasses.replace(recording, model=searching_model(loaded.metadata["task"], recording.model))
            if shutil.which("cc"):
                runs[f"physics, C {name}"] = functools.partial(_replay_compiled, recording)
                runs[f"physics as loaded {name}"] = functools.partial(_replay_compiled, searching)
            else:
                runs[f"physics as loaded {name}"] = functools.partial(_replay, searching, 1)
    return runs


def searching_model(task: str, listed: mujoco.MjModel) -> mujoco.MjModel:
    """The model as MuJoCo loads it from Gymnasium's file, which looks for contacts, with the cures of `listed`."""
    assets = Path(gymnasium.envs.mujoco.__file__).parent / "assets"
    with warnings.catch_warnings(action="ignore"):
        model = mujoco.MjSpec.from_file(str(assets / simulator._ENVIRONMENTS[task].xml)).compile()
    for name in ("body_mass", "body_inertia", "body_ipos", "body_iquat", "geom_margin"):
        getattr(model, name)[:] = getattr(listed, name)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


def rollouts_and_floors(
    index: int, policies: Mapping[str, str], environments: int, window: Window, load: Load
) -> dict[str, Measured]:
    """Both in one process of one thread."""
    return rollouts(index, policies, environments, window, load) | floors(
        index, policies, environments, window, 1, load
    )


def watch(
    loaded: policy.Policy, environments: int, seed: int, window: Window, *, on_act: Callable[[int, Any, Any], None]
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


def _record(play: Callable[..., None], window: Window, threads: int) -> _Recording:
    recording: _Recording | None = None
    inputs: list[Any] = []
    batches: list[mujoco.batch.Batch] = []

    def on_act(step: int, observations: Any, outcome: Any) -> None:
        if step == window.steps:
            raise Enough
        if len(inputs) < 50:
            inputs.append((np.array(observations, np.float32), None if outcome is None else outcome.copy()))

    def recorded(original: Any) -> Any:
        def step(batch: mujoco.batch.Batch, ids: Any = None, nstep: int = 1) -> None:
            nonlocal recording
            if inputs:
                which = np.arange(batch.nsim) if ids is None else np.array(ids)
                if recording is None:
                    recording = _Recording(batch.model, nstep, batch.state.copy(), [], [], inputs, np.empty(0))
                    batches.append(batch)
                recording.ids.append(which)
                recording.controls.append(batch.ctrl[which].copy())
            original(batch, ids, nstep)

        return step

    def threaded(original: Any) -> Any:
        return lambda batch, model, size, _threads: original(batch, model, size, threads)

    with (
        _patched(mujoco.batch.Batch, "__init__", threaded),
        _patched(mujoco.batch.Batch, "step", recorded),
    ):
        play(on_act=on_act)
    if recording is None:
        raise RuntimeError(f"every episode ended within the first {window.skipped} steps: skip fewer")
    recording.positions = batches[0].qpos.copy()
    return recording


def _timed_rollout(play: Callable[..., None], loaded: policy.Policy, window: Window, stopwatch: Stopwatch) -> None:
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


def _replay(recording: _Recording, threads: int, stopwatch: Stopwatch) -> None:
    batch = mujoco.batch.Batch(recording.model, len(recording.states), threads)
    batch.state[:] = recording.states
    controls = batch.bind("ctrl")
    stopwatch.start()
    for ids, control in zip(recording.ids, recording.controls, strict=True):
        controls[ids] = control
        batch.step(ids, recording.frame_skip)
    stopwatch.stop(recording.steps)
    # The same physics to the bit, or it is no floor.
    np.testing.assert_array_equal(batch.qpos, recording.positions)


def _replay_compiled(recording: _Recording, stopwatch: Stopwatch) -> None:
    environments, nu, nq = len(recording.states), recording.model.nu, recording.model.nq
    lengths = np.bincount(np.concatenate(recording.ids), minlength=environments).astype(np.int32)
    controls = np.zeros((environments, len(recording.ids), nu))
    for step, (ids, control) in enumerate(zip(recording.ids, recording.controls, strict=True)):
        controls[ids, step] = control
    states, qpos = np.ascontiguousarray(recording.states), np.empty((environments, nq))
    data = mujoco.MjData(recording.model)
    play = compiled_physics().play
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (states, lengths, controls, qpos)]
    stopwatch.start()
    play(
        ctypes.c_void_p(recording.model._address),
        ctypes.c_void_p(data._address),
        environments,
        len(recording.ids),
        recording.frame_skip,
        *pointers,
    )
    stopwatch.stop(recording.steps)
    np.testing.assert_array_equal(qpos, recording.positions)


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


def _infer(loaded: policy.Policy, recording: _Recording, stopwatch: Stopwatch) -> None:
    observations = np.concatenate([inputs[0] for inputs in recording.inputs])
    outcomes = [inputs[1] for inputs in recording.inputs]
    rows = np.resize(np.arange(len(observations)), BATCH)
    batch = observations[rows]
    outcome = None if outcomes[0] is None else np.concatenate(outcomes)[rows]
    loaded._predict(batch, outcome)
    calls, enough = 0, time.perf_counter() + 0.5
    stopwatch.start()
    while time.perf_counter() < enough or calls < 3:
        loaded._predict(batch, outcome)
        calls += 1
    stopwatch.stop(calls * BATCH)


def against_floors(
    task: str, policies: Mapping[str, str], environments: int, window: Window, *, repeats: int, load: Load
) -> list[dict[str, Any]]:
    """One row per policy: its rollout on all cores, one process a core, and its floors, measured in turns.

    Columns: steps or rows per second of wall time, of the fastest run; "of physics" and "of both" (physics and
    inference back to back) compare with the fastest kind of physics, "of physics as loaded" with `searching_model`:
    medians of the turns; "cpu, …" compare processor times in the same way; "… within" are shares of the rollout's own
    processor time.
    """
    with (
        Processes(CORES, 1, rollouts_and_floors, policies, environments // CORES, window, load) as single,
        Processes(1, CORES, floors, policies, environments, window, CORES, load) as threaded,
    ):
        runs: dict[str, Callable[[], Run]] = {name: functools.partial(single.run, name) for name in single.names}
        runs |= {f"{name}, threads": functools.partial(threaded.run, name) for name in threaded.names}
        # What is compared runs next to each other.
        of_policy = {name: [run for run in runs if f" {name}" in run] for name in policies}
        found = in_turns({run: runs[run] for those in of_policy.values() for run in those}, repeats)
    rows = []
    for name in policies:
        kinds = {
            f"physics, C {name}": "compiled loop",
            f"physics, batch {name}": "batch, processes",
            f"physics, batch {name}, threads": "batch, threads",
        }
        physics = found.fastest([kind for kind in kinds if kind in found.runs])
        loaded, inference, loop = f"physics as loaded {name}", f"inference {name}", f"rollout {name}"
        run = found[loop]
        rows.append(
            {
                "task": task,
                "policy": name,
                "physics": round(found[physics].rate),
                "by": kinds[physics],
                "physics as loaded": round(found[loaded].rate),
                "inference": round(found[inference].rate),
                "rollout": round(run.rate),
                "of physics": found.ratio(loop, physics),
                "of both": found.ratio(loop, physics, inference),
                "of physics as loaded": found.ratio(loop, loaded),
                "cpu us/step": round(run.microseconds, 2),
                "cpu, of physics": found.cpu_ratio(loop, physics),
                "cpu, of both": found.cpu_ratio(loop, physics, inference),
                "cpu, of physics as loaded": found.cpu_ratio(loop, loaded),
                "physics within": round(run.parts["physics"] / run.cpu, 3),
                "inference within": round(run.parts["inference"] / run.cpu, 3),
                "runs": found.facts(of_policy[name]),
            }
        )
    return rows


# What is measured with -------------------------------------------------------------------------


def load_policy(path: Path) -> policy.Policy:
    return policy.load(path)


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
        collect.collect(entry(task), folder / "raw.hdf5", folder / "raw.json", CORES)
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


def rvs(task: str, updates: int) -> Path:
    return prepared_network(task, 1024, updates)


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
    result.add_argument("--steps", type=int, help="steps that count, after the first --skip; default: whole episodes")
    result.add_argument("--skip", type=int, default=0, help="steps before those that count, to get into the gait")
    add_repeats(result)


def add_repeats(result: argparse.ArgumentParser) -> None:
    result.add_argument("--repeats", type=int, help="turns that each thing is run in; default: 5, or 2 with --quick")


def repeats(arguments: argparse.Namespace) -> int:
    return arguments.repeats or (2 if arguments.quick else 5)


def window(arguments: argparse.Namespace) -> Window:
    if arguments.quick and arguments.steps is None:
        return Window(10, 10)
    return Window(arguments.skip, arguments.steps)


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
