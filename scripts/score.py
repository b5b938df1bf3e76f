"""Put the scores of all datasets together, and summarise and compare the methods, with intervals."""

import argparse

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import statistics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", nargs="+", required=True, help="scores of every dataset (CSV)")
    parser.add_argument("--output", required=True, help="scores of every training seed (CSV)")
    parser.add_argument("--summary", required=True, help="summary over seeds and datasets (CSV)")
    parser.add_argument("--comparisons", required=True, help="every pair of methods (CSV)")
    print(statistics.score(**vars(parser.parse_args())))


if __name__ == "__main__":
    run(main)
