"""HDF5 files, which may come from anywhere: what is in one is read, and nothing else is opened or loaded for it."""

import contextlib
import errno
import math
import re
from collections.abc import Iterator
from pathlib import Path

import h5py

from d4rl_automl.core.errors import InputError

_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_SZIP,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
    h5py.h5z.FILTER_LZF,
}
"""What HDF5 and h5py can decompress by themselves. For any other, HDF5 would load a library from HDF5_PLUGIN_PATH."""

_OPEN_ELSEWHERE = re.compile(rf"unable to lock file, errno = ({errno.EAGAIN}|{errno.EACCES})\b")
"""HDF5 locks a file while it is written to."""

_MOST_COMPRESSED = 1100
"""Values cannot take more than this many times their stored bytes (deflate packs 1,032 to one)."""
_MOST_UNSTORED = 2**30
"""Bytes that a file may declare beyond that: HDF5 stores nothing of an array that was never written."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """A file opened for reading, all its links and arrays looked at first.

    Raises InputError for a file that is missing or damaged, that takes values from other files, that is
    compressed by a filter that is not HDF5's own, or that declares much more than it holds.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of an HDF5 file in D4RL's layout")
    with hdf5_errors(path):
        # A cache for the compressed chunks that two reads share.
        file = h5py.File(path, "r", rdcc_nbytes=16 * 2**20)
    with file:
        _refuse_untrustworthy(path, file)
        yield file


@contextlib.contextmanager
def hdf5_errors(path: Path) -> Iterator[None]:
    """What h5py raises when a file is no HDF5, was cut or was damaged, told as an InputError."""
    try:
        yield
    except InputError:
        raise
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as error:
        if _OPEN_ELSEWHERE.search(str(error)):
            raise InputError(
                f"{path}: is open elsewhere, for writing ({error}): close it there, or wait until it is written"
            ) from error
        if "unable to lock file" in str(error):
            raise InputError(
                f"{path}: its file system does not lock files ({error}): set HDF5_USE_FILE_LOCKING=FALSE in the "
                "environment, and see that nothing writes to it meanwhile"
            ) from error
        if "already open for write" in str(error):
            raise InputError(
                f"{path}: is open elsewhere, for writing, or was not closed by what wrote it ({error}): close it "
                "there or, where nothing writes to it any more, run `h5clear -s` on a copy"
            ) from error
        raise InputError(
            f"{path}: cannot be read as HDF5 ({error}); it is damaged, cut short or another format: "
            "fetch or make it again"
        ) from error


def _refuse_untrustworthy(path: Path, file: h5py.File) -> None:
    names: list[str] = []
    unstored = 0
    with hdf5_errors(path):
        file.visit_links(names.append)
        for name in names:
            array = _linked(path, file, name)
            if not isinstance(array, h5py.Dataset):
                continue
            _refuse_plugins(path, name, array)
            declared, stored = math.prod(array.shape or ()) * array.dtype.itemsize, array.id.get_storage_size()
            unstored += max(0, declared - _MOST_COMPRESSED * stored)
            if unstored > _MOST_UNSTORED:
                raise InputError(
                    f"{path}: {name} has shape {array.shape}, {declared} bytes, of which the file holds {stored}; it "
                    "is damaged or made to exhaust the memory: fetch or make it again"
                )


def _linked(path: Path, file: h5py.File, name: str) -> h5py.Dataset | h5py.Group | None:
    """What a link leads to, in this file alone; None for a soft link, whose goal has a link of its own."""
    link = file.get(name, getlink=True)
    found = file[name] if isinstance(link, h5py.HardLink) else None
    elsewhere = isinstance(link, h5py.ExternalLink)
    if isinstance(found, h5py.Dataset):
        elsewhere = found.external is not None or found.is_virtual
    if elsewhere:
        raise InputError(
            f"{path}: {name} leads to another file, and none but this one is read; store the values themselves"
        )
    return found


def _refuse_plugins(path: Path, name: str, array: h5py.Dataset) -> None:
    created = array.id.get_create_plist()
    others = {created.get_filter(i)[0] for i in range(created.get_nfilters())} - _FILTERS
    if others:
        raise InputError(
            f"{path}: {name} is compressed by the HDF5 filter {min(others)}, which takes a plugin, and none is "
            "loaded; compress it with gzip"
        )
