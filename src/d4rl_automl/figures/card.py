"""What a dataset's card shows: how many episodes reached which return, and how long they were."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from d4rl_automl import tasks
from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.data import card as cards
from d4rl_automl.figures import style

BINS = 50


def plot(card: str | Path, episodes: str | Path, prefix: str | Path) -> None:
    """Draw the figure of one card; files as `style.save`.

    Finished episodes only, in bars split by how they ended. The CSV has one row per bar: panel
    (return or length), bin_low, bin_high, terminated, truncated. Raises InputError for a file
    that cannot be read, and for tables without a finished episode.
    """
    facts = cards.read(card)
    task = tasks.get(facts["task"])
    ends = tables.read_parquet(episodes, ("return", "length", "terminated", "split"))
    finished = ends[ends["split"] != "unfinished"]
    if finished.empty:
        raise InputError(f"{episodes}: no episode is finished; there is nothing to draw")
    limits = {
        "return": (
            min(finished["return"].min(), task.reference_min),
            max(finished["return"].max(), task.reference_max),
        ),
        "length": (0.0, float(max(finished["length"].max(), task.episode_steps))),
    }
    colours = {"truncated": style.COLOURS[0], "terminated": style.COLOURS[4]}
    labels = {"truncated": "time limit", "terminated": "the robot fell"}
    parts = []
    with style.settings():
        figure = Figure(figsize=(10, 3.4), layout="constrained")
        figure.suptitle(facts["dataset"])
        for axes, (name, (low, high)) in zip(figure.subplots(1, 2), limits.items(), strict=True):
            edges = np.linspace(low, high, BINS + 1)
            counts = {
                "truncated": np.histogram(finished.loc[~finished["terminated"], name], edges)[0],
                "terminated": np.histogram(finished.loc[finished["terminated"], name], edges)[0],
            }
            bottom = np.zeros(BINS)
            for how, bars in counts.items():
                axes.bar(
                    edges[:-1], bars, np.diff(edges), bottom, align="edge", color=colours[how], label=labels[how],
                    edgecolor="white", linewidth=0.3,
                )  # fmt: skip
                bottom += bars
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.grid(axis="x", visible=False)
            axes.set_xlabel("return of the episode" if name == "return" else "steps of the episode")
            axes.set_ylabel("episodes")
            parts.append(pd.DataFrame({"panel": name, "bin_low": edges[:-1], "bin_high": edges[1:], **counts}))
        returns, lengths = figure.axes
        for value in (task.reference_min, task.reference_max):
            returns.axvline(value, **style.REFERENCE_LINE)
        style.score_axis(returns, task.name, side="top")
        share = facts["terminated_share"]
        lengths.set_title(f"{len(finished):,} finished episodes, {share:.0%} ended by a fall", loc="left")
        handles, _ = lengths.get_legend_handles_labels()
        figure.legend(handles=[*handles, style.reference_key()], loc="outside lower center", ncols=3)
        style.save(figure, pd.concat(parts), prefix, {"kind": "card", "dataset": facts["dataset"]})
