"""The datasets that exist: those of resources/catalogue.csv, and those that a config defines itself.

An entry is a plain dict of JSON values, the same wherever a dataset is handed on:

    every provider   name, provider, task
    d4rl             url, size_bytes, sha256       downloaded
    embedded         recipe, transitions, seed     collected in the simulator
    file             path                          the user's own HDF5 in D4RL's layout
"""

import csv
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import RESOURCES, sha256

BEHAVIOUR = RESOURCES / "behaviour"

_FIELDS: dict[str, dict[str, type]] = {
    "d4rl": {"url": str, "size_bytes": int, "sha256": str},
    "embedded": {"recipe": str, "transitions": int, "seed": int},
    "file": {"path": str},
}
_OWN_PROVIDERS = ("embedded", "file")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_RESERVED = (
    *("arguments", "behaviour", "benchmarks", "figures", "report"),
    *("cards.csv", "comparisons.csv", "costs.csv", "scores.csv", "summary.csv"),
)


def names() -> list[str]:
    """The names of the catalogue, in its order."""
    return list(_catalogue())


def entry(dataset: str | Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a dataset that a config names, or defines by a mapping.

    A mapping has `name`, `provider` (embedded or file), `task` and that provider's fields;
    `seed` defaults to 0 and `~` in `path` is expanded. Raises InputError, saying what is
    allowed, for an unknown name, and for a missing, unknown or ill-typed field.
    """
    if isinstance(dataset, str):
        try:
            return dict(_catalogue()[dataset])
        except KeyError:
            raise InputError(
                f"dataset {dataset!r} is not in the catalogue, which has {', '.join(names())}; data of your own "
                "is given as a mapping: name, provider: file, task, path"
            ) from None
    if not isinstance(dataset, Mapping):
        raise InputError(f"dataset {dataset!r}: expected a name of the catalogue or a mapping with name and provider")
    found = {"seed": 0, **dataset} if dataset.get("provider") == "embedded" else dict(dataset)
    name = _checked_name(found.get("name"))
    _check_fields(name, found)
    if found["provider"] == "embedded":
        _check_embedded(name, found)
    else:
        if set(found["path"]) & set("{}"):
            raise InputError(
                f"dataset {name!r}: path is {found['path']!r}, but Snakemake takes braces for wildcards; rename it"
            )
        found["path"] = str(Path(found["path"]).expanduser())
    return found


def recipes(task: str) -> dict[str, list[float]]:
    """The recipes by which an embedded dataset of `task` can be collected: for each, its sources' shares."""
    shares: dict[str, list[float]] = {}
    for row in _recipe_rows(task):
        shares.setdefault(row["recipe"], []).append(float(row["share"]))
    return shares


def sources(task: str, recipe: str) -> list[dict[str, Any]]:
    """A recipe's sources, in order: policy (a file of resources/behaviour/, or uniform), sha256, share, noise.

    Raises InputError for a recipe that the task does not have.
    """
    chosen = [row for row in _recipe_rows(task) if row["recipe"] == recipe]
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


def _recipe_rows(task: str) -> list[dict[str, str]]:
    with (BEHAVIOUR / "recipes.csv").open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["task"] == task]


@cache
def _catalogue() -> dict[str, dict[str, Any]]:
    with (RESOURCES / "catalogue.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {
        row["name"]: {
            **{key: row[key] for key in ("name", "provider", "task")},
            **{field: kind(row[field]) for field, kind in _FIELDS[row["provider"]].items()},
        }
        for row in rows
    }


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"dataset name {name!r}: it becomes a folder's name, so only small letters, digits, dots and hyphens, "
            "a letter or digit first"
        )
    if name in _RESERVED:
        raise InputError(f"dataset name {name!r} is taken: results/{name} holds something else; choose another")
    if name in _catalogue():
        raise InputError(f"dataset {name!r} is the catalogue's own: write just its name, or choose another for yours")
    return name


def _check_fields(name: str, found: Mapping[str, Any]) -> None:
    provider = found.get("provider")
    if provider not in _OWN_PROVIDERS:
        raise InputError(
            f"dataset {name!r}: provider is {provider!r}, but a dataset of your own has {' or '.join(_OWN_PROVIDERS)}"
        )
    expected = {"name": str, "provider": str, "task": str, **_FIELDS[provider]}
    if found.keys() != expected.keys():
        missing, unknown = expected.keys() - found.keys(), found.keys() - expected.keys()
        said = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        said += [f"has unknown {', '.join(sorted(map(str, unknown)))}"] if unknown else []
        raise InputError(
            f"dataset {name!r} {' and '.join(said)}; the fields of provider {provider} are {', '.join(expected)}"
        )
    for field, kind in expected.items():
        if type(found[field]) is not kind:
            wanted = {str: "text", int: "a whole number"}[kind]
            raise InputError(f"dataset {name!r}: {field} is {found[field]!r}, expected {wanted}")
    known = tasks.SIMULATED if provider == "embedded" else tuple(tasks.TASKS)
    if found["task"] not in known:
        raise InputError(f"dataset {name!r}: task is {found['task']!r}, expected one of {', '.join(known)}")


def _check_embedded(name: str, found: Mapping[str, Any]) -> None:
    if "-embedded" not in name:
        raise InputError(
            f"dataset name {name!r}: the name of an embedded dataset contains -embedded, "
            "so that nobody takes it for D4RL's own data"
        )
    if found["seed"] < 0:
        raise InputError(f"dataset {name!r}: seed is {found['seed']}, expected 0 or more")
    available = recipes(found["task"])
    if found["recipe"] not in available:
        raise InputError(
            f"dataset {name!r}: recipe is {found['recipe']!r}, but {found['task']} has {', '.join(available)}"
        )
    # Every source must have room for one episode of full length.
    least = round(tasks.get(found["task"]).episode_steps / min(available[found["recipe"]]))
    if found["transitions"] < least:
        raise InputError(
            f"dataset {name!r}: transitions is {found['transitions']}, expected at least {least} for "
            f"recipe {found['recipe']}"
        )
