"""A file of the user's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from d4rl_automl.core import files
from d4rl_automl.data.recordings import validate


def link(entry: Mapping[str, Any], output: str | Path, provenance: str | Path) -> None:
    """Validate the user's own file and link to it; `provenance` becomes JSON with its SHA-256.

    `entry` is a catalogue entry of provider `file`. Raises InputError as `validate` does.
    """
    source = Path(entry["path"]).expanduser().resolve()
    repairs = validate(source, entry["task"])
    with files.whole(output) as part:
        part.symlink_to(source)
    files.write_json(
        provenance,
        {
            "dataset": entry["name"],
            "provider": entry["provider"],
            "task": entry["task"],
            "sha256": files.sha256(source),
            "size_bytes": source.stat().st_size,
            "path": str(source),
            "repairs": repairs,
        },
    )
