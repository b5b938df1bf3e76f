"""HDF5 to Parquet with the reward-to-go, against its floor and against the loop that RvS has for the reward-to-go.

The data are HalfCheetah's (17 + 6 columns), collected by the shipped policies, in gzip-compressed HDF5 as D4RL's files
are. The floor reads the arrays that the table needs with h5py, which is decompressing, and writes the finished table
with pyarrow, in the same format: no check, no reward-to-go, no column made. Memory is the highest resident set of
scripts/make_transitions.py, against the bytes of the five arrays it reads; "over start" is that without the imports'.
"""

import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from support import ROOT, prepared, processes, reporting

from d4rl_automl.core import files
from d4rl_automl.data import collection, making, recordings, returns

ARRAYS = ("observations", "actions", "rewards", "terminals", "timeouts")


def compressed(rows: int) -> Path:
    """A folder with raw.hdf5, compressed as D4RL compresses its files, and raw.json."""
    folder = prepared.PREPARED / f"transitions-{rows}"
    if not (folder / "raw.hdf5").exists():
        print(f"collecting {rows} transitions", file=sys.stderr)
        entry = prepared.entry("halfcheetah", "medium", rows)
        collection.collect(entry, folder / "collected.hdf5", folder / "raw.json", processes.CORES)
        part = folder / "part.hdf5"
        with h5py.File(folder / "collected.hdf5") as collected, h5py.File(part, "w") as file:
            names: list[str] = []
            collected.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            for name in names:
                values = collected[name][()]
                file.create_dataset(name, data=values, **({"compression": "gzip"} if np.ndim(values) else {}))
        (folder / "collected.hdf5").unlink()
        part.rename(folder / "raw.hdf5")
        made = json.loads((folder / "raw.json").read_text())
        files.write_json(folder / "raw.json", made | {"sha256": files.sha256(folder / "raw.hdf5")})
    return folder


def measured(index: int, folder: Path, rows: int, temporary: Path) -> dict[str, processes.Measured]:
    """For `processes.Processes`: the conversion, its floor in two parts, and the reward-to-go in two ways."""
    raw, output, again = folder / "raw.hdf5", temporary / "transitions.parquet", temporary / "again.parquet"

    def convert() -> None:
        making.make_transitions(
            raw,
            folder / "raw.json",
            prepared.SPLIT,
            output=output,
            episodes_output=temporary / "episodes.parquet",
        )

    def read() -> dict[str, NDArray[Any]]:
        with h5py.File(raw) as file:
            return {name: file[name][()] for name in ARRAYS}

    convert()
    table, arrays = pq.read_table(output), read()

    def floor() -> None:
        read()
        with making.parquet_writer(again, table.schema) as writer:
            writer.write_table(table, row_group_size=recordings.CHUNK)

    flags = arrays["terminals"], arrays["timeouts"]
    loop = rvs_loop(arrays["rewards"], *flags)
    np.testing.assert_allclose(returns.reward_to_go(arrays["rewards"], *flags), loop, rtol=1e-4, atol=1e-4)
    runs = {
        "convert": convert,
        "floor": floor,
        "floor, reading": read,
        "reward-to-go": functools.partial(returns.reward_to_go, arrays["rewards"], *flags),
        "reward-to-go, loop": functools.partial(rvs_loop, arrays["rewards"], *flags),
    }

    def timed(run: Any, stopwatch: processes.Stopwatch) -> None:
        stopwatch.start()
        run()
        stopwatch.stop(rows)

    return {name: functools.partial(timed, run) for name, run in runs.items()}


def rvs_loop(
    rewards: NDArray[np.float32], terminals: NDArray[np.bool_], timeouts: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The average reward-to-go as scottemmons/rvs@90c0ffb has it in dataset.py: a Python loop over the rows."""
    where = returns.episodes(terminals, timeouts)
    result = np.zeros(len(rewards), np.float32)
    for start, length in zip(where.starts, where.lengths, strict=True):
        to_go = 0
        for step in range(length - 1, -1, -1):
            to_go += rewards[start + step]
            result[start + step] = to_go / (where.longest - step)
    return result


def memory(rows: int) -> dict[str, Any]:
    """The highest resident set of scripts/make_transitions.py."""
    folder = compressed(rows)
    with h5py.File(folder / "raw.hdf5") as file:
        size = sum(file[name].size * file[name].dtype.itemsize for name in ARRAYS)
    with tempfile.TemporaryDirectory() as temporary:
        script = [sys.executable, str(ROOT / "scripts" / "make_transitions.py")]
        command = [*script, "--raw", str(folder / "raw.hdf5"), "--provenance", str(folder / "raw.json")]
        command += [word for name, value in prepared.SPLIT.items() for word in (f"--{name}", str(value))]
        command += ["--output", f"{temporary}/transitions.parquet", "--episodes", f"{temporary}/episodes.parquet"]
        peak, start = highest(command), highest([*script, "--help"])
    return {
        "rows": rows,
        "raw arrays, MB": round(size / 1e6),
        "peak, MB": round(peak / 1e6),
        "of the arrays": round(peak / size, 2),
        "over start, MB": round((peak - start) / 1e6),
    }


def highest(command: list[str]) -> int:
    """Bytes of the highest resident set of a process."""
    # From a small process: the figure of a child begins with what its parent held when it was made.
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code, *command], check=True, capture_output=True, text=True)
    return int(done.stdout) * 1024


def main() -> None:
    parser = reporting.parser(__doc__)
    parser.add_argument("--rows", type=int, help="for the times; default: 1,000,000; 100,000 if --quick")
    parser.add_argument("--memory-rows", type=int, help="for the memory; default: twice as many")
    reporting.add_repeats(parser)
    arguments = parser.parse_args()
    rows = arguments.rows or (100_000 if arguments.quick else 1_000_000)
    folder = compressed(rows)
    with (
        tempfile.TemporaryDirectory() as temporary,
        processes.Processes(1, 1, measured, folder, rows, Path(temporary)) as process,
    ):
        runs = {name: functools.partial(process.run, name) for name in process.names}
        found = processes.in_turns(runs, reporting.repeats(arguments))
    seconds = {name: round(found[name].seconds, 4) for name in found.runs}
    row = {
        "rows": rows,
        **{f"{name}, s": value for name, value in seconds.items()},
        "times the floor": round(1 / found.ratio("convert", "floor"), 2),
        "cpu, times the floor": round(1 / found.cpu_ratio("convert", "floor"), 2),
        "loop over reward-to-go": round(found.ratio("reward-to-go", "reward-to-go, loop")),
    }
    used = memory(arguments.memory_rows or 2 * rows)
    reporting.show([used])
    targets = {
        "times the floor": "<= 1.5",
        "loop over reward-to-go": ">= 100",
        "peak of the arrays, at 2,000,000 rows": "<= 3",
    }
    reporting.report(arguments, [row], targets, memory=used)


if __name__ == "__main__":
    main()
