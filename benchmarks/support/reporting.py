"""The command line of a benchmark, the facts of the machine, and the report as a table and as JSON."""

import argparse
import datetime
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from d4rl_automl.core.files import write_json
from d4rl_automl.tasks import gym
from support import RESULTS, ROOT
from support.processes import CORES

ROBOTS = tuple(task.name for task in gym.TASKS)
"""The tasks of the gym suite, of which there are behaviour policies to measure with."""


def parser(description: str | None, tasks: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The options of every benchmark that measures; --tasks where it can measure with some of these `tasks` alone."""
    result = _parser(description)
    result.add_argument("--quick", action="store_true", help="short sizes: a look, not a figure to quote")
    if tasks:
        result.add_argument("--tasks", nargs="+", default=tasks, choices=tasks)
    result.add_argument("--output", type=Path, help=f"JSON file; default: {RESULTS.relative_to(ROOT)}/…")
    return result


def parser_of_results(description: str | None) -> argparse.ArgumentParser:
    """The options of what reads the results of a finished run."""
    result = _parser(description)
    result.add_argument("--results", type=Path, default=ROOT / "results", help="results of a finished run")
    result.add_argument("--output", type=Path, default=RESULTS / f"{_benchmark()}.json", help="JSON file")
    return result


def _parser(description: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )


def _benchmark() -> str:
    """The name of the script that runs."""
    return Path(sys.argv[0]).stem


def add_repeats(result: argparse.ArgumentParser) -> None:
    """The option that `repeats` reads."""
    result.add_argument("--repeats", type=int, help="turns that each thing is run in; default: 3, or 2 with --quick")


def repeats(arguments: argparse.Namespace) -> int:
    """How many turns were asked for."""
    return arguments.repeats or (2 if arguments.quick else 3)


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table, without what is nested in them."""
    table = pd.DataFrame([{key: value for key, value in row.items() if not isinstance(value, dict)} for row in rows])
    print(table.to_string(index=False, na_rep=""))


def report(
    arguments: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
    targets: Mapping[str, str],
    **more: Any,
) -> None:
    """Print the rows as a table and write them, with `more` and the machine, as JSON."""
    show(rows)
    for what, target in targets.items():
        print(f"target: {what}: {target}")
    facts = {
        "quick": arguments.quick,
        "arguments": {key: str(value) for key, value in vars(arguments).items() if key != "output"},
        "machine": machine(),
        "targets": dict(targets),
        "rows": list(rows),
        **more,
    }
    write(arguments.output or RESULTS / f"{_benchmark()}{'-quick' * arguments.quick}.json", facts)
    print(f"{machine()['cpu']}, {CORES} cores, load {os.getloadavg()[0]:.2f}{' (quick)' * arguments.quick}")


def write(output: Path, facts: Mapping[str, Any]) -> None:
    """Write what a benchmark found, and its name, as JSON, and say where."""
    write_json(output, {"benchmark": _benchmark(), **facts})
    print(f"written to {output}")


def machine() -> dict[str, Any]:
    """Processor, memory, load and versions, as they are now."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    packages = ("mujoco", "gymnasium", "onnxruntime", "numpy", "torch", "autogluon.tabular", "catboost", "snakemake")
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": CORES,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in packages},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    """None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
