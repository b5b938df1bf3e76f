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
    """As `base.Run`: a run of its own each time, whose files are in {folder}/wandb."""

    def __init__(self, folder: Path, *, group: str, name: str, facts: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # What is printed is in the log; the code is in git.
        settings = wandb.Settings(console="off", disable_git=True, disable_code=True, silent=True)
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                dir=str(folder),
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
        self._run.log({name: wandb.Table(dataframe=table)})

    def picture(self, name: str, path: Path) -> None:
        self._run.log({name: wandb.Image(str(path))})

    def close(self) -> str:
        where = self._run.url or str(Path(self._run.dir).parent)
        self._run.finish()
        return where
