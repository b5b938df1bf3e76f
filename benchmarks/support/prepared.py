"""Datasets and policies that all benchmarks measure with; made once."""

import sys
from pathlib import Path

from d4rl_automl.data import collection, making
from d4rl_automl.data.providers import embedded
from d4rl_automl.methods import mlp
from d4rl_automl.settings.kinds import NetworkSize
from support import RESULTS
from support.processes import CORES

PREPARED = RESULTS / "prepared"
RECIPE = "medium-expert"
SPLIT = {"seed": 0, "validation": 0.1, "test": 0.1}
"""Of the transitions tables, as `making.split_episodes` takes it."""


def entry(task: str, recipe: str = RECIPE, rows: int = 100_000) -> embedded.Entry:
    """The embedded dataset of a robot: `rows` transitions."""
    name = f"{task}-{recipe}-embedded-benchmark"
    return embedded.Entry(name=name, provider="embedded", task=task, recipe=recipe, transitions=rows)


def transitions_of(task: str) -> Path:
    """The transitions table of `entry(task)`, collected with the shipped behaviour policies."""
    folder = PREPARED / task
    output = folder / "transitions.parquet"
    if not output.exists():
        print(f"collecting {entry(task).name}", file=sys.stderr)
        collection.collect(entry(task), folder / "raw.hdf5", folder / "raw.json", CORES)
        making.make_transitions(
            folder / "raw.hdf5",
            folder / "raw.json",
            SPLIT,
            output=output,
            episodes_output=folder / "episodes.parquet",
        )
    return output


def network(task: str, width: int, updates: int) -> Path:
    """The handle of a network of two layers of `width`, conditioned on the outcome, fitted to embedded data."""
    output = PREPARED / task / f"mlp{width}-{updates}-s0.json"
    if not output.exists():
        data = transitions_of(task)
        print(f"fitting 2x{width} to {data}", file=sys.stderr)
        settings = mlp.Settings(
            name=f"mlp{width}-{updates}",
            kind="mlp",
            network=NetworkSize(width=width, layers=2),
            updates=updates,
            batch_size=1024,
        )
        mlp.fit(transitions=str(data), settings=settings, seed=0, device="cpu", threads=CORES, output=str(output))
    return output


def student(task: str) -> Path:
    """A network of a student's size that walks."""
    return network(task, 256, 2_000)


def rvs(task: str) -> Path:
    """A network of RvS's size."""
    return network(task, 1024, 300)
