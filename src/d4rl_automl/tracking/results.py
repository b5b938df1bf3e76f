"""The results of a run in a tracker: its tables and its figures."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.tracking import base


def track(
    tracker: str,
    tables: Sequence[str | Path],
    figures: Sequence[str | Path],
    *,
    config: Mapping[str, Any],
    output: str | Path,
) -> None:
    """Put CSV files and PNG files into a run of a tracker, and write what they are called there, and where, as JSON.

    `output` is results/tracker/run.json; names are the paths below results/ without their endings. Raises InputError
    for a file that is missing.
    """
    results = Path(output).parents[1]
    named = [{name_of(path, results): Path(path) for path in paths} for paths in (tables, figures)]
    for path in (path for own in named for path in own.values()):
        if not path.is_file():
            raise InputError(f"{path}: is missing; make it again")
    run = base.start(tracker, results, group="results", name="all", facts=config)
    for name, path in named[0].items():
        run.table(name, path)
    for name, path in named[1].items():
        run.picture(name, path)
    found = {"tracker": tracker, "where": run.close(), "tables": list(named[0]), "figures": list(named[1])}
    files.write_json(output, found)


def name_of(path: str | Path, results: Path) -> str:
    """A file's path below results/, without the ending."""
    return os.path.relpath(path, results).rpartition(".")[0]
