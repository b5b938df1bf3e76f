"""Draw a teacher's predicted against the recorded actions, per action dimension."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import actions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", required=True, help="recorded and predicted actions (Parquet)")
    parser.add_argument("--metrics", required=True, help="errors per action dimension (CSV)")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    actions.plot(arguments.predictions, arguments.metrics, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
