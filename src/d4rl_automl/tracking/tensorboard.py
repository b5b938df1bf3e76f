"""TensorBoard's event files, by tensorboardX: `tensorboard --logdir results/tracker/tensorboard` shows them."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from tensorboardX import SummaryWriter


class Run:
    """As `base.Run`: {folder}/{group}/{name} has its event file."""

    def __init__(self, folder: Path, *, group: str, name: str, facts: Mapping[str, Any]) -> None:
        self._folder = folder / group / name
        shutil.rmtree(self._folder, ignore_errors=True)
        self._writer = SummaryWriter(str(self._folder), flush_secs=10)
        self._writer.add_text("facts", f"```\n{json.dumps(dict(facts), indent=2)}\n```")

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def table(self, name: str, path: Path) -> None:
        self._writer.add_text(name, _markdown(pd.read_csv(path, dtype=str, keep_default_na=False)))

    def picture(self, name: str, path: Path) -> None:
        with Image.open(path) as image:
            self._writer.add_image(name, np.asarray(image.convert("RGB")), dataformats="HWC")

    def close(self) -> str:
        self._writer.close()
        return str(self._folder)


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows)
