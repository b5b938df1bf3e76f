"""Draw what the forests and teachers of a dataset look at."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import importance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", required=True, help="importances of a dataset's models (CSV)")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    importance.plot(arguments.tables, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
