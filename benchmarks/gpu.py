"""Fits on a GPU: how near they come to their matrix products alone, what a card gains over the processor, and whether
a fit is repeated to the bit.

The floor is every matrix product of an update, of the same shapes and in the same precision, as one CUDA graph in the
same run: no activation, no loss, no optimiser, no batch put together. Rates are taken after a warm-up; what a whole fit
takes is reckoned from them, and said so. "rvs's loop" has the network, the likelihood, the optimiser and the data
loader of RvS (scottemmons/rvs@90c0ffb: rows are put together one by one, by up to 16 processes), without Lightning and
without the histograms of every weight that it sends to Weights & Biases: its own is slower.

All parts need a GPU, except `devices`, `autogluon` and `boosted`, which leave it out where there is none. Forests are
fitted on a card here alone: the lock's XGBoost is built without CUDA, so bring `xgboost` in its place.
"""

import contextlib
import functools
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from support import RESULTS, processes, reporting

from d4rl_automl.data.transitions import Transitions, read
from d4rl_automl.learners import checkpoints, fitting
from d4rl_automl.methods import rvs_r
from d4rl_automl.policies import action_transform
from d4rl_automl.policies.features import features
from d4rl_automl.settings.kinds import PRECISIONS
from d4rl_automl.tasks.outcomes import AVERAGE

ROWS = 400_000
"""Of a fit whose rate is taken: as many batches an epoch as matter, and memory of no account."""
RVS_R = fitting.Settings(
    rvs_r.WIDTH,
    rvs_r.LAYERS,
    updates=10**9,
    batch_size=rvs_r.BATCH_SIZE,
    learning_rate=rvs_r.LEARNING_RATE,
    gaussian=True,
    shuffle=False,
)
STUDENT = fitting.Settings(256, 2, updates=10**9, batch_size=256, learning_rate=3e-3)
SIZES = {
    "student, mlp: 2x256, batch 256": STUDENT,
    "rvs, bc: 2x256, batch 2,048": replace(STUDENT, batch_size=2048, learning_rate=1e-3, gaussian=True),
    "rvs, bc: 2x512, batch 2,048": replace(STUDENT, width=512, batch_size=2048, learning_rate=1e-3, gaussian=True),
    "rvs-r, bc of its size: 2x1,024, batch 16,384": replace(RVS_R, shuffle=True),
}
"""Networks as the configs have them."""
MILLION = rvs_r.EPOCHS * 1_000_000 / rvs_r.BATCH_SIZE
"""Updates of RvS-R per million rows."""


def main() -> None:
    parser = reporting.parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--models", nargs="+", choices=ROUNDS, default=list(ROUNDS), help="of the part autogluon")
    parser.add_argument("--transitions", type=Path, help="a transitions table; default: embedded halfcheetah's")
    arguments = parser.parse_args()
    transitions = arguments.transitions or collected()
    rows, held_out = read(transitions), read(transitions, splits=("validation",))
    found: dict[str, Any] = {"card": torch.cuda.get_device_name() if torch.cuda.is_available() else None}
    found |= {"torch": torch.__version__, "rows": len(rows.actions), "dataset": rows.metadata["dataset"]}
    parts = PARTS | {"autogluon": functools.partial(autogluon, models=arguments.models)}
    for part in arguments.parts:
        print(f"\n{part}, {found['card']}", flush=True)
        found[part] = parts[part](rows, held_out, arguments.quick)
        reporting.show(found[part])
        # Part by part, so that a run that is cut short leaves something.
        reporting.write(
            arguments.output or RESULTS / f"gpu{'-quick' * arguments.quick}.json",
            {"quick": arguments.quick, "machine": reporting.machine(), **found},
        )


def networks(rows: Transitions, held_out: Transitions, quick: bool) -> list[dict[str, Any]]:
    """RvS-R's updates by precision: as recorded graph, one kernel after another, against products and rvs's loop."""
    seconds = 4 if quick else 30
    samples = repeated(fitting.Samples.of(rows, AVERAGE), ROWS)
    flops = 3 * 2 * RVS_R.batch_size * RVS_R.width**2
    flops += 2 * RVS_R.batch_size * RVS_R.width * (2 * samples.inputs().shape[1] + 3 * samples.actions.shape[1])
    result = []
    for precision in PRECISIONS:
        settings = replace(RVS_R, precision=precision)
        floor = products(settings, samples)
        torch.cuda.reset_peak_memory_stats()
        graph = 1 / rate(settings, samples, "cuda", seconds)
        memory = torch.cuda.max_memory_allocated() / 1e9
        with eager():
            alone = 1 / rate(settings, samples, "cuda", seconds / 4)
        floor = statistics.median([floor, products(settings, samples)])
        result.append(
            {
                "what": f"rvs-r, {precision}",
                "ms an update": round(1e3 * graph, 3),
                "of products": round(floor / graph, 3),
                "products, ms": round(1e3 * floor, 3),
                "without a graph, ms": round(1e3 * alone, 3),
                "TFLOP/s": round(flops / graph / 1e12, 1),
                "minutes per million rows, reckoned": round(graph * MILLION / 60, 2),
                "memory, GB": round(memory, 2),
            }
        )
    for precision in ("float32", "tf32"):
        spent = published_loop(samples, precision, steps=10 if quick else 50)
        result.append(
            {
                "what": f"rvs's loop, {precision}",
                "ms an update": round(1e3 * spent, 3),
                "minutes per million rows, reckoned": round(spent * MILLION / 60, 2),
            }
        )
    torch.cuda.reset_peak_memory_stats()
    rate(RVS_R, repeated(samples, 2_000_000), "cuda", 1)
    memory = torch.cuda.max_memory_allocated() / 1e9
    result.append({"what": "rvs-r, float32, 2 million rows", "memory, GB": round(memory, 2)})
    return result


def precision(rows: Transitions, held_out: Transitions, quick: bool) -> list[dict[str, Any]]:
    """What the precision does to the loss of held-out rows, at equal, shortened work."""
    updates = 200 if quick else 3_000
    result = []
    for name in PRECISIONS:
        settings = replace(RVS_R, updates=updates, shuffle=True, precision=name)
        losses, errors = [], []
        for seed in range(1 if quick else 3):
            fitted = fit(rows, held_out, settings, "cuda", seed=seed)
            losses.append(fitted.summary["validation_loss"])
            inputs = torch.from_numpy(fitting.Samples.of(held_out, AVERAGE).inputs())
            errors.append(float(np.mean((fitted.network.act(inputs).numpy() - held_out.actions) ** 2)))
        result.append(
            {
                "precision": name,
                "updates": updates,
                "negative log-likelihood": [round(loss, 4) for loss in losses],
                "squared error": [round(error, 5) for error in errors],
            }
        )
    return result


def repeatable(rows: Transitions, held_out: Transitions, quick: bool) -> list[dict[str, Any]]:
    """Whether a fit is the same a second time, and where it was killed half-way and gone on with."""
    result = []
    for name, size in (("rvs-r", RVS_R), ("student", STUDENT)):
        for precision in PRECISIONS:
            settings = replace(size, updates=100 if quick else 400, precision=precision)
            first, again = (weights(fit(rows, held_out, settings, "cuda")) for _ in range(2))
            with tempfile.TemporaryDirectory() as folder:
                checkpoint = Checkpoint(Path(folder, "c.pt"), settings.updates // 2 + 1)
                with contextlib.suppress(Killed):
                    fit(rows, held_out, settings, "cuda", callbacks=[checkpoint])
                resumed = weights(fit(rows, held_out, settings, "cuda", callbacks=[Checkpoint(checkpoint.path, -1)]))
            result.append(
                {
                    "network": name,
                    "precision": precision,
                    "a second time": torch.equal(first, again),
                    "gone on with": torch.equal(first, resumed),
                    "largest difference": float((first - resumed).abs().max()),
                }
            )
    return result


def devices(rows: Transitions, held_out: Transitions, quick: bool) -> list[dict[str, Any]]:
    """Seconds per 1,000 updates of every size of network, and the loss after as many."""
    seconds = 1 if quick else 4
    samples = fitting.Samples.of(rows, AVERAGE)
    result = []
    for name, settings in SIZES.items():
        row: dict[str, Any] = {"network": name}
        for device, threads in hardware():
            where = "GPU" if device == "cuda" else f"{threads} threads"
            row[f"s per 1,000 updates, {where}"] = round(1e3 / rate(settings, samples, device, seconds, threads), 2)
        updates = 100 if quick else 1_000
        for device, threads in hardware(one_thread=False):
            # At RvS's size a processor would take minutes.
            if device == "cuda" or settings.width < RVS_R.width:
                fitted = fit(rows, held_out, replace(settings, updates=updates), device, threads=threads)
                inputs = torch.from_numpy(fitting.Samples.of(held_out, AVERAGE).inputs())
                error = float(np.mean((fitted.network.act(inputs).numpy() - held_out.actions) ** 2))
                where = "GPU" if device == "cuda" else f"{threads} threads"
                row[f"squared error after {updates}, {where}"] = round(error, 5)
        result.append(row)
    return result


ROUNDS: dict[str, tuple[str, int, int]] = {
    "NN_TORCH": ("num_epochs", 2, 10),
    "TABM": ("n_epochs", 1, 2),
    "REALMLP": ("n_epochs", 1, 4),
    "CAT": ("iterations", 50, 500),
    "XGB": ("n_estimators", 50, 500),
    "GBM": ("num_boost_round", 50, 500),
}
"""AutoGluon's models, and their rounds: the setting's name, how many with --quick, how many without."""


def autogluon(
    rows: Transitions, held_out: Transitions, quick: bool, models: Sequence[str] = tuple(ROUNDS)
) -> list[dict[str, Any]]:
    """AutoGluon's models on the last action dimension: seconds for the same rounds, and the loss after them."""
    from autogluon.tabular import TabularPredictor  # noqa: PLC0415  Slow to load, and of no use to the other parts.

    count = 5_000 if quick else 20_000
    train, validation = (frame(part, limit) for part, limit in ((rows, count), (held_out, count // 10)))
    result = []
    for name in models:
        setting, few, many = ROUNDS[name]
        settings = {setting: few if quick else many}
        for device, threads in hardware(one_thread=False):
            row: dict[str, Any] = {"model": name, "device": device, "threads": threads, "rows": len(train), **settings}
            with tempfile.TemporaryDirectory() as folder:
                predictor = TabularPredictor("target", problem_type="regression", path=folder, verbosity=0)
                started = time.perf_counter()
                try:
                    predictor.fit(
                        train,
                        tuning_data=validation,
                        hyperparameters={name: {"ag_args_fit": {"num_gpus": int(device == "cuda")}, **settings}},
                        num_cpus=threads,
                        num_gpus=int(device == "cuda"),
                        fit_weighted_ensemble=False,
                        time_limit=20 if quick else 60,
                    )
                except Exception as error:  # A model that is not installed is a row of the table.
                    row["not measured"] = str(error).splitlines()[0][:120]
                else:
                    board = predictor.leaderboard()
                    row |= {"fit, s": round(float(board.fit_time.iloc[0]), 2) if len(board) else None}
                    row |= {"in all, s": round(time.perf_counter() - started, 2)}
                    row |= {"RMSE": round(-float(board.score_val.iloc[0]), 4) if len(board) else None}
            result.append(row)
            print(row, flush=True)
    return result


def boosted(rows: Transitions, held_out: Transitions, quick: bool) -> list[dict[str, Any]]:
    """The forests of `rcdtp` and `catboost_student` on all rows and action dimensions, with their own settings."""
    import catboost  # noqa: PLC0415  As in `autogluon`.
    import xgboost  # noqa: PLC0415

    from d4rl_automl.learners import forests  # noqa: PLC0415
    from d4rl_automl.methods import catboost_student, rcdtp  # noqa: PLC0415

    class CatBoostOnGpu(catboost.CatBoost):
        """Without callbacks, which CatBoost refuses on a GPU."""

        def __init__(self, parameters: dict[str, Any]) -> None:
            super().__init__(parameters | {"task_type": "GPU", "devices": "0"})

        def fit(self, *of: Any, callbacks: Any, **how: Any) -> Any:
            return super().fit(*of, **how)

    train_xgboost = xgboost.train

    def on_gpu(parameters: dict[str, Any], *of: Any, **how: Any) -> Any:
        return train_xgboost(parameters | {"device": "cuda"}, *of, **how)

    trees = 20 if quick else 100
    kinds: list[tuple[str, Any, Any, Any]] = [
        ("rcdtp", rcdtp.Settings(name="f", kind="rcdtp", trees=trees), forests.fit_xgboost, (xgboost, "train", on_gpu)),
        (
            "catboost_student",
            catboost_student.Settings(name="f", kind="catboost_student", teacher="t", trees=trees),
            forests.fit_catboost,
            (catboost, "CatBoost", CatBoostOnGpu),
        ),
    ]
    train, validation = (forests.Samples.of(p.observations, p.rtg[:, None], p.actions) for p in (rows, held_out))
    result = []
    for kind, settings, fit_forest, patched in kinds:
        for device, threads in hardware():
            row: dict[str, Any] = {"kind": kind, "device": device, "threads": threads, "rows": len(train.actions)}
            row |= {"trees": settings.trees, "depth": settings.depth}
            with mock.patch.object(*patched) if device == "cuda" else contextlib.nullcontext():
                try:
                    fitted = fit_forest(train, validation, settings, seed=0, threads=threads)
                except Exception as error:  # What a library cannot do on a card is a row of the table.
                    row["not measured"] = str(error).splitlines()[0][:200]
                else:
                    row |= {"fit, s": round(fitted.seconds, 2)}
                    row |= {"squared error": round(float(fitted.curve.validation_loss.iloc[-1]), 5)}
            result.append(row)
            print(row, flush=True)
    return result


PARTS: dict[str, Callable[[Transitions, Transitions, bool], list[dict[str, Any]]]] = {
    part.__name__: part for part in (networks, precision, repeatable, devices, autogluon, boosted)
}


def collected() -> Path:
    """The transitions of embedded halfcheetah."""
    from support import prepared  # noqa: PLC0415  It loads MuJoCo, which is of no use where a table is given.

    return prepared.transitions_of("halfcheetah")


def hardware(one_thread: bool = True) -> list[tuple[str, int]]:
    """Devices and threads that are compared."""
    several = min(8, processes.CORES)
    gpu = [("cuda", several)] if torch.cuda.is_available() else []
    return [*gpu, *([("cpu", 1)] if one_thread else []), ("cpu", several)]


def repeated(samples: fitting.Samples, rows: int) -> fitting.Samples:
    """As many rows, by saying them over and over."""
    return samples.take(np.arange(rows) % len(samples))


def frame(rows: Transitions, limit: int) -> pd.DataFrame:
    """What a teacher of the last action dimension is fitted to."""
    chosen = np.random.default_rng(0).permutation(len(rows.actions))[:limit]
    last = rows.actions.shape[1] - 1
    table = features(rows.observations, rows.rtg[:, None], rows.actions[:, :last], AVERAGE).iloc[chosen]
    return table.assign(target=action_transform.forward(rows.actions[chosen, last]))


def fit(rows: Transitions, held_out: Transitions, settings: fitting.Settings, device: str, **how: Any) -> fitting.Fit:
    """A fit of all rows."""
    arguments = {"seed": 0, "threads": 1, **how}
    return fitting.fit(
        fitting.Samples.of(rows, AVERAGE), fitting.Samples.of(held_out, AVERAGE), settings, device=device, **arguments
    )


def weights(fitted: fitting.Fit) -> torch.Tensor:
    """All of them, in a row."""
    return torch.cat([value.flatten().float() for value in fitted.network.state_dict().values()])


def rate(settings: fitting.Settings, samples: fitting.Samples, device: str, seconds: float, threads: int = 1) -> float:
    """Updates a second of a fit under way."""
    with fitting._reproducible(threads):
        training = fitting.Training(samples, samples.take(slice(0)), settings, seed=0, device=device, threads=threads)
        for _ in range(20 if device == "cuda" else 2):
            training.step()
        wait(device)
        started, updates = time.perf_counter(), 0
        while (spent := time.perf_counter() - started) < seconds:
            for _ in range(100 if device == "cuda" else 1):
                training.step()
                updates += 1
            wait(device)
    return updates / spent


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Updates are not recorded as a graph."""
    before, fitting.EAGER = fitting.EAGER, 10**9
    try:
        yield
    finally:
        fitting.EAGER = before


def products(settings: fitting.Settings, samples: fitting.Samples) -> float:
    """Seconds of the matrix products of one update."""
    sizes = [samples.inputs().shape[1], *[settings.width] * settings.layers, samples.actions.shape[1]]
    kind = torch.bfloat16 if settings.precision == "bfloat16" else torch.float32
    make = torch.Generator("cuda").manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device="cuda", generator=make).to(kind)

    values = [random(settings.batch_size, size) for size in sizes]
    gradients = [random(settings.batch_size, size) for size in sizes]
    matrices = [random(after, before) for before, after in itertools.pairwise(sizes)]

    def once() -> None:
        for number, matrix in enumerate(matrices):
            torch.mm(values[number], matrix.t())
        for number in reversed(range(len(matrices))):
            torch.mm(gradients[number + 1].t(), values[number])
            if number:
                torch.mm(gradients[number + 1], matrices[number])

    with fitting._reproducible(1), fitting._computing("tf32" if settings.precision == "tf32" else "float32"):
        for _ in range(3):
            once()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            once()
        times = []
        for _ in range(5):
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(100):
                graph.replay()
            torch.cuda.synchronize()
            times.append((time.perf_counter() - started) / 100)
    return statistics.median(times)


def published_loop(samples: fitting.Samples, precision: str, steps: int) -> float:
    """Seconds of one update in the loop of RvS."""
    network = torch.nn.Sequential(
        torch.nn.Linear(samples.inputs().shape[1], RVS_R.width),
        torch.nn.ReLU(),
        torch.nn.Linear(RVS_R.width, RVS_R.width),
        torch.nn.ReLU(),
        torch.nn.Linear(RVS_R.width, samples.actions.shape[1]),
    ).cuda()
    log_deviation = torch.nn.Parameter(torch.zeros(samples.actions.shape[1], device="cuda"))
    optimiser = torch.optim.Adam([*network.parameters(), log_deviation], lr=RVS_R.learning_rate)
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(samples.inputs()), torch.from_numpy(samples.actions))
    workers = min(os.cpu_count() or 1, 16)
    loader = torch.utils.data.DataLoader(dataset, batch_size=RVS_R.batch_size, num_workers=workers)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    done, started = -5, time.perf_counter()
    while done < steps:
        for inputs, actions in loader:
            if done == 0:
                torch.cuda.synchronize()
                started = time.perf_counter()
            inputs, actions = inputs.cuda(), actions.cuda()  # noqa: PLW2901
            distribution = torch.distributions.Normal(network(inputs), log_deviation.exp())
            likelihood = distribution.log_prob(actions).sum(1)
            loss = -likelihood.mean()
            told = [likelihood.exp().mean(), log_deviation.exp().mean(), log_deviation.mean()]
            told.append(((distribution.mean - actions) ** 2).mean())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if done % 20 == 0:
                [value.item() for value in [loss, *told]]
            done += 1
            if done == steps:
                break
    torch.cuda.synchronize()
    torch.set_float32_matmul_precision(before)
    return (time.perf_counter() - started) / steps


class Killed(Exception):
    """By `Checkpoint`."""


class Checkpoint(checkpoints.Checkpoint):
    """Saves after `update`, and ends the fit there."""

    def __init__(self, path: Path, update: int) -> None:
        super().__init__(path)
        self._update = update

    def on_update(self, training: fitting.Training) -> None:
        if training.update == self._update:
            self._saved -= 10 * checkpoints.SECONDS
            super().on_update(training)
            raise Killed


if __name__ == "__main__":
    main()
