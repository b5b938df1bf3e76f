"""Which figures a run draws."""

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from string import Formatter
from typing import Any

from d4rl_automl.figures.table import CAPTIONS, FIGURES, Figure, Files, Wildcards
from d4rl_automl.plan.run import Plan, options


def planned(plan: Plan) -> list[str]:
    """The PNG of every figure of a run that has something to show."""
    return [
        f"results/{figure.job.format(**these)}.png"
        for figure in FIGURES.values()
        for these in _combinations(plan, figure.job)
        if figure.drawn(plan, these)
    ]


def files_of(plan: Plan, figure: Figure) -> Callable[[Any], Files]:
    """An input function: the files that a figure is drawn from, by the argument of its `plot`."""
    return lambda wildcards: figure.inputs(plan, dict(wildcards.items()))


def settings_of(plan: Plan, figure: Figure) -> Callable[[Any], str]:
    """A function for params: the settings of a figure, as options of scripts/plot.py."""
    return lambda wildcards: options(figure.settings(plan, dict(wildcards.items())))


def shown_as(figure: Figure) -> dict[str, Any]:
    """Where Snakemake's own report shows a figure: the arguments of `report()`."""
    names = [name for _, name, _, _ in Formatter().parse(figure.job) if name]
    labels = {name: f"{{{name}}}" for name in names if name != "dataset"}
    return {
        "caption": str(CAPTIONS / f"{figure.name}.rst"),
        "category": "{dataset}" if "dataset" in names else "All datasets",
        "subcategory": figure.title,
        "labels": {"figure": figure.title, **labels},
    }


def table_shown_as(name: str, title: str, category: str = "All datasets") -> dict[str, Any]:
    """The same of a table, whose caption has that name."""
    return {
        "caption": str(CAPTIONS / f"{name}.rst"),
        "category": category,
        "subcategory": "Tables",
        "labels": {"table": title},
    }


def _combinations(plan: Plan, pattern: str) -> Iterator[Wildcards]:
    """Every combination of wildcards that a pattern can have in a run."""
    names = [name for _, name, _, _ in Formatter().parse(pattern) if name]
    for dataset in plan.datasets if "dataset" in names else [""]:
        values: dict[str, Iterable[Any]] = {
            "dataset": [dataset],
            "provider": plan.providers,
            "suite": plan.suites,
            "simulator": plan.config.simulators,
            "teacher": [teacher.name for teacher in plan.config.teachers_for(dataset)],
            "seed": plan.config.seeds,
        }
        for combination in product(*(values[name] for name in names)):
            yield dict(zip(names, combination, strict=True))
