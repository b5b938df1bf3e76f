"""Policies as files: ONNX networks with random weights, and their handles."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from d4rl_automl import tasks
from d4rl_automl.core.files import sha256
from d4rl_automl.policies.handle import write_handle

Layers = Sequence[tuple[np.ndarray, np.ndarray]]


def metadata_of(task: str = "hopper", outcome_rule: str = "constant") -> dict[str, Any]:
    return {
        "method": "tiny",
        "kind": "mlp",
        "seed": 3,
        "dataset": dataset_of(task),
        "task": task,
        "dataset_sha256": "0" * 64,
        "outcome_rule": outcome_rule,
        "observation_size": tasks.get(task).observation_size,
        "action_size": tasks.get(task).action_size,
    }


def dataset_of(task: str = "hopper") -> str:
    return f"{task}-some-v1"


def weights_of(metadata: Mapping[str, Any], width: int = 16, seed: int = 0) -> Layers:
    """Layers (weight, bias) of a network with random weights."""
    generator = np.random.default_rng(seed)
    sizes = [metadata["observation_size"] + (metadata["outcome_rule"] != "none"), width, metadata["action_size"]]
    return [
        (generator.normal(0, n**-0.5, (n, m)).astype(np.float32), generator.normal(0, 0.1, m).astype(np.float32))
        for n, m in itertools.pairwise(sizes)
    ]


def write_graph(
    path: Path, metadata: Mapping[str, Any], layers: Layers, properties: Mapping[str, str] | None = None
) -> None:
    """An ONNX file of layers with ReLU between, tanh and Clip at the end; `properties` go into metadata_props."""
    conditional = metadata["outcome_rule"] != "none"
    inputs = {"observation": metadata["observation_size"], **({"outcome": 1} if conditional else {})}
    nodes, constants = [helper.make_node("Concat", list(inputs), ["x"], axis=1)], []
    for i, (weight, bias) in enumerate(layers):
        constants += [numpy_helper.from_array(weight, f"w{i}"), numpy_helper.from_array(bias, f"b{i}")]
        last = i == len(layers) - 1
        nodes.append(helper.make_node("Gemm", ["x" if i == 0 else f"a{i - 1}", f"w{i}", f"b{i}"], [f"z{i}"]))
        nodes.append(helper.make_node("Tanh" if last else "Relu", [f"z{i}"], [f"a{i}"]))
    # ONNX Runtime's Tanh can exceed 1 by a rounding.
    constants += [
        numpy_helper.from_array(np.array(bound, np.float32), name) for bound, name in ((-1, "low"), (1, "high"))
    ]
    nodes.append(helper.make_node("Clip", [f"a{len(layers) - 1}", "low", "high"], ["action"]))
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name, width in inputs.items()],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["N", layers[-1][1].size])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(properties or {}))
    onnx.save(model, path)


def write_policy(
    folder: Path, task: str = "hopper", outcome_rule: str = "constant", layers: Layers | None = None, **changes: Any
) -> Path:
    """An ONNX policy and its handle; returns the handle's path."""
    metadata = metadata_of(task, outcome_rule) | changes
    file = folder / "tiny-s3.onnx"
    write_graph(file, metadata, layers or weights_of(metadata))
    handle = folder / "tiny-s3.json"
    write_handle(handle, metadata | {"format": "onnx", "file": file.name, "sha256": sha256(file)})
    return handle
