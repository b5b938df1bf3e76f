"""Score every policy on its report episodes, and summarise over training seeds and datasets."""

import argparse
import json

from d4rl_automl.core.script import run
from d4rl_automl.evaluation import statistics


def main() -> None:
    # Paths of a large run exceed a command line: they come in a file, one argument a line.
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--rollouts", nargs="+", required=True, help="report tables (Parquet)")
    parser.add_argument("--targets", nargs="+", required=True, help="chosen targets (JSON files)")
    parser.add_argument("--providers", type=json.loads, required=True, help='JSON: {"dataset": "provider", …}')
    parser.add_argument("--output", required=True, help="scores (CSV)")
    parser.add_argument("--summary", required=True, help="summary (CSV)")
    parser.add_argument("--comparisons", required=True, help="every pair of methods (CSV)")
    arguments = parser.parse_args()
    print(statistics.score_files(**vars(arguments)))


if __name__ == "__main__":
    run(main)
