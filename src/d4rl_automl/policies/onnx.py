"""ONNX graphs as policies, played by ONNX Runtime."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.policies.base import Policy
from d4rl_automl.policies.handle import check_metadata, read_bytes, read_file

BLOCK = 16
"""Rows come in multiples of so many, the float32 lanes of AVX-512: ONNX Runtime rounds what is left over otherwise."""


class OnnxPolicy(Policy):
    """A policy run by ONNX Runtime on the CPU; what it does for a row does not depend on the other rows.

    The graph's inputs are `observation` float32 (N, d) and, unless the outcome rule is "none", `outcome`
    float32 (N, k); its output is `action` float32 (N, a).
    """

    def __init__(self, path: Path, metadata: dict[str, Any], threads: int) -> None:
        """As `loading.Loader`; `path` may also be the ONNX file itself. InputError for a graph of another form."""
        super().__init__(metadata)
        source, content = (path, read_bytes(path)) if path.suffix == ".onnx" else read_file(path, metadata)
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

    def predict(self, observations: NDArray[np.float32], outcome: NDArray[np.float32] | None) -> NDArray[np.floating]:
        inputs = {"observation": _filled(observations)}
        if outcome is not None:
            inputs["outcome"] = _filled(outcome)
        try:
            return self._session.run(["action"], inputs)[0][: len(observations)]
        except Exception as error:  # ONNX Runtime's exceptions have no common class of their own.
            raise InputError(
                f"{self._source}: ONNX Runtime cannot play the graph ({error}); where that tells no other cure, export "
                "it again"
            ) from None


def _filled(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows, and the last of them again until there are whole blocks."""
    missing = -len(rows) % BLOCK
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows


def read_metadata(path: Path) -> dict[str, Any]:
    """What the `metadata_props` of an ONNX file say: strings as they are, the other values as JSON.

    Raises InputError as `loading.read_metadata`.
    """
    metadata: dict[str, Any] = dict(_open_session(read_bytes(path), 1, path).get_modelmeta().custom_metadata_map)
    for key in metadata.keys() & {"seed", "observation_size", "action_size", "training"}:
        try:
            metadata[key] = json.loads(metadata[key])
        except ValueError:
            raise InputError(
                f"{path}: metadata_props {key} is {metadata[key]!r}, expected JSON; export again"
            ) from None
    check_metadata(metadata, path)
    return metadata


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
            f"{source}: not an ONNX file that ONNX Runtime {onnxruntime.__version__} can open ({error}); export it "
            "again, its weights inside and for that version"
        ) from None
