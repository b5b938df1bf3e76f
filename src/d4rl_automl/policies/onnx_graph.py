"""The ONNX graphs that policies are written as, built node by node: they are small, and their form is fixed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from d4rl_automl.core.files import whole
from d4rl_automl.policies import action_transform

# Old enough for every ONNX reader of the last years; the graphs need nothing newer.
OPSET, IR_VERSION = 17, 8


class Graph:
    """Nodes and constants. A value of the graph is referred to by its name, a string."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: Any, output: str | None = None, **attributes: Any) -> str:
        """A new node with one output, whose name is returned; it is made up unless `output` gives one.

        `inputs` are names of values, or constants: NumPy's arrays keep their dtype, single numbers and torch's
        tensors become float32.
        """
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        output = output or f"{operator}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, names, [output], name=output, **attributes))
        return output

    def linear(self, layer: Any, x: str) -> str:
        """A `torch.nn.Linear`."""
        return self.node("Gemm", x, layer.weight.detach(), layer.bias.detach(), transB=1)

    def action(self, target: str, output: str) -> str:
        """`action_transform.backward`, as the value `output`."""
        x = self.node("Div", self.node("Tanh", target), action_transform.SCALE)
        return self.node("Clip", x, -1, 1, output=output)

    def _constant(self, value: Any) -> str:
        array = value if isinstance(value, np.ndarray) else np.asarray(value, np.float32)
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def save(
        self, path: str | Path, inputs: Mapping[str, int], outputs: Mapping[str, int], metadata: Mapping[str, Any]
    ) -> None:
        """Write the file, whole or not at all.

        `inputs` and `outputs` map names to widths: all are float32 (N, width). `metadata` goes into
        `metadata_props`: strings as they are, anything else as JSON.
        """
        given, made = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name, width in widths.items()]
            for widths in (inputs, outputs)
        )
        graph = helper.make_graph(self._nodes, "policy", given, made, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name = "d4rl_automl"
        helper.set_model_props(
            model, {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
        )
        onnx.checker.check_model(model, full_check=True)
        with whole(path) as part:
            onnx.save(model, part)
