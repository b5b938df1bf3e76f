"""The JSON handle that stands for a policy, and what it must say."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import REMAKE, InputError, unreadable
from d4rl_automl.policies.formats import FORMATS
from d4rl_automl.settings.kinds import MethodSettings
from d4rl_automl.tasks import outcomes
from d4rl_automl.tasks.outcomes import OutcomeRule

DATASET_FACTS = ("dataset", "task", "sha256")
"""What a policy's metadata repeat of the metadata of the transitions table."""

_COMMON_KEYS: dict[str, type] = {
    "method": str,
    "kind": str,
    "seed": int,
    "dataset": str,
    "task": str,
    "dataset_sha256": str,
    "outcome_rule": str,
    "observation_size": int,
    "action_size": int,
}


def describe(
    settings: MethodSettings, seed: int, dataset: Mapping[str, Any], outcome_rule: OutcomeRule
) -> dict[str, Any]:
    """The beginning of a handle: what every policy tells of itself.

    `settings` is the method's entry in the config, `seed` the training seed; `dataset` has `DATASET_FACTS`.
    """
    task = tasks.get(dataset["task"])
    return {
        "method": settings.name,
        "kind": settings.kind,
        "seed": seed,
        "dataset": dataset["dataset"],
        "task": task.name,
        "dataset_sha256": dataset["sha256"],
        "outcome_rule": outcome_rule.name,
        "observation_size": task.observation_size,
        "action_size": task.action_size,
    }


def write_handle(path: str | Path, metadata: dict[str, Any]) -> None:
    """Write a policy's handle, a JSON object.

    Keys: method, kind, seed (of training), dataset, task, dataset_sha256, outcome_rule,
    observation_size, action_size, format, and those of its format (`formats`): file (its name; it is beside the
    handle) and sha256, or directories and their directory_sha256 (relative to the handle, one per action dimension)
    and chain. Others are kept as they are. Raises InputError for a key that is missing, of a
    wrong type, or contradicts the task.
    """
    _check_handle(metadata, Path(path))
    files.write_json(path, metadata)


def read_handle(path: str | Path) -> dict[str, Any]:
    """What `write_handle` wrote; InputError where the file is missing or corrupt, or as `write_handle`."""
    path = Path(path)
    try:
        handle = json.loads(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file ({error}); {REMAKE}") from None
    _check_handle(handle, path)
    return handle


def read_file(path: Path, metadata: Mapping[str, Any]) -> tuple[Path, bytes]:
    """The file that the handle `path` points at in its `metadata`, and its content.

    InputError where it is missing, not beside the handle, or has not the SHA-256 that the handle names.
    """
    file = path.parent / metadata["file"]
    if file.parent != path.parent:
        raise InputError(f"{path}: file is {metadata['file']!r}; expected the name of a file beside it; {REMAKE}")
    content = read_bytes(file)
    digest = hashlib.sha256(content).hexdigest()
    if digest != metadata["sha256"]:
        raise InputError(
            f"{file}: its SHA-256 is {digest}, but {path} was written for {metadata['sha256']}; "
            f"the file was changed or replaced: {REMAKE}, or restore it"
        )
    return file, content


def read_bytes(path: Path) -> bytes:
    """A policy's file; InputError where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, "a policy", error) from None


def check_metadata(metadata: dict[str, Any], path: Path) -> None:
    """InputError, naming `path`, unless `metadata` have what every policy tells of itself, as the task has it."""
    _check_types(metadata, _COMMON_KEYS, path)
    task = tasks.get(metadata["task"])
    for key in ("observation_size", "action_size"):
        if metadata[key] != getattr(task, key):
            raise InputError(f"{path}: {key} is {metadata[key]}, but {task.name} has {getattr(task, key)}")
    try:
        outcomes.get(metadata["outcome_rule"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_handle(handle: Any, path: Path) -> None:
    if not isinstance(handle, dict):
        raise InputError(f"{path}: a policy's handle is a JSON object, found {type(handle).__name__}")
    check_metadata(handle, path)
    name = handle.get("format")
    if not isinstance(name, str) or name not in FORMATS:
        raise InputError(f"{path}: format is {name!r}; expected one of {', '.join(FORMATS)}")
    _check_types(handle, FORMATS[name].keys, path)


def _check_types(metadata: dict[str, Any], keys: Mapping[str, type], path: Path) -> None:
    for key, kind in keys.items():
        if key not in metadata:
            raise InputError(f"{path}: the metadata lack {key!r}; they have {', '.join(metadata) or 'nothing'}")
        # By the very type: a bool is an int in Python.
        if type(metadata[key]) is not kind:
            raise InputError(f"{path}: {key} is {metadata[key]!r}; expected {kind.__name__}")
