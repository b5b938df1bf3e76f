"""Networks fitted by Adam."""

import contextlib
import dataclasses
import hashlib
import io
import json
import logging
import os
import pickle
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.core.files import sha256, whole
from d4rl_automl.data.transitions import Transitions
from d4rl_automl.learners.networks import GaussianNetwork, Layers, Network

EVALUATIONS = 20
"""How often a fit looks at the validation loss."""

CHECKPOINT_SECONDS = 60.0
"""How much of a fit is lost, about, when it is killed."""

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
    """Adam's. It falls to zero along a half cosine, except where `gaussian`, where it is constant."""
    gaussian: bool = False
    """RvS's network and training: `GaussianNetwork`, constant learning rate, and the last weights are kept.

    Else `Network`, and of the weights those of least validation loss.
    """
    shuffle: bool = True
    """A new order of the rows in every epoch; else batches are runs of rows as they are given, always the same."""

    @classmethod
    def of(cls, method: Mapping[str, Any], **others: bool) -> "Settings":
        """The settings of a method's config entry, and `others`; InputError names one that is missing."""
        try:
            return cls(
                width=method["network"]["width"],
                layers=method["network"]["layers"],
                updates=method["updates"],
                batch_size=method["batch_size"],
                learning_rate=method["learning_rate"],
                **others,
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

    def take(self, rows: slice | NDArray[np.int64]) -> "Samples":
        """Some of the rows."""
        outcomes = None if self.outcomes is None else self.outcomes[rows]
        return Samples(self.observations[rows], outcomes, self.actions[rows])

    @classmethod
    def of(cls, rows: Transitions, conditional: bool = True) -> "Samples":
        """Recorded transitions, their outcome the average reward-to-go if `conditional`."""
        return cls(rows.observations, rows.rtg if conditional else None, rows.actions)


@dataclass(frozen=True)
class Fit:
    """A fitted network and how the fit went."""

    network: Layers
    curve: pd.DataFrame
    """One row per evaluation: update, learning_rate, training_loss, validation_loss, seconds (since the start).

    Losses are the network's: mean squared errors over rows and action dimensions, in action units, or minus the mean
    log-likelihood of a row. The training loss is the mean over the batches since the evaluation before; the
    validation loss is NaN without validation rows.
    """
    summary: dict[str, Any]
    """rows, validation_rows, updates, kept_update, and the training_loss and validation_loss (None without validation
    rows) of the evaluation at that update.
    """
    seconds: float


@dataclass
class _Progress:
    """Where a fit stands."""

    order: torch.Tensor
    """State of the generator before it drew the order of the epoch of the last update."""
    total: torch.Tensor
    """Sum of the losses of the rows since the last evaluation."""
    seen: int = 0
    """Their number."""
    update: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    """Of the curve."""
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    """Weights of least validation loss; empty where the last are kept."""
    seconds: float = 0.0
    """Spent on this fit, by earlier processes too."""


def fit(
    train: Samples,
    validation: Samples,
    settings: Settings,
    *,
    seed: int,
    device: str,
    threads: int,
    checkpoint: str | Path | None = None,
) -> Fit:
    """Fit a network by Adam.

    The same seed, device and number of threads give the same weights. `device` is torch's: "cpu" or "cuda".
    A `checkpoint` is written to about every `CHECKPOINT_SECONDS`; where one of the same settings and rows is found, the
    fit goes on from there, and ends as if it had not been interrupted. It is left behind for the caller to delete.

    InputError if there are no training rows, no validation rows where they choose the weights, or if the loss is not
    finite.
    """
    for name, samples in (("training", train), ("validation", validation)):
        if not len(samples) and not (settings.gaussian and name == "validation"):
            raise InputError(f"there are no {name} rows to fit a network to; the split needs more episodes")
    started = time.perf_counter()
    with _reproducible(threads):
        generator = torch.Generator().manual_seed(seed)
        inputs, actions = (torch.from_numpy(x).to(device) for x in (train.inputs(), train.actions))
        held_out = tuple(torch.from_numpy(x).to(device) for x in (validation.inputs(), validation.actions))
        network = _network(inputs, actions.shape[1], train.outcomes is not None, settings, generator).to(device)
        optimiser, schedule = _optimiser(network, settings)
        parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
        progress = _Progress(generator.get_state(), torch.zeros((), device=device))
        key = ""
        if checkpoint is not None:
            key = _key(train, validation, settings, seed=seed, device=device, threads=threads)
            progress = _resumed(checkpoint, key, parts, device) or progress
        earlier, saved = progress.seconds, time.perf_counter()

        generator.set_state(progress.order)
        order = torch.empty(0, dtype=torch.int64)
        if settings.shuffle and progress.update:
            # The order of the interrupted epoch once more, from the state it was drawn from.
            order = torch.randperm(len(train), generator=generator)
        interval = -(-settings.updates // EVALUATIONS)
        per_epoch = -(-len(train) // settings.batch_size)
        while progress.update < settings.updates:
            first = progress.update % per_epoch * settings.batch_size
            batch: slice | torch.Tensor = slice(first, first + settings.batch_size)
            if settings.shuffle:
                if first == 0:
                    progress.order = generator.get_state()
                    order = torch.randperm(len(train), generator=generator)
                batch = order[batch].to(device)
            targets = actions[batch]
            loss = network.loss(inputs[batch], targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            learning_rate = float(schedule.get_last_lr()[0])
            schedule.step()
            progress.total += loss.detach() * len(targets)
            progress.seen += len(targets)
            progress.update += 1
            progress.seconds = earlier + time.perf_counter() - started
            if progress.update % interval == 0 or progress.update == settings.updates:
                _evaluate(network, held_out, settings, progress, learning_rate)
            if checkpoint is not None and time.perf_counter() - saved >= CHECKPOINT_SECONDS:
                _save(checkpoint, key, parts, progress)
                saved = time.perf_counter()
        if progress.best:
            network.load_state_dict(progress.best)
    curve = pd.DataFrame(progress.rows)
    return Fit(
        network.cpu().eval(),
        curve,
        _summary(curve, train, validation, settings),
        round(earlier + time.perf_counter() - started, 3),
    )


def _summary(curve: pd.DataFrame, train: Samples, validation: Samples, settings: Settings) -> dict[str, Any]:
    kept = curve.iloc[-1 if settings.gaussian else int(curve.validation_loss.argmin())]
    return {
        "rows": len(train),
        "validation_rows": len(validation),
        "updates": settings.updates,
        "kept_update": int(kept["update"]),
        "training_loss": float(kept.training_loss),
        "validation_loss": float(kept.validation_loss) if len(validation) else None,
    }


def _network(
    inputs: torch.Tensor, action_size: int, conditional: bool, settings: Settings, generator: torch.Generator
) -> Layers:
    """A new network, on the CPU, whatever the device of the training rows' `inputs`."""
    sizes = {"action_size": action_size, "width": settings.width, "layers": settings.layers}
    if settings.gaussian:
        return GaussianNetwork(inputs.shape[1], conditional=conditional, generator=generator, **sizes)
    deviation = inputs.double().std(0, correction=0).float()
    # A column that never changes carries nothing, and its deviation is rounding: it is left at zero.
    deviation[inputs.amax(0) == inputs.amin(0)] = 1
    mean = inputs.double().mean(0).float()
    return Network(mean.cpu(), deviation.cpu(), conditional=conditional, generator=generator, **sizes)


def _optimiser(network: Layers, settings: Settings) -> tuple[torch.optim.Adam, torch.optim.lr_scheduler.LRScheduler]:
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, fused=True)
    if settings.gaussian:
        return optimiser, torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0, total_iters=0)
    return optimiser, torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.updates)


def _evaluate(
    network: Layers,
    held_out: tuple[torch.Tensor, ...],
    settings: Settings,
    progress: _Progress,
    learning_rate: float,
) -> None:
    """Add a row to the curve, and keep the weights if they are the best and the best are wanted."""
    training_loss = progress.total.item() / progress.seen
    validation_loss = network.held_out_loss(*held_out) if len(held_out[0]) else np.nan
    if not np.isfinite([training_loss, *([validation_loss] if len(held_out[0]) else [])]).all():
        raise InputError(
            f"the loss is not finite after {progress.update} updates (training {training_loss}, validation "
            f"{validation_loss}); lower learning_rate, found {settings.learning_rate}"
        )
    least = min((row["validation_loss"] for row in progress.rows), default=np.inf)
    if not settings.gaussian and validation_loss < least:
        progress.best = {name: value.clone() for name, value in network.state_dict().items()}
    progress.rows.append(
        {
            "update": progress.update,
            "learning_rate": learning_rate,
            "training_loss": training_loss,
            "validation_loss": validation_loss,
            "seconds": round(progress.seconds, 3),
        }
    )
    progress.total, progress.seen = torch.zeros_like(progress.total), 0
    log.info(
        "update %d/%d: loss %.5f, validation %.5f", progress.update, settings.updates, training_loss, validation_loss
    )


def _key(train: Samples, validation: Samples, settings: Settings, *, seed: int, device: str, threads: int) -> str:
    """SHA-256 of all that decides the fitted weights."""
    decisive = [dataclasses.asdict(settings), seed, device, threads, torch.__version__, sha256(__file__)]
    digest = hashlib.sha256(json.dumps(decisive).encode())
    for samples in (train, validation):
        for array in (samples.inputs(), samples.actions):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _save(path: str | Path, key: str, parts: Mapping[str, Any], progress: _Progress) -> None:
    states = {name: part.state_dict() for name, part in parts.items()}
    buffer = io.BytesIO()
    torch.save({"key": key, "progress": vars(progress), **states}, buffer)
    # Not by torch itself: on a full disk it says "unexpected pos" and no more.
    with whole(path) as part:
        part.write_bytes(buffer.getbuffer())
    log.info("update %d: checkpoint", progress.update)


def _resumed(path: str | Path, key: str, parts: Mapping[str, Any], device: str) -> _Progress | None:
    """Load the checkpoint into `parts`, unless there is none of this fit; then None."""
    try:
        # torch itself does not compare the checksums that it has written.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        # Tensors, numbers and containers of them: nothing of a checkpoint is executed.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        log.warning("%s: cannot be read (%s); the fit starts anew", path, error)
        return None
    if found["key"] != key:
        log.info("%s: is of other settings or rows; the fit starts anew", path)
        return None
    for name, part in parts.items():
        part.load_state_dict(found[name])
    progress = _Progress(**found["progress"])
    progress.total = progress.total.to(device)
    log.info("%s: the fit goes on after update %d", path, progress.update)
    return progress


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
