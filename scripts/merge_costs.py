"""Put the costs of all datasets together."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.core.tables import concatenate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--costs", nargs="+", required=True, help="costs of every dataset (CSV)")
    parser.add_argument("--output", required=True, help="all of them (CSV)")
    given = parser.parse_args()
    concatenate(given.costs, given.output)


if __name__ == "__main__":
    run(main)
