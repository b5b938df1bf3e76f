"""Put the main facts of every dataset's card into one table."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.data import card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cards", nargs="+", required=True, help="cards (JSON files)")
    parser.add_argument("--output", required=True, help="CSV file, one row per dataset")
    arguments = parser.parse_args()
    card.merge(arguments.cards, arguments.output)


if __name__ == "__main__":
    run(main)
