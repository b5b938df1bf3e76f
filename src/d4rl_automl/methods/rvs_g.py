"""RvS-G as published: reinforcement learning via supervised learning, conditioned on a goal.

Emmons et al., ICLR 2022; every setting from scottemmons/rvs@90c0ffb, experiments/config/d4rl/antmaze_rvs_g.cfg and
dataset.py, and none of them can be changed here but the precision: what has another size is of kind `rvs`.
"""

from typing import Literal

from d4rl_automl.settings.kinds import Checkpoints, Making, Method, MethodSettings, NetworkFit, Precision
from d4rl_automl.tasks.outcomes import GOAL

WIDTH, LAYERS = 1024, 2
UPDATES = 20_000
BATCH_SIZE = 16_384
LEARNING_RATE = 1e-3
HELD_OUT = 0.1
"""Share of the finished episodes, rounded down."""
SPLITS = ("train", "validation", "test")
"""All finished episodes: which of them are held out is drawn by the training seed."""


class Settings(MethodSettings):
    """As published. Another size is of kind rvs, and carries another name."""

    kind: Literal["rvs_g"]
    precision: Precision = "float32"
    checkpoints: Checkpoints = 0

    def fitted(self, rows: int) -> NetworkFit:
        """As many updates, however many rows."""
        return NetworkFit(WIDTH, LAYERS, BATCH_SIZE, UPDATES, self.precision)


METHOD = Method(
    kind="rvs_g",
    settings=Settings,
    about="RvS-G as published",
    outcome=None,
    why_not_others="its outcome is a goal, which this task does not have",
    goal_outcome=GOAL,
    # At this size it takes hours on a processor, minutes on a GPU.
    makings=(Making("fit_rvs_g", "onnx", memory=4000, minutes=1440, beside=("curve",)),),
    faster_on_gpu=True,
    # Tables call a method by its name, and RvS-G is one of certain settings.
    reserved=r"rvs[-_]?g(?![a-z0-9])",
)


def fit(*, transitions: str, settings: Settings, seed: int, device: str, threads: int, output: str) -> None:
    """Fit to nine tenths of the finished episodes; the last weights are kept. Arguments as in `d4rl_automl.methods`.

    The others are for the curve alone.
    """
    import numpy as np

    from d4rl_automl.data.transitions import episode_returns, read
    from d4rl_automl.learners import fitting, network_policies

    episodes = np.concatenate([episode_returns(transitions, split).episodes for split in SPLITS])
    episodes = np.random.default_rng(seed).permutation(episodes)
    last = int(HELD_OUT * len(episodes))
    held_out, kept = (read(transitions, splits=SPLITS, episodes=some) for some in (episodes[:last], episodes[last:]))
    rule = METHOD.outcome_for(kept.metadata["task"])
    network_policies.make_policy(
        fitting.Samples.of_pairs(kept, rule, seed=seed, afresh=True),
        fitting.Samples.of_pairs(held_out, rule),
        fitting.Settings(
            WIDTH,
            LAYERS,
            updates=UPDATES,
            batch_size=BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            gaussian=True,
            precision=settings.precision,
        ),
        method=settings,
        seed=seed,
        device=device,
        threads=threads,
        output=output,
        dataset=kept.metadata,
        splits=SPLITS,
    )
