"""Merge the losses of a teacher's action dimensions, and measure the teacher as it acts, on held-out episodes."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.teachers import evaluation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", required=True)
    parser.add_argument("--deployed", required=True, nargs="+", help="directories, in the order of the dimensions")
    parser.add_argument("--metrics-in", required=True, nargs="+", help="CSV files, in the order of the dimensions")
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--metrics", required=True, help="output: CSV")
    parser.add_argument("--predictions", required=True, help="output: Parquet")
    evaluation.evaluate(**vars(parser.parse_args()))


if __name__ == "__main__":
    run(main)
