"""Networks fitted by Adam, and the door by which others follow a fit: `Callback`."""

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from d4rl_automl.core.errors import InputError
from d4rl_automl.data.transitions import Transitions
from d4rl_automl.learners.networks import GaussianNetwork, Layers, Network
from d4rl_automl.learners.progress import Progress
from d4rl_automl.learners.relabelling import Draws, Relabelling
from d4rl_automl.settings.kinds import NetworkSettings
from d4rl_automl.tasks.outcomes import NONE, OutcomeRule

EVALUATIONS = 20
"""How often a fit looks at the validation loss."""

FAR = 1e6
"""How many times the 99 % quantile, or 1, an input is that is named where the loss is not finite."""

EAGER = 3
"""Updates of full batches before the update is recorded as a CUDA graph: by then the libraries have set up all that
must not be set up in a recording, and Adam has its moments."""

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
    precision: str = "float32"
    """Of the matrix products of an update on a GPU. Evaluations, and all that a CPU does, are in float32."""

    @classmethod
    def of(cls, method: NetworkSettings, **others: bool) -> "Settings":
        """The settings of a method's config entry, and `others`."""
        return cls(
            width=method.network.width,
            layers=method.network.layers,
            updates=method.updates,
            batch_size=method.batch_size,
            learning_rate=method.learning_rate,
            precision=method.precision,
            **others,
        )

    def rate(self, update: int) -> float:
        """The learning rate of an update, counted from 0: constant, or along a half cosine as torch's
        `CosineAnnealingLR` with `T_max = updates` has it.
        """
        if self.gaussian:
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * update / self.updates)) / 2


@dataclass(frozen=True)
class Samples:
    """What a network is fitted to."""

    observations: NDArray[np.float32]  # (N, d)
    outcomes: NDArray[np.float32] | None  # (N, k), or None for an unconditional policy
    actions: NDArray[np.float32]  # (N, a), within [-1, 1]
    rule: OutcomeRule = NONE  # what the outcomes are
    rows: NDArray[np.int64] | None = None  # (N,) their numbers in the recording, where they are recorded ones
    relabelling: Relabelling | None = None  # where the outcomes are goals that every batch draws anew

    def __len__(self) -> int:
        return len(self.actions)

    def inputs(self) -> NDArray[np.float32]:
        """(N, d) observations, or (N, d + k) with the outcome as the last columns."""
        if self.outcomes is None:
            return self.observations
        return np.column_stack([self.observations, self.outcomes])

    def take(self, rows: slice | NDArray[np.int64]) -> "Samples":
        """Some of the rows, whose outcomes are not drawn anew."""
        outcomes = None if self.outcomes is None else self.outcomes[rows]
        numbers = None if self.rows is None else self.rows[rows]
        return Samples(self.observations[rows], outcomes, self.actions[rows], self.rule, numbers)

    @classmethod
    def of(cls, rows: Transitions, rule: OutcomeRule, *, seed: int = 0, afresh: bool = False) -> "Samples":
        """Recorded transitions and their outcomes by a rule; goals are drawn by `seed`, or by every batch `afresh`.

        Those that every batch draws have a first draw as well, by which inputs are normalised.
        """
        outcomes = rule.recorded(rows, np.random.default_rng(seed))
        found = cls(rows.observations, outcomes, rows.actions, rule, rows.rows)
        if rows.visited is None or not (rule.drawn and afresh):
            return found
        return replace(found, relabelling=Relabelling(rows.visited))

    @classmethod
    def of_pairs(cls, rows: Transitions, rule: OutcomeRule, *, seed: int = 0, afresh: bool = False) -> "Samples":
        """As `of`, of the rows of whole episodes: states are drawn with their goals, as RvS-G does (`Draws.pairs`).

        As many pairs as there are rows where they are drawn by `seed`.
        """
        assert rows.visited is not None, "pairs are of tasks with a goal"
        relabelling = Relabelling(rows.visited, pairs=True)
        found = cls.of(rows, rule, seed=seed)
        if afresh or not len(found):
            return replace(found, relabelling=relabelling)
        states, goals = (drawn.numpy() for drawn in Draws(relabelling, "cpu", seed).pairs(len(found)))
        return replace(found.take(states), outcomes=rows.visited.positions[goals])


class Batch(NamedTuple):
    """Of the rows of `Samples`."""

    rows: torch.Tensor
    """(n,) their numbers."""
    goals: torch.Tensor | None
    """(n,) numbers of the positions that are their goals, where every batch draws them."""


@dataclass(frozen=True)
class Evaluation:
    """A look at the losses, which are the network's: mean squared errors over rows and action dimensions, in action
    units, or minus the mean log-likelihood of a row.
    """

    update: int
    """Updates made so far."""
    learning_rate: float
    """Of the last update."""
    training_loss: float
    """Mean over the batches since the evaluation before."""
    validation_loss: float
    """NaN without validation rows."""
    seconds: float
    """Spent on the fit so far, by earlier processes too."""

    @property
    def losses(self) -> dict[str, float]:
        """Those that there are, by the names that they are told by."""
        losses = {"loss": self.training_loss, "validation": self.validation_loss}
        return {name: loss for name, loss in losses.items() if not math.isnan(loss)}


@dataclass(frozen=True)
class Fit:
    """A fitted network and how the fit went."""

    network: Layers
    """On the CPU."""
    curve: pd.DataFrame
    """A row per evaluation, its columns the fields of `Evaluation`."""
    summary: dict[str, Any]
    """rows, validation_rows, updates, precision, kept_update, and the training_loss and validation_loss (None without
    validation rows) of the evaluation at that update.
    """
    seconds: float


class Training:
    """A fit under way: what it is of, and where it stands. Arguments as `fit` has them.

    `state_dict` and `load_state_dict` as torch's modules have them: a fit that loads the state of another one of the
    same arguments goes on from there, and ends as that one would have.
    """

    def __init__(
        self, train: Samples, validation: Samples, settings: Settings, *, seed: int, device: str, threads: int
    ) -> None:
        self.train, self.validation, self.settings = train, validation, settings
        self.seed, self.device, self.threads = seed, device, threads
        self.precision = settings.precision if device == "cuda" else "float32"
        """Of its updates, on this device."""
        self.update = 0
        """Updates made so far."""
        self.evaluations: list[Evaluation] = []
        self._began = time.perf_counter()
        # Rows, their order and the weights stay on the device: an update waits for nothing.
        self._inputs, self._actions = (torch.from_numpy(x).to(device) for x in (train.inputs(), train.actions))
        self._held_out = tuple(torch.from_numpy(x).to(device) for x in (validation.inputs(), validation.actions))
        generator = torch.Generator().manual_seed(seed)
        network = _network(self._inputs, self._actions.shape[1], train.rule.width, settings, generator)
        self.network: Layers = network.to(device)
        on_gpu = device == "cuda"
        # A graph reads the learning rate of each update where this tensor is.
        self._rate = torch.tensor(settings.learning_rate, device=device) if on_gpu else settings.learning_rate
        self._optimiser = torch.optim.Adam(self.network.parameters(), self._rate, fused=True, capturable=on_gpu)
        # The order of the rows in this epoch, and the state of the generator that it was drawn from.
        self._generator = torch.Generator(device).manual_seed(seed) if on_gpu else generator
        self._order, self._drawn_from = torch.arange(len(train), device=device), self._generator.get_state()
        self._draws = None if train.relabelling is None else Draws(train.relabelling, device, seed)
        # Of the rows since the last evaluation: the sum of their losses, and their number.
        self._total, self._seen = torch.zeros((), device=device), 0
        # Weights of least validation loss; empty where the last are kept.
        self._best: dict[str, torch.Tensor] = {}
        self._eager = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        full = settings.batch_size if self._pairs else min(settings.batch_size, len(train))
        nothing = torch.zeros(full, dtype=torch.int64, device=device)
        self._batch = Batch(nothing, None if self._draws is None else nothing.clone())

    @property
    def seconds(self) -> float:
        """Spent on the fit so far, by earlier processes too."""
        return time.perf_counter() - self._began

    @property
    def _pairs(self) -> bool:
        """Whether batches are drawn, and not taken from the rows in an order."""
        return self.train.relabelling is not None and self.train.relabelling.pairs

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and containers of them."""
        return {
            "draws": None if self._draws is None else self._draws.generator.get_state(),
            "network": self.network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "update": self.update,
            "evaluations": [asdict(evaluation) for evaluation in self.evaluations],
            "drawn_from": self._drawn_from,
            "total": self._total,
            "seen": self._seen,
            "best": self._best,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where another fit was when its `state_dict` was taken. There must have been no update yet."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._optimiser.param_groups[0]["lr"] = self._rate
        self.update = state["update"]
        self.evaluations = [Evaluation(**evaluation) for evaluation in state["evaluations"]]
        self._total, self._seen, self._best = state["total"].to(self.device), state["seen"], state["best"]
        self._began -= state["seconds"]
        self._drawn_from = state["drawn_from"]
        self._generator.set_state(self._drawn_from)
        if self._draws is not None:
            self._draws.generator.set_state(state["draws"])
        if self.settings.shuffle and self.update:
            # The order of the interrupted epoch once more.
            self._draw_order()

    def step(self) -> None:
        """Make one update."""
        batch = self._next()
        self._set_rate(self.settings.rate(self.update))
        if self.device == "cuda" and len(batch.rows) == len(self._batch.rows):
            self._step_on_gpu(batch)
        else:
            self._step(batch)
        self._seen += len(batch.rows)
        self.update += 1

    def _next(self) -> Batch:
        """The rows of the next update, and their goals."""
        size = self.settings.batch_size
        if self._draws is not None and self._pairs:
            return Batch(*self._draws.pairs(size))
        per_epoch = -(-len(self.train) // size)
        first = self.update % per_epoch * size
        if self.settings.shuffle and first == 0:
            self._drawn_from = self._generator.get_state()
            self._draw_order()
        rows = self._order[first : first + size]
        return Batch(rows, None if self._draws is None else self._draws.later(rows))

    def _draw_order(self) -> None:
        self._order = torch.randperm(len(self.train), generator=self._generator, device=self.device)

    def _set_rate(self, rate: float) -> None:
        if isinstance(self._rate, torch.Tensor):
            self._rate.fill_(rate)
        else:
            self._optimiser.param_groups[0]["lr"] = rate

    def _step(self, batch: Batch) -> None:
        """One update."""
        self._optimiser.zero_grad()
        inputs = self._inputs[batch.rows]
        if self._draws is not None and batch.goals is not None:
            inputs[:, self.network.observation_size :] = self._draws.positions[batch.goals]
        with _computing(self.precision):
            loss = self.network.loss(inputs, self._actions[batch.rows])
            loss.backward()
        self._optimiser.step()
        self._total += loss.detach() * len(batch.rows)

    def _step_on_gpu(self, batch: Batch) -> None:
        """The same of a full batch, whose kernels are recorded once and then all started by one call."""
        self._batch.rows.copy_(batch.rows)
        if self._batch.goals is not None and batch.goals is not None:
            self._batch.goals.copy_(batch.goals)
        if self._graph is not None:
            self._graph.replay()
        elif self._eager < EAGER:
            self._eager += 1
            # As torch asks for it: not on the default stream.
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self._step(self._batch)
            torch.cuda.current_stream().wait_stream(stream)
        else:
            self._graph = torch.cuda.CUDAGraph()
            self._optimiser.zero_grad()
            with torch.cuda.graph(self._graph):
                self._step(self._batch)
            self._graph.replay()

    def evaluate(self) -> Evaluation:
        """Add a row to the curve, and keep the weights if they are the best and the best are wanted.

        InputError if a loss is not finite, which names the value of the inputs that is far beyond all others.
        """
        held_out = len(self.validation) > 0
        training_loss = self._total.item() / self._seen
        validation_loss = self.network.held_out_loss(*self._held_out) if held_out else np.nan
        if not np.isfinite([training_loss, *([validation_loss] if held_out else [])]).all():
            losses = f"training {training_loss}, validation {validation_loss}"
            told = f"the loss is not finite after {self.update} updates ({losses})"
            values = [found for samples in (self.train, self.validation) if (found := _far_value(samples))]
            if values:
                raise InputError(f"{told}: {values[0]}; drop that episode from the data, or mend what recorded it")
            raise InputError(
                f"{told}; no input stands out, the largest is {_largest(self.train):.3g}, and more is not known of the "
                f"cause: a lower learning_rate may do, found {self.settings.learning_rate}"
            )
        least = min((evaluation.validation_loss for evaluation in self.evaluations), default=np.inf)
        if not self.settings.gaussian and validation_loss < least:
            self._best = {name: value.clone() for name, value in self.network.state_dict().items()}
        # In place: a recorded graph adds to this very tensor.
        self._total.zero_()
        self._seen = 0
        evaluation = Evaluation(
            self.update, self.settings.rate(self.update - 1), training_loss, validation_loss, round(self.seconds, 3)
        )
        self.evaluations.append(evaluation)
        return evaluation

    def finish(self) -> Fit:
        """The fit, its network with the weights that are kept. There must have been an evaluation."""
        if self._best:
            self.network.load_state_dict(self._best)
        curve = pd.DataFrame([asdict(evaluation) for evaluation in self.evaluations])
        kept = self.evaluations[-1 if self.settings.gaussian else int(curve.validation_loss.argmin())]
        summary = {
            "rows": len(self.train),
            "validation_rows": len(self.validation),
            "updates": self.settings.updates,
            "precision": self.precision,
            "kept_update": kept.update,
            "training_loss": kept.training_loss,
            "validation_loss": kept.validation_loss if len(self.validation) else None,
        }
        return Fit(self.network.cpu().eval(), curve, summary, round(self.seconds, 3))


class Callback:
    """Follows a fit: `fit` calls these methods, which do nothing unless a subclass says what.

    `training` is there to be read; `on_start` alone may change it, by loading a state.
    """

    def on_start(self, training: Training) -> None:
        """Before the first update."""

    def on_evaluation(self, training: Training, evaluation: Evaluation) -> None:
        """After an evaluation, the last of `training.evaluations`."""

    def on_update(self, training: Training) -> None:
        """After an update, and after the evaluation where one was due: the state is one to go on from."""

    def on_end(self, fitted: Fit) -> None:
        """After the last update, with what `fit` returns."""


class LogProgress(Callback):
    """Logs how far the fit is, the losses of every evaluation, and at the end which weights were kept."""

    def on_start(self, training: Training) -> None:
        self._progress = Progress("update", training.settings.updates)
        for evaluation in training.evaluations:
            self._progress.recall(evaluation.update, evaluation.losses)

    def on_evaluation(self, training: Training, evaluation: Evaluation) -> None:
        self._progress.evaluated(evaluation.update, evaluation.losses)

    def on_update(self, training: Training) -> None:
        self._progress.advance(training.update)

    def on_end(self, fitted: Fit) -> None:
        log.info("the weights after update %d are kept; %.1f s", fitted.summary["kept_update"], fitted.seconds)


def evaluated(updates: int) -> list[int]:
    """The updates after which a fit of so many is evaluated: `EVALUATIONS` or, of few, somewhat less."""
    interval = -(-updates // EVALUATIONS)
    return [*range(interval, updates, interval), updates]


def fit(
    train: Samples,
    validation: Samples,
    settings: Settings,
    *,
    seed: int,
    device: str,
    threads: int,
    callbacks: Sequence[Callback] = (),
) -> Fit:
    """Fit a network by Adam.

    The same seed, device and number of threads give the same weights. `device` is torch's: "cpu" or "cuda".
    The `callbacks` are told of the fit in their order.

    InputError if there are no training rows, no validation rows where they choose the weights, or if the loss is not
    finite.
    """
    if not len(train):
        raise InputError("there are no training rows to fit a network to; the split needs more finished episodes")
    if not len(validation) and not settings.gaussian:
        raise InputError(
            "there are no validation rows, and this network's weights are chosen by their loss; let split.validation "
            "hold episodes out"
        )
    due = {*evaluated(settings.updates)}
    with _reproducible(threads):
        training = Training(train, validation, settings, seed=seed, device=device, threads=threads)
        for callback in callbacks:
            callback.on_start(training)
        while training.update < settings.updates:
            training.step()
            if training.update in due:
                evaluation = training.evaluate()
                for callback in callbacks:
                    callback.on_evaluation(training, evaluation)
            for callback in callbacks:
                callback.on_update(training)
        fitted = training.finish()
    for callback in callbacks:
        callback.on_end(fitted)
    return fitted


def _network(
    inputs: torch.Tensor, action_size: int, outcome_size: int, settings: Settings, generator: torch.Generator
) -> Layers:
    """A new network, on the CPU, whatever the device of the training rows' `inputs`."""
    sizes = {"action_size": action_size, "width": settings.width, "layers": settings.layers}
    if settings.gaussian:
        return GaussianNetwork(inputs.shape[1], outcome_size=outcome_size, generator=generator, **sizes)
    deviation = inputs.double().std(0, correction=0).float()
    # A column that never changes carries nothing, and its deviation is rounding: it is left at zero.
    deviation[inputs.amax(0) == inputs.amin(0)] = 1
    mean = inputs.double().mean(0).float()
    return Network(mean.cpu(), deviation.cpu(), outcome_size=outcome_size, generator=generator, **sizes)


def _far_value(samples: Samples) -> str:
    """What to say of the input that is no number, or `FAR` times beyond its column's others; empty if none is."""
    inputs = samples.inputs()
    if not len(inputs):
        return ""
    beyond = np.abs(inputs)
    usual = np.nanquantile(beyond, 0.99, axis=0, method="lower")
    # Written so that what is no number counts as beyond.
    far = ~(beyond <= FAR * np.maximum(usual, 1))
    if not far.any():
        return ""
    row, column = np.argwhere(far)[int(np.argmax(np.nan_to_num(beyond[far], nan=np.inf)))]
    size = samples.observations.shape[1]
    name = f"ob{column}" if column < size else samples.rule.columns[column - size]
    where = f"row {row} of the {len(samples)}" if samples.rows is None else f"row {samples.rows[row]} of the recording"
    return f"{name} is {inputs[row, column]:.3g} in {where}, where 99 % of it lie within ±{usual[column]:.3g}"


def _largest(samples: Samples) -> float:
    return float(np.abs(samples.inputs()).max())


@contextlib.contextmanager
def _computing(precision: str) -> Iterator[None]:
    """Matrix products on a GPU in this precision."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    # Without its cache of converted weights: a graph would keep those of its recording.
    try:
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def _reproducible(threads: int) -> Iterator[None]:
    """Torch with `threads` threads and deterministic kernels; what was set before comes back."""
    # cuBLAS is deterministic only with a fixed workspace, and reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    deterministic: Any = torch.utils.deterministic
    filled = deterministic.fill_uninitialized_memory
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Memory that is written anyway: filling it first would be a pass more over every activation.
    deterministic.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        deterministic.fill_uninitialized_memory = filled
