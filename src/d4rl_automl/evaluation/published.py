"""Published scores, each with its convention and source, for datasets of D4RL and no others."""

from collections.abc import Mapping

import pandas as pd

from d4rl_automl.core import files, tables

FILE = files.RESOURCES / "published_scores.csv"
COLUMNS = ("dataset", "method", "score", "std", "convention", "source", "note")
CONVENTION = "final"
"""The policy as training left it. "best" picks the evaluation that is reported, and flatters."""
SOURCE = "CORL"
"""The source of what is shown beside a run's scores: one code for all methods, both conventions told apart."""


def read() -> pd.DataFrame:
    """All published scores, `COLUMNS`: several rows per dataset and method, told apart by convention and source.

    score and std are normalised, as the source has them; NaN where it gives none, or where no
    source was read. The version at the end of the dataset's name is that of the data the score
    was measured on, where a source's own name for it is wrong as well.
    """
    return tables.read_csv(FILE, COLUMNS)


def beside(providers: Mapping[str, str]) -> pd.DataFrame:
    """The rows of `read` to set beside a run's own scores: `SOURCE`, by `CONVENTION`.

    `providers`: of each dataset of the run. Only D4RL's own data have published scores: a
    dataset of another provider has no row, whatever its name.
    """
    ours = [name for name, provider in providers.items() if provider == "d4rl"]
    table = read()
    kept = (table["convention"] == CONVENTION) & table["source"].str.startswith(f"{SOURCE} ")
    return table[kept & table["dataset"].isin(ours)].reset_index(drop=True)
