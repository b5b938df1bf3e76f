"""The datasets that exist: those of resources/catalogue.csv, and those that a config defines itself.

An entry is of the model of its provider (`data.providers`), the same wherever a dataset is handed on.
"""

import csv
import functools
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import RESOURCES
from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.settings import told
from d4rl_automl.settings.kinds import DatasetEntry

OWN_PROVIDERS = tuple(name for name, provider in PROVIDERS.items() if provider.own)
"""Those of datasets that a config may define itself."""

D4RL_DIR = "~/.d4rl/datasets"
"""Where D4RL itself keeps its files by default."""
MIRRORS = ("https://huggingface.co/datasets/imone/D4RL/resolve/main",)
"""Base URLs of hosts that have them under their own names, asked after D4RL's own host."""

_OWN_DATA = "data of your own are given as a mapping: name, provider: file, task, path"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_RESERVED = (
    *("behaviour", "benchmarks", "figures", "report", "tracker"),
    *("cards.csv", "comparisons.csv", "costs.csv", "report.zip", "scores.csv", "summary.csv"),
)


class EntryError(InputError):
    """A dataset is wrong; `faults` has the path of each field within its entry, empty for all of it, and a sentence."""

    def __init__(self, name: Any, *faults: tuple[str, str]) -> None:
        super().__init__(
            "; ".join(f"dataset {name!r}: {f'{path}: ' if path else ''}{sentence}" for path, sentence in faults)
        )
        self.faults = faults


def names() -> list[str]:
    """The names of the catalogue, in its order."""
    return list(_catalogue())


def transitions(name: str) -> int | None:
    """How many rows a dataset of the catalogue has, D4RL's as its paper's table says it; None of another dataset."""
    row = _catalogue().get(name)
    return int(row["transitions"]) if row else None


def entry(dataset: str | Mapping[str, Any]) -> DatasetEntry:
    """The entry of a dataset that a config names, or defines by a mapping.

    A mapping has `name`, `provider` (embedded or file), `task` and that provider's fields. Raises EntryError, saying
    what is allowed, for an unknown name, and for a missing, unknown or ill-typed field.
    """
    if isinstance(dataset, str):
        if dataset not in _catalogue():
            raise EntryError(
                dataset,
                ("", f"found {dataset!r}, which is none of the catalogue's {', '.join(names())}; {_OWN_DATA}"),
            )
        return _of_row(_catalogue()[dataset])
    if not isinstance(dataset, Mapping):
        expected = f"expected a name of the catalogue or a mapping; {_OWN_DATA}"
        raise EntryError(dataset, ("", f"found {dataset!r}, {expected}"))
    name, provider = dataset.get("name"), dataset.get("provider")
    _refuse_name(name)
    if provider not in OWN_PROVIDERS:
        raise EntryError(name, ("provider", told.compared(provider, f"one of {', '.join(OWN_PROVIDERS)}")))
    try:
        return PROVIDERS[provider].entry.model_validate(dict(dataset))
    except ValidationError as error:
        raise EntryError(name, *told.sentences(error)) from None


@functools.cache
def _catalogue() -> dict[str, dict[str, str]]:
    with (RESOURCES / "catalogue.csv").open(newline="", encoding="utf-8") as stream:
        return {row["name"]: row for row in csv.DictReader(stream)}


def _of_row(row: Mapping[str, str]) -> DatasetEntry:
    """The columns that the row's provider has fields for, which say what is a number."""
    model = PROVIDERS[row["provider"]].entry
    fields = {name: row[name] for name in model.model_fields}
    return model.model_validate(
        {name: int(v) if model.model_fields[name].annotation is int else v for name, v in fields.items()}
    )


def _refuse_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        allowed = "small letters, digits, dots and hyphens, a letter or digit first: it becomes a folder's name"
        raise EntryError(name, ("name", told.compared(name, allowed)))
    if name in _RESERVED:
        raise EntryError(
            name, ("name", f"found {name!r}, which is taken: results/{name} holds something else; choose another")
        )
    if name in _catalogue():
        raise EntryError(
            name,
            ("name", f"found {name!r}, which is the catalogue's own: write just its name, or choose another for yours"),
        )
