"""One joint network for all action dimensions: fitted with torch, acted with as an ONNX file.

The network maps (observation, outcome) to an action: inputs normalised by the training rows'
mean and standard deviation, hidden layers with ReLU, and a head that ends as the teachers' do,
in clip(tanh(y) / 0.995, -1, 1) (`action_transform.backward`).
"""

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from d4rl_automl import action_transform, policy
from d4rl_automl.errors import InputError
from d4rl_automl.files import sha256, whole
from d4rl_automl.onnx_graph import Graph

DATASET_FACTS = ("dataset", "task", "sha256")
"""What a policy's metadata repeat of the metadata of the transitions table."""

EVALUATIONS = 20
"""How often a fit looks at the validation loss."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """Size and training of a network."""

    width: int
    layers: int
    """Hidden layers."""
    updates: int
    """Steps of gradient descent, whatever the number of rows."""
    batch_size: int
    learning_rate: float
    """Adam's at the first step; it falls to zero along a half cosine."""

    @classmethod
    def of(cls, method: Mapping[str, Any]) -> "Settings":
        """The settings of a method's config entry; InputError names one that is missing."""
        try:
            return cls(
                width=method["network"]["width"],
                layers=method["network"]["layers"],
                updates=method["updates"],
                batch_size=method["batch_size"],
                learning_rate=method["learning_rate"],
            )
        except KeyError as error:
            raise InputError(
                f"method {method.get('name')!r}: the setting {error} is missing; "
                "a network needs network.width, network.layers, updates, batch_size and learning_rate"
            ) from None


@dataclass(frozen=True)
class Samples:
    """What a network is fitted to."""

    observations: NDArray[np.float32]  # (N, d)
    outcomes: NDArray[np.float32] | None  # (N,), or None for an unconditional policy
    actions: NDArray[np.float32]  # (N, a), within [-1, 1]

    def __len__(self) -> int:
        return len(self.actions)

    def inputs(self) -> NDArray[np.float32]:
        """(N, d) observations, or (N, d + 1) with the outcome as the last column."""
        if self.outcomes is None:
            return self.observations
        return np.column_stack([self.observations, self.outcomes])


class Network(torch.nn.Module):
    """(N, k) inputs to (N, a) actions; k is the observation's size, plus one if `conditional`."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        mean: torch.Tensor,
        deviation: torch.Tensor,
        *,
        action_size: int,
        width: int,
        layers: int,
        conditional: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.conditional = conditional
        self.register_buffer("mean", mean)
        self.register_buffer("scale", 1 / deviation)
        sizes = itertools.pairwise([len(mean)] + [width] * layers + [action_size])
        # torch's default initialisation, but drawn from the given generator.
        linear = [torch.nn.utils.skip_init(torch.nn.Linear, *size) for size in sizes]
        self.hidden, self.head = torch.nn.ModuleList(linear[:-1]), linear[-1]
        for layer in linear:
            bound = layer.in_features**-0.5
            torch.nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            torch.nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    @property
    def observation_size(self) -> int:
        return len(self.mean) - self.conditional

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Unclipped actions: the loss keeps a gradient where an action lies beyond its bounds."""
        x = (inputs - self.mean) * self.scale
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return torch.tanh(self.head(x)) / action_transform.SCALE

    @torch.inference_mode()
    def act(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, a) actions within [-1, 1], evaluated in blocks."""
        return torch.cat([self(block).clamp(-1, 1) for block in inputs.split(16_384)])


@dataclass(frozen=True)
class Fit:
    """A fitted network and how the fit went."""

    network: Network
    curve: pd.DataFrame
    """One row per evaluation: update, learning_rate, training_loss, validation_loss, seconds (since the start).

    Losses are mean squared errors over rows and action dimensions, in action units; the training
    loss is the mean over the batches since the evaluation before.
    """
    summary: dict[str, Any]
    """rows, validation_rows, updates, best_update, validation_loss."""
    seconds: float


def fit(train: Samples, validation: Samples, settings: Settings, *, seed: int, device: str, threads: int) -> Fit:
    """Fit a network by Adam on the squared error in action units; keep the evaluation of least validation loss.

    The same seed, device and number of threads give the same weights. `device` is torch's: "cpu" or "cuda".
    InputError if there are no training or no validation rows, or if the loss is not finite.
    """
    for name, samples in (("training", train), ("validation", validation)):
        if not len(samples):
            raise InputError(f"there are no {name} rows to fit a network to; the split needs more episodes")
    started = time.perf_counter()
    with _reproducible(threads):
        generator = torch.Generator().manual_seed(seed)
        inputs, actions = (torch.from_numpy(x).to(device) for x in (train.inputs(), train.actions))
        held_out, held_out_actions = (torch.from_numpy(x).to(device) for x in (validation.inputs(), validation.actions))
        deviation = inputs.double().std(0, correction=0).float()
        # A column that never changes carries nothing, and its deviation is rounding: it is left at zero.
        deviation[inputs.amax(0) == inputs.amin(0)] = 1
        network = Network(
            inputs.double().mean(0).float().cpu(),
            deviation.cpu(),
            action_size=actions.shape[1],
            width=settings.width,
            layers=settings.layers,
            conditional=train.outcomes is not None,
            generator=generator,
        ).to(device)
        optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.updates)
        interval = -(-settings.updates // EVALUATIONS)
        batches = itertools.islice(_batches(len(train), settings.batch_size, generator), settings.updates)
        rows: list[dict[str, float]] = []
        best: dict[str, torch.Tensor] = {}
        total, seen = torch.zeros((), device=device), 0
        for update, indices in enumerate(batches, 1):
            batch = indices.to(device)
            loss = torch.nn.functional.mse_loss(network(inputs[batch]), actions[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            learning_rate = float(schedule.get_last_lr()[0])
            schedule.step()
            total += loss.detach() * len(batch)
            seen += len(batch)
            if update % interval and update < settings.updates:
                continue
            validation_loss = torch.nn.functional.mse_loss(network.act(held_out), held_out_actions).item()
            training_loss = total.item() / seen
            if not np.isfinite([training_loss, validation_loss]).all():
                raise InputError(
                    f"the loss is not finite after {update} updates (training {training_loss}, validation "
                    f"{validation_loss}); lower learning_rate, found {settings.learning_rate}"
                )
            if not rows or validation_loss < min(row["validation_loss"] for row in rows):
                best_update = update
                best = {name: value.clone() for name, value in network.state_dict().items()}
            rows.append(
                {
                    "update": update,
                    "learning_rate": learning_rate,
                    "training_loss": training_loss,
                    "validation_loss": validation_loss,
                    "seconds": round(time.perf_counter() - started, 3),
                }
            )
            log.info(
                "update %d/%d: loss %.5f, validation %.5f", update, settings.updates, training_loss, validation_loss
            )
            total, seen = torch.zeros((), device=device), 0
        network.load_state_dict(best)
    curve = pd.DataFrame(rows)
    summary = {
        "rows": len(train),
        "validation_rows": len(validation),
        "updates": settings.updates,
        "best_update": best_update,
        "validation_loss": float(curve.validation_loss.min()),
    }
    return Fit(network.cpu().eval(), curve, summary, seconds=round(time.perf_counter() - started, 3))


def export(network: Network, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Write the network as ONNX: `observation` float32 (N, d), `outcome` float32 (N, 1) to `action` float32 (N, a).

    `outcome` is absent if the network is unconditional. `metadata` goes into `metadata_props`: strings as
    they are, anything else as JSON.
    """
    graph = Graph()
    inputs = {"observation": network.observation_size}
    if network.conditional:
        inputs["outcome"] = 1
        x = graph.node("Concat", *inputs, axis=1)
    else:
        x = "observation"
    x = graph.node("Mul", graph.node("Sub", x, network.mean), network.scale)
    for layer in network.hidden:
        x = graph.node("Relu", graph.linear(layer, x))
    graph.action(graph.linear(network.head, x), "action")
    graph.save(path, inputs, {"action": network.head.out_features}, metadata)


def write_policy(
    fitted: Fit,
    output: str | Path,
    settings: Mapping[str, Any],
    seed: int,
    *,
    dataset: Mapping[str, Any],
    **times: float,
) -> None:
    """Write a fitted network as policy: the handle `output`, and beside it the ONNX file and the training curve.

    Arguments
        fitted: what `fit` returned.
        output: {method}-s{seed}.json; its neighbours end in .onnx and .curve.csv.
        settings: the method's entry in the config.
        seed: the training seed.
        dataset: has `DATASET_FACTS`, as the transitions table's metadata do.
        times: what the policy cost besides its own fit, in seconds, by name.
    """
    output = Path(output)
    network = fitted.network
    metadata: dict[str, Any] = {
        "method": settings["name"],
        "kind": settings["kind"],
        "seed": seed,
        "dataset": dataset["dataset"],
        "task": dataset["task"],
        "dataset_sha256": dataset["sha256"],
        "outcome_rule": "constant" if network.conditional else "none",
        "observation_size": network.observation_size,
        "action_size": network.head.out_features,
        "format": "onnx",
        "training": {"settings": dict(settings), **fitted.summary},
    }
    onnx_file = output.with_suffix(".onnx")
    export(network, onnx_file, metadata)
    with whole(output.with_suffix(".curve.csv")) as part:
        fitted.curve.to_csv(part, index=False)
    # Times stay out of the ONNX file, so that the same training gives the same bytes.
    metadata["training"] |= {"fit_seconds": fitted.seconds, **times}
    policy.write_handle(output, metadata | {"file": onnx_file.name, "sha256": sha256(onnx_file)})


def _batches(rows: int, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Row indices of one batch after another, without end: all rows in a new order, again and again."""
    while True:
        yield from torch.randperm(rows, generator=generator).split(size)


@contextlib.contextmanager
def _reproducible(threads: int) -> Iterator[None]:
    """Torch with `threads` threads and deterministic kernels; what was set before comes back."""
    # cuBLAS is deterministic only with a fixed workspace, and reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
