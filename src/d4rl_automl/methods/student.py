"""The joint network fitted to a teacher's labels: one small policy in place of a predictor per action dimension."""

from typing import Any

from d4rl_automl import device as devices
from d4rl_automl import labels as label_tables
from d4rl_automl import network, tables


def fit(
    *, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str, labels: str
) -> None:
    """Fit to the table that `labels.write` made, whose path is `labels`. Arguments as in `d4rl_automl.methods`.

    The labels are all that the student sees; from `transitions` come the facts of the dataset.
    """
    train, validation = (network.Samples(*label_tables.read(labels, split)) for split in ("train", "validation"))
    fitted = network.fit(
        train,
        validation,
        network.Settings.of(settings),
        seed=seed,
        device=devices.resolve(device).name,
        threads=threads,
    )
    dataset = tables.read_parquet_metadata(transitions, network.DATASET_FACTS)
    before = tables.read_parquet_metadata(labels, ("label_seconds", "teacher_seconds"))
    times = {name: before[name] for name in ("label_seconds", "teacher_seconds")}
    network.write_policy(fitted, output, settings, seed, dataset=dataset, **times)
