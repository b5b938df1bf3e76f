"""Policies from their files, whatever their format."""

import hashlib
import json
from pathlib import Path
from typing import Any

from d4rl_automl.core.errors import REMAKE, InputError
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.handle import check_handle, check_metadata, read
from d4rl_automl.policies.onnx import OnnxPolicy, graph_metadata


def load(path: str | Path, threads: int = 1) -> Policy:
    """The policy behind a `.json` handle, or in an `.onnx` file that carries its own metadata.

    `threads`: for one call of `act`. A policy's file must have the SHA-256 that its handle names.
    AutoGluon's directories hold pickles: load only what your own run has made.

    Raises InputError for a file that is missing or corrupt or not the one the handle was
    written for, and for metadata that is incomplete or contradicts the task or the graph.
    """
    path = Path(path)
    metadata = read_metadata(path)
    if path.suffix == ".onnx":
        return OnnxPolicy(read(path), metadata, threads, path)
    if metadata["format"] == "autogluon":
        # Here, because AutoGluon takes seconds to import and ONNX policies do without.
        from d4rl_automl.policies.autogluon import AutoGluonPolicy  # noqa: PLC0415

        return AutoGluonPolicy(path, metadata, threads)
    file = path.parent / metadata["file"]
    if file.parent != path.parent:
        raise InputError(f"{path}: file is {metadata['file']!r}; expected the name of a file beside it; {REMAKE}")
    content = read(file)
    digest = hashlib.sha256(content).hexdigest()
    if digest != metadata["sha256"]:
        raise InputError(
            f"{file}: its SHA-256 is {digest}, but {path} was written for {metadata['sha256']}; "
            f"the file was changed or replaced: {REMAKE}, or restore it"
        )
    if metadata["format"] == "onnx":
        return OnnxPolicy(content, metadata, threads, file)
    # Here, because other policies do without these libraries.
    from d4rl_automl.policies.forest import CatBoostPolicy, XGBoostPolicy  # noqa: PLC0415

    trees = {"xgboost": XGBoostPolicy, "catboost": CatBoostPolicy}[metadata["format"]]
    return trees(content, metadata, threads, file)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a `.json` handle, or an `.onnx` file itself, says of a policy, without loading the policy.

    Raises InputError for a file that is missing or corrupt, and for metadata that is incomplete
    or contradicts the task.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        metadata = graph_metadata(read(path), path)
        check_metadata(metadata, path)
        return metadata
    if path.suffix != ".json":
        raise InputError(f"{path}: a policy is a .json handle or an .onnx file, found {path.suffix or 'no ending'!r}")
    try:
        handle = json.loads(read(path))
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file ({error}); {REMAKE}") from None
    check_handle(handle, path)
    return handle
