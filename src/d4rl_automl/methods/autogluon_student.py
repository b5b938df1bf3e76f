"""AutoGluon's own students as a policy: as the teacher is, but from the directories that its `distill` left."""

from typing import Literal

from d4rl_automl.plan.kinds import Hyperparameters, Making, Method, MethodSettings, Needs, Positive
from d4rl_automl.plan.models import Flag, Name
from d4rl_automl.tasks.outcomes import AVERAGE


class Settings(MethodSettings):
    """The models of AutoGluon's own `distill`."""

    kind: Literal["autogluon_student"]
    teacher: Name
    """The teacher that is distilled."""
    time_limit: Positive = 120
    """Seconds per action dimension."""
    hyperparameters: Hyperparameters | None = None
    """AutoGluon's hyperparameters, by the key of its models; models that are not named are not trained."""
    export: Flag = False
    """Play the predictors as one ONNX graph, several times as fast and equal to 1e-4. The job fails, and names the
    model, where they are anything but AutoGluon's networks (NN_TORCH) and weighted sums of them."""


METHOD = Method(
    kind="autogluon_student",
    settings=Settings,
    about="the models of AutoGluon's own `distill`",
    outcome=AVERAGE,
    makings=(
        Making("fit_autogluon_student", "autogluon", memory=1000, minutes=10),
        Making("export_autogluon_student", "onnx", memory=4000, minutes=10, modules=("teachers.export",)),
    ),
    needs=Needs.DISTILLED,
)


def fit(
    *, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str, deployed: list[str]
) -> None:
    """Write the handle. Arguments as in `d4rl_automl.methods`; nothing is fitted any more."""
    from d4rl_automl.teachers import playing

    playing.make_policy(
        deployed, settings, seed, transitions=transitions, threads=threads, output=output, outcome_rule=METHOD.outcome
    )
