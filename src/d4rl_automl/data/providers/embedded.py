"""Embedded datasets: collected here, by D4RL's recipe, with behaviour policies that ship."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from d4rl_automl import tasks
from d4rl_automl.data import recipes
from d4rl_automl.settings.kinds import DatasetEntry, Provider
from d4rl_automl.settings.models import Integer, OneOf


class Entry(DatasetEntry):
    """A dataset that is collected in the simulator."""

    provider: Literal["embedded"]
    task: Annotated[str, OneOf(recipes.tasks())]
    """The robot."""
    recipe: str
    """A recipe of resources/behaviour/recipes.csv."""
    transitions: Annotated[Integer, Field(ge=1)]
    """Number of rows."""
    seed: Annotated[Integer, Field(ge=0)] = 0
    """Seed of the collection."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "-embedded" not in self.name:
            raise ValueError(
                f"name is {self.name!r}, but an embedded dataset's contains -embedded, so that nobody takes it for "
                "D4RL's own data"
            )
        available = recipes.recipes(self.task)
        if self.recipe not in available:
            raise ValueError(f"recipe is {self.recipe!r}, but {self.task} has {', '.join(available)}")
        # Every source must have room for one episode of full length.
        least = round(tasks.get(self.task).episode_steps / min(available[self.recipe]))
        if self.transitions < least:
            raise ValueError(f"transitions is {self.transitions}, expected at least {least} for recipe {self.recipe}")
        return self


def _identity(entry: Entry) -> dict[str, Any]:
    """The entry, and the policies that collect it, with their SHA-256."""
    return {**entry.shaping(), "policies": recipes.sources(entry.task, entry.recipe)}


PROVIDER = Provider(
    name="embedded",
    entry=Entry,
    about="collected here by shipped behaviour policies: not D4RL's data",
    rule="collect",
    memory=3000,
    minutes=60,
    threads=2,
    own=True,
    simulates=True,
    resources=("mujoco210_inertia.json",),
    identity=_identity,
)


def fetch(entry: Entry, *, local: str, mirrors: Sequence[str], output: str, provenance: str, threads: int) -> None:
    """Collect the dataset in `threads` processes. Arguments as in `d4rl_automl.data.providers`."""
    from d4rl_automl.data import collection

    collection.collect(entry, output, provenance, processes=threads)
