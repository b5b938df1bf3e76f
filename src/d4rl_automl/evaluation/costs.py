"""What every policy cost to make, from the benchmark files and logs of its jobs, and what it costs to act with."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError

PROCESSOR_TIME = re.compile(r"([\d.]+) s of processor time$", re.MULTILINE)
"""What `script.run` writes at the end of a log."""

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

Job = Mapping[str, str]
"""The files that a job left: its benchmark (TSV of Snakemake) and its log."""


def measure(policies: Sequence[Mapping[str, Any]], students: Sequence[str | Path], output: str | Path) -> None:
    """Write the costs of every policy as CSV, one row per dataset, method and training seed.

    Arguments
        policies: dataset, method, kind and seed; own and teacher, the `Job`s that made the policy
            and, before it, its teacher and the teacher's labels.
        students: CSV of `students.compare` of every dataset, at results/{dataset}/students.csv.
        output: the table, `COLUMNS`:
            seconds: wall time of the own jobs, summed: as if one ran after the other
            core_seconds: their processor time
            peak_memory_mb: the largest job's resident memory, in MB, as Snakemake sampled it (jobs too
                short for that are left out)
            with_teacher_seconds, with_teacher_core_seconds: the teacher's jobs included; as above without a teacher
            bytes: size of the policy's file or directories
            microseconds_per_action: of one thread, in batches of `students.BATCH` rows

    A job whose benchmark or log is gone was not measured: its policy's cell stays empty, and the
    log says so. Raises InputError for a table that cannot be read, and for a policy that it lacks.
    """
    acting = {Path(path).parent.name: _acting(path) for path in students}
    rows = []
    for policy in policies:
        key = (policy["method"], policy["seed"])
        if key not in acting[policy["dataset"]].index:
            raise InputError(f"students of {policy['dataset']}: {key[0]} of training seed {key[1]} is missing")
        own = [_measured(job) for job in policy["own"]]
        every = own + [_measured(job) for job in policy["teacher"]]
        speed = acting[policy["dataset"]].loc[key]
        rows.append(
            {name: policy[name] for name in ("dataset", "method", "kind", "seed")}
            | {
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


def _acting(path: str | Path) -> pd.DataFrame:
    table = tables.read_csv(path, ("method", "seed", "bytes", "rows_per_second"))
    return table.drop_duplicates(["method", "seed"]).set_index(["method", "seed"])


def _measured(job: Job) -> dict[str, float]:
    """seconds, core_seconds and memory (MB) of a job; NaN where it left nothing to read it from.

    Snakemake only samples processor time, and misses the end of a job; the log has all of it.
    """
    found = dict.fromkeys(("seconds", "core_seconds", "memory"), np.nan)
    if Path(job["benchmark"]).is_file():
        benchmark = pd.read_csv(job["benchmark"], sep="\t").iloc[-1]
        found |= {"seconds": float(benchmark["s"]), "memory": float(benchmark["max_rss"])}
    else:
        logging.warning("%s is gone: its job's time and memory stay empty", job["benchmark"])
    times = PROCESSOR_TIME.findall(Path(job["log"]).read_text()) if Path(job["log"]).is_file() else []
    if times:
        found["core_seconds"] = float(times[-1])
    else:
        logging.warning("%s has no processor time: its job's stays empty", job["log"])
    return found
