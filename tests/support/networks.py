"""Rows with a function in them that networks are fitted to, and how."""

import numpy as np

from d4rl_automl.learners import fitting
from d4rl_automl.methods import mlp
from d4rl_automl.tasks.outcomes import AVERAGE, NONE

SETTINGS = fitting.Settings(width=32, layers=2, updates=24, batch_size=64, learning_rate=3e-3)

HERE = {"seed": 0, "device": "cpu", "threads": 1}


def samples(rows: int, seed: int = 0, conditional: bool = True) -> fitting.Samples:
    """Hopper's sizes; actions are a smooth function of the inputs that saturates at the bounds here and there."""
    generator = np.random.default_rng(seed)
    scales = np.geomspace(0.01, 100, 11)
    standard = generator.standard_normal((rows, 11))
    outcomes = generator.uniform(0, 4, rows)
    weights = np.random.default_rng(99).standard_normal((11, 3)) / 3
    actions = np.clip(np.sin(standard @ weights) + 0.2 * conditional * (outcomes[:, None] - 2), -1, 1)
    return fitting.Samples(
        (standard * scales + 5).astype(np.float32),
        outcomes.astype(np.float32)[:, None] if conditional else None,
        actions.astype(np.float32),
        AVERAGE if conditional else NONE,
    )


# Of fits that are killed, in a process of their own, and go on.
METHOD = mlp.Settings(name="some", kind="mlp")
RESUMED = (64, 2, 3000, 128, 1e-3)
