"""How embedded datasets are collected: the recipes of resources/behaviour/recipes.csv and the policies they name."""

import csv
import functools
from pathlib import Path
from typing import Any

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import RESOURCES, sha256

BEHAVIOUR = RESOURCES / "behaviour"


def tasks() -> tuple[str, ...]:
    """The tasks of which there are embedded datasets: those that have recipes."""
    return tuple(dict.fromkeys(row["task"] for row in _rows(BEHAVIOUR / "recipes.csv")))


def recipes(task: str) -> dict[str, list[float]]:
    """The recipes by which an embedded dataset of `task` can be collected: for each, its sources' shares."""
    shares: dict[str, list[float]] = {}
    for row in _rows(BEHAVIOUR / "recipes.csv"):
        if row["task"] == task:
            shares.setdefault(row["recipe"], []).append(float(row["share"]))
    return shares


def sources(task: str, recipe: str) -> list[dict[str, Any]]:
    """A recipe's sources, in order: policy (a file of resources/behaviour/, or uniform), sha256, share, noise.

    Raises InputError for a recipe that the task does not have.
    """
    chosen = [row for row in _rows(BEHAVIOUR / "recipes.csv") if (row["task"], row["recipe"]) == (task, recipe)]
    if not chosen:
        raise InputError(f"recipe {recipe!r} is unknown for {task}, which has {', '.join(recipes(task))}")
    return [
        {
            "policy": row["policy"],
            "share": float(row["share"]),
            "noise": float(row["noise"]),
            "sha256": None if row["policy"] == "uniform" else sha256(BEHAVIOUR / row["policy"]),
        }
        for row in chosen
    ]


@functools.cache
def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
