"""Training curves: how the losses fell while a policy was fitted."""

from pathlib import Path

import pandas as pd

from d4rl_automl.core.files import whole

COLUMNS = ("dataset", "method", "seed", "loss", "update", "training_loss", "validation_loss")


def write(handle: str | Path, curve: pd.DataFrame, loss: str, *, method: str, seed: int, dataset: str) -> None:
    """Write a curve beside a policy's handle, as {method}-s{seed}.curve.csv.

    `curve` has update, training_loss, validation_loss (NaN where nothing was held out) and maybe others; before them
    come dataset, method (its name), seed and `loss`, what it is called.
    """
    own = {"dataset": dataset, "method": method, "seed": seed, "loss": loss}
    with whole(Path(handle).with_suffix(".curve.csv")) as part:
        pd.DataFrame({**own, **curve}).to_csv(part, index=False)
