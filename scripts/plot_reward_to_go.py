"""Draw what a dataset demonstrates: average reward-to-go over the step, and the distribution of returns."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.figures import reward_to_go


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True, help="the dataset's transitions (Parquet)")
    parser.add_argument("--episodes", required=True, help="the dataset's episodes (Parquet)")
    parser.add_argument("--fractions", type=json.loads, required=True, help="JSON: commanded fractions, [0.3, …]")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    reward_to_go.plot(arguments.transitions, arguments.episodes, arguments.fractions, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
