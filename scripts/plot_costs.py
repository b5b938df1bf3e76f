"""Draw the methods' scores against what they cost."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--costs", required=True, help="costs of every policy (CSV)")
    parser.add_argument("--scores", required=True, help="scores of every training seed (CSV)")
    parser.add_argument("--provider", required=True, help="provider of the datasets that are drawn")
    parser.add_argument("--simulator", required=True, help="simulator that is drawn")
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    given = parser.parse_args()
    costs.plot(
        given.costs, given.scores, provider=given.provider, simulator=given.simulator, prefix=given.output_prefix
    )


if __name__ == "__main__":
    run(main)
