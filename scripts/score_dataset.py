"""Score the report episodes of one dataset's policies, at the targets that were chosen."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import score_tables, standings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", nargs="+", required=True, help="report tables (Parquet)")
    parser.add_argument("--targets", nargs="+", required=True, help="chosen targets (JSON)")
    parser.add_argument("--card", required=True, help="the dataset's card (JSON)")
    parser.add_argument("--teachers", nargs="*", default=[], help="metrics of the dataset's teachers (CSV)")
    parser.add_argument("--taught", nargs="*", default=[], help="a method and its teacher, the next method and its")
    parser.add_argument("--output", required=True, help="scores of every training seed (CSV)")
    parser.add_argument("--standings", required=True, help="every method against the best (CSV)")
    given = vars(parser.parse_args())
    names, against = given.pop("taught"), given.pop("standings")
    score_tables.score_dataset(taught=dict(zip(names[::2], names[1::2], strict=True)), **given)
    standings.write(given["rollouts"], given["targets"], against)


if __name__ == "__main__":
    run(main)
