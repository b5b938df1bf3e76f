"""A machine with GPUs that are not there: an nvidia-smi that lists them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest


def pretend(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    cards: Sequence[str],
    parts: Mapping[str, Sequence[str]] | None = None,
    memory: Mapping[str, str] | None = None,
) -> None:
    """Have nvidia-smi in `folder` list `cards` and the `parts` that some are divided into (UUIDs), in NVIDIA's words.

    `memory` is what it says of them, 24,564 MiB by default. The caller's choice of GPUs is forgotten.
    """
    listed = []
    for number, card in enumerate(cards):
        listed.append(f"GPU {number}: NVIDIA A100-SXM4-40GB (UUID: {card})")
        listed += [
            f"  MIG 1g.5gb      Device {device:2}: (UUID: {part})"
            for device, part in enumerate((parts or {}).get(card, ()))
        ]
    told = [f"{card}, {(memory or {}).get(card, '24564')}" for card in cards]
    lines = {"-L": listed, "--query-gpu=uuid,memory.total": told}
    cases = "".join(f"{option})\ncat <<'END'\n{chr(10).join(said)}\nEND\n;;\n" for option, said in lines.items())
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}*) exit 2 ;;\nesac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
