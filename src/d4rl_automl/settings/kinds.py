"""What the kinds of methods and of providers are to the plan: their settings, what they need, make and cost.

A method is a module of `d4rl_automl.methods`, a provider one of `d4rl_automl.data.providers`. Each holds its settings,
its description (`METHOD`, `PROVIDER`) and the function that does the work, which imports its libraries when it is
called: reading the workflow must not load them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from d4rl_automl import tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.settings.models import NOT_SHAPING, Flag, Integer, Model, Name, Number, OneOf, numbers_in
from d4rl_automl.tasks.outcomes import OutcomeRule

# Methods ---------------------------------------------------------------------------------------

AUTOGLUON_MODELS = ("CAT", "GBM", "GBM_PREP", "LR", "NN_TORCH", "REALMLP", "RF", "TABM", "XGB", "XT")
"""Keys of AutoGluon's models that are installed with it (the extras in pyproject.toml)."""

FASTER_ON_GPU = frozenset({"TABM"})
"""Of these models, those that a GPU fits faster than eight threads do, as measured (docs/evidence/performance.md, "On a
GPU"): TABM, 22 times. NN_TORCH and REALMLP take twice as long on it, CAT four times and GBM thirty. XGB takes 18 %
less, which the lock's XGBoost, built without CUDA, cannot; what is not measured is fitted by the processor.
"""

PRECISIONS = ("float32", "tf32", "bfloat16")
"""Of matrix products on a GPU. tf32 rounds operands to 10 bits of mantissa and sums in float32, as torch did by default
on Ampere cards until 1.11, and so RvS; bfloat16 rounds operands and results to 7 bits.
"""

# Settings that several kinds have, each with its sentence; a kind may give it a default of its own.
Datasets = Annotated[
    tuple[str, ...] | None,
    Field(min_length=1, description="Only for these datasets; for all when left out."),
    NOT_SHAPING,
]
SelectionEpisodes = Annotated[
    Integer | None,
    Field(ge=1, description="Episodes per target for choosing the reported target; the rollouts' own when left out."),
    NOT_SHAPING,
]
ReportEpisodes = Annotated[
    Integer | None,
    Field(ge=1, description="Episodes per target whose returns are reported; the rollouts' own when left out."),
    NOT_SHAPING,
]
Rows = Annotated[
    Integer | None,
    Field(
        ge=100,
        description="Training transitions drawn from the dataset; all when null. As many as a teacher's, with the same "
        "seed, are the same ones.",
    ),
]
Teacher = Annotated[Name, Field(description="The teacher that it is made from.")]
TimeLimit = Annotated[
    Number,
    Field(gt=0, description="Seconds per action dimension on the teacher's `threads`; on fewer, more by as much."),
]
Hyperparameters = Annotated[
    dict[Annotated[str, OneOf(AUTOGLUON_MODELS)], Any] | None,
    Field(
        min_length=1,
        description="AutoGluon's hyperparameters, by the key of its models; models that are not named are not trained.",
    ),
    AfterValidator(numbers_in),
]
Export = Annotated[
    Flag,
    Field(
        description="Play the predictors as one ONNX graph, several times as fast and equal to 1e-4. The job fails, "
        "and names the model, where they are anything but AutoGluon's networks (NN_TORCH) and weighted sums of them.",
    ),
]
Updates = Annotated[Integer, Field(ge=1, description="Steps of gradient descent.")]
BatchSize = Annotated[Integer, Field(ge=1, description="Rows of one step of gradient descent.")]
FallingLearningRate = Annotated[
    Number, Field(gt=0, description="Adam's at the first step; it falls to zero along a half cosine.")
]
ConstantLearningRate = Annotated[Number, Field(gt=0, description="Adam's.")]
Precision = Annotated[
    str,
    OneOf(PRECISIONS),
    Field(description="Of the matrix products of a fit on a GPU; a CPU computes them in float32."),
]
Checkpoints = Annotated[
    Integer,
    Field(
        ge=0,
        le=20,
        description="At how many points of its fit the policy is kept as well and played, for the figure of returns by "
        "checkpoint. The policy itself is the same.",
    ),
    NOT_SHAPING,
]
Trees = Annotated[Integer, Field(ge=1, description="Trees of the forest; each answers for all action dimensions.")]
Depth = Annotated[Integer, Field(ge=1, le=16, description="Depth of a tree at most.")]
Shrinkage = Annotated[Number, Field(gt=0, le=1, description="Share of a tree's answer that is added.")]


@dataclass(frozen=True)
class NetworkFit:
    """The fit of one network, by what its cost depends on."""

    width: int
    layers: int
    batch_size: int
    updates: int
    precision: str


@dataclass(frozen=True)
class ForestFit:
    """The fit of one forest, by what its cost depends on."""

    trees: int
    depth: int


class MethodSettings(Model):
    """What every method has; each kind adds its own."""

    name: Name
    kind: str
    """The module of d4rl_automl.methods that makes it."""
    datasets: Datasets = None
    selection_episodes: SelectionEpisodes = None
    report_episodes: ReportEpisodes = None

    @property
    def taught_by(self) -> str | None:
        """The name of its teacher; None for a method that has none."""
        return getattr(self, "teacher", None)

    @property
    def needs_episodes(self) -> bool:
        """Whether it is made of rewards-to-go or returns, and not of single rows alone."""
        return True

    @property
    def exported(self) -> bool:
        """Whether AutoGluon's predictors are played as one ONNX graph."""
        return getattr(self, "export", False)

    @property
    def points(self) -> int:
        """At how many points of its fit the policy is kept besides."""
        return getattr(self, "checkpoints", 0)

    def fitted(self, rows: int) -> NetworkFit | ForestFit | None:
        """What is fitted to a dataset of so many rows; None where others fit it, or another library chooses."""
        return None


class NetworkSize(Model):
    """Hidden layers of one joint network for all action dimensions."""

    width: Annotated[Integer, Field(ge=1)] = 256
    """Units of a hidden layer."""
    layers: Annotated[Integer, Field(ge=1)] = 2
    """Hidden layers."""


class NetworkSettings(MethodSettings):
    """What every method has that is a network fitted by gradient descent."""

    network: NetworkSize = NetworkSize()
    """Hidden layers of one joint network for all action dimensions."""
    updates: Updates = 12_000
    batch_size: BatchSize
    learning_rate: Annotated[Number, Field(gt=0)]
    precision: Precision = "float32"
    checkpoints: Checkpoints = 0

    def fitted(self, rows: int) -> NetworkFit:
        """As many updates, however many rows."""
        return NetworkFit(self.network.width, self.network.layers, self.batch_size, self.updates, self.precision)


class ForestSettings(MethodSettings):
    """What every method has that is a forest."""

    trees: Trees
    depth: Depth
    learning_rate: Shrinkage

    def fitted(self, rows: int) -> ForestFit:
        """As many trees, however many rows."""
        return ForestFit(self.trees, self.depth)


class Needs(Enum):
    """What a method is fitted to. Every method is given the transitions, some for the dataset's facts alone."""

    NOTHING = "the transitions"
    LABELS = "the teacher's labels"
    PREDICTORS = "the teacher's predictors"
    DISTILLED = "predictors distilled by AutoGluon"


@dataclass(frozen=True)
class Making:
    """One way in which a method's policy comes out: a rule of the workflow."""

    rule: str
    """Its name."""
    format: str
    """A name of `policies.formats.FORMATS`."""
    memory: int
    """MB of the first attempt."""
    minutes: int
    """Of the first attempt."""
    beside: tuple[str, ...] = ()
    """Tables that are left beside the policy: "curve", "importance"."""
    modules: tuple[str, ...] = ()
    """Modules of this package that are loaded only for this, and that `fit` itself does not import."""


@dataclass(frozen=True)
class Method:
    """A kind of method."""

    kind: str
    """The name of its module."""
    settings: type[MethodSettings]
    about: str
    """What is played, in a few words."""
    outcome: OutcomeRule | None
    """What its policies are conditioned on in tasks without a goal; None where it is not defined in them."""
    makings: tuple[Making, ...]
    """The first is how it is made; a second one, how it is made when it is exported."""
    goal_outcome: OutcomeRule | None = None
    """The same in goal-reaching tasks; as in others when left out."""
    why_not_others: str = ""
    """What is said to who asks for it where it is not defined."""
    needs: Needs = Needs.NOTHING
    held_out: tuple[str, ...] = ()
    """Splits of held-out episodes without which it cannot be made ("validation", "test"), besides those of its
    teacher."""
    faster_on_gpu: bool = False
    """Whether a GPU makes its fit faster, which then asks for one; what `d4rl_automl.teachers` fits for it says so by
    `FASTER_ON_GPU`. Measured (docs/evidence/performance.md, "On a GPU"): 1,000 updates of the smallest network take
    0.16 s on a card and 2.2 s on a thread, those of the largest 2.65 s and 1,263 s. Forests are fitted by the
    processor alone; why, although a card is faster, is said there."""
    control: bool = False
    """Whether it is what the others are compared with where the config names no reference."""
    reserved: str | None = None
    """A regular expression of names that no method of another kind may begin with."""

    def outcome_for(self, task: str) -> OutcomeRule:
        """What its policies are conditioned on in a task; InputError where it is not defined in it."""
        rule = self.outcome if tasks.get(task).goal is None else self.goal_outcome or self.outcome
        if rule is None:
            raise InputError(f"kind {self.kind} is not defined in {task}: {self.why_not_others}")
        return rule

    def making(self, settings: MethodSettings) -> Making:
        """How the policy of a method with these settings is made."""
        return self.makings[settings.exported]


# Providers -------------------------------------------------------------------------------------


class DatasetEntry(Model):
    """A dataset, of the config or of the catalogue; each provider adds its fields."""

    name: str
    """Its id, a folder's name below results/."""
    provider: str
    """Where it comes from."""
    task: str
    """What a policy is played in: a robot, or an ant and its maze."""


@dataclass(frozen=True)
class Provider:
    """A source of datasets."""

    name: str
    """The name of its module."""
    entry: type[DatasetEntry]
    about: str
    """What it provides, in a few words."""
    rule: str
    """The name of its rule."""
    memory: int
    """MB of the first attempt."""
    minutes: int
    """Of the first attempt."""
    threads: int = 1
    retries: int = 0
    downloads: int = 0
    """Slots of the resource `download` that a job takes."""
    local: bool = False
    """Whether it runs where Snakemake does, even on a cluster."""
    own: bool = False
    """Whether a config may define such datasets itself; else they are those of the catalogue."""
    simulates: bool = False
    """Whether it plays the task's robot."""
    resources: tuple[str, ...] = ()
    """Files of `resources/` that its function reads."""
    identity: Callable[[Any], Mapping[str, Any]] = lambda entry: entry.shaping()
    """What identifies the data of an entry: another value, and everything made of them is stale."""
