"""The files that papers mean by their names: D4RL's own, by their SHA-256."""

import csv
import functools
from pathlib import Path

from d4rl_automl.core.files import RESOURCES, sha256


@functools.cache
def known() -> dict[str, int]:
    """The size in bytes of every file that resources/catalogue.csv lists, by its SHA-256 in hexadecimal."""
    with (RESOURCES / "catalogue.csv").open(newline="", encoding="utf-8") as stream:
        return {row["sha256"]: int(row["size_bytes"]) for row in csv.DictReader(stream) if row["sha256"]}


def is_known(path: Path) -> bool:
    """Whether a file is one of them. One of another size is not read."""
    return path.stat().st_size in known().values() and sha256(path) in known()
