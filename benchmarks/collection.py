"""Collecting embedded data, HDF5 and all, against the physics of the very same episodes, on all cores.

The floor replays the collected episodes' controls with mj_step in a compiled loop (mujoco.batch where there is no C
compiler), one process a core: no policy, no observation, no reward, no file. It ends in the positions that were
collected. Collecting is scripts/fetch_dataset.py as the workflow runs it, from its start to its end: imports, processes
started, policies asked, rows written, the file's checksum taken. "write" is writing the file alone, by one process.
"""

import contextlib
import functools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from support import ROOT, floors, prepared, processes, reporting

from d4rl_automl.data import datasets, recipes, returns, writing
from d4rl_automl.data.providers.embedded import Entry
from d4rl_automl.simulators.batch import BatchSimulator
from d4rl_automl.tasks.seeds import episode_seeds


@contextlib.contextmanager
def timed(units: int, found: list[processes.Run]) -> Iterator[None]:
    """Adds the run of the block; its processor time includes that of processes that have ended in it."""

    def processor() -> float:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + ended.ru_utime + ended.ru_stime

    cpu, began = processor(), time.perf_counter()
    yield
    found.append(processes.Run(units, time.perf_counter() - began, processor() - cpu))


def collected(asked: Entry, folder: Path) -> processes.Run:
    command = [sys.executable, str(ROOT / "scripts" / "fetch_dataset.py"), "--entry", asked.model_dump_json()]
    command += ["--d4rl-dir", "", "--mirrors", "--threads", str(processes.CORES)]
    command += ["--output", str(folder / "raw.hdf5"), "--provenance", str(folder / "raw.json")]
    found: list[processes.Run] = []
    with timed(asked.transitions, found):
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return found[0]


def written(dataset: datasets.Dataset, folder: Path) -> processes.Run:
    arrays = {name: getattr(dataset, name) for name in ("observations", "actions", "rewards", "next_observations")}
    arrays |= {"terminals": dataset.terminals, "timeouts": dataset.timeouts}
    arrays |= {f"infos/{name}": values for name, values in dataset.infos.items()}
    found: list[processes.Run] = []
    with timed(len(dataset.rewards), found):
        writing.write(folder / "written.hdf5", [arrays], {})
    return found[0]


def physics(index: int, asked: Entry, path: Path) -> dict[str, processes.Measured]:
    """For `processes.Processes`: the physics of every CORES-th episode of the file."""
    dataset = datasets.load_dataset(path)
    where = returns.episodes(dataset.terminals, dataset.timeouts)
    sources = recipes.sources(asked.task, asked.recipe)
    seeds = episode_seeds(asked.seed, asked.name, "collection", len(where.starts) * len(sources))
    ends = where.starts + where.lengths
    goals = np.rint(asked.transitions * np.cumsum([source["share"] for source in sources]))
    # The episodes of each source are those until its share is reached.
    bounds = [0, *(int(np.searchsorted(ends, goal)) + 1 for goal in goals)]
    counts = np.diff(bounds)
    of_episode = np.concatenate([seeds[number :: len(sources)][:count] for number, count in enumerate(counts)])
    mine = np.arange(index, len(ends), processes.CORES)
    simulator = BatchSimulator(asked.task, len(mine))
    simulator.reset(of_episode[mine])
    actions = ((dataset.actions + np.float32(1)) - np.float32(1)).astype(np.float64)
    ids = [np.flatnonzero(where.lengths[mine] > step) for step in range(where.lengths[mine].max())]
    controls = [actions[where.starts[mine][rows] + step] for step, rows in enumerate(ids)]
    frame_skip = simulator.robot.frame_skip
    chunk = floors.Chunk(simulator.model, simulator.batch.state.copy(), frame_skip, ids, controls)
    batch = floors.replay_in_batch(chunk, processes.Clock())
    chunk.positions = batch.qpos
    assert dataset.next_observations is not None
    np.testing.assert_array_equal(
        simulator.robot.observe(batch.qpos, batch.qvel).astype(np.float32), dataset.next_observations[ends[mine] - 1]
    )
    return {"physics": functools.partial(floors.replay, chunk)}


def main() -> None:
    parser = reporting.parser(__doc__, reporting.ROBOTS)
    parser.add_argument("--recipes", nargs="+", default=[prepared.RECIPE])
    parser.add_argument("--transitions", type=int, help="rows of each dataset; default: 2,000,000; 100,000 if --quick")
    reporting.add_repeats(parser)
    arguments = parser.parse_args()
    transitions = arguments.transitions or (100_000 if arguments.quick else 2_000_000)
    rows: list[dict[str, Any]] = []
    for task in arguments.tasks:
        for recipe in arguments.recipes:
            asked = prepared.entry(task, recipe, transitions)
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                print(f"collecting {asked.name}", file=sys.stderr)
                collected(asked, folder)
                dataset = datasets.load_dataset(folder / "raw.hdf5")
                with processes.Processes(processes.CORES, 1, physics, asked, folder / "raw.hdf5") as started:
                    runs = {
                        "physics": functools.partial(started.run, "physics"),
                        "collect": functools.partial(collected, asked, folder),
                        "write": functools.partial(written, dataset, folder),
                    }
                    found = processes.in_turns(runs, reporting.repeats(arguments))
                size = (folder / "raw.hdf5").stat().st_size
            floor, whole, write = (found[name] for name in ("physics", "collect", "write"))
            rows.append(
                {
                    "task": task,
                    "recipe": recipe,
                    "physics, steps/s": round(floor.rate),
                    "collect, steps/s": round(whole.rate),
                    "of physics": found.ratio("collect", "physics"),
                    "cpu, of physics": found.cpu_ratio("collect", "physics"),
                    "cpu us/step": round(whole.microseconds, 2),
                    "write, cpu us/row": round(write.microseconds, 2),
                    "write within": round(write.microseconds / whole.microseconds, 3),
                    "bytes/row": round(size / transitions),
                }
            )
    reporting.report(arguments, rows, {"of physics": ">= 0.8"}, transitions=transitions)


if __name__ == "__main__":
    main()
