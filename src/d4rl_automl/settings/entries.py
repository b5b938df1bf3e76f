"""The config of a run as its jobs read it: results/config.json, of which each takes the entry that it is about."""

import json
from pathlib import Path
from typing import Any

from d4rl_automl.core.errors import REMAKE, InputError


def read(path: str | Path) -> dict[str, Any]:
    """The validated config as JSON values; InputError for a file that is none."""
    try:
        config = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as the config of a run ({error}); {REMAKE}") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(config).__name__}; {REMAKE}")
    return config


def entry(config: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    """The entry called `name` of the list at `key` (datasets, teachers, methods); InputError where there is none."""
    for found in config.get(key, []):
        if found["name"] == name:
            return found
    raise InputError(f"config: {key}: there is no {name!r}; run this with the config that has it")
