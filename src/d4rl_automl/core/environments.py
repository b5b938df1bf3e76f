"""Environments beside the project's own, each made by its envs/{name}/install.sh."""

import os
from pathlib import Path

from d4rl_automl.core.errors import InputError

_ROOT = Path(__file__).parents[3]


def find_python(name: str) -> Path:
    """The python of the environment `name`: that of .venv-{name} in the project's root.

    The environment variable D4RL_AUTOML_{NAME} names another one. Raises InputError, saying how to make the
    environment, where there is none.
    """
    variable = f"D4RL_AUTOML_{name.upper().replace('-', '_')}"
    path = Path(os.environ.get(variable, _ROOT / f".venv-{name}" / "bin" / "python"))
    if not path.is_file():
        raise InputError(
            f"environment {name}: {path} does not exist; make it with envs/{name}/install.sh, "
            f"or set {variable} to the python of one that is made"
        )
    return path
