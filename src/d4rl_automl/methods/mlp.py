"""The joint network fitted to the data directly, without a teacher: the control of every distillation.

`condition: rtg` makes it RvS-R's policy (average reward-to-go as input), `condition: none`
plain behavioural cloning.
"""

from typing import Any

from d4rl_automl import device as devices
from d4rl_automl import network
from d4rl_automl.transitions import read


def fit(*, transitions: str, settings: dict[str, Any], seed: int, device: str, threads: int, output: str) -> None:
    """Fit to the recorded actions of the training episodes. Arguments as in `d4rl_automl.methods`.

    With as many `rows` and the same seed as a teacher, it sees the rows that the teacher saw.
    """
    splits = {
        "train": read(transitions, splits=("train",), limit=settings["rows"], seed=seed),
        "validation": read(transitions, splits=("validation",)),
    }
    samples = {
        name: network.Samples(rows.observations, rows.rtg if settings["condition"] == "rtg" else None, rows.actions)
        for name, rows in splits.items()
    }
    fitted = network.fit(
        samples["train"],
        samples["validation"],
        network.Settings.of(settings),
        seed=seed,
        device=devices.resolve(device).name,
        threads=threads,
    )
    network.write_policy(fitted, output, settings, seed, dataset=splits["train"].metadata)
