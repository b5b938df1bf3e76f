"""Teacher-labelled states: what a student is fitted to.

    ob0 … ob{d-1}, the outcome's, ac0 … ac{a-1}   float32   state, outcome (rtg or goal_x, goal_y), the teacher's action
    kind                                          string    how the pair of state and outcome was drawn, see `draw`
    split                                         string    train or validation: the split of the recorded state

Every state is a recorded one or lies beside one: a student that saw a simulator's states would no
longer be learned from offline data alone.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tqdm import tqdm

from d4rl_automl import tasks
from d4rl_automl.core import parquet, tables
from d4rl_automl.data.transitions import Transitions
from d4rl_automl.data.transitions import read as read_transitions
from d4rl_automl.policies import autogluon, handle
from d4rl_automl.tasks.outcomes import OutcomeRule
from d4rl_automl.teachers.facts import taught_by, training_of
from d4rl_automl.teachers.settings import outcome_for
from d4rl_automl.teachers.settings import recorded as recorded_outcomes

SPLITS = ("train", "validation")
KINDS = ("recorded", "perturbed", "commanded")
BATCH = 10_000
"""Rows that are labelled at a time."""

log = logging.getLogger(__name__)


class Mixture(NamedTuple):
    """What is asked: rows of each of `KINDS`, and the noise."""

    recorded: int
    perturbed: int
    commanded: int
    noise: float
    """Of the perturbed rows, as a share of each observation's standard deviation."""


class Questions(NamedTuple):
    """What the teacher is asked, one row per pair of state and outcome."""

    observations: NDArray[np.float32]  # (N, d)
    outcomes: NDArray[np.float32]  # (N, k)
    kinds: NDArray[np.int8]  # (N,) indices into `KINDS`
    splits: NDArray[np.int8]  # (N,) indices into `SPLITS`


def draw(splits: Mapping[str, Transitions], fractions: Sequence[float], mixture: Mixture, seed: int) -> Questions:
    """Pairs of state and outcome, drawn from each split's rows.

    Arguments
        splits: the rows of "train" and "validation". Test rows need no labels: policies are compared by acting.
        fractions: of the expert's return that will be commanded; none where a goal is.
        mixture: of the training split. Validation has the same in proportion to its rows.
        seed: the same seed, the same pairs.

    Kinds
        recorded: a state with its recorded outcome, each at most once; a goal is drawn, of the positions that the
            episode came to later.
        perturbed: the same with Gaussian noise on the state, of `noise` times each observation's
            standard deviation over the training rows.
        commanded: a state with an outcome like those that will be commanded: uniform from the least to the greatest
            average reward-to-go of what will be and of the training rows; a goal as the task draws them.
    """
    train = splits["train"]
    task = tasks.get(train.metadata["task"])
    rule = outcome_for(task.name)
    deviation = train.observations.std(axis=0, dtype=np.float64)
    generator = np.random.default_rng(seed)
    recorded = {split: recorded_outcomes(splits[split], generator) for split in SPLITS}
    parts: list[tuple[NDArray[Any], NDArray[Any], int, int]] = []
    for code, split in enumerate(SPLITS):
        rows = splits[split]
        count = {kind: -(-getattr(mixture, kind) * len(rows.rtg) // len(train.rtg)) for kind in KINDS}

        index = generator.permutation(len(rows.rtg))[: count["recorded"]]
        parts.append((rows.observations[index], recorded[split][index], KINDS.index("recorded"), code))

        index = generator.integers(len(rows.rtg), size=count["perturbed"])
        noise = mixture.noise * deviation * generator.standard_normal((len(index), len(deviation)))
        parts.append((rows.observations[index] + noise, recorded[split][index], KINDS.index("perturbed"), code))

        index = generator.integers(len(rows.rtg), size=count["commanded"])
        drawn = rule.like_commanded(task, fractions, recorded["train"], generator=generator, count=len(index))
        parts.append((rows.observations[index], drawn, KINDS.index("commanded"), code))
    sizes = [len(outcomes) for _, outcomes, _, _ in parts]
    observations, outcomes, kinds, codes = zip(*parts, strict=True)
    return Questions(
        np.concatenate(observations, dtype=np.float32),
        np.concatenate(outcomes, dtype=np.float32),
        np.repeat(np.array(kinds, np.int8), sizes),
        np.repeat(np.array(codes, np.int8), sizes),
    )


def write(
    *,
    transitions: str | Path,
    deployed: Sequence[str | Path],
    fractions: Sequence[float],
    mixture: Mixture,
    seed: int,
    threads: int,
    output: str | Path,
) -> None:
    """Let a teacher label the pairs of `draw`, and write the table of this module's docstring.

    Arguments
        transitions: the dataset's transitions table.
        deployed: the teacher's directories for acting, one per action dimension in order.
        fractions: the commanded fractions of the expert's return (`Task.target`); none where a goal is commanded.
        mixture, seed: see `draw`.
        threads: threads the teacher may use.
        output: the table. Its metadata repeats the dataset's name, task and sha256, and says who labelled it,
            with which settings, and the seconds that the teacher's fits and labelling took.

    Raises InputError where a table cannot be read, or a directory is not as it was made.
    """
    rows = {split: read_transitions(transitions, splits=(split,)) for split in SPLITS}
    dataset = {key: rows["train"].metadata[key] for key in handle.DATASET_FACTS}
    teacher = taught_by(deployed[0])
    rule = outcome_for(dataset["task"])
    asked = draw(rows, fractions, mixture, seed)
    predictors = autogluon.Predictors(deployed, rule, teacher.chain, threads)
    started = time.perf_counter()
    actions = np.concatenate(
        [
            predictors.act(asked.observations[first : first + BATCH], asked.outcomes[first : first + BATCH])
            for first in tqdm(range(0, len(asked.outcomes), BATCH), desc="label", unit="batch", mininterval=5)
        ]
    )
    seconds = time.perf_counter() - started
    log.info("%d pairs labelled in %.1f s, %.0f a second", len(actions), seconds, len(actions) / seconds)
    columns = {f"ob{i}": pa.array(column) for i, column in enumerate(np.ascontiguousarray(asked.observations.T))}
    columns |= {name: pa.array(asked.outcomes[:, i]) for i, name in enumerate(rule.columns)}
    columns |= {f"ac{i}": pa.array(column) for i, column in enumerate(np.ascontiguousarray(actions.T))}
    columns["kind"] = pa.DictionaryArray.from_arrays(pa.array(asked.kinds), list(KINDS))
    columns["split"] = pa.DictionaryArray.from_arrays(pa.array(asked.splits), list(SPLITS))
    metadata = {
        **dataset,
        "teacher": teacher.name,
        "seed": seed,
        "settings": mixture._asdict(),
        "targets": [tasks.get(dataset["task"]).target(fraction) for fraction in fractions],
        "label_seconds": round(seconds, 3),
        "teacher_seconds": round(sum(training_of(directory)["fit_seconds"] for directory in deployed), 3),
    }
    parquet.write(pa.table(columns), output, metadata)


class Labels(NamedTuple):
    """Rows of a labels table, of all kinds."""

    observations: NDArray[np.float32]  # (N, d)
    outcomes: NDArray[np.float32]  # (N, k)
    actions: NDArray[np.float32]  # (N, a), in [-1, 1]
    rule: OutcomeRule  # by which the teacher is conditioned


def read(path: str | Path, split: str) -> Labels:
    """The rows of one split; InputError where the file is no labels table."""
    task = tasks.get(tables.read_parquet_metadata(path, ("task", "teacher"))["task"])
    rule = outcome_for(task.name)
    observations = [f"ob{i}" for i in range(task.observation_size)]
    actions = [f"ac{i}" for i in range(task.action_size)]
    names = [*observations, *rule.columns, *actions]
    frame = tables.read_parquet(path, [*names, "split"], filters=[("split", "==", split)])
    state, outcome, action = (
        np.ascontiguousarray(frame[columns].to_numpy(np.float32))
        for columns in (observations, [*rule.columns], actions)
    )
    return Labels(state, outcome, action, rule)


def facts(transitions: str | Path, labels: str | Path) -> dict[str, Any]:
    """What a student's handle repeats: `dataset`, the facts of the transitions table, and the seconds spent before.

    Raises InputError for a table that cannot be read, or that does not say so.
    """
    before = tables.read_parquet_metadata(labels, ("label_seconds", "teacher_seconds"))
    return {
        "dataset": tables.read_parquet_metadata(transitions, handle.DATASET_FACTS),
        "label_seconds": before["label_seconds"],
        "teacher_seconds": before["teacher_seconds"],
    }
