"""Datasets and policies that all benchmarks measure with; made once."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d4rl_automl.data import catalogue, transitions
from d4rl_automl.data.providers import embedded
from d4rl_automl.plan import config
from support import RESULTS
from support.processes import CORES

PREPARED = RESULTS / "prepared"
RECIPE = "medium-expert"


def entry(task: str, recipe: str = RECIPE, rows: int = 100_000) -> dict[str, Any]:
    """The embedded dataset of a robot: `rows` transitions."""
    name = f"{task}-{recipe}-embedded-benchmark"
    given = {"name": name, "provider": "embedded", "task": task, "recipe": recipe, "transitions": rows}
    return catalogue.entry(given)


def transitions_of(task: str) -> Path:
    """The transitions table of `entry(task)`, collected with the shipped behaviour policies."""
    folder = PREPARED / task
    output = folder / "transitions.parquet"
    if not output.exists():
        print(f"collecting {entry(task)['name']}", file=sys.stderr)
        embedded.collect(entry(task), folder / "raw.hdf5", folder / "raw.json", CORES)
        transitions.write(
            folder / "raw.hdf5",
            folder / "raw.json",
            entry(task),
            {"seed": 0, "validation": 0.1, "test": 0.1},
            output=output,
            episodes_output=folder / "episodes.parquet",
        )
    return output


def settings(task: str, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the config's `methods` or `teachers`, with its defaults."""
    named = {"name": "benchmark", **({"kind": "mlp"} if key == "methods" else {"preset": "medium"}), **given}
    # A method is what a config must have.
    methods = {"methods": [{"name": "mlp", "kind": "mlp"}]}
    return config.validated({"datasets": [entry(task)], **methods, key: [named]})[key][0]


def network(task: str, width: int, updates: int) -> Path:
    """The handle of a network of two layers of `width`, conditioned on the outcome, fitted to embedded data."""
    output = PREPARED / task / f"mlp{width}-{updates}-s0.json"
    if not output.exists():
        data = transitions_of(task)
        print(f"fitting 2x{width} to {data}", file=sys.stderr)
        from d4rl_automl.methods import mlp  # noqa: PLC0415  Torch, which the measured processes do without.

        method = {"name": f"mlp{width}-{updates}", "kind": "mlp", "network": {"width": width, "layers": 2}}
        method = settings(task, "methods", method | {"updates": updates, "batch_size": 1024})
        mlp.fit(transitions=str(data), settings=method, seed=0, device="cpu", threads=CORES, output=str(output))
    return output


def student(task: str) -> Path:
    """A network of a student's size that walks."""
    return network(task, 256, 2_000)


def rvs(task: str) -> Path:
    """A network of RvS's size."""
    return network(task, 1024, 300)
