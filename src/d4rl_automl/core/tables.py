"""Tables read back from results, with every complaint naming the file and the column."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from d4rl_automl.core import files, parquet
from d4rl_automl.core.errors import REMAKE, InputError, unreadable

ROLLOUT_COLUMNS = (
    "dataset",
    "method",
    "training_seed",
    "simulator",
    "purpose",
    "fraction",
    "target",
    "episode",
    "return",
    "length",
    "terminated",
    "diverged",
    "normalised_score",
    "success",
    "distance_left",
)
"""The columns of a rollout table that scores and figures read, one row per episode."""

CHECKPOINT_COLUMNS = (
    "dataset",
    "method",
    "training_seed",
    "simulator",
    "update",
    "fraction",
    "episode",
    "return",
    "normalised_score",
    "success",
)
"""The columns of a table of episodes of a policy at points of its fit: `update` is how many were made by then."""


def read_parquet(path: str | Path, columns: Sequence[str], filters: Any = None) -> pd.DataFrame:
    """The named columns of a Parquet file, dictionaries as plain strings.

    `filters` as in `pyarrow.parquet.read_table`. Raises InputError for a file that is
    missing or no Parquet file, for a missing column, and for a file without any row.
    """
    try:
        file = pq.ParquetFile(path)
        _refuse_missing(path, columns, file.schema_arrow.names)
        # The footer has no checksum, and one bit of it makes bytes of text, which would equal nothing.
        in_bytes = [name for name in columns if pa.types.is_binary(file.schema_arrow.field(name).type)]
        if in_bytes:
            raise InputError(f"{path}: column {in_bytes[0]!r} holds bytes, expected text or numbers; {REMAKE}")
        if file.metadata.num_rows == 0:
            raise InputError(f"{path}: the table has no row; {REMAKE}")
        table = pq.read_table(path, columns=list(columns), filters=filters, page_checksum_verification=True)
        frame = table.to_pandas(strings_to_categorical=False)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unreadable(path, "Parquet", error) from None
    for name in frame.select_dtypes("category"):
        frame[name] = frame[name].astype(object)
    return frame


def read_parquet_metadata(path: str | Path, keys: Sequence[str]) -> dict[str, Any]:
    """This project's own metadata in a Parquet file (JSON under the schema key `d4rl_automl`).

    Raises InputError where the file, the metadata or one of `keys` is missing.
    """
    try:
        metadata = parquet.metadata_of(pq.read_schema(path))
    except (OSError, pa.ArrowException, ValueError) as error:
        raise unreadable(path, "Parquet with metadata", error) from None
    _refuse_missing(path, keys, metadata, "metadata key")
    return metadata


def read_csv(path: str | Path, columns: Sequence[str], *, exact: bool = False) -> pd.DataFrame:
    """A CSV file that has at least the named columns and one row; InputError otherwise.

    Numbers are read to the last digit but one or, where they are to be written again, exactly.
    """
    try:
        # Names that look like numbers stay names.
        names = dict.fromkeys(("dataset", "method"), str)
        frame = pd.read_csv(path, float_precision="round_trip" if exact else None, dtype=names)
    except (OSError, ValueError) as error:
        raise unreadable(path, "CSV", error) from None
    _refuse_missing(path, columns, frame.columns)
    if frame.empty:
        raise InputError(f"{path}: the table has no row; {REMAKE}")
    return frame


def concatenate(paths: Sequence[str | Path], output: str | Path) -> None:
    """Put CSV files of the same columns together, every line as it is; InputError where their columns differ."""
    parts: list[str] = []
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
            if not text.endswith("\n"):
                raise ValueError("its last line is cut off")
            header, *lines = text.splitlines(keepends=True)
        except (OSError, ValueError) as error:
            raise unreadable(path, "CSV", error) from None
        if parts and header != parts[0]:
            raise InputError(f"{path}: has the columns {header.strip()}, expected {parts[0].strip()}; {REMAKE}")
        parts += lines if parts else [header, *lines]
    with files.whole(output) as part:
        part.write_text("".join(parts), encoding="utf-8")


def read_json(path: str | Path, keys: Sequence[str]) -> dict[str, Any]:
    """A JSON object that has at least the named keys; InputError otherwise."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, "JSON", error) from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(value).__name__}; {REMAKE}")
    _refuse_missing(path, keys, value, "key")
    return value


def read_rollouts(paths: Iterable[str | Path], purpose: str, also: Sequence[str] = ()) -> pd.DataFrame:
    """Rollout tables of one purpose ("selection" or "report"), one row per episode.

    Beside `ROLLOUT_COLUMNS` and those named in `also` there are task and kind, from what a table says of its policy.
    Raises InputError where a table holds episodes of another purpose (a target chosen on the
    episodes that are reported would be flattered by them), where a return is no finite
    number, and where the same episode comes twice.
    """
    frames = []
    for path in paths:
        frame = read_parquet(path, (*ROLLOUT_COLUMNS, *also))
        policy = read_parquet_metadata(path, ("policy",))["policy"]
        _refuse_missing(path, ("task", "kind"), policy, "metadata key policy:")
        frame = frame.assign(task=policy["task"], kind=policy["kind"])
        others = sorted(set(frame["purpose"].astype(str)) - {purpose})
        if others:
            raise InputError(f"{path}: column purpose: found {others[0]!r}; only {purpose!r} episodes may be used here")
        finite = np.isfinite(frame[["return", "normalised_score"]].to_numpy(np.float64)).all(axis=1)
        if not finite.all():
            raise InputError(f"{path}: {(~finite).sum()} episodes have no finite return; make the rollouts again")
        frames.append(frame)
    if not frames:
        raise InputError(f"no rollout table was given; pass the {purpose} tables")
    rollouts = pd.concat(frames, ignore_index=True)
    episode = ["dataset", "method", "training_seed", "simulator", "fraction", "episode"]
    twice = rollouts[rollouts.duplicated(episode)]
    if not twice.empty:
        first = ", ".join(f"{name} {twice.iloc[0][name]}" for name in episode)
        raise InputError(f"rollout tables: {len(twice)} episodes come twice: {first}; pass each table once")
    return rollouts


def one_value(frame: pd.DataFrame, column: str) -> Any:
    """The value that `column` has in every row; InputError where there are several."""
    values = frame[column].unique()
    if len(values) != 1:
        raise InputError(f"column {column}: found {', '.join(map(str, values))}; pass tables of one {column} only")
    return values[0].item() if isinstance(values[0], np.generic) else values[0]


def _refuse_missing(path: str | Path, wanted: Iterable[str], found: Iterable[str], what: str = "column") -> None:
    found = list(found)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InputError(f"{path}: the {what} {missing[0]!r} is missing; found {', '.join(found) or 'none'}")
