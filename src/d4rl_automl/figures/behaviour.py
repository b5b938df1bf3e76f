"""How the behaviour policies became what they are: their returns over the training."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from d4rl_automl.core.errors import InputError
from d4rl_automl.figures import style

_KINDS = {"stochastic": "sampled actions", "deterministic": "mean actions"}
_ROLES = {"replay": ("o", "on the way to medium"), "medium": ("s", "medium"), "expert": ("D", "expert")}


def plot(trainings: Sequence[str | Path], chosen: str | Path, prefix: str | Path) -> None:
    """Draw the normalised score of every task's checkpoints over environment steps; files as `style.save`.

    `trainings` are the folders of the tasks' trainings, each named by its task, with their curve.csv; the policies of
    the folder `chosen` are marked at the score that its levels.csv tells. Raises InputError for a table that cannot be
    read.
    """
    levels = _read(Path(chosen) / "levels.csv")
    levels[["task", "role"]] = levels["policy"].str.removesuffix(".npz").str.split("-", n=1, expand=True)
    drawn = []
    with style.settings():
        figure = Figure(figsize=(11, 3.6), layout="constrained")
        panels = figure.subplots(1, len(trainings), squeeze=False)[0]
        for axes, folder in zip(panels, trainings, strict=True):
            task = Path(folder).name
            curve = _read(Path(folder) / "curve.csv").assign(task=task)
            steps = curve["environment_steps"] / 1e6
            for colour, (kind, label) in zip((style.COLOURS[0], style.GREY), _KINDS.items(), strict=True):
                axes.plot(steps, curve[f"{kind}_score"], color=colour, linewidth=1.4, label=label)
            for role, (marker, label) in _ROLES.items():
                marked = levels[(levels["task"] == task) & levels["role"].str.startswith(role)]
                axes.plot(
                    marked["environment_steps"] / 1e6,
                    marked["normalised_score"],
                    linestyle="",
                    marker=marker,
                    markersize=5 if role == "replay" else 8,
                    color=style.COLOURS[1],
                    markeredgecolor="white",
                    zorder=3,
                    label=label,
                )
            axes.set_title(f"{task}, {levels.loc[levels['task'] == task, 'algorithm'].iloc[0]}", loc="left")
            axes.set_xlabel("million environment steps")
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            drawn.append(curve)
        panels[0].set_ylabel("normalised score")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
        style.save(figure, pd.concat(drawn), prefix, {"kind": "behaviour"})


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error}); make it again") from None
