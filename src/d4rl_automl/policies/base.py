"""Policies as files: a JSON handle beside an ONNX graph or a forest, or beside AutoGluon's directories."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core import files
from d4rl_automl.core.errors import REMAKE, InputError
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


class Policy(ABC):
    """A deterministic policy: observations and, if it is conditioned, an outcome to actions."""

    def __init__(self, metadata: dict[str, Any]) -> None:
        self.metadata = metadata
        """What the handle says: method, seed, dataset, task, outcome_rule, observation_size, action_size, …"""

    @property
    def outcome_rule(self) -> OutcomeRule:
        """How the policy is conditioned."""
        return outcomes.get(self.metadata["outcome_rule"])

    @property
    def name(self) -> str:
        """Method and training seed, as in the policy's file name."""
        return f"{self.metadata['method']}-s{self.metadata['seed']}"

    def act(self, observations: ArrayLike, outcome: ArrayLike | None = None) -> NDArray[np.float32]:
        """Actions (N, a) float32 within [-1, 1].

        `observations` (N, d); `outcome` (N, k) as `outcome_rule` tells, None for a policy
        that is unconditional. Both of any float dtype. Raises InputError for a wrong
        shape, and where an action comes out as NaN or infinite.
        """
        observations = self._rows("observations", observations, self.metadata["observation_size"])
        outcome_size = self.outcome_rule.width
        if outcome_size == 0:
            if outcome is not None:
                raise InputError(f"policy {self.name}: it takes no outcome (its outcome rule is none); pass None")
        else:
            if outcome is None:
                raise InputError(f"policy {self.name}: it needs an outcome of {outcome_size} column(s), found none")
            outcome = self._rows("outcome", outcome, outcome_size)
            if len(outcome) != len(observations):
                raise InputError(f"policy {self.name}: {len(outcome)} outcomes for {len(observations)} observations")
        actions = np.asarray(self._predict(observations, outcome), np.float32)
        finite = np.isfinite(actions)
        if not finite.all():
            bad = ~finite.all(axis=1)
            where = ", ".join(f"ac{i} ({n})" for i, n in enumerate((~finite).sum(axis=0)) if n)
            raise InputError(
                f"policy {self.name}: {bad.sum()} of {len(actions)} actions hold NaN or infinity, in {where}, the "
                f"first for observation {observations[bad][0].tolist()}; train the policy again and look at its log"
            )
        return actions.clip(-1.0, 1.0)

    def _rows(self, what: str, value: ArrayLike, width: int) -> NDArray[np.float32]:
        rows = np.asarray(value, np.float32)
        if rows.ndim != 2 or rows.shape[1] != width:
            raise InputError(f"policy {self.name}: {what} have shape {rows.shape}, expected (N, {width})")
        return rows

    @abstractmethod
    def _predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.floating]:
        """Actions (N, a), finite or not, clipped or not, for inputs of checked shape."""


class OnnxPolicy(Policy):
    """A policy run by ONNX Runtime on the CPU; what it does for a row does not depend on the other rows.

    `content` is the ONNX file. Its inputs are `observation` float32 (N, d) and, unless the
    outcome rule is "none", `outcome` float32 (N, k); its output is `action` float32 (N, a).
    Raises InputError, naming `source`, for anything else.
    """

    def __init__(self, content: bytes, metadata: dict[str, Any], threads: int, source: Path) -> None:
        super().__init__(metadata)
        self._source = source
        self._session = _open_session(content, threads, source)
        expected: dict[str, int] = {"observation": metadata["observation_size"]}
        if outcome_size := self.outcome_rule.width:
            expected["outcome"] = outcome_size
        for kind, nodes, widths in (
            ("inputs", self._session.get_inputs(), expected),
            ("outputs", self._session.get_outputs(), {"action": metadata["action_size"]}),
        ):
            found = {node.name: (node.type, node.shape[1:]) for node in nodes}
            if found != {name: ("tensor(float)", [width]) for name, width in widths.items()}:
                raise InputError(
                    f"{source}: the {kind} of the graph are "
                    f"{', '.join(f'{node.name} {node.type} {node.shape}' for node in nodes)}; expected "
                    f"{', '.join(f'{name} tensor(float) [N, {width}]' for name, width in widths.items())}, "
                    f"as outcome_rule {self.outcome_rule.name!r} and the sizes in its metadata say; export it again"
                )

    def _predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.floating]:
        inputs = {"observation": observations}
        if outcome is not None:
            inputs["outcome"] = outcome
        try:
            return self._session.run(["action"], inputs)[0]
        except Exception as error:  # ONNX Runtime's exceptions have no common class of their own.
            raise InputError(f"{self._source}: ONNX Runtime cannot play the graph ({error}); export it again") from None


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
        return OnnxPolicy(_read(path), metadata, threads, path)
    if metadata["format"] == "autogluon":
        # Here, because AutoGluon takes seconds to import and ONNX policies do without.
        from d4rl_automl.policies.autogluon import AutoGluonPolicy  # noqa: PLC0415

        return AutoGluonPolicy(path, metadata, threads)
    file = path.parent / metadata["file"]
    if file.parent != path.parent:
        raise InputError(f"{path}: file is {metadata['file']!r}; expected the name of a file beside it; {REMAKE}")
    content = _read(file)
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


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What a `.json` handle, or an `.onnx` file itself, says of a policy, without loading the policy.

    Raises InputError for a file that is missing or corrupt, and for metadata that is incomplete
    or contradicts the task.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        metadata = _graph_metadata(_read(path), path)
        _check_metadata(metadata, path)
        return metadata
    if path.suffix != ".json":
        raise InputError(f"{path}: a policy is a .json handle or an .onnx file, found {path.suffix or 'no ending'!r}")
    try:
        handle = json.loads(_read(path))
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file ({error}); {REMAKE}") from None
    _check_handle(handle, path)
    return handle


def write_handle(path: str | Path, metadata: dict[str, Any]) -> None:
    """Write a policy's handle, a JSON object.

    Keys: method, kind, seed (of training), dataset, task, dataset_sha256, outcome_rule,
    observation_size, action_size and format; with format "onnx", "xgboost" or "catboost" file
    (relative to the handle) and sha256; with "autogluon" directories (relative to the handle, one per action dimension)
    and chain. Others are kept as they are. Raises InputError for a key that is missing, of a
    wrong type, or contradicts the task.
    """
    _check_handle(metadata, Path(path))
    files.write_json(path, metadata)


def _check_handle(handle: Any, path: Path) -> None:
    if not isinstance(handle, dict):
        raise InputError(f"{path}: a policy's handle is a JSON object, found {type(handle).__name__}")
    _check_metadata(handle, path)
    keys = _FORMAT_KEYS.get(handle.get("format", ""))
    if keys is None:
        raise InputError(f"{path}: format is {handle.get('format')!r}; expected one of {', '.join(_FORMAT_KEYS)}")
    _check_types(handle, keys, path)


def _check_metadata(metadata: dict[str, Any], path: Path) -> None:
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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); make the policy first") from None


def _open_session(content: bytes, threads: int, source: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # A graph may name files that hold its weights: from a folder that holds none, nothing is read.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common class of their own.
        raise InputError(
            f"{source}: not an ONNX file that ONNX Runtime can open ({error}); export it again, its weights inside"
        ) from None


def _graph_metadata(content: bytes, path: Path) -> dict[str, Any]:
    """The `metadata_props` of an ONNX file: strings as they are, the other values as JSON."""
    metadata: dict[str, Any] = dict(_open_session(content, 1, path).get_modelmeta().custom_metadata_map)
    for key in metadata.keys() & {"seed", "observation_size", "action_size", "training"}:
        try:
            metadata[key] = json.loads(metadata[key])
        except ValueError:
            raise InputError(
                f"{path}: metadata_props {key} is {metadata[key]!r}, expected JSON; export again"
            ) from None
    return metadata
