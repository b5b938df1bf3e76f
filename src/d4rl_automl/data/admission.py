"""Whether a raw dataset is admitted to training, by what made its steps, and what is doubtful about it."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from d4rl_automl.core import files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import recordings, replay

log = logging.getLogger(__name__)


def admit(raw: str | Path, provenance: str | Path, output: str | Path) -> None:
    """Let a raw dataset pass whose steps may be what they are given as.

    Arguments
        raw: HDF5 in D4RL's layout.
        provenance: the JSON beside it.
        output: JSON: the dataset's name and SHA-256, and the verdict with its reason.

    Raises InputError for a file that another task's simulator repeats, and for one whose actions have to be scaled to
    be repeated; never for D4RL's own files, which are known by their SHA-256.
    """
    made, found = _identified(raw, provenance)
    if not made.get("published", False):
        _refuse(made.get("path", raw), found)
    told = {**{name: made[name] for name in ("dataset", "sha256")}, "verdict": found["verdict"]}
    files.write_json(output, told | {"reason": found["reason"]})


def write(raw: str | Path, provenance: str | Path, output: str | Path) -> None:
    """Write down which simulator made a raw dataset, whoever provides it.

    Arguments
        raw, provenance: as for `admit`.
        output: JSON: the answer of `identify_simulator`, and the dataset's name and SHA-256.
    """
    made, found = _identified(raw, provenance)
    told = {**{name: made[name] for name in ("dataset", "sha256")}, **found}
    files.write_json(output, told)


def doubts(found: Mapping[str, Any], simulators: Sequence[str]) -> list[str]:
    """What is doubtful about a dataset, in sentences, by the answer of `identify_simulator`.

    `simulators` are those that policies are played in; it may have been made in another one.
    """
    told: list[str] = []
    verdict, task, asked = found["verdict"], found["task"], found["asked_task"]
    if verdict == replay.NOT_KNOWN:
        return told
    if verdict == replay.NONE:
        told.append(
            f"No simulator known here repeats its steps: {found['reason']}. Either its rows are not the steps that "
            "they are taken for, or it was made elsewhere, and scores do not tell how policies would do there."
        )
        return told
    if asked not in (None, task):
        told.append(
            f"Its steps are {task}'s, not {asked}'s: {verdict} ({found['about']}) repeats them for {task}, and none of "
            f"{asked}'s simulators does. What is played as {asked} says nothing about it."
        )
        return told
    elsewhere = [name for name in simulators if name not in found["repeating"]]
    if elsewhere:
        told.append(
            f"It was made in {verdict} ({found['about']}), and policies are played in {', '.join(elsewhere)}, where "
            "the same actions lead elsewhere: scores may be lower than where it was made "
            f"(simulators: [{found['simulators'][0]}])."
        )
    paid = [name for name in simulators if name in found["repeating"] and name not in found["simulators"]]
    if paid:
        told.append(
            f"It was made in {found['simulators'][0]}, and policies are played in {', '.join(paid)}: the physics are "
            "the same, but the step in which the robot falls pays another reward there."
        )
    (evidence,) = (one for one in found["evidence"] if (one["task"], one["simulator"]) == (task, verdict))
    error = evidence["reward"]["median"]
    if error is not None and error > replay.REWARD_TOLERANCE:
        told.append(
            f"Its rewards are not those of {task}: {verdict} repeats its steps and pays otherwise (median difference "
            f"{error:.2g}), so that its returns and the scores of policies are not on one scale."
        )
    return told


def read(path: str | Path) -> dict[str, Any]:
    """What `write` wrote; InputError for anything else."""
    return tables.read_json(path, ("dataset", "sha256", "verdict", "reason", "evidence"))


def _identified(raw: str | Path, provenance: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said of a raw dataset, and what its steps say."""
    made = tables.read_json(provenance, ("dataset", "task", "sha256"))
    with recordings.reading(raw, made["task"], made.get("findings")) as reader:
        found = replay.identify(reader, made["task"], scale_actions=reader.action_scale)
    log.info("%s: %s: %s", made["dataset"], found["verdict"], found["reason"])
    return made, found


def _refuse(path: str | Path, found: Mapping[str, Any]) -> None:
    task, asked, scale = found["task"], found["asked_task"], found["scale_actions"]
    if task not in (None, asked):
        raise InputError(
            f"{path}: is given as task {asked}, but its steps are {task}'s: {found['verdict']} ({found['about']}) of "
            f"{task} is what made them ({found['reason']}), and none of {asked}'s simulators does; write task: {task}"
        )
    if scale is not None:
        raise InputError(
            f"{path}: its actions are on another scale than {asked}'s [-1, 1]: {found['reason']}; write "
            f"scale_actions: {scale:g} in the dataset's entry, which divides them"
        )
