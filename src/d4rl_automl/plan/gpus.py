"""Which GPUs a run would find, told without torch: reading the workflow must not load it."""

import os
from importlib.util import find_spec
from pathlib import Path

from d4rl_automl.core.gpus import nvidia_smi, visible

DRIVER = Path("/proc/driver/nvidia/gpus")
"""Where NVIDIA's driver on Linux has a folder for each card."""


def found() -> tuple[list[str], str]:
    """The names of the cards that jobs started here find, and, where there is none, why."""
    count = len(visible())
    if not count:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        return [], "nvidia-smi finds none" if hidden is None else f"CUDA_VISIBLE_DEVICES is {hidden!r}"
    if _built_without_cuda():
        return [], "torch is built without CUDA, though there is a card"
    # Of a machine with several sorts of cards the first is taken for all.
    return [(_names() or ["of an unknown name"])[0]] * count, ""


def _names() -> list[str]:
    models = []
    for information in sorted(DRIVER.glob("*/information")):
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        models += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    # Elsewhere than on plain Linux, such as in WSL, the driver has no such folder.
    return models or [line.strip() for line in nvidia_smi("--query-gpu=name", "--format=csv,noheader") if line.strip()]


def _built_without_cuda() -> bool:
    """Whether the torch of this Python says so of itself; of another environment's nothing is known."""
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        return False
    version = Path(spec.submodule_search_locations[0], "version.py")
    text = version.read_text(encoding="utf-8") if version.is_file() else ""
    return any(line.startswith("cuda") and line.rpartition("=")[2].strip() == "None" for line in text.splitlines())
