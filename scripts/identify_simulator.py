"""Find out which simulator made a raw dataset, by replaying its steps."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.data import admission


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", required=True, help="HDF5 file in D4RL's layout")
    parser.add_argument("--provenance", required=True, help="the JSON file made with it")
    parser.add_argument("--output", required=True, help="JSON file: the verdict and its evidence")
    given = parser.parse_args()
    admission.write(given.raw, given.provenance, given.output)


if __name__ == "__main__":
    run(main)
