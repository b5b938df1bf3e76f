"""The user's own HDF5 files in D4RL's layout."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from d4rl_automl import tasks
from d4rl_automl.core import files, paths
from d4rl_automl.data import checksums
from d4rl_automl.settings.kinds import DatasetEntry, Provider
from d4rl_automl.settings.models import NOT_SHAPING, Number, OneOf, Place


def _path(path: str) -> str:
    if set(path) & set("{}"):
        raise ValueError(f"path is {path!r}, but Snakemake takes braces for wildcards; rename it")
    return str(files.expanded(path))


class Entry(DatasetEntry):
    """A file of the user's. Its content says what it is, the path only where."""

    provider: Literal["file"]
    task: Annotated[str, OneOf(tasks.TASKS)]
    """The robot, or the ant and its maze."""
    path: Annotated[Place, AfterValidator(_path), NOT_SHAPING]
    """HDF5 in D4RL's layout; a relative path starts at the working directory."""
    ends: Literal["flags", "none"] | None = None
    """Where episodes end. By default the flags are held against `next_observations`: isolated gaps become ends, and a
    file whose rows are no sequence is refused. flags: they are right, whatever else is found. none: the rows are in no
    order; only methods that need no episodes can be made (bc)."""
    scale_actions: Annotated[Number, Field(gt=0)] | None = None
    """What recorded actions are divided by, where they are on another scale than [-1, 1]."""


def _identity(entry: Entry) -> dict[str, Any]:
    """The entry, the size and time of its file (one that an older file replaced is noticed as well), and the catalogue.

    Of a file that is gone, what was noted when it was taken in: what was made of it is not stale for that.
    """
    try:
        found = Path(entry.path).stat()
        stamp: dict[str, Any] = {"size_bytes": found.st_size, "mtime_ns": found.st_mtime_ns}
    except FileNotFoundError:
        try:
            noted = json.loads(Path(paths.PROVENANCE.format(dataset=entry.name)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            noted = {}
        stamp = {name: noted.get(name) for name in ("size_bytes", "mtime_ns")}
    # Whether the file is one of the catalogue's is known once it is read.
    catalogue = hashlib.sha256("".join(sorted(checksums.known())).encode()).hexdigest()
    return {**entry.shaping(), **stamp, "catalogue": catalogue}


PROVIDER = Provider(
    name="file",
    entry=Entry,
    about="your own HDF5 in D4RL's layout",
    rule="link",
    memory=1000,
    minutes=30,
    local=True,
    own=True,
    identity=_identity,
)


def fetch(entry: Entry, *, local: str, mirrors: Sequence[str], output: str, provenance: str, threads: int) -> None:
    """See what the file proves of itself and link to it. Arguments as in `d4rl_automl.data.providers`.

    Raises InputError as `recordings.examine` does.
    """
    from d4rl_automl.data import hdf5, recordings

    source = Path(entry.path).resolve()
    with hdf5.opened(source):
        trusted = checksums.is_known(source)
    examined = recordings.examine(
        source,
        entry.task,
        ends=entry.ends,
        scale_actions=entry.scale_actions,
        trusted=trusted,
    )
    found = source.stat()
    with files.whole(output) as part:
        part.symlink_to(source)
    files.write_json(
        provenance,
        {
            "dataset": entry.name,
            "provider": entry.provider,
            "task": entry.task,
            "sha256": files.sha256(source),
            "size_bytes": found.st_size,
            "mtime_ns": found.st_mtime_ns,
            "path": str(source),
            "published": trusted,
            "repairs": examined.repairs,
            "findings": examined.findings.as_json(),
        },
    )
