"""The JSON handle that stands for a policy, and what it must say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
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
_FORMAT_KEYS: dict[str, dict[str, type]] = {
    "onnx": {"file": str, "sha256": str},
    "xgboost": {"file": str, "sha256": str},
    "catboost": {"file": str, "sha256": str},
    "autogluon": {"directories": list, "directory_sha256": list, "chain": bool},
}


def describe(
    settings: Mapping[str, Any], seed: int, dataset: Mapping[str, Any], outcome_rule: OutcomeRule
) -> dict[str, Any]:
    """The beginning of a handle: what every policy tells of itself.

    `settings` is the method's entry in the config, `seed` the training seed; `dataset` has `DATASET_FACTS`.
    """
    task = tasks.get(dataset["task"])
    return {
        "method": settings["name"],
        "kind": settings["kind"],
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
    observation_size, action_size and format; with format "onnx", "xgboost" or "catboost" file
    (relative to the handle) and sha256; with "autogluon" directories (relative to the handle, one per action dimension)
    and chain. Others are kept as they are. Raises InputError for a key that is missing, of a
    wrong type, or contradicts the task.
    """
    check_handle(metadata, Path(path))
    files.write_json(path, metadata)


def check_handle(handle: Any, path: Path) -> None:
    if not isinstance(handle, dict):
        raise InputError(f"{path}: a policy's handle is a JSON object, found {type(handle).__name__}")
    check_metadata(handle, path)
    keys = _FORMAT_KEYS.get(handle.get("format", ""))
    if keys is None:
        raise InputError(f"{path}: format is {handle.get('format')!r}; expected one of {', '.join(_FORMAT_KEYS)}")
    _check_types(handle, keys, path)


def check_metadata(metadata: dict[str, Any], path: Path) -> None:
    _check_types(metadata, _COMMON_KEYS, path)
    task = tasks.get(metadata["task"])
    for key in ("observation_size", "action_size"):
        if metadata[key] != getattr(task, key):
            raise InputError(f"{path}: {key} is {metadata[key]}, but {task.name} has {getattr(task, key)}")
    try:
        outcomes.get(metadata["outcome_rule"])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _check_types(metadata: dict[str, Any], keys: dict[str, type], path: Path) -> None:
    for key, kind in keys.items():
        if key not in metadata:
            raise InputError(f"{path}: the metadata lack {key!r}; they have {', '.join(metadata) or 'nothing'}")
        # By the very type: a bool is an int in Python.
        if type(metadata[key]) is not kind:
            raise InputError(f"{path}: {key} is {metadata[key]!r}; expected {kind.__name__}")


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make the policy first") from None
