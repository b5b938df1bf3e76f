"""What the jobs of a run have to do, in units that a cost has been measured for (`plan.costs`).

A job's work is a list of parts, each a name of resources/job_costs.csv with an amount in that row's unit, and the fit
of a network, whose cost goes by its size and by the device. Jobs of rules that this module does not know are short.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from d4rl_automl import tasks
from d4rl_automl.data import catalogue
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan.run import Plan
from d4rl_automl.settings.kinds import DatasetEntry, ForestFit, MethodSettings, Needs, NetworkFit
from d4rl_automl.tasks.task import Task
from d4rl_automl.teachers.settings import TeacherSettings, outcome_for

Parts = tuple[tuple[str, float], ...]

TEST_ROWS = 50_000
"""Test rows of a teacher's loss at most, as `teachers.training` has it, which loads AutoGluon."""
COMPARED_ROWS = 20_000
"""Test rows of `evaluation.comparison`, which loads pandas."""
IMPORTANCE_ROWS, SHUFFLES = 1_000, 3
"""Of `teachers.importance`."""
BATCH = 10_000
"""Rows that a teacher labels or predicts at a time."""
AUGMENTED, AUGMENTED_TIMES = 100_000, 5
"""Rows that AutoGluon's distillation adds: so many times as many, and so many at most."""
DISTILLED_EPOCHS, DISTILLED_WIDTH, DISTILLED_LAYERS = 15, 256, 3
"""Of the network that is distilled where a method names no other (`teachers.distillation`)."""

ROUNDS = {"NN_TORCH": "num_epochs", "CAT": "iterations", "XGB": "n_estimators", "GBM": "num_boost_round"}
"""AutoGluon's models whose cost is known once their rounds are given, and the parameter that gives them."""
BAGGED = ("good", "high", "best")


@dataclass(frozen=True)
class Work:
    """What a job has to do."""

    parts: Parts
    """Names of resources/job_costs.csv and amounts."""
    network: NetworkFit | None = None
    """The network that it fits, and what that network reads and answers."""
    inputs: int = 0
    outputs: int = 0
    fit: Parts = ()
    """The part of it that a time limit ends."""
    budget: float | None = None
    """Seconds of processor time after which AutoGluon ends `fit`, which takes all of them where it is empty; None
    without a limit."""
    download: float = 0
    """Bytes from the network."""
    disk: float = 0
    """Bytes that are left, besides those of the parts."""
    sort: str = ""
    """Which of its rule's jobs it is like: what these took says nothing of the others."""


def floating_point_operations(fit: NetworkFit, inputs: int, outputs: int) -> float:
    """Of the matrix products of one update: two for each weight and row forwards, and twice that backwards."""
    return 6 * fit.batch_size * weights(fit.width, fit.layers, inputs, outputs)


def weights(width: int, layers: int, inputs: int, outputs: int) -> int:
    """Of a network's matrices."""
    return inputs * width + (layers - 1) * width * width + width * outputs


class Works:
    """The work of a plan's jobs."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rules: dict[str, Callable[[Mapping[str, str]], Work | None]] = {
            **{making.rule: self._fit for _, making, _, _ in plan.makings()},
            "collect": self._collect,
            "download": self._download,
            "link": lambda these: _plain(),
            "identify_simulator": lambda these: _plain(("identify", 1)),
            "admit": lambda these: _plain(("identify", 1)),
            "make_transitions": self._transitions,
            "write_csv": lambda these: _plain(("write_csv", self._rows(these["dataset"]))),
            "make_card": lambda these: _plain(("make_card", self._rows(these["dataset"]))),
            "train_teacher": self._train_teacher,
            "evaluate_teacher": self._evaluate_teacher,
            "measure_importance": self._measure_importance,
            "label_teacher": self._label_teacher,
            "distill_teacher": self._distill_teacher,
            "compare_students": self._compare_students,
            "rollout": self._rollout,
            "rollout_checkpoints": self._rollout_checkpoints,
            "film": lambda these: Work((("start AutoGluon", 1), ("film", 1))),
            "score": lambda these: _plain(("score", len(plan.learned))),
            **dict.fromkeys(("choose_target", "score_dataset", "measure_costs", "merge_costs", "merge_cards"), _tables),
            **dict.fromkeys(("report", "pack_report", "track"), _tables),
        }

    def of(self, rule: str, wildcards: Mapping[str, str]) -> Work | None:
        """The work of a job by its rule and wildcards; None where it is not known."""
        if rule.startswith("plot_"):
            return Work((("figure", 1),))
        known = self._rules.get(rule.partition("_with_")[0])
        return known(wildcards) if known else None

    # Datasets

    def _task(self, dataset: str) -> Task:
        return tasks.get(self._plan.datasets[dataset].task)

    def _rows(self, dataset: str) -> int:
        if dataset not in self._sizes:
            entry, task = self._plan.datasets[dataset], self._task(dataset)
            rows = getattr(entry, "transitions", None) or catalogue.transitions(dataset)
            if rows is None:
                # Numbers of 4 bytes: two observations, an action, a reward and the flags of a row.
                path = Path(getattr(entry, "path", ""))
                size = path.stat().st_size if path.is_file() else 0
                rows = size // (4 * (2 * task.observation_size + task.action_size + 2))
            self._sizes[dataset] = rows
        return self._sizes[dataset]

    @cached_property
    def _sizes(self) -> dict[str, int]:
        return {}

    def _train_rows(self, dataset: str, limit: int | None) -> int:
        split = self._plan.config.split
        rows = round(self._rows(dataset) * (1 - split.validation - split.test))
        return rows if limit is None else min(rows, limit)

    def _columns(self, dataset: str) -> int:
        task = self._task(dataset)
        return task.observation_size + task.action_size + 4

    def _raw(self, dataset: str) -> Parts:
        task = self._task(dataset)
        return (("raw", self._rows(dataset) * (2 * task.observation_size + task.action_size + 3)),)

    def _collect(self, these: Mapping[str, str]) -> Work:
        dataset = these["dataset"]
        steps = self._rows(dataset)
        physics = (_physics(self._task(dataset)), steps)
        return Work((("start", 1), physics, ("collect", steps), *self._raw(dataset)))

    def _download(self, these: Mapping[str, str]) -> Work:
        size = getattr(self._plan.datasets[these["dataset"]], "size_bytes", 0)
        return Work((("start", 1), ("checksum", size / 1e6)), download=size, disk=size)

    def _transitions(self, these: Mapping[str, str]) -> Work:
        amount = self._rows(these["dataset"]) * self._columns(these["dataset"])
        return _plain(("make_transitions", amount))

    # Teachers

    def _inputs(self, dataset: str, teacher: TeacherSettings, dimension: int) -> int:
        task = self._task(dataset)
        return task.observation_size + outcome_for(task.name).width + dimension * teacher.chain

    def _rows_of(self, dataset: str, teacher: TeacherSettings) -> int:
        draws = teacher.goal_draws if outcome_for(self._task(dataset).name).drawn else 1
        return self._train_rows(dataset, teacher.rows) * draws

    def _train_teacher(self, these: Mapping[str, str]) -> Work:
        dataset, teacher = these["dataset"], self._plan.teachers[these["teacher"]]
        inputs, rows = self._inputs(dataset, teacher, int(these["dimension"])), self._rows_of(dataset, teacher)
        test = min(TEST_ROWS, round(self._rows(dataset) * self._plan.config.split.test))
        sort = _ensemble(teacher)
        fit: Parts = ()
        if sort == "capped":
            fit = _families(teacher.hyperparameters or {}, rows, inputs)
        elif sort == "medium":
            fit = (("fit medium", rows),)
        return Work(
            # The leaderboard lets every model predict the test rows.
            (
                *_rows_in_memory("start AutoGluon", rows * inputs),
                *_predicting(teacher, test, 2),
                (f"trained {sort}", 1),
            ),
            fit=fit,
            budget=teacher.budget,
            sort=sort,
        )

    def _distill_teacher(self, these: Mapping[str, str]) -> Work:
        dataset, method = these["dataset"], self._plan.methods[these["method"]]
        teacher = self._plan.teachers[self._plan.teacher_of(method.name)]
        inputs, rows = self._inputs(dataset, teacher, int(these["dimension"])), self._rows_of(dataset, teacher)
        rows += min(AUGMENTED, AUGMENTED_TIMES * rows)
        hyperparameters = getattr(method, "hyperparameters", None) or {
            "NN_TORCH": {
                "num_epochs": DISTILLED_EPOCHS,
                "hidden_size": DISTILLED_WIDTH,
                "num_layers": DISTILLED_LAYERS,
                "dropout_prob": 0.0,
            }
        }
        return Work(
            (
                *_rows_in_memory("start AutoGluon", rows * inputs),
                *_predicting(teacher, rows),
                ("distilled", 1),
            ),
            fit=_families(hyperparameters, rows, inputs) if _is_capped(hyperparameters) else (),
            budget=teacher.threads * getattr(method, "time_limit", 0.0),
        )

    def _every_dimension(self, dataset: str, teacher: TeacherSettings, rows: float) -> Parts:
        return _predicting(teacher, rows, self._task(dataset).action_size)

    def _evaluate_teacher(self, these: Mapping[str, str]) -> Work:
        dataset, teacher = these["dataset"], self._plan.teachers[these["teacher"]]
        test = min(TEST_ROWS, round(self._rows(dataset) * self._plan.config.split.test))
        return Work((("start AutoGluon", 1), *self._every_dimension(dataset, teacher, test), ("predictions", 1)))

    def _measure_importance(self, these: Mapping[str, str]) -> Work:
        dataset, teacher = these["dataset"], self._plan.teachers[these["teacher"]]
        dimensions = self._plan.dimensions(dataset)
        turns = SHUFFLES * sum(self._inputs(dataset, teacher, dimension) for dimension in dimensions)
        return Work((("start AutoGluon", 1), *_predicting(teacher, IMPORTANCE_ROWS, turns, calls=1)))

    def _labels(self) -> int:
        labels, split = self._plan.config.labels, self._plan.config.split
        share = 1 + split.validation / (1 - split.validation - split.test)
        return round((labels.recorded + labels.perturbed + labels.commanded) * share)

    def _label_teacher(self, these: Mapping[str, str]) -> Work:
        dataset, teacher = these["dataset"], self._plan.teachers[these["teacher"]]
        stored = ("labelled", self._labels() * self._columns(dataset))
        return Work((("start AutoGluon", 1), *self._every_dimension(dataset, teacher, self._labels()), stored))

    # Policies

    def _outcome(self, dataset: str, method: MethodSettings) -> int:
        return METHODS[method.kind].outcome_for(self._task(dataset).name).width

    def _fit(self, these: Mapping[str, str]) -> Work | None:
        dataset, method = these["dataset"], self._plan.methods[these["method"]]
        task, kind = self._task(dataset), METHODS[method.kind]
        inputs, outputs = task.observation_size + self._outcome(dataset, method), task.action_size
        fitted = method.fitted(self._rows(dataset))
        if fitted is None and kind.needs is Needs.NOTHING:
            return None
        if fitted is None:
            # A handle of what others fitted, or its export.
            return Work((("start AutoGluon" if method.exported else "start", 1), ("policy", 1)))
        if kind.needs is Needs.LABELS:
            rows = self._labels()
        else:
            rows = self._train_rows(dataset, getattr(method, "rows", None))
        if isinstance(fitted, ForestFit):
            amount = rows * fitted.trees * fitted.depth * inputs * outputs
            stored = fitted.trees * 2**fitted.depth * outputs
            parts = *_rows_in_memory("start forest", rows * inputs), (f"fit {method.kind}", amount), ("leaves", stored)
            return Work(parts)
        size = 4 * weights(fitted.width, fitted.layers, inputs, outputs)
        parts = _rows_in_memory("start network", rows * (inputs + outputs))
        return Work(parts, network=fitted, inputs=inputs, outputs=outputs, disk=size)

    def _acting(self, dataset: str, method: MethodSettings, rows: float, calls: float) -> Parts:
        """What it takes to act in so many states, in so many calls."""
        task = self._task(dataset)
        fitted = method.fitted(self._rows(dataset))
        if isinstance(fitted, ForestFit):
            levels = rows * fitted.trees * fitted.depth * (1 if method.kind == "catboost_student" else task.action_size)
            return ((f"act {method.kind}", levels),)
        if isinstance(fitted, NetworkFit):
            inputs = task.observation_size + self._outcome(dataset, method)
            return (("act network", rows * 2 * weights(fitted.width, fitted.layers, inputs, task.action_size)),)
        if method.taught_by is None:
            return (("act unknown", rows),)
        teacher = self._plan.teachers[method.taught_by]
        one = 2 * weights(DISTILLED_WIDTH, DISTILLED_LAYERS, self._inputs(dataset, teacher, task.action_size // 2), 1)
        if METHODS[method.kind].needs is Needs.DISTILLED or method.exported:
            called = () if method.exported else (("call AutoGluon", calls * task.action_size),)
            return (("act network", rows * task.action_size * one), *called)
        return _predicting(teacher, rows, task.action_size, calls=calls)

    def _start(self, method: MethodSettings) -> str:
        fitted = method.fitted(1)
        return "start AutoGluon" if fitted is None and method.taught_by and not method.exported else "start"

    def _playing(self, dataset: str, method: MethodSettings, episodes: int) -> Parts:
        """Episodes in one batch."""
        task = self._task(dataset)
        length = task.episode_steps * _share_of_episodes(self._plan.datasets[dataset], task)
        steps = episodes * length
        acting = self._acting(dataset, method, steps, task.episode_steps)
        return (_physics(task), steps), *acting, ("played", episodes)

    def _rollout(self, these: Mapping[str, str]) -> Work:
        dataset, method, plan = these["dataset"], self._plan.methods[these["method"]], self._plan
        targets = len(plan.commanded(dataset, method.name)) or 1
        episodes = targets * sum(plan.episodes(method.name, purpose) for purpose in ("selection", "report"))
        return Work(((self._start(method), 1), *self._playing(dataset, method, episodes)), sort=method.kind)

    def _rollout_checkpoints(self, these: Mapping[str, str]) -> Work:
        dataset, method = these["dataset"], self._plan.methods[these["method"]]
        episodes = method.points * self._plan.config.rollout.checkpoint_episodes
        return _plain(*self._playing(dataset, method, episodes))

    def _compare_students(self, these: Mapping[str, str]) -> Work:
        dataset = these["dataset"]
        rows = min(COMPARED_ROWS, round(self._rows(dataset) * self._plan.config.split.test))
        methods = self._plan.config.methods_for(dataset)
        starts = {self._start(method) for method in methods}
        parts: list[tuple[str, float]] = [("start AutoGluon" if "start AutoGluon" in starts else "start", 1)]
        for method in methods:
            for _ in self._plan.config.seeds:
                parts += [("compared", 1), *self._acting(dataset, method, 2 * rows, 0)]
        return Work(tuple(parts))


def _plain(*parts: tuple[str, float]) -> Work:
    return Work((("start", 1), *parts))


def _tables(these: Mapping[str, str]) -> Work:
    return _plain()


def _physics(task: Task) -> str:
    return f"physics of {task.suite if task.goal else task.name}"


LENGTHS = {"random": 0.09, "medium": 0.63, "medium-replay": 0.43, "medium-expert": 0.85}
"""How long the episodes of a robot that can fall are, as shares of the time limit, by the data that its policies were
made of: means over all methods and targets in docs/evidence/results."""
LENGTH_IN_MAZES = 0.75
"""Likewise of an ant, which is done when it has reached its goal: docs/evidence/results/antmaze."""


def _share_of_episodes(entry: DatasetEntry, task: Task) -> float:
    if task.goal:
        return LENGTH_IN_MAZES
    if task.name == "halfcheetah":
        return 1.0
    quality = getattr(entry, "recipe", None) or entry.name.removeprefix(f"{task.name}-").removesuffix("-v2")
    return LENGTHS.get(quality, 1.0)


def _rows_in_memory(start: str, numbers: float) -> Parts:
    return ((start, 1), ("rows in memory", numbers))


def _entries(hyperparameters: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Every model and its hyperparameters."""
    return [
        (name, entry)
        for name, entries in hyperparameters.items()
        for entry in (entries if isinstance(entries, list | tuple) else [entries])
    ]


def _is_capped(hyperparameters: Mapping[str, Any] | None) -> bool:
    """Whether every model has its rounds given, so that they, not the clock, end the fit."""
    found = _entries(hyperparameters or {})
    return bool(found) and all(name in ROUNDS and ROUNDS[name] in entry for name, entry in found)


def _ensemble(teacher: TeacherSettings) -> str:
    """Of which sort its ensemble is: capped, medium as that preset comes, bagged, or other."""
    if _is_capped(teacher.hyperparameters):
        return "capped"
    return "bagged" if teacher.preset in BAGGED else "medium" if teacher.hyperparameters is None else "other"


def _predicting(teacher: TeacherSettings, rows: float, times: float = 1, *, calls: float | None = None) -> Parts:
    """What it takes to let a predictor answer so many rows so many times, in calls of `BATCH` rows or so many calls."""
    calls = rows / BATCH if calls is None else calls
    return (f"act {_ensemble(teacher)}", rows * times), ("call AutoGluon", calls * times)


def _families(hyperparameters: Mapping[str, Any], rows: int, inputs: int) -> Parts:
    """The fit of AutoGluon's models, by their rounds."""
    parts = []
    for name, entry in _entries(hyperparameters):
        rounds = entry[ROUNDS[name]]
        if name == "NN_TORCH":
            size = weights(entry.get("hidden_size", 128), entry.get("num_layers", 4), inputs, 1)
            dropout = ", dropout" if entry.get("dropout_prob", 0.1) else ""
            parts.append((f"fit NN_TORCH{dropout}", 6.0 * rows * rounds * size))
        else:
            parts.append((f"fit {name}", float(rows * rounds * inputs)))
    return tuple(parts)
