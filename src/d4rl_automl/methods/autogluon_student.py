"""AutoGluon's own students as a policy: as the teacher is, but from the directories that its `distill` left."""

from typing import Literal

from d4rl_automl.settings.kinds import (
    Export,
    Hyperparameters,
    Making,
    Method,
    MethodSettings,
    Needs,
    Teacher,
    TimeLimit,
)
from d4rl_automl.teachers.settings import GOAL_OUTCOME, OUTCOME


class Settings(MethodSettings):
    """The models of AutoGluon's own `distill`."""

    kind: Literal["autogluon_student"]
    teacher: Teacher
    time_limit: TimeLimit = 120
    hyperparameters: Hyperparameters = None
    export: Export = False


METHOD = Method(
    kind="autogluon_student",
    settings=Settings,
    about="the models of AutoGluon's own `distill`",
    outcome=OUTCOME,
    goal_outcome=GOAL_OUTCOME,
    makings=(
        Making("fit_autogluon_student", "autogluon", memory=1000, minutes=10),
        Making("export_autogluon_student", "onnx", memory=4000, minutes=10, modules=("teachers.export",)),
    ),
    needs=Needs.DISTILLED,
    # By their loss the student is chosen.
    held_out=("validation",),
)


def fit(
    *, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str, deployed: list[str]
) -> None:
    """Write the handle. Arguments as in `d4rl_automl.methods`. Other jobs fit the predictors."""
    from d4rl_automl.teachers import playing

    playing.make_policy(deployed, settings, seed, transitions=transitions, threads=threads, output=output)
