"""Every tracker, by the config's name for it. Importable with the standard library alone."""

import importlib.util
import sys

from d4rl_automl.core.errors import InputError

NONE = "none"
TRACKERS = {"tensorboard": "tensorboardX", "wandb": "wandb"}
"""The package that each takes."""


def check_installed(tracker: str, environment: str | None = None) -> None:
    """InputError where a tracker is asked for whose package is not there.

    `environment`: text of the conda file of the jobs that will take it; by default they run in this Python.
    """
    if tracker == NONE:
        return
    package = TRACKERS[tracker]
    if environment is not None:
        if package not in environment:
            raise InputError(
                f"config: tracker: found {tracker!r}, but the environments of the rules, envs/learning-cpu.yaml and "
                f"envs/learning-cuda.yaml, are without {package}: add it to their pip section, or set tracker to none"
            )
    elif importlib.util.find_spec(package) is None:
        raise InputError(
            f"config: tracker: found {tracker!r}, but {package} is not installed in {sys.prefix}: "
            f"{sys.executable} -m pip install {package}, or set tracker to none"
        )
