"""The configuration: what to train, on which datasets, and how to play it."""

import functools
import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationError

from d4rl_automl import simulators, tasks
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import catalogue
from d4rl_automl.films.table import FILMS
from d4rl_automl.methods.table import METHODS
from d4rl_automl.settings import told
from d4rl_automl.settings.kinds import DatasetEntry, MethodSettings
from d4rl_automl.settings.models import DIFFERENT, NOT_SHAPING, Integer, Model, Number, OneOf, Place
from d4rl_automl.simulators import SIMULATORS
from d4rl_automl.teachers.settings import HELD_OUT, TeacherSettings
from d4rl_automl.tracking import table as tracking

Share = Annotated[Number, Field(ge=0, lt=0.5)]
Count = Annotated[Integer, Field(ge=0)]
_ANY_METHOD: Any = functools.reduce(operator.or_, (method.settings for method in METHODS.values()))
Method = Annotated[_ANY_METHOD, Field(discriminator="kind")]
Mirror = Annotated[str, Field(pattern="^https?://[^ ]+$")]


class Split(Model):
    """Shares of the finished episodes that are held out, by whole episodes."""

    seed: Count = 0
    """Seed of the split alone."""
    validation: Share = 0.1
    """Share used for tuning. 0 holds nothing back, for methods that need no such episodes."""
    test: Share = 0.1
    """Share used for the reported loss. 0 as for validation: the cells of that loss then stay empty."""


class Labels(Model):
    """What a teacher labels for its students, in rows."""

    recorded: Annotated[Integer, Field(ge=1)] = 50_000
    """Recorded states with their recorded outcome."""
    perturbed: Count = 25_000
    """Recorded states with noise added."""
    commanded: Count = 75_000
    """Recorded states with outcomes that will be commanded."""
    noise: Annotated[Number, Field(ge=0)] = 0.05
    """Standard deviation of the noise as a share of each observation's own."""


class Rollout(Model):
    """How policies are played."""

    seed: Count = 0
    """Seed of the initial states."""
    fractions: Annotated[tuple[Number, ...], Field(min_length=1), DIFFERENT] = (
        *(0.3, 0.4, 0.5, 0.6, 0.7),
        *(0.8, 0.9, 1.0, 1.1, 1.2),
    )
    """Commanded returns, as fractions of the expert's (normalised score / 100)."""
    selection_episodes: Annotated[Integer, Field(ge=1)] = 20
    """Episodes per target for choosing the reported target."""
    report_episodes: Annotated[Integer, Field(ge=1)] = 200
    """Episodes per target whose returns are reported."""
    checkpoint_episodes: Annotated[Integer, Field(ge=1)] = 20
    """Episodes of each of a method's `checkpoints`, at the target that was chosen for its policies."""
    processes: Annotated[Integer, Field(ge=1), NOT_SHAPING] = 1
    """Processes of one thread each that one rollout job is split over. Many jobs side by side with one process each are
    the fastest use of a machine."""


class Config(Model):
    """What to train, on which datasets, and how to play it. Lists are replaced, not merged, by --configfile."""

    datasets: Annotated[tuple[SerializeAsAny[DatasetEntry], ...], Field(min_length=1)]
    """Names from resources/catalogue.csv, or mappings that define a dataset of your own."""
    d4rl_dir: Place = catalogue.D4RL_DIR
    """Folder that is looked in for D4RL's files, by their own names, before anything is downloaded; ~ is the home
    folder, a relative path starts at the working directory. Where D4RL itself keeps them by default."""
    mirrors: Annotated[tuple[Mirror, ...], DIFFERENT] = catalogue.MIRRORS
    """Base URLs of hosts that have D4RL's files under their own names, tried in this order after D4RL's own host. What
    arrives is checked against the catalogue's SHA-256, whoever it comes from."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1), DIFFERENT] = (0,)
    """Training seeds. Every teacher and every method is trained once with each."""
    reference: str | None = None
    """Name of the method that the others are compared with (probability of improvement). By default the first of kind
    mlp, the network fitted to the data directly, or else the first method."""
    device: Literal["cpu", "auto", "cuda"] = "auto"
    """Where training runs. auto: what a GPU makes faster, on a GPU where there is one; the rest on the processor,
    beside it. cpu: all on the processor. cuda: all that can use a GPU, on one; it fails where there is none."""
    tracker: Annotated[
        str,
        OneOf((tracking.NONE, *tracking.TRACKERS)),
        Field(
            description="Where curves, as they come, and the final tables and figures go besides: nowhere, into "
            "TensorBoard's event files or to Weights & Biases (docs/methods.md). Nothing reruns for it."
        ),
        NOT_SHAPING,
    ] = tracking.NONE
    simulators: Annotated[
        tuple[Annotated[str, OneOf(SIMULATORS)], ...],
        Field(
            min_length=1,
            description="Variants of the simulator that policies are played in. "
            + " ".join(f"{variant.name}: {variant.description}" for variant in SIMULATORS.values()),
        ),
        DIFFERENT,
    ] = ("d4rl",)
    split: Split = Split()
    """Shares of the finished episodes that are held out, by whole episodes."""
    teachers: tuple[TeacherSettings, ...] = ()
    """AutoGluon teachers, each one predictor per action dimension."""
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = ()
    """Policies to make and play. A method's kind is the module of d4rl_automl.methods that makes it."""
    labels: Labels = Labels()
    """What a teacher labels for its students, in rows."""
    rollout: Rollout = Rollout()
    """How policies are played."""
    films: Annotated[tuple[Annotated[str, OneOf(FILMS)], ...], DIFFERENT] = ()
    """Films that a run makes and its report shows, of every dataset: of the best method that is no teacher, or of the
    best teacher that is played, the median or the worst of the reported episodes. The target `films` makes all four."""

    def teachers_for(self, dataset: str) -> list[TeacherSettings]:
        """The teachers that are made for a dataset."""
        return [teacher for teacher in self.teachers if _is_for(teacher, dataset)]

    def methods_for(self, dataset: str) -> list[MethodSettings]:
        """The methods that are made for a dataset, as their teacher must be too."""
        teachers = {teacher.name for teacher in self.teachers_for(dataset)}
        return [m for m in self.methods if _is_for(m, dataset) and (m.taught_by is None or m.taught_by in teachers)]


def validated(given: Mapping[str, Any]) -> Config:
    """The configuration of a mapping as YAML gives it, defaults filled in and `datasets` as full entries.

    Teachers and methods are kept from the datasets whose task has no simulator.

    Raises InputError naming the path of the wrong key, what was found and what is allowed:
    for a wrong key, type or value; a name used twice; an unknown dataset; a method whose
    teacher does not exist; a method that is called RvS-R or RvS-G and is not; a method of a kind that is not defined in
    a dataset's task; a teacher or method for a
    dataset whose task has no simulator; a simulator that a dataset's task is not played in; a teacher or
    method that needs episodes which the split does not hold out.
    """
    given = dict(given)
    faults: list[tuple[str, str]] = []
    if isinstance(given.get("datasets"), list | tuple):
        given["datasets"], faults = _entries(given["datasets"])
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        faults = [*told.sentences(error, tagged=("methods",)), *faults]
    if faults:
        raise InputError("config: " + "; ".join(f"{path or '(top level)'}: {sentence}" for path, sentence in faults))
    for key, entries in (("datasets", config.datasets), ("teachers", config.teachers), ("methods", config.methods)):
        _refuse_twice(key, [entry.name for entry in entries])
    _refuse_unknown(config)
    _refuse_misnamed(config)
    _refuse_without_episodes(config)
    config = _keep_to_simulated(config.model_copy(update={"reference": _reference(config)}))
    _refuse_undefined(config)
    _refuse_nothing_held_out(config)
    return config


def _is_for(entry: TeacherSettings | MethodSettings, dataset: str) -> bool:
    """Whether a teacher or a method is made for a dataset."""
    return entry.datasets is None or dataset in entry.datasets


def _entries(given: Iterable[Any]) -> tuple[list[Any], list[tuple[str, str]]]:
    """The entries of datasets, and what is wrong with them."""
    entries, faults = [], []
    for index, dataset in enumerate(given):
        try:
            entries.append(catalogue.entry(dataset))
        except catalogue.EntryError as error:
            faults += [(f"datasets[{index}]{'.' if path else ''}{path}", sentence) for path, sentence in error.faults]
    # An empty list is told by the model itself.
    return entries or [DatasetEntry(name="", provider="", task="")] * bool(faults), faults


def _refuse_twice(key: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"config: {key}: the name {twice[0]!r} is used {Counter(names)[twice[0]]} times; choose another"
        )


def _refuse_misnamed(config: Config) -> None:
    for kind in METHODS.values():
        for index, method in enumerate(config.methods):
            if kind.reserved and method.kind != kind.kind and re.match(kind.reserved, method.name):
                raise InputError(
                    f"config: methods[{index}].name: found {method.name!r}, but its kind is {method.kind}; only a "
                    f"method of kind {kind.kind}, which has the published settings, may be called so; choose another "
                    "name"
                )


def _refuse_without_episodes(config: Config) -> None:
    """Of rows in no order there is only what needs no episodes."""
    for entry in config.datasets:
        if getattr(entry, "ends", None) != "none":
            continue
        made = [
            ("teachers", index, teacher.name)
            for index, teacher in enumerate(config.teachers)
            if _is_for(teacher, entry.name)
        ]
        made += [
            ("methods", index, method.name)
            for index, method in enumerate(config.methods)
            if method.needs_episodes and _is_for(method, entry.name)
        ]
        if made:
            key, index, name = made[0]
            raise InputError(
                f"config: {key}[{index}]: {name!r} is made of returns, but the rows of {entry.name!r} are in no order "
                "(ends: none); name its other datasets in its `datasets`, or leave it out"
            )


def _refuse_undefined(config: Config) -> None:
    """Of a task in which its kind is not defined a method cannot be made."""
    for entry in config.datasets:
        for method in config.methods_for(entry.name):
            try:
                METHODS[method.kind].outcome_for(entry.task)
            except InputError as error:
                raise InputError(
                    f"config: methods[{config.methods.index(method)}]: {method.name!r} cannot be made of "
                    f"{entry.name!r}: {error}; name its other datasets in its `datasets`, or leave it out"
                ) from None


def _refuse_unknown(config: Config) -> None:
    datasets = [entry.name for entry in config.datasets]
    # A teacher of config/config.yaml may be restricted to datasets that an overlay left out.
    known = {*datasets, *catalogue.names()}
    for key, entries in (("teachers", config.teachers), ("methods", config.methods)):
        for index, entry in enumerate(entries):
            unknown = [name for name in entry.datasets or () if name not in known]
            if unknown:
                where = f"config: {key}[{index}].datasets"
                allowed = f"datasets of this config ({', '.join(datasets)}) or of the catalogue"
                raise InputError(f"{where}: found {unknown[0]!r}; allowed: {allowed}")
    teachers = [teacher.name for teacher in config.teachers]
    for index, method in enumerate(config.methods):
        if method.taught_by is not None and method.taught_by not in teachers:
            allowed = ", ".join(teachers) or "none is defined"
            raise InputError(
                f"config: methods[{index}].teacher: found {method.taught_by!r}; teachers of this config: {allowed}"
            )


def _reference(config: Config) -> str | None:
    """The reference, which must be a method; where none is named, it is the first control, or the first method."""
    names = [method.name for method in config.methods]
    if config.reference is None:
        return next((m.name for m in config.methods if METHODS[m.kind].control), next(iter(names), None))
    if config.reference not in names:
        allowed = ", ".join(names) or "none is defined"
        raise InputError(f"config: reference: found {config.reference!r}; methods of this config: {allowed}")
    return config.reference


def _keep_to_simulated(config: Config) -> Config:
    """Restrict teachers and methods to the datasets whose policies can be played, and see that each has one."""
    played = tuple(entry.name for entry in config.datasets if entry.task in tasks.SIMULATED)
    data_only = {entry.name: entry.task for entry in config.datasets if entry.name not in played}
    kept: dict[str, tuple[Any, ...]] = {}
    for key, entries in (("teachers", config.teachers), ("methods", config.methods)):
        for index, entry in enumerate(entries):
            for name in entry.datasets or ():
                if name in data_only:
                    raise InputError(
                        f"config: {key}[{index}].datasets: found {name!r}, but {data_only[name]} has no simulator yet: "
                        "of this dataset there are the data (`snakemake transitions`), no teachers and no policies; "
                        "take it from this list"
                    )
        restricted = {"datasets": played}
        kept[key] = tuple(
            entry.model_copy(update=restricted)
            if data_only and entry.datasets is None and getattr(entry, "taught_by", None) is None
            else entry
            for entry in entries
        )
    config = config.model_copy(update=kept)
    for entry in config.datasets:
        for simulator in config.simulators if entry.name in played else ():
            try:
                simulators.check(entry.task, simulator)
            except InputError as error:
                raise InputError(f"config: simulators: {entry.name}: {error}") from None
    for dataset in played:
        if not config.methods_for(dataset):
            raise InputError(f"config: datasets: {dataset!r} has no method: every one is restricted to other datasets")
    return config


def _refuse_nothing_held_out(config: Config) -> None:
    """Refuse teachers and methods that are made for a dataset, but from a split whose share is 0."""
    datasets = [entry.name for entry in config.datasets]
    teachers = {entry.name: HELD_OUT for name in datasets for entry in config.teachers_for(name)}
    methods = {
        entry.name: METHODS[entry.kind].held_out + (HELD_OUT if entry.taught_by else ())
        for name in datasets
        for entry in config.methods_for(name)
    }
    for split in ("validation", "test"):
        needing = [
            f"{what} {name}"
            for what, entries in (("teacher", teachers), ("method", methods))
            for name, needed in entries.items()
            if split in needed
        ]
        if getattr(config.split, split) == 0 and needing:
            raise InputError(
                f"config: split.{split}: found 0, but {split} episodes are needed by {', '.join(needing)}; hold some "
                "out, or leave these out of the config"
            )
