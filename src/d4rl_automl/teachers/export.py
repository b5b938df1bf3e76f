"""A teacher of networks as one ONNX graph, from the observation to the clipped action.

The graph repeats what AutoGluon 1.6.3 does with float columns:

    feature generator          drops columns that are constant or repeat another, and changes no value
    NeuralNetTorch's processor per column, the median for a missing value, then StandardScaler or, where the column
                               is skewed, QuantileTransformer (to the normal distribution)
    EmbedNet                   Linear, BatchNorm1d, activation …; the output is bounded by the range of the targets
    WeightedEnsemble_L2        the weighted sum of networks
    Dummy                      a constant, where the action never changed (`training.suited`)

and then what `Predictors.act` does: the action transform and, in a chain, the action as an input of the
dimensions after it.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from autogluon.core.models import AbstractModel, DummyModel, WeightedEnsembleModel
from autogluon.tabular import TabularPredictor
from autogluon.tabular.models import TabularNeuralNetTorchModel
from numpy.typing import NDArray
from onnx import TensorProto

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError
from d4rl_automl.policies.autogluon import Predictors
from d4rl_automl.policies.features import features
from d4rl_automl.policies.onnx import OnnxPolicy
from d4rl_automl.policies.onnx_graph import Graph
from d4rl_automl.tasks import outcomes
from d4rl_automl.tasks.outcomes import OutcomeRule

TOLERANCE = 1e-4
"""Largest difference between the graph and AutoGluon that is accepted, in action units."""

THRESHOLD = 1e-7
"""scikit-learn's BOUNDS_THRESHOLD: what is closer to the lowest or highest quantile counts as that quantile."""

_ACTIVATIONS = {torch.nn.ReLU: "Relu", torch.nn.ELU: "Elu", torch.nn.Tanh: "Tanh"}


class UnsupportedModelError(InputError):
    """A predictor plays what the graph cannot express exactly; the message names the type of the model."""


def export(
    predictors: Predictors,
    path: str | Path,
    metadata: Mapping[str, Any],
    observations: NDArray[np.float32],
    outcome: NDArray[np.float32],
) -> float:
    """Write `predictors` as an ONNX policy with `metadata`, a handle's without file and sha256.

    Inputs are `observation` float32 (N, d) and `outcome` float32 (N, k), output is `action` float32 (N, a).
    The file appears only if graph and predictors agree on the rows `observations` (N, d), `outcome` (N, k);
    returns their largest difference there, in action units.

    Raises UnsupportedModelError for anything but networks on float columns, and InputError where graph and
    predictors differ by more than `TOLERANCE`.
    """
    graph = Graph()
    rule = outcomes.get(metadata["outcome_rule"])
    columns = _Columns(graph, metadata["observation_size"], rule)
    for i, predictor in enumerate(predictors.predictors):
        models = _models(predictor, rule)
        weighted = [graph.node("Mul", _predicted(columns, model), weight) for model, weight in models]
        columns.add_action(graph.action(graph.node("Sum", *weighted), f"action{i}"))
    graph.node("Concat", *columns.actions, axis=1, output="action")
    with files.whole(path) as part:
        inputs = {"observation": metadata["observation_size"], "outcome": rule.width}
        graph.save(part, inputs, {"action": metadata["action_size"]}, metadata)
        acted = OnnxPolicy(part, dict(metadata), 1).act(observations, outcome)
        difference = float(np.abs(acted - predictors.act(observations, outcome)).max())
        if difference > TOLERANCE:
            raise InputError(
                f"{path}: the graph's actions differ from AutoGluon's by up to {difference:.1e} on {len(acted)} rows, "
                f"allowed are {TOLERANCE:.0e}; set export: false"
            )
    return difference


def _models(predictor: TabularPredictor, rule: OutcomeRule) -> list[tuple[AbstractModel, float]]:
    """Networks, or the constant, whose weighted sum the predictor plays; UnsupportedModelError if it plays others."""
    trainer = predictor._trainer
    best = trainer.load_model(predictor.model_best)
    weights = best._get_model_weights() if type(best) is WeightedEnsembleModel else {best.name: 1}
    models = [trainer.load_model(name) for name in weights]
    for model in models:
        told = f"{predictor.path}: {model.name} in its best model {best.name} is a {type(model).__name__}"
        if type(model) is DummyModel:
            continue
        if type(model) is not TabularNeuralNetTorchModel:
            raise UnsupportedModelError(
                f"{told}; only NN_TORCH, alone or in a weighted ensemble, can be exported: restrict the "
                "hyperparameters to it, or set export: false"
            )
        # A column of two values is one.
        categories = {kind: names for kind, names in model._types_of_features.items() if names and kind not in _SCALERS}
        if categories or not _passes_through(predictor, rule):
            raise UnsupportedModelError(
                f"{told} with columns that are not plain numbers to it ({categories}), which cannot be exported; "
                "set export: false"
            )
    return list(zip(models, weights.values(), strict=True))


def _passes_through(predictor: TabularPredictor, rule: OutcomeRule) -> bool:
    """Whether the feature generator leaves the values of the columns that it keeps as they are."""
    names = predictor.original_features
    size = names.index(rule.columns[0])
    generator = np.random.default_rng(0)
    widths = (size, rule.width, len(names) - size - rule.width)
    observations, outcome, actions = (generator.standard_normal((20, width), np.float32) for width in widths)
    given = features(observations, outcome, actions, rule)
    made = predictor.transform_features(given)
    return made.equals(given[list(made)])


def _predicted(columns: "_Columns", model: AbstractModel) -> str:
    """What one model predicts, (N, 1). Of a network: its processor, its layers and the bounds of its output."""
    graph, network = columns.graph, model.model
    if type(model) is DummyModel:
        return columns.constant(network.constant_.astype(np.float32))
    x = columns.processed(model.processor)
    for layer in network.main_block:
        if isinstance(layer, torch.nn.Linear):
            x = graph.linear(layer, x)
        elif isinstance(layer, torch.nn.BatchNorm1d):
            tensors = (layer.state_dict()[name] for name in ("weight", "bias", "running_mean", "running_var"))
            x = graph.node("BatchNormalization", x, *tensors, epsilon=layer.eps)
        elif type(layer) in _ACTIVATIONS:
            x = graph.node(_ACTIVATIONS[type(layer)], x)
        elif not isinstance(layer, torch.nn.Dropout | torch.nn.Identity):
            raise UnsupportedModelError(
                f"{model.path}: {model.name} is a {type(model).__name__} with a layer {type(layer).__name__}, which "
                "cannot be exported; set export: false"
            )
    if network.y_constraint == "bounded":
        return graph.node("Add", graph.node("Mul", graph.node("Sigmoid", x), network.y_span), network.y_lower)
    if network.y_constraint == "nonnegative":
        return graph.node("Add", graph.node("Abs", x), network.y_lower)
    if network.y_constraint == "nonpositive":
        return graph.node("Sub", network.y_upper, graph.node("Abs", x))
    return x


class _Columns:
    """The columns that networks read, processed. What several networks share is computed once."""

    def __init__(self, graph: Graph, observation_size: int, rule: OutcomeRule) -> None:
        self.graph = graph
        self.actions: list[str] = []
        inputs = graph.node("Concat", "observation", "outcome", axis=1)
        names = [*(f"ob{i}" for i in range(observation_size)), *rule.columns]
        self._sources = {name: (inputs, i) for i, name in enumerate(names)}
        self._processed: dict[tuple[Any, ...], str] = {}

    def constant(self, value: NDArray[np.float32]) -> str:
        """(N, 1): the same `value` (1, 1) in every row."""
        first = self.graph.node("Gather", self._sources["ob0"][0], np.array([0]), axis=1)
        return self.graph.node("Where", self.graph.node("IsNaN", first), value, value)

    def add_action(self, action: str) -> None:
        """The next action dimension, (N, 1), can be read from now on."""
        self._sources[f"ac{len(self.actions)}"] = (action, 0)
        self.actions.append(action)

    def processed(self, processor: Any) -> str:
        """(N, k): the columns of a fitted ColumnTransformer, whose steps are imputer and scaler, in its order."""
        parts = []
        for kind, pipeline, names in processor.transformers_:
            (_, imputer), (_, scaler) = pipeline.steps
            wanted = [(*self._sources[name], position) for position, name in enumerate(names)]
            for source, run in itertools.groupby(wanted, lambda column: column[0]):
                _, indices, positions = zip(*run, strict=True)
                median = imputer.statistics_[list(positions)].astype(np.float32)
                parts.append(self._part(source, indices, median, *_SCALERS[kind](scaler, list(positions))))
        return self.graph.node("Concat", *parts, axis=1)

    def _part(
        self,
        source: str,
        indices: Sequence[int],
        median: NDArray[np.float32],
        scale: Callable[..., str],
        *fitted: NDArray[Any],
    ) -> str:
        key = (source, indices, scale, median.tobytes(), *(array.tobytes() for array in fitted))
        if key not in self._processed:
            x = self.graph.node("Gather", source, np.array(indices), axis=1)
            x = self.graph.node("Where", self.graph.node("IsNaN", x), median, x)
            self._processed[key] = scale(self.graph, x, *fitted)
        return self._processed[key]


def _standard(graph: Graph, x: str, mean: NDArray[np.float32], scale: NDArray[np.float32]) -> str:
    """StandardScaler."""
    return graph.node("Div", graph.node("Sub", x, mean), scale)


def _quantile(graph: Graph, x: str, quantiles: NDArray[np.float64], references: NDArray[np.float64]) -> str:
    """QuantileTransformer to the normal distribution: interpolate the probability, then take its normal quantile.

    scikit-learn keeps the probability of a float32 column in float32, which shows in the upper tail; so does
    the graph, which interpolates in float64 and rounds.
    """
    tables = [_pieces(column, references) for column in quantiles.T]
    steps = max(len(ends) for ends, _ in tables).bit_length()
    size = 2**steps
    ends = np.full((len(tables), size), np.inf, np.float32)
    pieces = np.zeros((len(tables), size, 3))
    for i, (column_ends, column_pieces) in enumerate(tables):
        ends[i, : len(column_ends)] = column_ends
        pieces[i, : len(column_pieces)] = column_pieces

    # Binary search in all columns at once: the first piece whose end is not below x.
    piece: Any = np.arange(len(tables)) * size
    for step in (2**k for k in reversed(range(steps))):
        end = graph.node("Gather", ends.ravel(), graph.node("Add", piece, np.array(step - 1)))
        piece = graph.node("Where", graph.node("Less", end, x), graph.node("Add", piece, np.array(step)), piece)
    left, base, slope = (graph.node("Gather", values.ravel(), piece) for values in np.moveaxis(pieces, -1, 0))
    p = graph.node("Sub", graph.node("Cast", x, to=TensorProto.DOUBLE), left)
    p = graph.node("Add", graph.node("Mul", p, slope), base)
    p = graph.node("Cast", p, to=TensorProto.FLOAT)
    lowest, highest = -_round_down(-quantiles[0]), _round_down(quantiles[-1])
    p = graph.node("Where", graph.node("Greater", graph.node("Add", x, THRESHOLD), highest), 1, p)
    p = graph.node("Where", graph.node("Less", graph.node("Sub", x, THRESHOLD), lowest), 0, p)
    return _normal_quantile(graph, p)


def _pieces(
    quantiles: NDArray[np.float64], references: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The probability of a float32 x in linear pieces, as `QuantileTransformer._transform_col` interpolates it.

    Returns the ends (K,) of all pieces but the last (a piece contains its end), and left, base and slope (K + 1, 3)
    of base + slope · (x − left). A quantile that occurs several times is a jump, and x at the jump is in its middle.
    """
    values, first, count = np.unique(quantiles, return_index=True, return_counts=True)
    low, high = references[first], references[first + count - 1]
    below = _round_down(values)
    ends, pieces = [], [(0.0, 0.0, 0.0)]
    for i, value in enumerate(values):
        if count[i] > 1 and below[i] == value:
            ends.append(np.nextafter(below[i], np.float32(-np.inf)))
            pieces.append((0.0, (low[i] + high[i]) / 2, 0.0))
        ends.append(below[i])
        if i + 1 < len(values):
            pieces.append((value, high[i], (low[i + 1] - high[i]) / (values[i + 1] - value)))
    pieces.append((0.0, 1.0, 0.0))
    return np.array(ends), np.array(pieces)


def _round_down(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that are not above the values: a float32 exceeds the one exactly if it exceeds the other."""
    rounded = values.astype(np.float32)
    return np.where(rounded > values, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _normal_quantile(graph: Graph, p: str) -> str:
    """The standard normal distribution's quantile at p, with p clipped to [1e-7, 1 − 1e-7] as scikit-learn does.

    Source: M. J. Wichura, "Algorithm AS 241", Applied Statistics 37 (1988), PPND7, good to seven digits. Its
    third case, p below e^-25, cannot occur.
    """

    def polynomial(x: str, *coefficients: float) -> str:
        """By Horner's scheme, the highest power first."""
        value: Any = coefficients[0]
        for coefficient in coefficients[1:]:
            value = graph.node("Add", graph.node("Mul", value, x), coefficient)
        return value

    # Around the median.
    q = graph.node("Sub", p, 0.5)
    r = graph.node("Sub", 0.180625, graph.node("Mul", q, q))
    above = polynomial(r, 59.10937472, 159.29113202, 50.434271938, 3.3871327179)
    below = polynomial(r, 67.1875636, 78.757757664, 17.895169469, 1)
    central = graph.node("Div", graph.node("Mul", q, above), below)
    # In the tails; 1 − p is exact where it is small.
    tail = graph.node("Max", graph.node("Min", p, graph.node("Sub", 1, p)), THRESHOLD)
    r = graph.node("Sub", graph.node("Sqrt", graph.node("Neg", graph.node("Log", tail))), 1.6)
    above = polynomial(r, 0.17023821103, 1.3067284816, 2.75681539, 1.4234372777)
    below = polynomial(r, 0.12021132975, 0.7370016425, 1)
    outer = graph.node("Mul", graph.node("Sign", q), graph.node("Div", above, below))
    return graph.node("Where", graph.node("Less", graph.node("Abs", q), 0.425), central, outer)


_SCALERS: dict[str, Callable[[Any, list[int]], tuple[Any, ...]]] = {
    "continuous": lambda scaler, columns: (
        _standard,
        scaler.mean_[columns].astype(np.float32),
        scaler.scale_[columns].astype(np.float32),
    ),
    "skewed": lambda scaler, columns: (_quantile, scaler.quantiles_[:, columns], scaler.references_),
}
"""How each kind of column is scaled, and with what, by the fitted scaler and the positions of columns in it."""
