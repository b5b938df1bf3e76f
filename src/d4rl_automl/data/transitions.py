"""Transitions: the one table that every learner reads, as Parquet.

    ob0 … ob{d-1}, ac0 … ac{a-1}  float32   observation, action (in [-1, 1])
    rtg                           float32   average reward-to-go, RTG / (H - t); null in an unfinished
                                            episode where H - t <= 0. In AntMaze of shorter episodes: below
    reward                        float32
    episode, step                 int32     both from 0
    terminated, truncated         bool      Gymnasium's: failure, time limit
    split                         string    train, validation, test, or unfinished

The split is by whole episodes. An episode that the recording cut short is kept but
belongs to no learner (RvS, too, indexes finished episodes only). The schema's metadata
say under `d4rl_automl` (JSON) which dataset this is, its SHA-256, H, and what was mended.

AntMaze's recorded episodes go on at the goal, and every row there is paid. Where `rtg` is counted, such a row ends an
episode, as it ends one that is played: so a return is 0 or 1, and H and t are those of these shorter episodes, not of
`episode` and `step`. It is what RvS-R reads of AntMaze, which splits at terminals and timeouts.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from d4rl_automl import tasks
from d4rl_automl.core import files, parquet
from d4rl_automl.core.errors import REMAKE, InputError, unreadable

SPLITS = ("train", "validation", "test", "unfinished")


class Visited(NamedTuple):
    """Where the episodes of N rows came to: what goals are drawn from."""

    positions: NDArray[np.float32]
    """(M, k) the goal's columns of every row of the splits that were read, whatever the limit, in the file's order."""
    at: NDArray[np.int64]
    """(N,) which of them is each row's own."""
    last: NDArray[np.int64]
    """(N,) which of them is the last of each row's episode."""

    def of(self, rows: slice | NDArray[np.integer]) -> "Visited":
        """The same of some of the rows."""
        return Visited(self.positions, self.at[rows], self.last[rows])


@dataclass(frozen=True)
class Transitions:
    """Rows of a transitions table, in the order of the file."""

    observations: NDArray[np.float32]  # (N, d), C-contiguous
    actions: NDArray[np.float32]  # (N, a), C-contiguous, in [-1, 1]
    rtg: NDArray[np.float32]  # (N,) average reward-to-go; NaN where the file has null
    episodes: NDArray[np.int32]  # (N,)
    steps: NDArray[np.int32]  # (N,)
    rows: NDArray[np.int64]  # (N,) their numbers in the table, which are those of the recording, from 0
    metadata: dict[str, Any]  # the table's own: dataset, provider, task, sha256, longest_episode, …
    visited: Visited | None = None  # in tasks with a goal


def read(
    path: str | Path,
    splits: Sequence[str] = ("train",),
    limit: int | None = None,
    seed: int | None = None,
    episodes: ArrayLike | None = None,
) -> Transitions:
    """Rows of a transitions table that belong to `splits`, in the order of the file; only of `episodes` if given.

    With a `limit` below their number, that many of them, drawn uniformly without
    replacement by `seed`. Peak memory is the result and one row group. Raises InputError
    for a file that is missing, damaged, or not made by `making`, and ValueError for a
    split that does not exist or a limit without a seed.
    """
    unknown = set(splits) - set(SPLITS)
    if unknown:
        raise ValueError(f"splits {sorted(unknown)} are unknown; there are {SPLITS}")
    file, metadata = _open(path)
    with _parquet_errors(path):
        belongs = _belongs(file.read(["split"]), splits)
        if episodes is not None:
            belongs &= np.isin(_values(file.read(["episode"]), "episode"), episodes)
    rows = every = np.flatnonzero(belongs)
    if limit is not None:
        if seed is None:
            raise ValueError("a limit needs a seed")
        if limit < len(rows):
            rows = np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))
    observed, acted = _features(metadata["task"])
    observations = np.empty((len(rows), len(observed)), np.float32)
    actions = np.empty((len(rows), len(acted)), np.float32)
    vectors: dict[str, NDArray[Any]] = {
        "rtg": np.empty(len(rows), np.float32),
        "episode": np.empty(len(rows), np.int32),
        "step": np.empty(len(rows), np.int32),
    }
    first_row = 0
    for group in range(file.num_row_groups):
        next_row = first_row + file.metadata.row_group(group).num_rows
        start, end = np.searchsorted(rows, (first_row, next_row))
        if start < end:
            local = rows[start:end] - first_row
            with _parquet_errors(path):
                table = file.read_row_group(group, [*observed, *acted, *vectors])
            for matrix, columns in ((observations, observed), (actions, acted)):
                for i, name in enumerate(columns):
                    matrix[start:end, i] = _values(table, name)[local]
            for name, vector in vectors.items():
                vector[start:end] = _values(table, name)[local]
        first_row = next_row
    with _parquet_errors(path):
        visited = _visited(file, metadata["task"], every, rows)
    return Transitions(
        observations, actions, vectors["rtg"], vectors["episode"], vectors["step"], rows, metadata, visited
    )


def _visited(file: pq.ParquetFile, task: str, every: NDArray[np.int64], rows: NDArray[np.int64]) -> Visited | None:
    """Where the episodes of some rows came to, in `every` row of their splits, by the rows' numbers, which ascend."""
    goal = tasks.get(task).goal
    if goal is None:
        return None
    names = [f"ob{column}" for column in goal.columns]
    table = file.read([*names, "episode"])
    positions = np.column_stack([_values(table, name)[every] for name in names])
    at = np.searchsorted(every, rows)
    # Episodes follow each other, so that their numbers ascend.
    episodes = _values(table, "episode")[every]
    return Visited(positions, at, np.searchsorted(episodes, episodes[at], side="right") - 1)


class EpisodeReturns(NamedTuple):
    """Episodes of a split, in the order of the file."""

    episodes: NDArray[np.int64]  # (E,) their numbers
    lengths: NDArray[np.int64]  # (E,)
    returns: NDArray[np.float64]  # (E,) undiscounted


def episode_returns(path: str | Path, split: str) -> EpisodeReturns:
    """The episodes of one split. Raises InputError as `read` does."""
    file, _ = _open(path)
    with _parquet_errors(path):
        table = file.read(["split", "episode", "reward"])
    belongs = _belongs(table, (split,))
    numbers = _values(table, "episode")[belongs]
    lengths = np.bincount(numbers)
    returns = np.bincount(numbers, _values(table, "reward")[belongs]).astype(np.float64)
    found = np.flatnonzero(lengths)
    return EpisodeReturns(found, lengths[found], returns[found])


def whole_episodes(path: str | Path, split: str, limit: int | None, seed: int) -> NDArray[np.int64]:
    """The numbers of episodes of a split, all of them or, with a `limit`, as many as have no more transitions.

    They are then drawn by `seed`; one is always taken. Raises InputError as `read` does.
    """
    found = episode_returns(path, split)
    if limit is None or limit >= found.lengths.sum():
        return found.episodes
    order = np.random.default_rng(seed).permutation(len(found.episodes))
    taken = max(1, int((np.cumsum(found.lengths[order]) <= limit).sum()))
    return np.sort(found.episodes[order[:taken]])


def write_csv(path: str | Path, output: str | Path) -> None:
    """A transitions table's finished episodes as plain CSV: ob0, …, ac0, …, rtg.

    float32 values are written with as many digits as it takes to read them back exactly.
    Raises InputError as `read` does.
    """
    file, metadata = _open(path)
    names = list(itertools.chain(*_features(metadata["task"]), ["rtg"]))
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    options = pa.csv.WriteOptions(quoting_header="none")
    with files.whole(output) as part, pa.csv.CSVWriter(part, schema, write_options=options) as writer:
        for group in range(file.num_row_groups):
            with _parquet_errors(path):
                table = file.read_row_group(group, [*names, "split"])
            finished = ~_belongs(table, ("unfinished",))
            writer.write_table(table.filter(pa.array(finished)).select(names))


def schema(task: str) -> pa.Schema:
    """The table's columns and their types."""
    observed, acted = _features(task)
    return pa.schema(
        [
            *(pa.field(name, pa.float32(), nullable=False) for name in (*observed, *acted)),
            pa.field("rtg", pa.float32()),
            pa.field("reward", pa.float32(), nullable=False),
            pa.field("episode", pa.int32(), nullable=False),
            pa.field("step", pa.int32(), nullable=False),
            pa.field("terminated", pa.bool_(), nullable=False),
            pa.field("truncated", pa.bool_(), nullable=False),
            pa.field("split", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        ]
    )


def _features(task: str) -> tuple[list[str], list[str]]:
    """The names of the observation and of the action columns."""
    known = tasks.get(task)
    return [f"ob{i}" for i in range(known.observation_size)], [f"ac{i}" for i in range(known.action_size)]


def _open(path: str | Path) -> tuple[pq.ParquetFile, dict[str, Any]]:
    """A transitions table and its metadata; InputError for any other file."""
    with _parquet_errors(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
        metadata = parquet.metadata_of(file.schema_arrow)
    if "task" not in metadata:
        raise InputError(f"{path}: its schema has no metadata under `d4rl_automl`; {REMAKE}")
    expected = schema(metadata["task"])
    missing = [name for name in expected.names if name not in file.schema_arrow.names]
    if missing:
        raise InputError(f"{path}: no transitions table of task {metadata['task']}: missing {', '.join(missing)}")
    for field in expected:
        found = file.schema_arrow.field(field.name).type
        if _values_of(found) != _values_of(field.type):
            raise InputError(f"{path}: column {field.name} holds {found}, expected {field.type}; {REMAKE}")
    return file, metadata


def _values_of(type_: pa.DataType) -> tuple[bool, pa.DataType]:
    """Whether a column is dictionary-encoded, and the type of its values."""
    encoded = pa.types.is_dictionary(type_)
    return encoded, type_.value_type if encoded else type_


def _belongs(table: pa.Table, splits: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether each row's split is one of `splits`."""
    return np.concatenate(
        [np.isin(chunk.dictionary.to_pylist(), splits)[chunk.indices.to_numpy()] for chunk in table["split"].chunks]
    )


def _values(table: pa.Table, name: str) -> NDArray[Any]:
    """A column as NumPy array, null as NaN."""
    return table[name].combine_chunks().to_numpy(zero_copy_only=False)


@contextlib.contextmanager
def _parquet_errors(path: str | Path) -> Iterator[None]:
    """What Arrow raises for a file that is no Parquet, was cut or was damaged, told as an InputError."""
    try:
        yield
    except MemoryError:
        raise  # Arrow's is an ArrowException as well.
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise unreadable(path, "a transitions table", error) from error
