"""Draw the figure of a dataset's card: returns and lengths of its episodes."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--card", required=True, help="the dataset's card (JSON)")
    parser.add_argument("--episodes", required=True, help="the dataset's episodes (Parquet)")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    card.plot(arguments.card, arguments.episodes, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
