"""A fit's state on disk, so that a killed fit goes on where it was."""

import dataclasses
import hashlib
import io
import json
import logging
import pickle
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from d4rl_automl.core.files import sha256, whole
from d4rl_automl.learners import fitting, networks, relabelling
from d4rl_automl.learners.fitting import Callback, Training
from d4rl_automl.policies import action_transform

SECONDS = 60.0
"""How much of a fit is lost, about, when it is killed."""

log = logging.getLogger(__name__)


class Checkpoint(Callback):
    """Saves a fit about every `SECONDS` to a file, and loads it where a fit of the same settings and rows starts.

    A file that is damaged, or of another fit, is passed over with a logged line, and nothing of it is executed. The
    file is left behind for the caller to delete when what the fit is for has been written.
    """

    def __init__(self, path: str | Path, *decisive: Any) -> None:
        """`decisive`, as JSON has it: what else must be as it was for the fit to go on."""
        self.path, self._decisive = Path(path), decisive

    def on_start(self, training: Training) -> None:
        self._key = _key(training, *self._decisive)
        found = _read(self.path)
        if found is not None and found["key"] == self._key:
            training.load_state_dict(found["training"])
            log.info("%s: the fit goes on after update %d", self.path, training.update)
        elif found is not None:
            log.info("%s: is of other settings, rows, code, device or torch; the fit starts anew", self.path)
        self._saved = time.perf_counter()

    def on_update(self, training: Training) -> None:
        if time.perf_counter() - self._saved < SECONDS:
            return
        buffer = io.BytesIO()
        torch.save({"key": self._key, "training": training.state_dict()}, buffer)
        # Not by torch itself: on a full disk it says "unexpected pos" and no more.
        with whole(self.path) as part:
            part.write_bytes(buffer.getbuffer())
        log.info("update %d: checkpoint", training.update)
        self._saved = time.perf_counter()


def _key(training: Training, *others: Any) -> str:
    """SHA-256 of all that decides the fitted weights: arguments, rows, and the code, that of this file included."""
    code = networks.__file__, fitting.__file__, relabelling.__file__, action_transform.__file__, __file__
    decisive = [
        dataclasses.asdict(training.settings),
        training.seed,
        training.device,
        training.threads,
        torch.__version__,
        *map(sha256, code),
        *others,
    ]
    digest = hashlib.sha256(json.dumps(decisive).encode())
    for samples in (training.train, training.validation):
        drawn = () if samples.relabelling is None else samples.relabelling.arrays()
        for array in (samples.inputs(), samples.actions, *drawn):
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    """What was saved; None where there is nothing, or nothing that can be read."""
    try:
        # torch itself does not compare the checksums that it has written.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        # Tensors, numbers and containers of them: nothing of a checkpoint is executed.
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        log.warning("%s: cannot be read (%s); the fit starts anew", path, error)
        return None
