"""Draw the table of scores, datasets × methods, coloured."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import heat_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", required=True, help="scores of every training seed (CSV)")
    parser.add_argument("--provider", required=True, help="provider of the datasets that are drawn")
    parser.add_argument("--simulator", required=True, help="simulator that is drawn")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    heat_table.plot(arguments.scores, arguments.provider, arguments.simulator, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
