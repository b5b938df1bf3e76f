"""Performance profiles: how often a method scores above each threshold."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from d4rl_automl.evaluation import score_tables, statistics
from d4rl_automl.figures import style

STEPS = 101
"""Thresholds that a profile is evaluated at."""


def plot(
    scores: str | Path, methods: Sequence[str], *, provider: str, suite: str, simulator: str, prefix: str | Path
) -> None:
    """Draw the datasets of one provider and suite in one simulator, a panel per target rule; files as `style.save`.

    `scores`: CSV of `statistics.score`; `methods`: all of the run, for their looks. The CSV is `statistics.profiles`.
    Raises InputError for a table that cannot be read, and where there is no score of these.
    """
    table = score_tables.read_scores(scores, provider, simulator, suite)
    ends = min(0.0, float(table["normalised"].min())), max(100.0, float(table["normalised"].max()))
    drawn = statistics.profiles(table, np.linspace(*ends, STEPS))
    rules = [rule for rule in score_tables.TARGET_RULES if rule in set(drawn["target"])]
    looks = style.looks(methods, dict.fromkeys(drawn["method"]))
    with style.settings():
        figure = Figure(figsize=(1.2 + 4.4 * len(rules), 5.0), layout="constrained")
        datasets, seeds = (int(drawn[name].iloc[0]) for name in ("datasets", "seeds"))
        runs = f"{datasets} dataset{'s' * (datasets > 1)} × {seeds} training seed{'s' * (seeds > 1)}"
        what = f"Performance profiles, {provider} {suite} datasets, simulator {simulator}: {runs}"
        figure.suptitle(style.several_lines(what + style.no_interval(drawn), figure.get_figwidth()))
        panels = figure.subplots(1, len(rules), squeeze=False, sharey=True)[0]
        for axes, rule in zip(panels, rules, strict=True):
            for method, (colour, _) in looks.items():
                line = drawn[(drawn["target"] == rule) & (drawn["method"] == method)]
                # After the eighth method colours return, with another dash.
                dash = "-" if methods.index(method) < len(style.COLOURS) else "--"
                x = line["threshold"]
                axes.step(x, line["share"], where="post", color=colour, linestyle=dash, linewidth=1.7, label=method)
                axes.fill_between(x, line["low"], line["high"], step="post", color=colour, alpha=0.10, linewidth=0)
            axes.set_title(f"target: {rule}", loc="left")
            axes.set_xlim(*ends)
            axes.set_ylim(-0.02, 1.02)
            axes.set_xlabel("threshold (normalised score)")
        panels[0].set_ylabel("share of runs that score above")
        handles, names = panels[0].get_legend_handles_labels()
        style.legend(figure, handles, names, most=5)
        facts = {"kind": "profiles", "provider": provider, "suite": suite, "simulator": simulator}
        style.save(figure, drawn, prefix, facts)
