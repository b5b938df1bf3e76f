"""Policies from their files, whatever their format."""

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from d4rl_automl.core.errors import InputError
from d4rl_automl.policies import handle, onnx
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.formats import FORMATS

Loader = Callable[[Path, dict[str, Any], int], Policy]
"""The constructor of a format's policies: the path of the handle, what it says, and the threads for one call of `act`.

Raises InputError where what the handle points at is missing or corrupt, is not what the handle was written for, or
contradicts what it says.
"""


def load_policy(path: str | Path, threads: int = 1) -> Policy:
    """The policy behind a `.json` handle, or in an `.onnx` file that carries its own metadata.

    `threads`: for one call of `act`. A policy's file must have the SHA-256 that its handle names.
    AutoGluon's directories hold pickles: load only what your own run has made.

    An ONNX policy can be written by anything that writes ONNX, here by this package (and the package onnx, of the
    extra `workflow`); what its metadata must say is in `policies.handle`:

    >>> import numpy as np
    >>> from d4rl_automl import load_policy
    >>> from d4rl_automl.policies.onnx_graph import Graph
    >>> graph = Graph()
    >>> state = graph.node("Concat", "observation", "outcome", axis=1)
    >>> linear = graph.node("MatMul", state, np.eye(12, 3, dtype=np.float32))
    >>> action = graph.node("Clip", linear, -1, 1, output="action")
    >>> metadata = {
    ...     "method": "linear", "kind": "mine", "seed": 0, "dataset": "hopper-medium-v2", "task": "hopper",
    ...     "dataset_sha256": "", "outcome_rule": "constant", "observation_size": 11, "action_size": 3,
    ... }
    >>> graph.save("linear.onnx", {"observation": 11, "outcome": 1}, {"action": 3}, metadata)
    >>> policy = load_policy("linear.onnx")
    >>> policy.act(np.full((2, 11), 0.5), outcome=[[3.2], [1.6]])
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]], dtype=float32)

    Raises InputError for a file that is missing or corrupt or not the one the handle was
    written for, for metadata that is incomplete or contradicts the task or the graph, and for a format whose library
    is not installed.
    """
    path = Path(path)
    metadata = read_metadata(path)
    # Whatever a graph says of itself, nothing but a graph is loaded from it.
    name = "onnx" if path.suffix == ".onnx" else metadata["format"]
    try:
        loader: Loader = pkgutil.resolve_name(FORMATS[name].loader)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{path}: policies of format {name} need what the extra `workflow` brings, and {error.name} is not "
            'installed; pip install "d4rl-automl[workflow]"'
        ) from error
    return loader(path, metadata, threads)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a `.json` handle, or an `.onnx` file itself, says of a policy, without loading the policy.

    Raises InputError for a file that is missing or corrupt, and for metadata that is incomplete
    or contradicts the task.
    """
    path = Path(path)
    readers = {".json": handle.read_handle, ".onnx": onnx.read_metadata}
    if path.suffix not in readers:
        raise InputError(f"{path}: a policy is a .json handle or an .onnx file, found {path.suffix or 'no ending'!r}")
    return readers[path.suffix](path)
