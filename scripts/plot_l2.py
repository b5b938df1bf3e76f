"""Draw the squared error of the actions, by teacher or method and action dimension."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import l2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--provider", required=True, help="its provider")
    parser.add_argument("--metrics", nargs="*", default=[], help="errors of every teacher and training seed (CSV)")
    parser.add_argument("--students", required=True, help="comparison of the policies (CSV)")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    given = parser.parse_args()
    l2.plot(given.dataset, given.provider, metrics=given.metrics, students=given.students, prefix=given.output_prefix)


if __name__ == "__main__":
    run(main)
