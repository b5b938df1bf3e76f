"""Draw commanded against achieved return."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.figures import calibration


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rollouts", nargs="+", required=True, help="report tables of a dataset in a simulator (Parquet)"
    )
    parser.add_argument("--output-prefix", required=True, help="path without ending of the PNG, SVG and CSV")
    arguments = parser.parse_args()
    calibration.plot(arguments.rollouts, arguments.output_prefix)


if __name__ == "__main__":
    run(main)
