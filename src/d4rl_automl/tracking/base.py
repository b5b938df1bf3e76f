"""What a tracker does, and where it puts it."""

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

FOLDER = "tracker"
"""Below results/."""


class Run(Protocol):
    """One run of a tracker: of a fit, or of the results."""

    def __init__(self, folder: Path, *, group: str, name: str, facts: Mapping[str, Any]) -> None:
        """Start one in `folder`; of the same group and name as an earlier one, it takes that one's place."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Points of curves, by their names."""

    def table(self, name: str, path: Path) -> None:
        """A CSV file."""

    def picture(self, name: str, path: Path) -> None:
        """A PNG file."""

    def close(self) -> str:
        """End it; where to look at it."""


def start(tracker: str, results: Path, *, group: str, name: str, facts: Mapping[str, Any]) -> Run:
    """A run of a tracker, in its folder below `results`."""
    made = pkgutil.resolve_name(f"{__package__}.{tracker}:Run")
    run: Run = made(results / FOLDER / tracker, group=group, name=name, facts=facts)
    return run
