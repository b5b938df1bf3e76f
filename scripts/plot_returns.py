"""Draw the violins of returns by commanded target, the demonstrator's beside them."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import returns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rollouts", nargs="+", required=True, help="report tables of a dataset in a simulator (Parquet)"
    )
    parser.add_argument("--episodes", required=True, help="the dataset's episodes (Parquet)")
    parser.add_argument("--targets", nargs="+", required=True, help="chosen target of every method (JSON files)")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    returns.plot(arguments.rollouts, arguments.episodes, arguments.targets, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
