"""Joint networks for all action dimensions, in torch, and their ONNX files.

A network maps (observation, outcome) to an action through hidden layers with ReLU. There are two:
`Network`, the students' and their control's, and `GaussianNetwork`, RvS's.
"""

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from d4rl_automl.policies import action_transform
from d4rl_automl.policies.onnx_graph import Graph

BLOCK = 2_048
"""Rows evaluated at once: the hidden layers of a block stay in the processor's cache."""


class _LinearReLU(torch.autograd.Function):
    """relu(x weightᵀ + bias), of x (N, k) and weight (m, k): on a GPU one kernel instead of two, which saves a pass of
    (N, m) numbers through memory.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled("cuda"):
            x, weight, bias = (value.to(torch.get_autocast_dtype("cuda")) for value in (x, weight, bias))
        # The product, the bias and the activation at once; there is no public name for it.
        output = torch._addmm_activation(bias, x, weight.t())
        ctx.save_for_backward(x, weight, output)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor]:
        x, weight, output = ctx.saved_tensors
        # Zero where relu is.
        gradient = torch.ops.aten.threshold_backward(gradient, output, 0)
        to_inputs = gradient @ weight if ctx.needs_input_grad[0] else None
        return to_inputs, gradient.t() @ x, gradient.sum(0)


class Layers(torch.nn.Module):
    """Hidden layers with ReLU and a linear head: (N, k) to (N, a); k is the observation's size and the outcome's."""

    loss_name: str
    """What its loss is called in curves."""

    def __init__(self, input_size: int, *, action_size: int, width: int, layers: int, outcome_size: int) -> None:
        super().__init__()
        self.outcome_size = outcome_size
        self._inputs = input_size
        sizes = itertools.pairwise([input_size] + [width] * layers + [action_size])
        linear = [torch.nn.utils.skip_init(torch.nn.Linear, *size) for size in sizes]
        self.hidden, self.head = torch.nn.ModuleList(linear[:-1]), linear[-1]

    @property
    def observation_size(self) -> int:
        return self._inputs - self.outcome_size

    def apply_layers(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.hidden:
            x = _LinearReLU.apply(x, layer.weight, layer.bias)
        return self.head(x)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, a) unclipped actions: the loss keeps a gradient where an action lies beyond its bounds."""
        raise NotImplementedError

    @torch.inference_mode()
    def act(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, a) actions within [-1, 1], evaluated in blocks."""
        return torch.cat([self(block).clamp(-1, 1) for block in inputs.split(BLOCK)])

    def loss(self, inputs: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """What is minimised, a mean over the (N, k) and (N, a) rows."""
        raise NotImplementedError

    def held_out_loss(self, inputs: torch.Tensor, actions: torch.Tensor) -> float:
        """The loss of rows that are not fitted to."""
        raise NotImplementedError

    def build(self, graph: Graph, x: str) -> None:
        """Add the network to an ONNX graph, from the value `x` (N, k) to the value `action` (N, a)."""
        raise NotImplementedError

    def build_layers(self, graph: Graph, x: str) -> str:
        for layer in self.hidden:
            x = graph.node("Relu", graph.linear(layer, x))
        return graph.linear(self.head, x)


class Network(Layers):
    """Inputs normalised by the training rows' mean and standard deviation, and a head that ends as the teachers' do,
    in clip(tanh(y) / 0.995, -1, 1) (`action_transform.backward`). Fitted by the squared error in action units.
    """

    loss_name = "squared error"
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, mean: torch.Tensor, deviation: torch.Tensor, *, generator: torch.Generator, **sizes: Any
    ) -> None:
        """`mean` and `deviation` (k,) of the inputs; `sizes` as `Layers` takes them."""
        super().__init__(len(mean), **sizes)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", 1 / deviation)
        # torch's default initialisation, but drawn from the given generator.
        for layer in (*self.hidden, self.head):
            bound = layer.in_features**-0.5
            torch.nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            torch.nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.apply_layers((inputs - self.mean) * self.scale)) / action_transform.SCALE

    def loss(self, inputs: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self(inputs), actions)

    def held_out_loss(self, inputs: torch.Tensor, actions: torch.Tensor) -> float:
        return torch.nn.functional.mse_loss(self.act(inputs), actions).item()

    def build(self, graph: Graph, x: str) -> None:
        x = graph.node("Mul", graph.node("Sub", x, self.mean), self.scale)
        graph.action(self.build_layers(graph, x), "action")


class GaussianNetwork(Layers):
    """RvS's network (scottemmons/rvs@90c0ffb): no normalisation of inputs, a linear head, and a Gaussian likelihood
    whose standard deviation is one parameter per action dimension, whatever the state. Its policy is the mean action.

    Initialised as theirs, by Stable-Baselines3 1.2's `ActorCriticPolicy`: orthogonal weights of gain sqrt(2), of 0.01
    in the head, zero biases and log standard deviations.
    """

    loss_name = "negative log-likelihood"

    def __init__(self, input_size: int, *, generator: torch.Generator, **sizes: Any) -> None:
        super().__init__(input_size, **sizes)
        self.log_deviation = torch.nn.Parameter(torch.zeros(self.head.out_features))
        for layer, gain in (*((layer, 2**0.5) for layer in self.hidden), (self.head, 0.01)):
            torch.nn.init.orthogonal_(layer.weight, gain, generator=generator)
            torch.nn.init.zeros_(layer.bias)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.apply_layers(inputs)

    def loss(self, inputs: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """Minus the mean over rows of the log-likelihood, which is a sum over action dimensions."""
        standard = (actions - self(inputs)) * torch.exp(-self.log_deviation)
        constants = self.log_deviation.sum() + actions.shape[1] * math.log(2 * math.pi) / 2
        return standard.square().sum() / (2 * len(actions)) + constants

    @torch.inference_mode()
    def held_out_loss(self, inputs: torch.Tensor, actions: torch.Tensor) -> float:
        blocks = zip(inputs.split(BLOCK), actions.split(BLOCK), strict=True)
        # Added up where they are: a GPU is waited for once.
        losses = torch.stack([self.loss(*block).double() * len(block[0]) for block in blocks])
        return losses.sum().item() / len(inputs)

    def build(self, graph: Graph, x: str) -> None:
        graph.node("Clip", self.build_layers(graph, x), -1, 1, output="action")


def export(network: Layers, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Write the network as ONNX: `observation` float32 (N, d), `outcome` float32 (N, k) to `action` float32 (N, a).

    `outcome` is absent if the network has none. `metadata` goes into `metadata_props`: strings as
    they are, anything else as JSON.
    """
    graph = Graph()
    inputs = {"observation": network.observation_size}
    x = "observation"
    if network.outcome_size:
        inputs["outcome"] = network.outcome_size
        x = graph.node("Concat", *inputs, axis=1)
    network.build(graph, x)
    graph.save(path, inputs, {"action": network.head.out_features}, metadata)
