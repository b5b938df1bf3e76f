"""The recording of D4RL's own environments on MuJoCo 2.1.0 (tests/oracle/record.py), and what equals it.

NumPy is all that it takes: the wheel is held against it in environments that have little else.
"""

import json
from collections.abc import Mapping

import numpy as np

from tests.support.project import ROOT

RECORDING = ROOT / "tests/oracle/mujoco210.npz"


def part(recording: Mapping[str, np.ndarray], task: str, which: str) -> dict[str, np.ndarray]:
    prefix = f"{task}/{which}/"
    return {name.removeprefix(prefix): values for name, values in recording.items() if name.startswith(prefix)}


def is_kind(recording: Mapping[str, np.ndarray], rows: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    return rows["kind"] == json.loads(str(recording["metadata"]))["kinds"].index(name)


def is_exact(errors: np.ndarray) -> bool:
    return (errors <= 1e-9).mean() >= 0.99 and errors.max() <= 1e-6


def is_determined(steps: Mapping[str, np.ndarray]) -> np.ndarray:
    return steps["twin_error"] <= 1e-6
