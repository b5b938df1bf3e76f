"""The order that must come out on medium-expert data, from the results of a finished run.

Half of such data is an expert's and half a mediocre policy's, so the outcome tells which half to imitate: methods
that are conditioned on it must score above cloning (BC), and must achieve less when they are commanded less.
`python benchmarks/order.py --results DIRECTORY` after `snakemake --configfile config/embedded.yaml`.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from support import reporting

from d4rl_automl.core import tables
from d4rl_automl.core.errors import InputError
from d4rl_automl.core.script import run


def order(results: Path, simulator: str) -> list[dict[str, Any]]:
    """One row per medium-expert dataset and conditioned method: scores, and the return achieved by commanded return.

    score and score_of_bc are normalised, at the selected target, the mean over training seeds. achieved_at_least and
    achieved_at_expert are mean returns at the smallest commanded fraction and at 1.0; rank_correlation is Spearman's,
    of commanded and mean achieved return up to 1.0, beyond which the data have nothing to imitate; None where fewer
    than two were commanded, or all achieved the same. Raises InputError where the results hold no such dataset, or one
    without the method bc.
    """
    scores = tables.read_csv(results / "scores.csv", ("dataset", "method", "kind", "simulator", "target", "fraction"))
    selected = scores[(scores["target"] == "selected") & (scores["simulator"] == simulator)]
    rows = []
    for dataset, own in selected[selected["dataset"].str.contains("medium-expert")].groupby("dataset", sort=False):
        by_method = own.groupby("method", sort=False).agg({"kind": "first", "fraction": "first", "normalised": "mean"})
        if "bc" not in by_method.index:
            raise InputError(f"{results / 'scores.csv'}: {dataset}: the method bc is missing; add it to the config")
        bc = float(by_method["normalised"]["bc"])
        played = tables.read_csv(
            results / str(dataset) / "figures" / f"calibration.{simulator}.csv", ("method", "fraction", "mean_return")
        )
        for method, facts in by_method.dropna(subset="fraction").iterrows():
            achieved = played[(played["method"] == method) & (played["fraction"] <= 1)].sort_values("fraction")
            correlation = achieved["fraction"].corr(achieved["mean_return"], "spearman")
            rows.append(
                {
                    "dataset": dataset,
                    "method": method,
                    "score": round(facts["normalised"], 1),
                    "score_of_bc": round(bc, 1),
                    "beats_bc": bool(facts["normalised"] > bc),
                    "achieved_at_least": round(achieved["mean_return"].iloc[0]),
                    "achieved_at_expert": round(achieved["mean_return"].iloc[-1]),
                    "rank_correlation": None if pd.isna(correlation) else round(correlation, 2),
                }
            )
    if not rows:
        raise InputError(f"{results / 'scores.csv'}: found no medium-expert dataset in simulator {simulator}")
    return rows


def main() -> None:
    parser = reporting.parser_of_results(__doc__)
    parser.add_argument("--simulator", default="d4rl", help="simulator variant of the rollouts")
    arguments = parser.parse_args()
    rows = order(arguments.results.absolute(), arguments.simulator)
    reporting.show(rows)
    above = sum(row["beats_bc"] for row in rows)
    less = sum(row["achieved_at_least"] < row["achieved_at_expert"] for row in rows)
    print(f"conditioned methods above BC: {above} of {len(rows)}; achieve less when commanded less: {less}")
    reporting.write(arguments.output, {"results": str(arguments.results), "rows": rows})


if __name__ == "__main__":
    run(main)
