"""Score against cost: what making a policy, and acting with it, buys."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from d4rl_automl.core import tables
from d4rl_automl.evaluation import score_tables, statistics
from d4rl_automl.evaluation.costs import COLUMNS
from d4rl_automl.figures import style

PANELS = {
    "with_teacher_core_seconds": "core-seconds to make a policy, its teacher included",
    "microseconds_per_action": "microseconds per action, one thread, batches of 2,000",
}


def plot(
    costs: str | Path, scores: str | Path, *, provider: str, suite: str, simulator: str, prefix: str | Path
) -> None:
    """Draw the methods of one provider's datasets of one suite, in one simulator; files as `style.save`.

    `costs`: CSV of `costs.measure`; `scores`: CSV of `statistics.score`. The CSV has one row
    per method: the summary at the selected target (`statistics.summarise`), with the costs' means
    over datasets and training seeds. A method that was made for some of the datasets alone is drawn
    hollow, with their number in the legend: it is a mean over other datasets. Raises InputError for
    a table that cannot be read, and where there is no score of these.
    """
    shown = score_tables.read_scores(scores, provider, simulator, suite)
    shown = shown[shown["target"] == "selected"]
    spent = tables.read_csv(costs, COLUMNS)
    spent = spent[spent["dataset"].isin(shown["dataset"])].groupby("method")[COLUMNS[4:]].mean()
    drawn = statistics.summarise(shown).merge(spent, on="method", how="left")
    with style.settings():
        figure = Figure(figsize=(11, 5.0), layout="constrained")
        what = f"Score against cost, {provider} {suite} datasets, simulator {simulator}"
        figure.suptitle(what + style.no_interval(drawn.rename(columns={"iqm_low": "low"})))
        for axes, (cost, title) in zip(figure.subplots(1, 2, sharey=True), PANELS.items(), strict=True):
            for index, row in enumerate(drawn.to_dict("records")):
                colour, marker = style.look(index)
                if np.isfinite(row["iqm_low"]):
                    axes.vlines(row[cost], row["iqm_low"], row["iqm_high"], color=colour, linewidth=1.5, alpha=0.6)
                every = row["datasets"] == drawn["datasets"].max()
                look = {"color": colour, "markersize": 7, "linestyle": "", "fillstyle": "full" if every else "none"}
                label = row["method"] if every else f"{row['method']} ({row['datasets']} of the datasets)"
                axes.plot(row[cost], row["iqm"], marker, label=label, **look)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(title)
        figure.axes[0].set_ylabel("interquartile mean of normalised scores")
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        facts = {"kind": "costs", "provider": provider, "suite": suite, "simulator": simulator}
        style.save(figure, drawn, prefix, facts)
