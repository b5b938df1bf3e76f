"""Write the finished episodes' transitions in the plain format ob0, …, ac0, …, rtg."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.data.transitions import write_csv


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True, help="Parquet file, one row per transition")
    parser.add_argument("--output", required=True, help="CSV file")
    arguments = parser.parse_args()
    write_csv(arguments.transitions, arguments.output)


if __name__ == "__main__":
    run(main)
