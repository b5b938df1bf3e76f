"""AutoGluon's directories hold pickles, which execute what they say: only what this run has made is loaded.

The SHA-256 of a directory stands beside it, in a file of the directory's name and the ending .sha256.
Whoever trains writes it; whoever loads compares it with what is there.
"""

from pathlib import Path

from d4rl_automl.core import files
from d4rl_automl.core.errors import InputError, machine_error


def record(directory: str | Path) -> None:
    """Write the SHA-256 of a directory that was just made beside it."""
    with files.whole(_beside(directory)) as part:
        part.write_text(files.sha256(directory) + "\n", encoding="utf-8")


def recorded(directory: str | Path) -> str:
    """The hex SHA-256 that was written when the directory was made; InputError where there is none."""
    path = _beside(directory)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        if (told := machine_error(error)) is not None:
            raise told from None
        raise InputError(
            f"{path}: cannot be read ({error}), so nobody knows whether {directory} is what was trained; restore it, "
            f"or delete {directory} and run snakemake again"
        ) from None


def check(directory: str | Path) -> None:
    """Raises InputError where a directory is missing or its files are not those that were recorded."""
    if not Path(directory).is_dir():
        raise InputError(f"{directory}: does not exist; run snakemake again")
    expected, found = recorded(directory), files.sha256(directory)
    if found != expected:
        raise InputError(
            f"{directory}: its files have the SHA-256 {found}, but {_beside(directory)} says {expected}: a file was "
            "changed, added or lost since it was trained. It holds pickles, which are loaded only as they were made; "
            f"delete {directory} and run snakemake again"
        )


def _beside(directory: str | Path) -> Path:
    return Path(f"{directory}.sha256")
