"""Files that appear whole or not at all, and their checksums."""

import contextlib
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from d4rl_automl.core.errors import InputError

_TIMESTAMP = ".snakemake_timestamp"

RESOURCES = Path(__file__).parents[1] / "resources"


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` only if the block succeeds.

    Works for a file and for a directory. The temporary name keeps the ending of
    `path`, because writers choose their format by it. What stood at `path` before is
    replaced in one step (a file) or just before (a directory). What a killed process left
    of `path` is deleted first.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".*.part.{glob.escape(path.name)}"):
        _remove(left)
    part = path.with_name(f".{os.getpid()}.part.{path.name}")
    try:
        yield part
        if part.is_dir() and path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        _remove(part)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused, as JSON has neither."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def expanded(path: str | Path) -> Path:
    """A path with its ~ as the folder that it is.

    Raises InputError for an empty path, and for the home of somebody who has none.
    """
    start = str(path).partition("/")[0]
    if not str(path).strip():
        raise InputError(f"found {str(path)!r}; allowed: a path that is not empty")
    # Without a name in it, Python would make the root folder of ~.
    if start == "~" and os.environ.get("HOME") == "":
        raise InputError(f"found {str(path)!r}, but the variable HOME is empty; write the path in full")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        whose = "of this user (HOME)" if start == "~" else f"of a user {start[1:]!r}"
        raise InputError(f"found {str(path)!r}, but no home folder {whose} is known; write the path in full") from None


def sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file, or of a directory: of every file's relative name and content.

    The file that Snakemake leaves in a directory that a job has made does not count.
    """
    path = Path(path)
    if path.is_dir():
        tree = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != _TIMESTAMP):
            tree.update(f"{file.relative_to(path).as_posix()} {sha256(file)}\n".encode())
        return tree.hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
