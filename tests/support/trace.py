"""Stands as sitecustomize.py beside the package in a test's copy: a job's log then tells what the job loads and reads.

Of the modules the project's own, of the other files those of the package and of `workflow/`. A line says what and
which: `loaded methods/mlp.py`, `read src/d4rl_automl/resources/catalogue.csv`.
"""

import os
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = f"{PROJECT}/src/d4rl_automl/"
READ = (PACKAGE, f"{PROJECT}/workflow/")


def tell(event: str, arguments: tuple[Any, ...]) -> None:
    # A module's code is executed, however it is imported; so is that which Jinja makes of a template.
    if event == "exec" and (file := arguments[0].co_filename).startswith(PACKAGE) and file.endswith(".py"):
        os.write(2, f"\nloaded {file.removeprefix(PACKAGE)}\n".encode())
    elif event == "open" and isinstance(arguments[0], (str, os.PathLike)):
        path = os.fspath(arguments[0])
        if isinstance(path, str) and path.startswith(READ) and not path.endswith(".py") and "/__pycache__/" not in path:
            os.write(2, f"\nread {path.removeprefix(f'{PROJECT}/')}\n".encode())


sys.addaudithook(tell)
