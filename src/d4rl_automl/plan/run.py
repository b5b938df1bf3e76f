"""What a run makes: every file of it, by the validated config. The rules ask this for all their lists."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from d4rl_automl import simulators, tasks
from d4rl_automl.core import paths
from d4rl_automl.data.providers.table import PROVIDERS
from d4rl_automl.methods.table import METHODS
from d4rl_automl.plan.config import Config
from d4rl_automl.plan.digests import digest
from d4rl_automl.policies.formats import FORMATS
from d4rl_automl.settings.kinds import FASTER_ON_GPU, Making, Method, MethodSettings, Needs
from d4rl_automl.settings.models import Model
from d4rl_automl.teachers.settings import outcome_for

MOST_ROWS = 2_000_000
"""Of D4RL's gym datasets: what a teacher without a number of rows may have to hold."""


def expand(pattern: str, **wildcards: str | int | Iterable[str | int]) -> list[str]:
    """A pattern filled in with every combination of the values, the last wildcard changing fastest."""
    values = {k: [v] if isinstance(v, str | int) else list(v) for k, v in wildcards.items()}
    return [pattern.format(**dict(zip(values, combination, strict=True))) for combination in product(*values.values())]


def options(values: Mapping[str, Any]) -> str:
    """Options of a script, quoted for a shell: --name value, or --name and every value of several."""
    words: list[str] = []
    for name, value in values.items():
        several = [value] if isinstance(value, str | int | float) else value
        words += [f"--{name.replace('_', '-')}", *map(str, several)]
    return shlex.join(words)


class Plan:
    """The files of a run."""

    def __init__(self, config: Config, *, gpu: bool = True) -> None:
        """Of a run that has a GPU to give to its jobs, or (`gpu`) has none."""
        self.config = config
        self._device = "cpu" if config.device == "auto" and not gpu else config.device
        self.datasets = {entry.name: entry for entry in config.datasets}
        self.teachers = {entry.name: entry for entry in config.teachers}
        self.methods: dict[str, MethodSettings] = {entry.name: entry for entry in config.methods}
        self.learned = [name for name in self.datasets if config.methods_for(name)]
        """The datasets that policies are made of. Of a task without simulator there are data alone."""
        self.providers = list(dict.fromkeys(self.datasets[name].provider for name in self.learned))
        """Of the datasets that policies are made of."""
        self.suites = list(dict.fromkeys(self._suite(name) for name in self.learned))
        """Of the same."""

    # What shapes what is made of an entry of the config, as text for params: another text, and it is stale.

    def identity(self, dataset: str) -> str:
        """Of a dataset, by its provider: where it may be had from is no reason to fetch it again."""
        entry = self.datasets[dataset]
        return json.dumps(PROVIDERS[entry.provider].identity(entry))

    def shaping(self, entry: Model, *others: str) -> str:
        """Of a teacher or a method, without the keys `others`."""
        return json.dumps({key: value for key, value in entry.shaping().items() if key not in others})

    def fetched_by(self, dataset: str) -> str:
        """A digest of the code that provides a dataset."""
        provider = PROVIDERS[self.datasets[dataset].provider]
        modules = [f"data.providers.{provider.name}:fetch", *(self.simulated_by(dataset) if provider.simulates else [])]
        return digest("fetch_dataset", *modules, resources=provider.resources)

    # Datasets and teachers

    def provided_by(self, provider: str) -> list[str]:
        """The datasets of a provider."""
        return [name for name, entry in self.datasets.items() if entry.provider == provider]

    def foreign(self) -> list[str]:
        """The datasets that somebody else recorded, and the user vouches for."""
        return [
            name
            for name, entry in self.datasets.items()
            if PROVIDERS[entry.provider].own and not PROVIDERS[entry.provider].simulates
        ]

    def has_goal(self, dataset: str) -> bool:
        """Whether its task is to reach a goal."""
        return tasks.get(self.datasets[dataset].task).goal is not None

    def _suite(self, dataset: str) -> str:
        return tasks.get(self.datasets[dataset].task).suite

    def dimensions(self, dataset: str) -> range:
        """The action dimensions of a dataset's task."""
        return range(tasks.get(self.datasets[dataset].task).action_size)

    def per_dimension(self, pattern: str, dataset: str, **wildcards: str | int) -> list[str]:
        """`pattern` for every action dimension of a dataset."""
        return expand(pattern, dataset=dataset, **wildcards, dimension=self.dimensions(dataset))

    def training_of(self, dataset: str, teacher: str) -> str:
        """What shapes a teacher's predictors of a dataset."""
        idle = () if outcome_for(self.datasets[dataset].task).drawn else ("goal_draws",)
        return self.shaping(self.teachers[teacher], *idle)

    def of_teachers(self, pattern: str, datasets: Iterable[str] | None = None) -> list[str]:
        """`pattern` for every teacher of the datasets (all by default) and every training seed."""
        return [
            file
            for dataset in (self.datasets if datasets is None else datasets)
            for teacher in self.config.teachers_for(dataset)
            for file in expand(pattern, dataset=dataset, teacher=teacher.name, seed=self.config.seeds)
        ]

    # Policies

    def makings(self) -> Iterator[tuple[Method, Making, int, list[str]]]:
        """Every way in which policies are made, with how many checkpoints, and the methods of this run made so."""
        for kind in METHODS.values():
            for making in kind.makings:
                own = [m for m in self.methods.values() if m.kind == kind.kind and kind.making(m) is making]
                for points in sorted({0, *(method.points for method in own)}):
                    yield kind, making, points, [method.name for method in own if method.points == points]

    def distilled(self) -> list[str]:
        """The methods that play what AutoGluon's own distillation leaves."""
        return [m.name for m in self.methods.values() if METHODS[m.kind].needs is Needs.DISTILLED]

    def making(self, method: str) -> Making:
        """How a method's policies are made."""
        settings = self.methods[method]
        return METHODS[settings.kind].making(settings)

    def teacher_of(self, method: str) -> str:
        """The name of a taught method's teacher."""
        teacher = self.methods[method].taught_by
        assert teacher is not None, f"{method} has no teacher"
        return teacher

    def taught_methods(self, dataset: str) -> dict[str, list[str]]:
        """The methods of a dataset that have a teacher, each followed by its teacher, as options of a script."""
        pairs = [(m.name, m.taught_by) for m in self.config.methods_for(dataset) if m.taught_by]
        return {"taught": [name for pair in pairs for name in pair]} if pairs else {}

    def taught(self, dataset: str, method: str, seed: str | int) -> dict[str, list[str]]:
        """What a method is fitted to besides the transitions, by the argument of its `fit`."""
        needs = METHODS[self.methods[method].kind].needs
        if needs is Needs.LABELS:
            return {"labels": expand(paths.LABELS, dataset=dataset, teacher=self.teacher_of(method), seed=seed)}
        if needs is Needs.PREDICTORS:
            return {"deployed": self.per_dimension(paths.DEPLOYED, dataset, teacher=self.teacher_of(method), seed=seed)}
        if needs is Needs.DISTILLED:
            return {"deployed": self.per_dimension(paths.DISTILLED, dataset, method=method, seed=seed)}
        return {}

    def policy_files(self, dataset: str, method: str, seed: str | int) -> list[str]:
        """What a policy's handle points at: one file, or a directory per action dimension."""
        ending = FORMATS[self.making(method).format].ending
        if not ending:
            return self.taught(dataset, method, seed)["deployed"]
        return expand(paths.POLICY + ending, dataset=dataset, method=method, seed=seed)

    def checkpoints(self, dataset: str, method: str, seed: str | int) -> list[str]:
        """A policy at the points of its fit that are kept, in order."""
        patterns = paths.checkpoints(self.methods[method].points)
        return [pattern.format(dataset=dataset, method=method, seed=seed) for pattern in patterns]

    def checkpointed(self, pattern: str, dataset: str, **wildcards: str) -> list[str]:
        """`pattern` for every method of a dataset whose checkpoints are played, and every training seed."""
        methods = [method.name for method in self.config.methods_for(dataset) if method.points]
        return expand(pattern, dataset=dataset, method=methods, seed=self.config.seeds, **wildcards)

    def policies(self, dataset: str) -> dict[str, list[str]]:
        """The handle of every policy of a dataset, and what the handles point at."""
        made = [(method.name, seed) for method in self.config.methods_for(dataset) for seed in self.config.seeds]
        return {
            "policies": [paths.HANDLE.format(dataset=dataset, method=method, seed=seed) for method, seed in made],
            "files": [file for method, seed in made for file in self.policy_files(dataset, method, seed)],
        }

    def fitted_by(self, method: str) -> str:
        """A digest of the code that makes a method's policies."""
        return digest("fit_policy", f"methods.{self.methods[method].kind}:fit", *self.making(method).modules)

    def simulated_by(self, dataset: str, simulator: str | None = None) -> list[str]:
        """The modules that are found at run time to simulate a dataset's task: its robot's, and the simulator's."""
        robot = tasks.get(self.datasets[dataset].task).robot
        modules = [robot.partition(":")[0]] if robot else []
        return modules if simulator is None else [*modules, simulators.get(simulator).module]

    def loaded_by(self, methods: Iterable[str]) -> list[str]:
        """The modules that `policies.loading` finds at run time to load the policies of these methods."""
        return list(dict.fromkeys(FORMATS[self.making(method).format].module for method in methods))

    # Rollouts

    def played(
        self,
        pattern: str,
        datasets: Iterable[str] | None = None,
        simulators: Iterable[str] | None = None,
        **wildcards: str | int | Iterable[str | int],
    ) -> list[str]:
        """`pattern` for every method of the datasets in the simulators, by default all of both."""
        simulators = self.config.simulators if simulators is None else simulators
        return [
            file
            for dataset in (self.datasets if datasets is None else datasets)
            for method in self.config.methods_for(dataset)
            for file in expand(pattern, dataset=dataset, method=method.name, simulator=simulators, **wildcards)
        ]

    def rolled(self, dataset: str, purpose: str, simulators: Iterable[str] | None = None) -> list[str]:
        """The rollouts of a dataset for one purpose."""
        return self.played(paths.ROLLOUT, [dataset], simulators, purpose=purpose, seed=self.config.seeds)

    def reported(self, dataset: str, simulators: Iterable[str] | None = None) -> list[str]:
        """The rollouts of a dataset whose returns are reported."""
        return self.rolled(dataset, "report", simulators)

    def episodes(self, method: str, purpose: str) -> int:
        """Episodes per target of a rollout: the method's own number, or the config's."""
        key = f"{purpose}_episodes"
        own: int | None = getattr(self.methods[method], key)
        return getattr(self.config.rollout, key) if own is None else own

    def fractions(self, dataset: str) -> tuple[float, ...]:
        """The fractions of the expert's return that are commanded to what is conditioned on a return."""
        return tasks.get(self.datasets[dataset].task).fractions(self.config.rollout.fractions)

    def commanded(self, dataset: str, method: str) -> tuple[float, ...]:
        """The fractions that a method is commanded; one that is not conditioned on a return, none."""
        rule = METHODS[self.methods[method].kind].outcome_for(self.datasets[dataset].task)
        return self.fractions(dataset) if rule.of_return else ()

    def labelled(self, dataset: str) -> tuple[float, ...]:
        """The least and the greatest fraction that a teacher's students are commanded; none where it is a goal."""
        fractions = self.fractions(dataset)
        conditioned = outcome_for(self.datasets[dataset].task).of_return
        return (min(fractions), max(fractions)) if conditioned else ()

    # Films

    def filmed(self, dataset: str, role: str) -> list[str]:
        """The methods of a dataset of which the best is filmed (`films.table.ROLES`)."""
        methods = [method.name for method in self.config.methods_for(dataset)]
        taught = [name for name in methods if METHODS[self.methods[name].kind].needs is Needs.PREDICTORS]
        return taught if role == "teacher" else [name for name in methods if name not in taught]

    def films(self, names: Iterable[str]) -> list[str]:
        """These films (`films.table.FILMS`) of every dataset, in the simulators whose states are known here."""
        return [
            f"{paths.FILM.format(dataset=dataset, role=role, simulator=simulator, episode=episode)}.webp"
            for dataset in self.learned
            for simulator in self.config.simulators
            if simulator in simulators.STEPPED_HERE
            for role, episode in (name.split(".") for name in names)
            if self.filmed(dataset, role)
        ]

    def film_inputs(self, dataset: str, role: str, simulator: str) -> dict[str, list[str]]:
        """What a film is made of, but for the scores: of every method that is asked about."""
        of = {"dataset": dataset, "method": self.filmed(dataset, role), "simulator": simulator}
        return {
            "policies": expand(paths.HANDLE, **of, seed=self.config.seeds),
            "rollouts": expand(paths.ROLLOUT, **of, seed=self.config.seeds, purpose="report"),
            "targets": expand(paths.TARGET, **of),
            "files": [
                file
                for method in of["method"]
                for seed in self.config.seeds
                for file in self.policy_files(dataset, method, seed)
            ],
        }

    # What is left beside policies

    def left(self, table: str, dataset: str) -> list[str]:
        """The tables of one sort ("curve", "importance") that the policies of a dataset left."""
        methods = [m.name for m in self.config.methods_for(dataset) if table in self.making(m.name).beside]
        return expand(paths.beside(table), dataset=dataset, method=methods, seed=self.config.seeds)

    def importance(self, dataset: str) -> list[str]:
        """What every forest and teacher of a dataset looks at."""
        return [*self.left("importance", dataset), *self.of_teachers(paths.TEACHER_IMPORTANCE, [dataset])]

    def jobs(self, dataset: str, method: str, seed: int) -> tuple[list[str], list[str]]:
        """The names of the jobs that made a policy (`paths.log`): its own, and those of its teacher before it."""
        needs = METHODS[self.methods[method].kind].needs
        own = expand(_job(paths.POLICY), dataset=dataset, method=method, seed=seed)
        if needs is Needs.NOTHING:
            return own, []
        teacher = self.teacher_of(method)
        taught = self.per_dimension(_job(paths.PREDICTOR), dataset, teacher=teacher, seed=seed)
        if needs is Needs.PREDICTORS:
            return own + taught, []
        if needs is Needs.DISTILLED:
            return own + self.per_dimension(_job(paths.DISTILLED), dataset, method=method, seed=seed), taught
        return own, [*taught, *expand(_job(paths.LABELS), dataset=dataset, teacher=teacher, seed=seed)]

    def made(self, dataset: str) -> str:
        """The jobs that made the policies of a dataset, as options of scripts/measure_costs.py."""
        told = []
        for method in self.config.methods_for(dataset):
            for seed in self.config.seeds:
                own, before = self.jobs(dataset, method.name, seed)
                told.append(options({"policy": [method.name, seed, *own, "/", *before]}))
        return " ".join(told)

    # Figures

    def in_order(self, datasets: Iterable[str]) -> list[str]:
        """The methods of the config up to the last that these datasets have: their places tell how each is drawn.

        A method that is added after them changes none of their figures.
        """
        names = list(self.methods)
        had = {method.name for dataset in datasets for method in self.config.methods_for(dataset)}
        return names[: 1 + max((names.index(name) for name in had), default=-1)]

    # Resources

    def device(self, kind: Method) -> str:
        """Where the policies of a kind are fitted: "cpu", "auto" or "cuda". Only those that gain can use a GPU."""
        return self._device if kind.faster_on_gpu else "cpu"

    def autogluon_device(self, name: str) -> str:
        """The same of the jobs in which AutoGluon fits a teacher, or distils a method's predictors.

        With `device: auto` they are for the processor where no GPU makes their models faster.
        """
        entry: Any = self.teachers.get(name) or self.methods[name]
        # Neither the presets nor the student of a distillation have such a model of themselves.
        gains = not FASTER_ON_GPU.isdisjoint(entry.hyperparameters or ())
        return "cpu" if self._device == "auto" and not gains else self._device

    def autogluon_memory(self, dataset: str, teacher: str) -> int:
        """MB: twice what was seen, for the models and for the copies of the rows (docs/evidence/performance.md)."""
        settings = self.teachers[teacher]
        draws = settings.goal_draws if outcome_for(self.datasets[dataset].task).drawn else 1
        return 3000 + (settings.rows or MOST_ROWS) * draws // 500

    def rollout_memory(self, method: str) -> int:
        """MB. AutoGluon's predictors play with all their models in memory; what else is played is small."""
        heavy = not FORMATS[self.making(method).format].ending
        return (4000 if heavy else 1000) * self.config.rollout.processes

    # Statistics

    def summarised(self, provider: str, suite: str) -> list[str]:
        """The datasets that statistics put together: those of a provider and suite that policies are made of."""
        return [name for name in self.provided_by(provider) if name in self.learned and self._suite(name) == suite]

    def is_compared(self, provider: str, suite: str) -> bool:
        """Whether another method shares a dataset of these with the reference method."""
        shared = [{m.name for m in self.config.methods_for(name)} for name in self.summarised(provider, suite)]
        return any(self.config.reference in names and len(names) > 1 for names in shared)


def autogluon_minutes(time_limit: float) -> int:
    """Twice the time limit, which AutoGluon does not keep to the second, and what comes before and after it."""
    return 30 + int(time_limit * 2 // 60)


def _job(pattern: str) -> str:
    """The pattern of a job's name, from that of what it makes."""
    return pattern.removeprefix("results/").removesuffix(".parquet")
