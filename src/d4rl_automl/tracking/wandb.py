"""Weights & Biases. Its own variables hold: WANDB_MODE=offline, WANDB_PROJECT, WANDB_ENTITY and so on."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import wandb

from d4rl_automl.core.errors import InputError

PROJECT = "d4rl-automl"
"""Unless WANDB_PROJECT says another."""


class Run:
    """As `base.Run`, but a run of its own each time, beside those before it."""

    def __init__(self, folder: Path, *, group: str, name: str, facts: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # What is printed is in the log; the code is in git.
        settings = wandb.Settings(console="off", disable_git=True, disable_code=True, silent=True)
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                # In which it makes the folder wandb, this one.
                dir=str(folder.parent),
                group=group,
                name=f"{group}/{name}",
                config=dict(facts),
                settings=settings,
            )
        except wandb.Error as error:
            raise InputError(
                f"config: tracker: Weights & Biases cannot start ({error}); log in once by `wandb login`, set "
                "WANDB_MODE=offline, or set tracker to none"
            ) from None

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def table(self, name: str, path: Path) -> None:
        table = pd.read_csv(path)
        text = table.select_dtypes(exclude="number").columns
        # Of empty cells among text it would complain: they are numbers to pandas.
        table[text] = table[text].astype(object).fillna("").astype(str)
        self._run.log({name: wandb.Table(dataframe=table)}, commit=False)

    def picture(self, name: str, path: Path) -> None:
        self._run.log({name: wandb.Image(str(path))}, commit=False)

    def close(self) -> str:
        where = str(Path(self._run.dir).parent) if self._run.offline else str(self._run.url)
        self._run.finish()
        return where
