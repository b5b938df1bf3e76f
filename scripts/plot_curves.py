"""Draw how the losses fell while the policies of a dataset were fitted."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import curves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curves", nargs="+", required=True, help="training curves of a dataset's policies (CSV)")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    curves.plot(arguments.curves, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
