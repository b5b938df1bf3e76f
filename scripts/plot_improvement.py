"""Draw the probability that each method scores above the reference method."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import improvement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--comparisons", required=True, help="pairs of methods (CSV)")
    parser.add_argument("--reference", required=True, help="method that the others are compared with")
    parser.add_argument("--provider", required=True, help="provider of the datasets that are drawn")
    parser.add_argument("--simulator", required=True, help="simulator that is drawn")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    given = parser.parse_args()
    improvement.plot(
        given.comparisons,
        given.reference,
        provider=given.provider,
        simulator=given.simulator,
        prefix=given.output_prefix,
    )


if __name__ == "__main__":
    run(main)
