"""Which device a training job uses."""

import logging
import os
from typing import NamedTuple

import torch

from d4rl_automl.core.errors import InputError

log = logging.getLogger(__name__)


class Device(NamedTuple):
    """A resolved device."""

    name: str
    """torch's name: "cpu" or "cuda"."""
    num_gpus: int
    """GPUs to use, as AutoGluon's `num_gpus`: 0 or 1."""


def resolve(device: str) -> Device:
    """The device behind the config's `device`.

    "cpu" is the CPU. "auto" is the GPU where torch finds one, else the CPU, with a logged
    line. "cuda" is the GPU; InputError where torch finds none.
    """
    if device == "cpu":
        return Device("cpu", 0)
    if device not in ("auto", "cuda"):
        raise InputError(f"device: found {device!r}; allowed: cpu, auto, cuda")
    if torch.cuda.is_available():
        return Device("cuda", 1)
    if device == "cuda":
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        if torch.version.cuda is None:
            why = "is built without CUDA: install a CUDA build of it"
        elif hidden == "":
            why = "finds no CUDA device, and CUDA_VISIBLE_DEVICES is empty, which hides all: unset it"
        elif hidden is not None:
            why = (
                f"finds no CUDA device {hidden} (CUDA_VISIBLE_DEVICES): see whether `nvidia-smi -L` lists it, and "
                f"`nvidia-smi` a driver for CUDA {torch.version.cuda}"
            )
        else:
            why = "finds no CUDA device: see whether `nvidia-smi` does, which tells of the driver"
        raise InputError(f"device: found 'cuda', but torch {torch.__version__} {why}; or set device to auto or cpu")
    log.info("device: auto, torch %s finds no CUDA device, so the CPU is used", torch.__version__)
    return Device("cpu", 0)
