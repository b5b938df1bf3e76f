"""The teacher itself as a policy: a handle that points at its deployed directories, or at one ONNX graph of them."""

from typing import Literal

from d4rl_automl.plan.kinds import Making, Method, MethodSettings, Needs
from d4rl_automl.plan.models import Flag, Name
from d4rl_automl.tasks.outcomes import AVERAGE


class Settings(MethodSettings):
    """The AutoGluon predictors themselves."""

    kind: Literal["teacher"]
    teacher: Name
    """The teacher that is played."""
    export: Flag = False
    """Play the predictors as one ONNX graph, several times as fast and equal to 1e-4. The job fails, and names the
    model, where they are anything but AutoGluon's networks (NN_TORCH) and weighted sums of them."""


METHOD = Method(
    kind="teacher",
    settings=Settings,
    about="AutoGluon, one predictor per action dimension",
    outcome=AVERAGE,
    makings=(
        Making("fit_teacher", "autogluon", memory=1000, minutes=10),
        Making("export_teacher", "onnx", memory=4000, minutes=10, modules=("teachers.export",)),
    ),
    needs=Needs.PREDICTORS,
)


def fit(
    *, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str, deployed: list[str]
) -> None:
    """Write the handle. Arguments as in `d4rl_automl.methods`; nothing is fitted any more."""
    from d4rl_automl.teachers import playing

    playing.make_policy(
        deployed, settings, seed, transitions=transitions, threads=threads, output=output, outcome_rule=METHOD.outcome
    )
