"""Doubts: what is known to be doubtful about data or a result. Each is a sentence that says what was found."""

import csv
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

CONSOLE_VARIABLE = "D4RL_AUTOML_CONSOLE"
"""Environment variable with the number of the file descriptor that leads to the console of the workflow's jobs."""

COLUMNS = ("doubts", "teacher_doubts")
"""Of a table of scores: what is doubtful about the dataset, and about the teacher of the method, in sentences."""

_log = logging.getLogger(__name__)


def lines(about: str, doubts: Iterable[str]) -> list[str]:
    """One line for each of the `doubts` about something, such as a dataset, as they are written for people."""
    return [f"Doubtful: {about}: {doubt}" for doubt in doubts]


def on_card(path: str | Path) -> list[str]:
    """The `lines` of a dataset's card (JSON); none where it is not made yet."""
    try:
        card = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return lines(card["dataset"], card.get("doubts", []))


def of_teacher(dataset: str, teacher: str, seed: object, dimension: object) -> str:
    """What a doubt about a teacher's predictor of one action dimension is about, as `lines` take it."""
    return f"{dataset}, teacher {teacher}, seed {seed}, ac{dimension}"


def on_teacher(path: str | Path) -> list[str]:
    """The `lines` of a teacher's metrics (CSV); none where they are not made yet."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError):
        return []
    return [
        line
        for row in rows
        if row.get("doubts")
        for line in lines(
            of_teacher(*(row[key] for key in ("dataset", "teacher", "seed", "dimension"))), [row["doubts"]]
        )
    ]


def tell(about: str, doubts: Iterable[str]) -> None:
    """Log the doubts as warnings, and, in a job of the workflow, write them on Snakemake's console too."""
    for line in lines(about, doubts):
        _log.warning("%s", line)
        if console := os.environ.get(CONSOLE_VARIABLE):
            os.write(int(console), f"{line}\n".encode())
