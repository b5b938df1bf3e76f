"""D4RL's own files, by the URLs, sizes and checksums of the catalogue."""

from collections.abc import Sequence
from typing import Annotated, Literal

from d4rl_automl.settings.kinds import DatasetEntry, Provider
from d4rl_automl.settings.models import NOT_SHAPING, Integer


class Entry(DatasetEntry):
    """One of D4RL's files. The checksum says what it is, the URL only where."""

    provider: Literal["d4rl"]
    url: Annotated[str, NOT_SHAPING]
    """Where D4RL has it; the file's own name is its end."""
    size_bytes: Integer
    """Its size."""
    sha256: str
    """Its SHA-256."""


PROVIDER = Provider(
    name="d4rl",
    entry=Entry,
    about="D4RL's own file: your copy, or downloaded",
    rule="download",
    memory=500,
    minutes=240,
    retries=3,
    downloads=1,
    local=True,
)


def fetch(entry: Entry, *, local: str, mirrors: Sequence[str], output: str, provenance: str, threads: int) -> None:
    """Take the user's own copy, or download the file. Arguments as in `d4rl_automl.data.providers`."""
    from d4rl_automl.data import downloading

    downloading.download(entry, output, provenance, local=local, mirrors=mirrors)
