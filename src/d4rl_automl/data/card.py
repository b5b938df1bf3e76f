"""Dataset cards: what a dataset holds, where it is from, and which simulator made it.

A card is JSON for programs and Markdown for people.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from d4rl_automl import tasks
from d4rl_automl.core import doubts, files, tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import admission, demonstrator, evidence, recordings

QUANTILES = {"min": 0.0, "1 %": 0.01, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "99 %": 0.99, "max": 1.0}
CLIPPED_SHARE = 0.01
"""Of the action entries; a larger one is told as a doubt."""
_FACTS = ("dataset", "provider", "task", "sha256", "repairs", "split", "longest_episode", "doubts")


def write(
    raw: str | Path,
    provenance: str | Path,
    simulator: str | Path,
    transitions: str | Path,
    episodes: str | Path,
    *,
    simulators: Sequence[str],
    output: str | Path,
    markdown: str | Path,
) -> None:
    """Make the card of one dataset, and tell the doubts about it.

    Arguments
        raw: HDF5 in D4RL's layout.
        provenance: the JSON beside it.
        simulator: what `admission.write` found of it.
        transitions, episodes: the tables that `making.make_transitions` made of it.
        simulators: those that policies are played in.
        output: the card as JSON.
        markdown: the same for people; its figure is figures/card.png beside it.

    Returns and lengths are those of the finished episodes, ranges those of the file before
    actions are clipped. Raises InputError for a file that cannot be read, and for tables of another
    dataset than the raw file's.
    """
    facts = tables.read_parquet_metadata(transitions, _FACTS)
    made = tables.read_json(provenance, ("dataset", "sha256"))
    if made["sha256"] != facts["sha256"]:
        raise InputError(f"{transitions}: was not made from {raw} as it is now; make it again")
    ends = tables.read_parquet(episodes, ("length", "return", "terminated", "split", "normalised_score"))
    finished = ends[ends["split"] != "unfinished"]
    task = tasks.get(facts["task"])
    with recordings.reading(raw, task.name, made.get("findings")) as reader:
        # What its provider took in unseen, since its checksum or its maker is known, is looked at here: all is read.
        seen = evidence.Evidence(reader) if "findings" not in made else None
        card = {
            **{name: facts[name] for name in ("dataset", "provider", "task", "sha256")},
            "bytes": Path(raw).stat().st_size,
            "rows": reader.rows,
            "episodes": len(ends),
            "finished_episodes": len(finished),
            "longest_episode": facts["longest_episode"],
            "split": facts["split"],
            "reference_returns": {"random": task.reference_min, "expert": task.reference_max},
            "lengths": _distribution(finished["length"]),
            "returns": _distribution(finished["return"]),
            "normalised_scores": _distribution(finished["normalised_score"]),
            "terminated_share": float(finished["terminated"].mean()),
            "repairs": facts["repairs"],
            "action_entries": reader.rows * task.action_size,
            "action_entries_clipped": facts["repairs"].get("actions_clipped", 0),
            "ranges": _ranges(reader, seen),
            "demonstrator": demonstrator.describe(reader, task),
            "simulator": _identified(simulator, made["sha256"]),
            "provenance": made,
        }
        if seen is None:
            found = evidence.Findings.from_json(made["findings"])
        else:
            found = evidence.judge(seen, ends=None, trusted=True)
    card["continuity"] = found.continuity
    card["doubts"] = [
        *facts["doubts"],
        # Where the provider looked, these are among the facts.
        *(() if seen is None else found.doubts),
        *admission.doubts(card["simulator"], simulators),
        *_clipped(card),
    ]
    files.write_json(output, card)
    with files.whole(markdown) as part:
        part.write_text(_markdown(card), encoding="utf-8")
    doubts.tell(card["dataset"], card["doubts"])


def summary(card: Mapping[str, Any]) -> dict[str, Any]:
    """The card's main facts, flat; None where the card has none."""
    made = card["simulator"]
    errors: dict[str, Any] = next((one["error"] for one in made["evidence"] if one["simulator"] == made["verdict"]), {})
    return {
        **{name: card[name] for name in ("dataset", "provider", "task", "rows", "episodes")},
        "mean_length": card["lengths"]["mean"],
        "mean_return": card["returns"]["mean"],
        **{f"score_{name}": card["normalised_scores"][name] for name in ("min", "median", "mean", "max")},
        "terminated_share": card["terminated_share"],
        "demonstrator_success": (card["demonstrator"] or {}).get("success"),
        "action_entries_clipped": card["action_entries_clipped"],
        "doubts": " ".join(card["doubts"]),
        "simulator": made["verdict"],
        "replay_median": errors.get("median"),
        "replay_99_percent": errors.get("99 %"),
        "bytes": card["bytes"],
        "sha256": card["sha256"],
    }


def read(path: str | Path) -> dict[str, Any]:
    """A card's JSON; InputError for anything else."""
    keys = (
        "dataset",
        "provider",
        "rows",
        "lengths",
        "returns",
        "normalised_scores",
        "simulator",
        "provenance",
        "doubts",
    )
    return tables.read_json(path, keys)


def merge(cards: Sequence[str | Path], output: str | Path) -> None:
    """The `summary` of every card as CSV, one row per dataset."""
    with files.whole(output) as part:
        pd.DataFrame([summary(read(path)) for path in cards]).to_csv(part, index=False)


def _clipped(card: Mapping[str, Any]) -> list[str]:
    share = card["action_entries_clipped"] / card["action_entries"]
    if share <= CLIPPED_SHARE:
        return []
    return [
        f"{share:.1%} of the action entries lie beyond [-1, 1] and are clipped: if the simulator that made the data "
        "clips them too, as D4RL's does, nothing is lost; else these are not the actions that were played."
    ]


def _distribution(values: pd.Series) -> dict[str, float]:
    found = values.to_numpy(np.float64)
    return {**_quantiles(found, QUANTILES), "mean": float(found.mean()), "standard_deviation": float(found.std())}


def _quantiles(values: NDArray[np.float64], which: Mapping[str, float]) -> dict[str, float]:
    return dict(zip(which, np.quantile(values, list(which.values())).tolist(), strict=True))


def _ranges(reader: recordings.Reader, seen: evidence.Evidence | None) -> dict[str, dict[str, float]]:
    """Of every entry of the observation (ob0 …) and of the action as recorded (ac0 …), and of the reward.

    The rows pass by `seen`, too.
    """
    found: dict[str, dict[str, float]] = {}
    for prefix, name in (("ob", "observations"), ("ac", "actions")):
        parts = []
        for start in range(0, reader.rows, recordings.CHUNK):
            rows = slice(start, min(start + recordings.CHUNK, reader.rows))
            stored = reader.values(name, rows)
            if seen is not None and name == "observations":
                following = "next_observations"
                more = {following: reader.values(following, rows)} if following in reader else {}
                seen.add(rows, {name: stored, **more})
            values = stored.astype(np.float64)
            parts.append((values.min(axis=0), values.max(axis=0), values.sum(axis=0), np.square(values).sum(axis=0)))
        low, high, total, squares = (np.array(part) for part in zip(*parts, strict=True))
        mean = total.sum(axis=0) / reader.rows
        deviation = np.sqrt(np.maximum(squares.sum(axis=0) / reader.rows - mean**2, 0))
        for i, numbers in enumerate(zip(low.min(axis=0), high.max(axis=0), mean, deviation, strict=True)):
            found[f"{prefix}{i}"] = _range(*numbers)
    rewards = reader.rewards.astype(np.float64)
    found["reward"] = _range(rewards.min(), rewards.max(), rewards.mean(), rewards.std())
    return found


def _range(low: float, high: float, mean: float, deviation: float) -> dict[str, float]:
    return {"min": float(low), "max": float(high), "mean": float(mean), "standard_deviation": float(deviation)}


def _identified(path: str | Path, sha256: str) -> dict[str, Any]:
    """Which simulator made the file of this SHA-256."""
    found = admission.read(path)
    if found["sha256"] != sha256:
        raise InputError(f"{path}: is of another file than the raw one as it is now; make it again")
    return {name: value for name, value in found.items() if name not in ("dataset", "sha256")}


# Markdown --------------------------------------------------------------------------------------


def _markdown(card: Mapping[str, Any]) -> str:
    low, high = card["reference_returns"].values()
    lines = [f"# {card['dataset']}", ""]
    if card["provider"] == "embedded":
        lines += [
            "**Embedded: collected by behaviour policies of this project, not D4RL's data.** Scores reached on it are "
            "not comparable with scores published on D4RL's datasets.",
            "",
        ]
    if card["doubts"]:
        lines += ["## Doubts", "", *(f"- {doubt}" for doubt in card["doubts"]), ""]
    lines += [f"![Returns and lengths of the episodes of {card['dataset']}](figures/card.png)", ""]
    lines += _table(
        ["", ""],
        [
            ["provider", card["provider"]],
            ["task", card["task"]],
            ["rows", f"{card['rows']:,}"],
            [
                "episodes",
                f"{card['episodes']:,}, of which {card['finished_episodes']:,} finished; "
                f"the longest has {card['longest_episode']:,} steps",
            ],
            _how_episodes_went(card),
            [
                "split, in episodes",
                ", ".join(f"{name} {count:,}" for name, count in card["split"]["episodes"].items()),
            ],
            [
                "action entries beyond [-1, 1], clipped",
                f"{card['action_entries_clipped']:,} of {card['action_entries']:,}",
            ],
            ["ends", evidence.VERDICTS[card["continuity"]]],
            ["mended", "; ".join(f"{recordings.REPAIRS[k]} ({n:,})" for k, n in card["repairs"].items()) or "nothing"],
            ["file", f"{card['bytes']:,} bytes, SHA-256 `{card['sha256']}`"],
        ],
    )
    lines += ["## Finished episodes", ""]
    columns = [*QUANTILES, "mean", "standard_deviation"]
    lines += _table(
        ["", *(name.replace("_", " ") for name in columns)],
        [
            [title, *(f"{card[key][name]:,.{digits}f}" for name in columns)]
            for title, key, digits in (
                ("length", "lengths", 0),
                ("return", "returns", 1),
                ("normalised score", "normalised_scores", 1),
            )
        ],
    )
    lines += [
        f"A normalised score of 0 is a return of {low:,.1f} (random policy), 100 one of {high:,.1f} (expert).",
        "",
    ]
    lines += ["## Which simulator made it", "", *_simulator_lines(card["simulator"])]
    lines += ["## Ranges", ""]
    lines += _table(
        ["", "min", "mean", "max", "standard deviation"],
        [
            [name, *(f"{found[key]:.4g}" for key in ("min", "mean", "max", "standard_deviation"))]
            for name, found in card["ranges"].items()
        ],
    )
    lines += ["## How it was made", "", *_provenance_lines(card["provenance"])]
    return "\n".join(lines).rstrip() + "\n"


def _simulator_lines(found: Mapping[str, Any]) -> list[str]:
    verdict, reason = found["verdict"], found["reason"]
    if verdict in ("none", "not known"):
        told = f"{verdict.capitalize()}: {reason}."
    else:
        of_task = f"{found['task']} in " if found["task"] != found["asked_task"] else ""
        told = f"{of_task}`{verdict}`, {found['about']}: {reason}."
    if not found["evidence"]:
        return [told, ""]
    header = ["simulator", "what it is", "rows", "repeated"]
    header += [f"{what}, {name}" for what in ("observation", "reward") for name in ("median", "99 %")]
    rows = [
        [
            f"{one['task']}, `{one['simulator']}`",
            one["about"],
            f"{one['rows']:,}",
            f"{one['repeated']:.1%}",
            *("" if x is None else f"{x:.1e}" for what in ("error", "reward") for x in one[what].values()),
        ]
        for one in found["evidence"]
    ]
    return [
        told,
        "",
        f"Of {found['rows']:,} rows {found['sampled']:,} were drawn, and {found['usable']:,} of these can be replayed: "
        "each simulator is put into an observed state, given the recorded action, and compared with what came next. "
        "Repeated are the rows in which no entry differs by more than 1e-4; beside them the largest difference of any "
        "entry, and that of the reward. What is out of the question is tried with a few rows.",
        "",
        *_table(header, rows),
    ]


def _how_episodes_went(card: Mapping[str, Any]) -> list[str]:
    """A row of the first table: falls, or goals that were reached."""
    told = card["demonstrator"]
    if told is None:
        return ["terminated (the robot fell)", f"{card['terminated_share']:.1%} of the finished episodes"]
    how = f"{told['success']:.1%} of {told['episodes']:,} finished episodes"
    if told["reached"]:
        how += f", after {np.median(told['steps_to_goal']):,.0f} steps (median) and {told['mean_path']:.1f} m (mean)"
    return ["reached the goal that was commanded", how]


def _provenance_lines(made: Mapping[str, Any]) -> list[str]:
    shown = [
        [name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)]
        for name, value in made.items()
        if name
        not in ("dataset", "provider", "task", "sha256", "size_bytes", "mtime_ns", "policies", "repairs", "findings")
    ]
    lines = _table(["", ""], shown)
    if "policies" in made:
        columns = list(made["policies"][0])
        rows = [["" if one[name] is None else str(one[name]) for name in columns] for one in made["policies"]]
        lines += _table(["behaviour policy", *columns[1:]], rows)
    return lines


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows),
        "",
    ]
