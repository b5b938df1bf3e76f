"""Writing raw datasets in `layout`."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from d4rl_automl.core import files
from d4rl_automl.data.layout import LAYOUT

_ROWS_PER_CHUNK = 8192
_RESERVE = 2**20


def write(
    path: str | Path, blocks: Iterable[Mapping[str, NDArray[Any]] | NDArray[np.void]], metadata: Mapping[str, Any]
) -> None:
    """Write a raw dataset in the layout of D4RL's gym v2 files, block after block.

    Each block holds, by name, the next rows of arrays of the layout (`observations` …
    `infos/qvel`, `infos/action_log_probs`), all blocks of the same: a mapping, or a structured array. `metadata`
    becomes scalars or arrays under `metadata/`. The bytes depend on the content alone, not on
    how it was cut.

    Only the flags are compressed: the mantissas of simulated float32 are as good as random, so
    that gzip saves 15 % of the bytes and takes a fifth of the time of the simulation.
    """
    with files.whole(path) as part, _new(part) as file:
        for name, value in metadata.items():
            file[f"metadata/{name}"] = value
        rows = 0
        for arrays in _rechunk(blocks, _ROWS_PER_CHUNK):
            _find_room(part.parent, sum(_ROWS_PER_CHUNK * values[:1].nbytes for values in arrays.values()))
            for name, values in arrays.items():
                dtype = LAYOUT[name]
                if name not in file:
                    shape = values.shape[1:]
                    file.create_dataset(
                        name, (0, *shape), dtype, maxshape=(None, *shape), chunks=(_ROWS_PER_CHUNK, *shape),
                        compression="gzip" if dtype is np.bool_ else None,
                    )  # fmt: skip
                array = file[name]
                array.resize(rows + len(values), axis=0)
                array[rows:] = values.astype(dtype, copy=False)
            file.flush()
            rows += len(arrays["rewards"])


@contextlib.contextmanager
def _new(path: Path) -> Iterator[h5py.File]:
    _find_room(path.parent, 0)
    with h5py.File(path, "w") as file:
        yield file


def _find_room(folder: Path, size: int) -> None:
    """Raise OSError unless `size` bytes, and some for HDF5's own use, can be written in a folder.

    HDF5 must not be the one to find the disk full: it could not close the file any more and would crash the process.
    """
    with tempfile.TemporaryFile(dir=folder) as stream:
        os.posix_fallocate(stream.fileno(), 0, size + _RESERVE)


def _rechunk(
    blocks: Iterable[Mapping[str, NDArray[Any]] | NDArray[np.void]], rows: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """The same rows, cut anew into blocks of `rows` (the last one shorter), so that each HDF5 chunk is written once."""
    pending: list[Any] = []
    names: list[str] = []
    count = 0
    for block in blocks:
        pending.append(block)
        held = block if isinstance(block, Mapping) else block.dtype.fields or ()
        names = [name for name in LAYOUT if name in held]
        count += len(block["rewards"])
        if count >= rows:
            joined = {name: np.concatenate([piece[name] for piece in pending]) for name in names}
            whole = count - count % rows
            for start in range(0, whole, rows):
                yield {name: values[start : start + rows] for name, values in joined.items()}
            pending = [{name: values[whole:] for name, values in joined.items()}]
            count -= whole
    if count:
        yield {name: np.concatenate([piece[name] for piece in pending]) for name in names}
