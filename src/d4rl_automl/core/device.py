"""Which device a training job uses."""

import logging
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
        raise InputError(
            f"device: found 'cuda', but torch {torch.__version__} finds no CUDA device; "
            "set device to auto or cpu, or install the driver and a CUDA build of torch"
        )
    log.info("device: auto, torch %s finds no CUDA device, so the CPU is used", torch.__version__)
    return Device("cpu", 0)
