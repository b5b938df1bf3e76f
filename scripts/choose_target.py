"""Choose the commanded target of one method: the best mean score over training seeds on selection episodes."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", nargs="+", required=True, help="selection tables of all training seeds (Parquet)")
    parser.add_argument("--output", required=True, help="the choice (JSON)")
    arguments = parser.parse_args()
    targets.choose_file(arguments.rollouts, arguments.output)


if __name__ == "__main__":
    run(main)
