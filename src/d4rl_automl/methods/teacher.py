"""The teacher itself as a policy: a handle that points at its deployed directories, or at one ONNX graph of them."""

from typing import Literal

from d4rl_automl.settings.kinds import Export, Making, Method, MethodSettings, Needs, Teacher
from d4rl_automl.teachers.settings import GOAL_OUTCOME, OUTCOME


class Settings(MethodSettings):
    """The AutoGluon predictors themselves."""

    kind: Literal["teacher"]
    teacher: Teacher
    export: Export = False


METHOD = Method(
    kind="teacher",
    settings=Settings,
    about="AutoGluon, one predictor per action dimension",
    outcome=OUTCOME,
    goal_outcome=GOAL_OUTCOME,
    makings=(
        Making("fit_teacher", "autogluon", memory=1000, minutes=10),
        Making("export_teacher", "onnx", memory=4000, minutes=10, modules=("teachers.export",)),
    ),
    needs=Needs.PREDICTORS,
)


def fit(
    *, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str, deployed: list[str]
) -> None:
    """Write the handle. Arguments as in `d4rl_automl.methods`. Other jobs fit the predictors."""
    from d4rl_automl.teachers import playing

    playing.make_policy(deployed, settings, seed, transitions=transitions, threads=threads, output=output)
