"""Every figure: what it is called, where it stands, what it is drawn from, and where there is nothing to draw.

A figure is the function `plot` of the module of its name. Its inputs and settings are the arguments of that function,
but for `prefix`. Importable with the standard library alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d4rl_automl.core import paths

if TYPE_CHECKING:
    from d4rl_automl.plan.run import Plan

Wildcards = Mapping[str, Any]
Files = dict[str, str | list[str]]
CAPTIONS = Path(__file__).parents[1] / "report/captions"
"""What is said of every figure and table, by its name, in plain text."""
OF_DATASET = "{dataset}/figures/"
OF_ALL = "figures/"


@dataclass(frozen=True)
class Figure:
    """A kind of figure. Its explanation is {name}.rst of `CAPTIONS`."""

    name: str
    title: str
    """Its heading in the report."""
    job: str
    """Its path below results/, without the ending: PNG, SVG and CSV."""
    inputs: Callable[["Plan", Wildcards], Files]
    """The files it is drawn from, by the argument of `plot`."""
    settings: Callable[["Plan", Wildcards], dict[str, Any]] = lambda plan, wildcards: {}
    """The other arguments: text, or a list of numbers."""
    drawn: Callable[["Plan", Wildcards], bool] = lambda plan, wildcards: True
    """Whether there is anything to draw."""
    folded: bool = False
    """Whether the report shows it only when asked."""
    resources: tuple[str, ...] = ()
    """Files of `resources/` that it reads."""
    memory: int = 1000
    """MB of the first attempt."""


def _learned(plan: "Plan", these: Wildcards) -> bool:
    return these["dataset"] in plan.learned


def _robot_learned(plan: "Plan", these: Wildcards) -> bool:
    """Where returns spread: those of a policy that is to reach a goal are 0 and 1."""
    return _learned(plan, these) and not plan.has_goal(these["dataset"])


def _maze_learned(plan: "Plan", these: Wildcards) -> bool:
    return _learned(plan, these) and plan.has_goal(these["dataset"])


def _summarised(plan: "Plan", these: Wildcards) -> bool:
    return bool(plan.summarised(these["provider"], these["suite"]))


def _of_several(plan: "Plan", these: Wildcards) -> bool:
    """Where a distribution over datasets has more than one point."""
    return len(plan.summarised(these["provider"], these["suite"])) > 1


def _tabled(plan: "Plan", these: Wildcards) -> bool:
    """Where a table says more than a line of scores: of several datasets, or beside published ones."""
    own = [name for name in plan.provided_by(these["provider"]) if name in plan.learned]
    return len(own) > 1 or these["provider"] == "d4rl"


def _chooses(plan: "Plan", these: Wildcards) -> bool:
    """Where a target is chosen among several."""
    methods = plan.config.methods_for(these["dataset"])
    return _robot_learned(plan, these) and any(len(plan.commanded(these["dataset"], m.name)) > 1 for m in methods)


def _group(plan: "Plan", these: Wildcards) -> dict[str, Any]:
    names = ("provider", "suite", "simulator")
    datasets = plan.summarised(these["provider"], these["suite"])
    return {**{name: these[name] for name in names}, "methods": plan.in_order(datasets)}


def _methods(plan: "Plan", these: Wildcards) -> dict[str, Any]:
    return {"methods": plan.in_order([these["dataset"]])}


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            "card",
            "Returns and lengths of the episodes",
            OF_DATASET + "card",
            lambda plan, these: {"card": paths.CARD.format(**these), "episodes": paths.EPISODES.format(**these)},
        ),
        Figure(
            "returns",
            "Returns by commanded target",
            OF_DATASET + "returns.{simulator}",
            lambda plan, these: {
                "rollouts": plan.reported(these["dataset"], [these["simulator"]]),
                "targets": plan.played(paths.TARGET, [these["dataset"]], [these["simulator"]]),
                "episodes": paths.EPISODES.format(**these),
            },
            settings=_methods,
            drawn=_robot_learned,
        ),
        Figure(
            "calibration",
            "Commanded against achieved return",
            OF_DATASET + "calibration.{simulator}",
            lambda plan, these: {"rollouts": plan.reported(these["dataset"], [these["simulator"]])},
            settings=_methods,
            drawn=_robot_learned,
        ),
        Figure(
            "checkpoints",
            "Final or best: returns by checkpoint",
            OF_DATASET + "checkpoints.{simulator}",
            lambda plan, these: {
                "rollouts": plan.checkpointed(paths.CHECKPOINT_ROLLOUT, these["dataset"], simulator=these["simulator"]),
                "curves": plan.checkpointed(paths.beside("curve"), these["dataset"]),
                "episodes": paths.EPISODES.format(**these),
            },
            drawn=lambda plan, these: bool(plan.checkpointed(paths.HANDLE, these["dataset"])),
        ),
        Figure(
            "budget",
            "Score against evaluation budget",
            OF_DATASET + "budget.{simulator}",
            lambda plan, these: {
                "selection": plan.rolled(these["dataset"], "selection", [these["simulator"]]),
                "report": plan.reported(these["dataset"], [these["simulator"]]),
            },
            settings=_methods,
            drawn=_chooses,
        ),
        Figure(
            "success",
            "Goals reached",
            OF_DATASET + "success.{simulator}",
            lambda plan, these: {
                "scores": paths.DATASET_SCORES.format(**these),
                "episodes": paths.EPISODES.format(**these),
            },
            settings=lambda plan, these: {"simulator": these["simulator"], **_methods(plan, these)},
            drawn=_maze_learned,
        ),
        Figure(
            "map",
            "Ways through the maze",
            OF_DATASET + "map.{simulator}",
            lambda plan, these: {
                "rollouts": plan.reported(these["dataset"], [these["simulator"]]),
                "targets": plan.played(paths.TARGET, [these["dataset"]], [these["simulator"]]),
            },
            drawn=_maze_learned,
        ),
        Figure(
            "actions",
            "Predicted against recorded actions",
            OF_DATASET + "actions-{teacher}-s{seed}",
            lambda plan, these: {
                "predictions": paths.PREDICTIONS.format(**these),
                "metrics": paths.TEACHER_METRICS.format(**these),
            },
        ),
        Figure(
            "reward_to_go",
            "The data",
            OF_DATASET + "reward_to_go",
            lambda plan, these: {
                "transitions": paths.TRANSITIONS.format(**these),
                "episodes": paths.EPISODES.format(**these),
            },
            settings=lambda plan, these: {"fractions": plan.config.rollout.fractions},
            drawn=lambda plan, these: not plan.has_goal(these["dataset"]),
            folded=True,
            memory=2000,
        ),
        Figure(
            "l2",
            "Squared error by action dimension",
            OF_DATASET + "l2",
            lambda plan, these: {
                "metrics": plan.of_teachers(paths.TEACHER_METRICS, [these["dataset"]]),
                "students": paths.COMPARISON.format(**these),
            },
            settings=lambda plan, these: {
                "dataset": these["dataset"],
                "provider": plan.datasets[these["dataset"]].provider,
            },
            drawn=_learned,
            folded=True,
            resources=("autogluon_l2.csv",),
        ),
        Figure(
            "curves",
            "Training curves",
            OF_DATASET + "curves",
            lambda plan, these: {"curves": plan.left("curve", these["dataset"])},
            drawn=lambda plan, these: bool(plan.left("curve", these["dataset"])),
            folded=True,
        ),
        Figure(
            "importance",
            "Importance of the inputs",
            OF_DATASET + "importance",
            lambda plan, these: {"parts": plan.importance(these["dataset"])},
            drawn=lambda plan, these: bool(plan.importance(these["dataset"])),
            folded=True,
        ),
        Figure(
            "heat_table",
            "All scores",
            OF_ALL + "heat_table.{provider}.{simulator}",
            lambda plan, these: {"scores": paths.SCORES},
            settings=lambda plan, these: {name: these[name] for name in ("provider", "simulator")},
            drawn=_tabled,
            resources=("published_scores.csv",),
        ),
        Figure(
            "profiles",
            "Performance profiles",
            OF_ALL + "profiles.{provider}.{suite}.{simulator}",
            lambda plan, these: {"scores": paths.SCORES},
            settings=_group,
            drawn=_of_several,
        ),
        Figure(
            "improvement",
            "Probability of improvement",
            OF_ALL + "improvement.{provider}.{suite}.{simulator}",
            lambda plan, these: {"comparisons": paths.COMPARISONS},
            settings=lambda plan, these: {
                "reference": plan.config.reference,
                **_group(plan, these),
            },
            # One training seed is above another or below it: of several, it is a probability.
            drawn=lambda plan, these: (
                len(plan.config.seeds) > 1 and plan.is_compared(these["provider"], these["suite"])
            ),
        ),
        Figure(
            "costs",
            "Score against cost",
            OF_ALL + "costs.{provider}.{suite}.{simulator}",
            lambda plan, these: {"costs": paths.COSTS, "scores": paths.SCORES},
            settings=_group,
            drawn=_summarised,
        ),
    )
}
"""Every figure, by its name, in the order of the report."""
