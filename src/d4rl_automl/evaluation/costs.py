"""What every policy cost to make, from the benchmark files and logs of its jobs, and what it costs to act with."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from d4rl_automl.core import files, paths, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.script import PROCESSOR_TIME

COLUMNS = [
    "dataset",
    "method",
    "kind",
    "seed",
    "seconds",
    "core_seconds",
    "peak_memory_mb",
    "with_teacher_seconds",
    "with_teacher_core_seconds",
    "bytes",
    "microseconds_per_action",
]
"""The columns of `measure`."""


class Policy(NamedTuple):
    """A policy and the jobs that made it, by their names (`core.paths.log`)."""

    method: str
    seed: int
    own: list[str]
    before: list[str]
    """Those of its teacher, and of the teacher's labels."""

    @classmethod
    def of(cls, words: Sequence[str]) -> "Policy":
        """From a method, a training seed and the names of its own jobs, and those of its teacher after a "/"."""
        method, seed, *jobs = words
        middle = jobs.index("/")
        return cls(method, int(seed), jobs[:middle], jobs[middle + 1 :])


def measure(
    dataset: str, policies: Sequence[Policy], students: str | Path, output: str | Path, *, directory: str | Path = "."
) -> None:
    """Write the costs of every policy of a dataset as CSV, one row per method and training seed.

    Arguments
        policies: what was made, by which jobs.
        students: CSV of `comparison.compare`.
        output: the table, `COLUMNS`:
            seconds: wall time of the own jobs, summed: as if one ran after the other
            core_seconds: their processor time
            peak_memory_mb: the largest job's resident memory, in MB, as Snakemake sampled it (jobs too
                short for that are left out)
            with_teacher_seconds, with_teacher_core_seconds: the teacher's jobs included; as above without a teacher
            bytes: size of the policy's file or directories
            microseconds_per_action: of one thread, in batches of `comparison.BATCH` rows
        directory: what logs/ and results/ of the jobs are in.

    A job whose benchmark or log is gone was not measured: its policy's cell stays empty, and the
    log says so. Raises InputError for a table that cannot be read, and for a policy that it lacks.
    """
    acting = _acting(students)
    rows = []
    for policy in policies:
        key = (policy.method, policy.seed)
        if key not in acting:
            raise InputError(f"{students}: {policy.method} of training seed {policy.seed} is missing")
        own = [_measured(job, Path(directory)) for job in policy.own]
        every = own + [_measured(job, Path(directory)) for job in policy.before]
        speed = acting[key]
        rows.append(
            {
                "dataset": dataset,
                "method": policy.method,
                "kind": speed["kind"],
                "seed": policy.seed,
                "seconds": sum(job["seconds"] for job in own),
                "core_seconds": sum(job["core_seconds"] for job in own),
                "peak_memory_mb": pd.Series([job["memory"] for job in own]).max(),
                "with_teacher_seconds": sum(job["seconds"] for job in every),
                "with_teacher_core_seconds": sum(job["core_seconds"] for job in every),
                "bytes": int(speed["bytes"]),
                "microseconds_per_action": 1e6 / speed["rows_per_second"],
            }
        )
    with files.whole(output) as part:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(part, index=False, float_format="%.6g")


def _acting(path: str | Path) -> dict[tuple[str, int], dict[str, Any]]:
    """kind, bytes and rows_per_second of every policy, by method and training seed."""
    table = tables.read_csv(path, ("method", "kind", "seed", "bytes", "rows_per_second"))
    rows: Any = table.to_dict("records")
    return {(row["method"], row["seed"]): row for row in rows}


def _measured(job: str, directory: Path) -> dict[str, float]:
    """seconds, core_seconds and memory (MB) of a job; NaN where it left nothing to read it from.

    Snakemake only samples processor time, and misses the end of a job; the log has all of it.
    """
    found = dict.fromkeys(("seconds", "core_seconds", "memory"), np.nan)
    benchmark, log = directory / paths.benchmark(job), directory / paths.log(job)
    if benchmark.is_file():
        last = pd.read_csv(benchmark, sep="\t").iloc[-1]
        found |= {"seconds": float(last["s"]), "memory": float(last["max_rss"])}
    else:
        logging.warning("%s is gone: its job's time and memory stay empty", benchmark)
    times = PROCESSOR_TIME.findall(log.read_text(encoding="utf-8")) if log.is_file() else []
    if times:
        found["core_seconds"] = float(times[-1])
    else:
        logging.warning("%s has no processor time: its job's stays empty", log)
    return found
