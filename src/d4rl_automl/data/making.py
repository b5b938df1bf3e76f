"""Making the transitions of a raw dataset: rewards-to-go, and the split by whole episodes."""

import base64
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core import files, parquet, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import recordings, returns
from d4rl_automl.data.transitions import SPLITS, schema
from d4rl_automl.tasks import scores

log = logging.getLogger(__name__)


def make_transitions(
    raw: str | Path,
    provenance: str | Path,
    split: Mapping[str, Any],
    *,
    output: str | Path,
    episodes_output: str | Path,
) -> None:
    """Make the transitions and episodes tables of a raw dataset.

    Arguments
        raw: HDF5 in D4RL's layout.
        provenance: the JSON beside it, which has its dataset, provider, task and SHA-256, and under `findings` what
            `recordings.examine` found where the provider looked. Else the flags are used as they are.
        split: see `split_episodes`.
        output: the transitions table.
        episodes_output: one row per episode: episode, length, return (undiscounted), terminated,
            truncated, split, normalised_score (null when unfinished).

    Observations and actions pass through in chunks of `recordings.CHUNK` rows, one row
    group each. Raises InputError for what `recordings.reading` refuses, for a file whose SHA-256 is
    not the one of `provenance`, and for too few episodes.
    """
    made = tables.read_json(provenance, ("dataset", "provider", "task", "sha256"))
    found = files.sha256(raw)
    if found != made["sha256"]:
        raise InputError(
            f"{raw}: its SHA-256 is {found}, but {provenance} says {made['sha256']}: the file was replaced or damaged; "
            "delete both and run snakemake again"
        )
    with recordings.reading(raw, made["task"], made.get("findings")) as reader:
        where = returns.episodes(reader.terminated, reader.truncated, reader.cut)
        try:
            split_of = split_episodes(where.finished, split)
        except InputError as error:
            raise InputError(f"{raw}: {error}") from None
        with files.whole(output) as part, files.whole(episodes_output) as episodes_part:
            form = schema(made["task"])
            with parquet_writer(part, form) as writer:
                for columns in _columns(reader, where, split_of):
                    writer.write_table(pa.table(columns, form), row_group_size=recordings.CHUNK)
                metadata = {
                    **{name: made[name] for name in ("dataset", "provider", "task", "sha256")},
                    "longest_episode": where.longest,
                    "transitions": reader.rows,
                    "episodes": len(where.lengths),
                    "split": {
                        **split,
                        "episodes": {name: int((split_of == code).sum()) for code, name in enumerate(SPLITS)},
                    },
                    "repairs": {name: count for name, count in reader.repairs.items() if count},
                    "doubts": reader.doubts,
                }
                _add_metadata(writer, metadata)
            table = _episodes_table(reader, where, split_of, made["task"])
            with parquet_writer(episodes_part, table.schema) as writer:
                writer.write_table(table)
                _add_metadata(writer, metadata)
        reader.log_repairs()
    log.info("%s: %s", output, json.dumps(metadata))


def split_episodes(finished: NDArray[np.bool_], settings: Mapping[str, Any]) -> NDArray[np.int8]:
    """The split of each of E episodes, (E,) indices into `SPLITS`.

    `settings` has `seed`, and `validation` and `test`, the fractions of the finished
    episodes that go there: rounded, at least one episode each, but none for a fraction of 0.
    Raises InputError with fewer finished episodes than splits, or fractions that leave none to
    train on.
    """
    count = int(finished.sum())
    held_out = [name for name in ("validation", "test") if settings[name]]
    if not count:
        raise InputError("there is no finished episode, and learners use no other; record at least one to its end")
    if count <= len(held_out):
        raise InputError(
            f"{count} finished episodes cannot be split into train, {' and '.join(held_out)}; at least "
            f"{len(held_out) + 1} are needed, or `split: {{validation: 0, test: 0}}`, which holds none back, for "
            "methods that need no such episodes"
        )
    validation, test = (
        max(1, round(settings[name] * count)) if name in held_out else 0 for name in ("validation", "test")
    )
    if min(settings["validation"], settings["test"]) < 0 or validation + test >= count:
        raise InputError(
            f"split: validation {settings['validation']} and test {settings['test']} of {count} finished episodes "
            "leave none to train on; lower them"
        )
    order = np.random.default_rng(settings["seed"]).permutation(np.flatnonzero(finished))
    result = np.full(len(finished), SPLITS.index("unfinished"), np.int8)
    result[order] = SPLITS.index("train")
    result[order[:validation]] = SPLITS.index("validation")
    result[order[validation : validation + test]] = SPLITS.index("test")
    return result


def _columns(
    reader: recordings.Reader, where: returns.Episodes, split_of: NDArray[np.int8]
) -> Iterator[dict[str, pa.Array]]:
    """The table's columns, chunk by chunk."""
    truncated = reader.truncated
    rtg = returns.of_episodes(reader.rewards, _paid(reader, where)).astype(np.float32)
    index, steps = where.index(), where.steps()
    for rows, arrays in reader.chunks("observations", "actions"):
        columns: dict[str, pa.Array] = {}
        for prefix, name in (("ob", "observations"), ("ac", "actions")):
            for i, column in enumerate(np.ascontiguousarray(arrays[name].T)):
                columns[f"{prefix}{i}"] = pa.array(column)
        yield columns | {
            "rtg": pa.array(rtg[rows], mask=np.isnan(rtg[rows])),
            "reward": pa.array(reader.rewards[rows]),
            "episode": pa.array(index[rows]),
            "step": pa.array(steps[rows]),
            "terminated": pa.array(reader.terminated[rows]),
            "truncated": pa.array(truncated[rows]),
            "split": _split_column(split_of[index[rows]]),
        }


def _paid(reader: recordings.Reader, where: returns.Episodes) -> returns.Episodes:
    """The episodes in which the reward-to-go is counted: in AntMaze those that the goal ends (`transitions`)."""
    if reader.task is None or reader.task.goal is None:
        return where
    reached = reader.terminals | (reader.rewards > 0)
    return returns.episodes(reader.terminated | reached, reader.truncated, reader.cut)


def _episodes_table(
    reader: recordings.Reader, where: returns.Episodes, split_of: NDArray[np.int8], task: str
) -> pa.Table:
    last = where.starts + where.lengths - 1
    total = returns.of_episodes(reader.rewards, where, average=False)[where.starts]
    return pa.table(
        {
            "episode": pa.array(np.arange(len(last), dtype=np.int32)),
            "length": pa.array(where.lengths.astype(np.int32)),
            "return": pa.array(total),
            "terminated": pa.array(reader.terminated[last]),
            "truncated": pa.array(reader.truncated[last]),
            "split": _split_column(split_of),
            "normalised_score": pa.array(_scores(task, total), mask=~where.finished),
        }
    )


def _scores(task: str, total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised scores (E,) of returns (E,). A recorded episode goes on at its goal, where one that is played ends."""
    known = tasks.get(task)
    return scores.normalise(task, total if known.goal is None else np.minimum(total, known.reference_max))


def _split_column(codes: NDArray[np.int8]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes), list(SPLITS))


def parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of the tables; `schema` without metadata, which `_add_metadata` adds.

    Settings measured on 1 M × (17 + 6): byte-stream split beats a dictionary in size and time.
    """
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=["split"],
        use_byte_stream_split=[field.name for field in schema if pa.types.is_floating(field.type)],
        write_page_checksum=True,
        store_schema=False,  # `_add_metadata` stores it
    )


def _add_metadata(writer: pq.ParquetWriter, metadata: Mapping[str, Any]) -> None:
    """Give the table its metadata after its rows, whose repairs are counted as they pass.

    Readers take the schema's metadata from the serialised Arrow schema, so it goes there too.
    """
    ours = {parquet.METADATA_KEY: json.dumps(metadata).encode()}
    schema = writer.schema.with_metadata(ours).serialize()
    writer.add_key_value_metadata({**ours, b"ARROW:schema": base64.b64encode(schema)})
