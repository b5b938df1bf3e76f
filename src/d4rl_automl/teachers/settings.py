"""What the config says of a teacher."""

from typing import Literal

from d4rl_automl.plan.kinds import Datasets, Hyperparameters, Positive, Rows
from d4rl_automl.plan.models import Flag, Model, Name


class TeacherSettings(Model):
    """AutoGluon, one predictor per action dimension."""

    name: Name
    """Part of paths and of wildcards."""
    preset: Literal["medium", "good", "high", "best"]
    """AutoGluon's quality preset."""
    rows: Rows = 100_000
    """Training transitions drawn from the dataset; all when null."""
    time_limit: Positive = 600
    """Seconds per action dimension."""
    chain: Flag = True
    """Earlier action dimensions are inputs to the later ones."""
    hyperparameters: Hyperparameters | None = None
    """AutoGluon's hyperparameters, by the key of its models; models that are not named are not trained."""
    datasets: Datasets = None
    """Only for these datasets; for all when left out."""

    def is_for(self, dataset: str) -> bool:
        """Whether this is made for a dataset."""
        return self.datasets is None or dataset in self.datasets
