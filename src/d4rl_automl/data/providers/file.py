"""The user's own HDF5 files in D4RL's layout."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from d4rl_automl import tasks
from d4rl_automl.core import paths
from d4rl_automl.data import checksums
from d4rl_automl.settings.kinds import DatasetEntry, Provider
from d4rl_automl.settings.models import NOT_SHAPING, OneOf


def _path(path: str) -> str:
    if set(path) & set("{}"):
        raise ValueError(f"path is {path!r}, but Snakemake takes braces for wildcards; rename it")
    return str(Path(path).expanduser())


class Entry(DatasetEntry):
    """A file of the user's. Its content says what it is, the path only where."""

    provider: Literal["file"]
    task: Annotated[str, OneOf(tasks.TASKS)]
    """The robot, or the ant and its maze."""
    path: Annotated[str, Field(min_length=1), AfterValidator(_path), NOT_SHAPING]
    """HDF5 in D4RL's layout; a relative path starts at the working directory."""


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
    """Validate the file and link to it. Arguments as in `d4rl_automl.data.providers`.

    Raises InputError as `recordings.validate` does.
    """
    from d4rl_automl.core import files
    from d4rl_automl.data import recordings

    source = Path(entry.path).resolve()
    repairs = recordings.validate(source, entry.task)
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
            "published": checksums.is_known(source),
            "repairs": repairs,
        },
    )
