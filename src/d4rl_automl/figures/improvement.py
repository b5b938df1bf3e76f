"""Probability of improvement of every method over one reference method."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.evaluation import score_tables
from d4rl_automl.figures import style


def plot(
    comparisons: str | Path,
    reference: str,
    methods: Sequence[str],
    *,
    provider: str,
    suite: str,
    simulator: str,
    prefix: str | Path,
) -> None:
    """Draw the datasets of one provider and suite in one simulator, a panel per target rule; files as `style.save`.

    `comparisons`: CSV of `statistics.compare`; the CSV of the figure has its rows against
    `reference`; `methods`: all of the run, for their looks. Raises InputError for a table that
    cannot be read, and where no method was compared with the reference.
    """
    table = tables.read_csv(comparisons, score_tables.COMPARISON)
    wanted = {"provider": provider, "suite": suite, "simulator": simulator, "against": reference}
    drawn = table[(table[list(wanted)] == pd.Series(wanted)).all(axis="columns")]
    if drawn.empty:
        raise InputError(f"{comparisons}: no method is compared with {reference!r} ({provider}, {suite}, {simulator})")
    rules = [rule for rule in score_tables.TARGET_RULES if rule in set(drawn["target"])]
    looks = style.looks(methods, dict.fromkeys(drawn["method"]))
    with style.settings():
        figure = Figure(figsize=(2.2 + 3.4 * len(rules), 1.7 + 0.36 * len(looks)), layout="constrained")
        what = f"Probability of scoring above {reference}, {provider} {suite} datasets, simulator {simulator}"
        figure.suptitle(style.several_lines(what + style.no_interval(drawn), figure.get_figwidth()))
        panels = figure.subplots(1, len(rules), squeeze=False, sharey=True)[0]
        for axes, rule in zip(panels, rules, strict=True):
            for place, (method, (colour, marker)) in enumerate(looks.items()):
                for row in drawn[(drawn["target"] == rule) & (drawn["method"] == method)].to_dict("records"):
                    # An interval that is missing is not drawn.
                    if np.isfinite(row["low"]):
                        axes.hlines(place, row["low"], row["high"], color=colour, linewidth=6, alpha=0.3)
                    axes.plot(row["probability"], place, marker, color=colour, markersize=6)
            axes.axvline(0.5, **style.REFERENCE_LINE)
            axes.set_title(f"target: {rule}", loc="left")
            axes.set_xlim(-0.03, 1.03)
            axes.set_xlabel(f"P(score > {reference})")
            axes.grid(axis="y", visible=False)
        panels[0].set_yticks(range(len(looks)), list(looks))
        panels[0].set_ylim(len(looks) - 0.5, -0.5)
        style.save(figure, drawn, prefix, {"kind": "improvement", **wanted})
